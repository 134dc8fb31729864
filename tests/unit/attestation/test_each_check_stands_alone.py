"""Evidence that is wrong in one respect, and properly signed for all that: by makers that we made up."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.evidence import SAMPLES
from tests.support.made_up_makers import NOW, Chip, Hypervisor, Issuer, der_integer, make_below, make_root, new_key
from voisin.attestation import Claims, intel
from voisin.attestation.amd import SnpCollateral, verify_snp
from voisin.attestation.certificates import expiry_of, require_chain
from voisin.attestation.claims import Weakness
from voisin.attestation.extras import require_module
from voisin.attestation.intel import IntelCollateral
from voisin.attestation.nitro import verify_nitro
from voisin.errors import TrustError
from voisin.protocol.evidence import IntelQuote
from voisin.units import UnixSeconds

CA = x509.BasicConstraints(ca=True, path_length=None)
LAST_CA = x509.BasicConstraints(ca=True, path_length=0)
DAY = 86_400


# --- chains ----------------------------------------------------------------------------------------------------------


def leaf_of(issuer: Issuer, **changes: object) -> list[x509.Certificate]:
    return [issuer.issue("leaf", new_key(), **changes), *issuer.chain]  # type: ignore[arg-type]


def test_a_good_chain() -> None:
    root = make_root()
    chain = leaf_of(make_below(make_below(root, "one", CA), "two", LAST_CA))
    require_chain(chain, root.chain[-1], NOW, "it")
    assert expiry_of(chain) == NOW + 10 * DAY
    short = leaf_of(root, days=(-1, 1))
    assert expiry_of(short) == NOW + DAY, "the first to expire counts"


@pytest.mark.parametrize(
    ("days", "words"),
    [((-10, -1), "is not valid"), ((1, 10), "is not valid")],
    ids=["expired", "not yet valid"],
)
@pytest.mark.parametrize("place", [0, 1])
def test_every_certificate_must_be_valid_now(days: tuple[int, int], words: str, place: int) -> None:
    root = make_root()
    middle = make_below(root, "one", CA, **({"days": days} if place else {}))
    with pytest.raises(TrustError, match=words):
        require_chain(leaf_of(middle, **({} if place else {"days": days})), root.chain[-1], NOW, "it")


@pytest.mark.parametrize("limits", [None, x509.BasicConstraints(ca=False, path_length=None)], ids=["no limits", "no issuer"])
def test_who_may_not_issue_may_not(limits: x509.BasicConstraints | None) -> None:
    root = make_root()
    with pytest.raises(TrustError, match="may not issue"):
        require_chain(leaf_of(make_below(root, "one", limits)), root.chain[-1], NOW, "it")


def test_a_path_is_no_longer_than_it_may_be() -> None:
    root = make_root()
    with pytest.raises(TrustError, match="may not issue"):
        require_chain(leaf_of(make_below(make_below(root, "one", LAST_CA), "two", CA)), root.chain[-1], NOW, "it")


def test_a_root_of_the_same_name_is_another_root() -> None:
    root, other = make_root(), make_root()
    with pytest.raises(TrustError, match="does not end at"):
        require_chain(leaf_of(other), root.chain[-1], NOW, "it")
    with pytest.raises(TrustError, match="is not issued by"):
        require_chain([leaf_of(other)[0], root.chain[-1]], root.chain[-1], NOW, "it")
    with pytest.raises(TrustError, match="does not end at"):
        require_chain([], root.chain[-1], NOW, "it")


# --- reports ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Issuer:
    """The maker whose chain is taken for AMD's for Milan."""
    issuer = make_below(make_root("ark"), "ask", LAST_CA)
    others = make_root("another")
    chains = {"amd-milan": issuer.chain, "amd-genoa": others.chain, "amd-turin": others.chain}
    monkeypatch.setattr("voisin.attestation.amd.known_chain", lambda known: tuple(chains[known]))
    return issuer


def verified(maker: Issuer, chip: Chip, changes: Mapping[int, bytes] | None = None) -> Claims:
    return verify_snp(chip.report(changes), SnpCollateral(chip.certificate(maker)), NOW)


def test_a_good_report(maker: Issuer) -> None:
    found = verified(maker, Chip())
    assert found.weaknesses == ()
    assert found.versions == {"boot_loader": 3, "tee": 1, "snp": 8, "microcode": 200, "guest": 0}
    assert found.valid_until == NOW + 10 * DAY


@pytest.mark.parametrize(
    ("certified", "words"),
    [
        ({"4": bytes(range(1, 65))}, "another chip"),
        ({"4": bytes(range(32))}, "another chip"),
        ({"4": b""}, "no extension"),
        ({"3.1": der_integer(4)}, "another boot loader"),
        ({"3.2": der_integer(2)}, "another tee"),
        ({"3.3": der_integer(7)}, "another snp"),
        ({"3.8": der_integer(201)}, "another microcode"),
        ({"3.8": b""}, "no extension"),
    ],
)
def test_the_certificate_must_be_for_this_chip_and_these_versions(maker: Issuer, certified: dict[str, bytes], words: str) -> None:
    with pytest.raises(TrustError, match=words):
        verified(maker, Chip(certified=certified))


@pytest.mark.parametrize(
    ("changes", "weakness"),
    [
        ({0x08: (1 << 19).to_bytes(8, "little")}, Weakness.DEBUGGABLE),
        ({0x08: (1 << 18).to_bytes(8, "little")}, Weakness.MIGRATABLE),
        ({0x48: (1 << 2).to_bytes(4, "little")}, Weakness.SHARED_KEY),
        ({0x30: (1).to_bytes(4, "little")}, Weakness.INNER_LEVEL),
    ],
)
def test_what_makes_a_report_worthless_is_said(maker: Issuer, changes: dict[int, bytes], weakness: Weakness) -> None:
    assert verified(maker, Chip(), changes).weaknesses == (weakness,)


def test_a_report_that_is_signed_in_another_way_is_refused(maker: Issuer) -> None:
    with pytest.raises(TrustError, match="not signed as AMD's are"):
        verified(maker, Chip(), {0x34: (2).to_bytes(4, "little")})


@pytest.mark.parametrize("place", [0x2A0 + 48, 0x2A0 + 72 + 48, 0x2A0 + 144, 0x49F])
def test_nothing_lies_behind_the_signature(maker: Issuer, place: int) -> None:
    chip = Chip()
    report = bytearray(chip.report())
    report[place] = 1
    with pytest.raises(TrustError, match="behind the signature"):
        verify_snp(bytes(report), SnpCollateral(chip.certificate(maker)), NOW)
    with pytest.raises(TrustError, match="has 1184 bytes"):
        verify_snp(bytes(chip.report()) + b"\0", SnpCollateral(chip.certificate(maker)), NOW)


def test_another_chips_signature_is_refused(maker: Issuer) -> None:
    with pytest.raises(TrustError, match="not signed by the chip's key"):
        verify_snp(Chip().report(), SnpCollateral(Chip().certificate(maker)), NOW)


@pytest.mark.usefixtures("maker")
def test_a_certificate_of_nobody_is_refused() -> None:
    with pytest.raises(TrustError, match="none of AMD's"):
        verified(make_root("nobody"), Chip())


# --- documents -------------------------------------------------------------------------------------------------------


@pytest.fixture
def hypervisor(monkeypatch: pytest.MonkeyPatch) -> Hypervisor:
    """The maker whose root is taken for Amazon's."""
    root = make_root("aws")
    monkeypatch.setattr("voisin.attestation.nitro.known_chain", lambda _name: tuple(root.chain))
    return Hypervisor(root)


def test_a_good_document(hypervisor: Hypervisor) -> None:
    found = verify_nitro(hypervisor.document(), NOW)
    assert (found.weaknesses, found.made_at, found.valid_until) == ((), NOW, NOW + 10 * DAY)
    assert found.measurements["pcr2"] == "03" * 48


def test_pcrs_of_zeros_mean_debugging_and_one_that_is_not_zero_means_none(hypervisor: Hypervisor) -> None:
    def weaknesses(pcrs: dict[int, bytes]) -> tuple[Weakness, ...]:
        return verify_nitro(hypervisor.document(pcrs=pcrs), NOW).weaknesses

    zeros = {number: bytes(48) for number in range(3)}
    assert weaknesses(zeros) == (Weakness.DEBUGGABLE,)
    assert weaknesses({3: b"\1" * 48}) == (Weakness.DEBUGGABLE,), "one that does not measure the image does not count"
    for number in range(3):
        assert weaknesses(zeros | {number: b"\1" * 48}) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"digest": "SHA256"},
        {"digest": None},
        {"more": 1},
        {"timestamp": None},
        {"timestamp": 0},
        {"timestamp": 2**60},
        {"module_id": None},
        {"module_id": b"bytes"},
        {"pcrs": {}},
        {"pcrs": {0: b"short"}},
        {"pcrs": {32: bytes(48)}},
        {"pcrs": {"0": bytes(48)}},
        {"certificate": None},
        {"cabundle": []},
        {"cabundle": None},
        {"cabundle": [b"none"]},
        {"user_data": bytes(1_025)},
        {"public_key": bytes(40_000)},
    ],
    ids=lambda changes: ",".join(f"{name}" for name in changes),
)
def test_a_document_says_what_it_must_and_no_more(hypervisor: Hypervisor, changes: dict[str, object]) -> None:
    with pytest.raises(TrustError):
        verify_nitro(hypervisor.document(**changes), NOW)


def test_nothing_of_a_document_is_unsigned(hypervisor: Hypervisor) -> None:
    for changed in (Hypervisor(hypervisor.root, unprotected={4: b"kid"}), Hypervisor(hypervisor.root, header=bytes.fromhex("a1013823"))):
        with pytest.raises(TrustError, match="not signed as Amazon's are"):
            verify_nitro(changed.document(), NOW)
    good = hypervisor.document()
    with pytest.raises(TrustError):
        verify_nitro(good + b"\0", NOW)
    with pytest.raises(TrustError, match="not written as Amazon writes it"):
        verify_nitro(b"\x98\x04" + good[1:], NOW)  # the same list, its length in two bytes


def test_a_document_under_another_root_or_key_is_refused(hypervisor: Hypervisor) -> None:
    with pytest.raises(TrustError, match="does not end at"):
        verify_nitro(Hypervisor(make_root("aws")).document(), NOW)
    other = hypervisor.root.issue("enclave", new_key()).public_bytes(Encoding.DER)
    with pytest.raises(TrustError, match="not signed by the enclave's key"):
        verify_nitro(hypervisor.document(certificate=other), NOW)
    with pytest.raises(TrustError, match="is not valid"):
        verify_nitro(hypervisor.document(), UnixSeconds(NOW + 11 * DAY))


# --- quotes ----------------------------------------------------------------------------------------------------------


def believed(monkeypatch: pytest.MonkeyPatch, name: str, **changes: int) -> tuple[bytes, IntelCollateral, UnixSeconds]:
    """A real quote, which the library will find good from now on whatever is in it: only our own checks are left."""
    sample = SAMPLES[name]
    assert isinstance(sample.evidence, IntelQuote)
    assert isinstance(sample.collateral, IntelCollateral)
    verdict = intel._verdict(require_module("dcap_qvl"), sample.evidence.quote, sample.collateral, sample.now)
    monkeypatch.setattr(intel, "_verdict", lambda *_: msgspec.structs.replace(verdict, **changes))
    return sample.evidence.quote, sample.collateral, sample.now


def with_bits(quote: bytes, place: int, bits: int) -> bytes:
    return quote[:place] + bytes([quote[place] | bits]) + quote[place + 1 :]


HEADER = 48


@pytest.mark.parametrize(
    ("name", "place", "bits"),
    [("sgx", HEADER + 48, 0x02), *(("tdx", HEADER + 120, 1 << bit) for bit in range(8))],
)
def test_debugging_is_worthless(monkeypatch: pytest.MonkeyPatch, name: str, place: int, bits: int) -> None:
    """SGX: ATTRIBUTES.DEBUG; TDX: any bit of the part of the attributes that is called TUD, "under debug"."""
    quote, collateral, now = believed(monkeypatch, name)
    assert intel.verify_intel(quote, collateral, now).weaknesses == ()
    assert intel.verify_intel(with_bits(quote, place, bits), collateral, now).weaknesses == (Weakness.DEBUGGABLE,)


@pytest.mark.parametrize("name", ["sgx", "tdx"])
def test_it_counts_no_longer_than_the_first_of_what_it_was_verified_with(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    quote, collateral, now = believed(monkeypatch, name, earliest_expiration_date=7, qe_iden_earliest_expiration_date=9)
    assert intel.verify_intel(quote, collateral, now).valid_until == 7
    quote, collateral, now = believed(monkeypatch, name, earliest_expiration_date=9, qe_iden_earliest_expiration_date=8)
    assert intel.verify_intel(quote, collateral, now).valid_until == 8


@pytest.mark.parametrize("name", ["sgx", "tdx"])
def test_what_the_library_passes_over_is_looked_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    quote, collateral, now = believed(monkeypatch, name)
    with pytest.raises(TrustError, match="behind the end"):
        intel.verify_intel(quote + b"\1", collateral, now)
    for version in (2, 6):
        with pytest.raises(TrustError, match="not known here"):
            intel.verify_intel(bytes([version]) + quote[1:], collateral, now)
    with pytest.raises(TrustError, match="not known here"):
        intel.verify_intel(quote[:4] + b"\x07" + quote[5:], collateral, now)
    with pytest.raises(TrustError):
        intel.verify_intel(quote, collateral, UnixSeconds(now + 40 * 365 * DAY))
    for member in ("pck_crl_issuer_chain", "tcb_info_issuer_chain", "qe_identity_issuer_chain"):
        chain: str = getattr(collateral, member)
        for changed in (
            chain + "more",
            "more" + chain,
            chain.split("-----END CERTIFICATE-----", maxsplit=1)[0] + "-----END CERTIFICATE-----\n",
        ):
            with pytest.raises(TrustError):
                intel.verify_intel(quote, msgspec.structs.replace(collateral, **{member: changed}), now)
