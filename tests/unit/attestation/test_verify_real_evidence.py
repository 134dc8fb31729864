"""Evidence of real hardware is verified for what it says, and only while it counts."""

from dataclasses import replace

import pytest

from tests.support.evidence import SAMPLES
from voisin.attestation import Claims, TcbStatus, Technology, verify
from voisin.attestation.claims import Weakness
from voisin.attestation.intel import platform_of
from voisin.errors import InputError, TrustError
from voisin.protocol.evidence import IntelQuote, SimulatedEvidence
from voisin.units import UnixSeconds

DAY = 86_400
YEAR = 365 * DAY


def claims(name: str) -> Claims:
    return SAMPLES[name].verify()


def test_sgx_says_what_its_maker_says_of_it() -> None:
    found = claims("sgx")
    assert found.technology is Technology.SGX
    assert found.status is TcbStatus.CONFIGURATION_AND_HARDENING_NEEDED
    assert found.advisories == ("INTEL-SA-00289", "INTEL-SA-00615")
    assert found.measurements["mr_enclave"] == "33d8736db756ed4997e04ba358d27833188f1932ff7b1d156904d3f560452fbb"
    assert found.report_data.rstrip(b"\0") == b"Hello, world!"
    assert not found.weaknesses


def test_tdx_is_up_to_date() -> None:
    found = claims("tdx")
    assert found.technology is Technology.TDX
    assert (found.status, found.advisories, found.weaknesses) == (TcbStatus.UP_TO_DATE, (), ())
    assert found.measurements["mr_td"].startswith("91eb2b44d141d4ece09f0c75c2c53d24")
    assert found.report_data.hex().startswith("9a9d48e7f6799642")
    assert len(found.report_data) == 64


def test_snp_names_chip_and_versions() -> None:
    found = claims("snp")
    assert found.technology is Technology.SNP
    assert (found.status, found.weaknesses) == (TcbStatus.UNRATED, ())
    assert found.versions == {"boot_loader": 3, "tee": 0, "snp": 8, "microcode": 115, "guest": found.versions["guest"]}
    assert found.platform.startswith("d49554ec717f4e5b")


def test_nitro_names_its_instance_and_time() -> None:
    found = claims("nitro")
    assert bytes.fromhex(found.platform) == b"i-020b6af9246d90e92-enc0183d09086c24190"
    assert found.made_at == SAMPLES["nitro"].now
    assert found.measurements["pcr0"].startswith("f4d48b81a460c991")
    assert not found.weaknesses


def test_an_enclave_for_debugging_is_genuine_and_worthless() -> None:
    assert claims("nitro-debug").weaknesses == (Weakness.DEBUGGABLE,)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("later_s", [3 * YEAR, 40 * YEAR])
def test_evidence_expires(name: str, later_s: int) -> None:
    sample = SAMPLES[name]
    if name == "snp" and later_s == 3 * YEAR:
        later_s = 5 * YEAR  # a chip's certificate lives seven years
    with pytest.raises(TrustError):
        replace(sample, now=UnixSeconds(sample.now + later_s)).verify()


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_counts_before_it_was_made(name: str) -> None:
    sample = SAMPLES[name]
    with pytest.raises(TrustError):
        replace(sample, now=UnixSeconds(sample.now - 8 * YEAR)).verify()


def test_a_day_too_late_is_too_late() -> None:
    sample = SAMPLES["tdx"]
    end = sample.verify().valid_until
    assert end is not None
    replace(sample, now=UnixSeconds(end - 1)).verify()
    with pytest.raises(TrustError):
        replace(sample, now=UnixSeconds(end + 1)).verify()


@pytest.mark.parametrize(("name", "other"), [("sgx", "tdx"), ("tdx", "sgx")])
def test_collateral_of_another_platform_is_refused(name: str, other: str) -> None:
    with pytest.raises(TrustError):
        replace(SAMPLES[name], collateral=SAMPLES[other].collateral).verify()


@pytest.mark.parametrize(("name", "other"), [("sgx", "snp"), ("snp", "nitro"), ("nitro", "snp")])
def test_collateral_of_another_maker_is_refused(name: str, other: str) -> None:
    with pytest.raises(InputError, match="is not verified with this collateral"):
        replace(SAMPLES[name], collateral=SAMPLES[other].collateral).verify()


def test_simulated_evidence_holds_nothing() -> None:
    found = verify(SimulatedEvidence(), None, UnixSeconds(0))
    assert (found.technology, found.measurements, found.report_data) == (Technology.SIMULATED, {}, b"")


def test_a_quote_says_what_collateral_it_needs() -> None:
    quotes = {name: sample.evidence.quote for name, sample in SAMPLES.items() if isinstance(sample.evidence, IntelQuote)}
    assert {name: platform_of(quote) for name, quote in quotes.items()} == {
        "sgx": ("00A067110000", "processor"),
        "tdx": ("B0C06F000000", "platform"),
    }
