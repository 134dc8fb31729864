"""Evidence of real hardware at a vault: fetched collateral, one judgement, everything kept; and what goes wrong on the way."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx
import msgspec
import pytest

from tests.support.evidence import SAMPLES
from voisin.attestation import EnclavePolicy, TcbStatus, verify
from voisin.attestation.amd import SnpCollateral
from voisin.attestation.intel import IntelCollateral
from voisin.attestation.verify import Collateral
from voisin.errors import TrustError, UnavailableError
from voisin.protocol.evidence import KeptEvidence
from voisin.protocol.ids import as_hash32, to_hex
from voisin.service.collateral import Collector, Sources
from voisin.service.enclaves import RealEnclaves
from voisin.units import UnixSeconds

SOURCES = Sources("https://intel.example", "https://intel.example/root.der", "https://amd.example")
KEEP_S = 600
pytestmark = pytest.mark.anyio

HELLO = as_hash32(to_hex(b"Hello, world!".ljust(32, b"\0")))
"""What the sample of SGX was made over."""

Answers = dict[str, httpx.Response]


def intel_answers(name: str, kind: str) -> Answers:
    """Answer as Intel's service does about the platform of a sample."""
    found = SAMPLES[name].collateral
    assert isinstance(found, IntelCollateral)
    tcb = f'{{"tcbInfo":{found.tcb_info},"signature":"{found.tcb_info_signature}"}}'
    identity = f'{{"enclaveIdentity":{found.qe_identity},"signature":"{found.qe_identity_signature}"}}'

    def answer(content: bytes | str, header: str, chain: str) -> httpx.Response:
        return httpx.Response(200, content=content, headers={header: quote(chain)})

    return {
        "/sgx/certification/v4/pckcrl": answer(bytes.fromhex(found.pck_crl), "SGX-PCK-CRL-Issuer-Chain", found.pck_crl_issuer_chain),
        f"/{kind}/certification/v4/tcb": answer(tcb, "TCB-Info-Issuer-Chain", found.tcb_info_issuer_chain),
        f"/{kind}/certification/v4/qe/identity": answer(identity, "SGX-Enclave-Identity-Issuer-Chain", found.qe_identity_issuer_chain),
        "/root.der": httpx.Response(200, content=bytes.fromhex(found.root_ca_crl)),
    }


@asynccontextmanager
async def collector(answers: Answers, asked: list[httpx.Request] | None = None) -> AsyncIterator[Collector]:
    """Give a collector whose services give these answers by path, and know nothing else."""

    def respond(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request)
        return answers.get(request.url.path, httpx.Response(404))

    async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as http:
        yield Collector(http, SOURCES, keep_s=KEEP_S)


@pytest.mark.parametrize(("name", "kind"), [("sgx", "sgx"), ("tdx", "tdx")])
async def test_what_intel_publishes_verifies_its_quotes(name: str, kind: str) -> None:
    sample, asked = SAMPLES[name], list[httpx.Request]()
    async with collector(intel_answers(name, kind), asked) as found:
        fetched = await found.collateral_of(sample.evidence, sample.now)
    assert fetched == sample.collateral
    verify(sample.evidence, fetched, sample.now)
    assert {(request.url.path, request.url.query.decode()) for request in asked if request.url.query} == {
        ("/sgx/certification/v4/pckcrl", f"ca={'processor' if name == 'sgx' else 'platform'}&encoding=der"),
        (f"/{kind}/certification/v4/tcb", f"fmspc={'00A067110000' if name == 'sgx' else 'B0C06F000000'}"),
    }


async def test_amd_is_asked_for_the_chip_by_each_product_that_it_may_be() -> None:
    sample, asked = SAMPLES["snp"], list[httpx.Request]()
    assert isinstance(sample.collateral, SnpCollateral)
    chip = sample.verify().platform
    async with collector({f"/vcek/v1/Milan/{chip}": httpx.Response(200, content=sample.collateral.vcek)}, asked) as found:
        assert await found.collateral_of(sample.evidence, sample.now) == sample.collateral
    assert asked[0].url.query == b"blSPL=3&teeSPL=0&snpSPL=8&ucodeSPL=115"
    async with collector({}) as found:
        with pytest.raises(TrustError, match="knows no chip"):
            await found.collateral_of(sample.evidence, sample.now)


async def test_evidence_that_brings_everything_asks_nobody() -> None:
    asked = list[httpx.Request]()
    async with collector({}, asked) as found:
        assert await found.collateral_of(SAMPLES["nitro"].evidence, SAMPLES["nitro"].now) is None
    assert not asked


async def test_answers_are_used_again_for_a_while() -> None:
    sample, asked = SAMPLES["tdx"], list[httpx.Request]()
    async with collector(intel_answers("tdx", "tdx"), asked) as found:
        for later_s, expected in ((0, 4), (KEEP_S - 1, 4), (KEEP_S, 8)):
            await found.collateral_of(sample.evidence, UnixSeconds(sample.now + later_s))
            assert len(asked) == expected


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answers: answers.clear(),
        lambda answers: answers.update({"/root.der": httpx.Response(500)}),
        lambda answers: answers.update({"/tdx/certification/v4/tcb": httpx.Response(200, content=b"<html>")}),
        lambda answers: answers.update({"/sgx/certification/v4/pckcrl": httpx.Response(200, content=b"0")}),
        lambda answers: answers.update({"/root.der": httpx.Response(200, content=bytes(2**20 + 1))}),
    ],
)
async def test_a_service_that_fails_is_said_to_fail(spoil: Callable[[Answers], None]) -> None:
    answers = intel_answers("tdx", "tdx")
    spoil(answers)
    async with collector(answers) as found:
        with pytest.raises(UnavailableError):
            await found.collateral_of(SAMPLES["tdx"].evidence, SAMPLES["tdx"].now)


async def test_good_evidence_is_kept_so_that_it_can_be_verified_again() -> None:
    sample = SAMPLES["sgx"]
    claims = sample.verify()
    policy = EnclavePolicy(
        measurements=({"mr_enclave": claims.measurements["mr_enclave"]},),
        statuses=frozenset({TcbStatus.CONFIGURATION_AND_HARDENING_NEEDED}),
        tolerated=frozenset(claims.advisories),
    )
    async with collector(intel_answers("sgx", "sgx")) as found:
        kept = await RealEnclaves(policy, found).require(sample.evidence, HELLO, sample.now)
    read = msgspec.json.decode(msgspec.json.encode(kept), type=KeptEvidence)
    collateral: Collateral = msgspec.json.decode(read.collateral, type=IntelCollateral)
    assert verify(read.evidence, collateral, read.verified_at) == claims
    assert read.binding == HELLO


async def test_every_reason_to_refuse_is_said() -> None:
    sample = SAMPLES["sgx"]
    async with collector(intel_answers("sgx", "sgx")) as found:
        with pytest.raises(TrustError) as refused:
            await RealEnclaves(EnclavePolicy(), found).require(sample.evidence, as_hash32("0x" + "01" * 32), sample.now)
    for reason in ("ConfigurationAndSWHardeningNeeded", "INTEL-SA-00289", "not on the list", "not made for this session"):
        assert reason in refused.value.message


async def test_a_lying_service_makes_evidence_fail() -> None:
    answers = intel_answers("tdx", "tdx")
    answers["/tdx/certification/v4/tcb"] = httpx.Response(
        200,
        content=answers["/tdx/certification/v4/tcb"].content.replace(b'"UpToDate"', b'"UpToDat3"', 1),
        headers=answers["/tdx/certification/v4/tcb"].headers,
    )
    async with collector(answers) as found:
        with pytest.raises(TrustError, match="not verified"):
            await RealEnclaves(EnclavePolicy(), found).require(SAMPLES["tdx"].evidence, HELLO, SAMPLES["tdx"].now)
