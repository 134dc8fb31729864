"""
Fetching what makers publish about their hardware: Intel's lists and levels, AMD's certificates of chips.

A maker's own service is asked, or a cache of it by the same routes. Answers are kept for a while; whether they are genuine and still
count is judged when evidence is verified, so a service that lies or is old can only make evidence fail.

Source: Intel SGX and TDX Provisioning Certification Service API, version 4; AMD VCEK certificate and KDS interface (57230), chapter 4.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import unquote

import anyio
import httpx
import msgspec

from voisin.attestation.amd import PRODUCTS, SnpCollateral
from voisin.attestation.amd import platform_of as chip_of
from voisin.attestation.intel import IntelCollateral
from voisin.attestation.intel import platform_of as intel_platform_of
from voisin.attestation.verify import Collateral
from voisin.errors import InputError, TrustError, UnavailableError
from voisin.protocol.codec import decode
from voisin.protocol.evidence import Evidence, IntelQuote, SnpReport
from voisin.units import UnixSeconds

T = TypeVar("T")

MAX_ANSWER: Final = 1_048_576
MAX_KEPT: Final = 1_000
_SGX, _TDX = "/sgx/certification/v4", "/tdx/certification/v4"


class _TcbAnswer(msgspec.Struct, frozen=True):
    tcb: msgspec.Raw = msgspec.field(name="tcbInfo")
    signature: str = ""


class _IdentityAnswer(msgspec.Struct, frozen=True):
    identity: msgspec.Raw = msgspec.field(name="enclaveIdentity")
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where makers' services are: Intel's, the list of what its root has revoked, AMD's."""

    intel_url: str
    intel_root_crl_url: str
    amd_url: str


@dataclass(slots=True)
class _Kept:
    collateral: Collateral
    until: UnixSeconds


class Collector:
    """Fetches and keeps what makers publish."""

    def __init__(self, http: httpx.AsyncClient, sources: Sources, *, keep_s: int) -> None:
        """
        Args:
            http: Asks; with a timeout.
            sources: Whom.
            keep_s: How long an answer is used again [s].
        """
        self._http = http
        self._sources = sources
        self._keep_s = keep_s
        self._kept: dict[Hashable, _Kept] = {}
        self._lock = anyio.Lock()

    async def collateral_of(self, evidence: Evidence, now: UnixSeconds) -> Collateral:
        """
        Give what a piece of evidence is verified with.

        Args:
            evidence: The evidence.
            now: The time.

        Raises:
            TrustError: It does not say whose it is.
            UnavailableError: A maker's service does not answer, or answers nonsense.
        """
        match evidence:
            case IntelQuote():
                fmspc, ca = intel_platform_of(evidence.quote)
                kind = _TDX if evidence.is_tdx else _SGX
                return await self._keep((kind, fmspc, ca), now, lambda: self._intel(kind, fmspc, ca))
            case SnpReport():
                chip = chip_of(evidence.report)
                return await self._keep(("amd", *chip), now, lambda: self._amd(*chip))
            case _:
                return None

    async def _keep(self, key: Hashable, now: UnixSeconds, fetch: Callable[[], Awaitable[Collateral]]) -> Collateral:
        async with self._lock:
            kept = self._kept.get(key)
            if kept is None or now >= kept.until:
                kept = _Kept(await fetch(), UnixSeconds(now + self._keep_s))
                if len(self._kept) >= MAX_KEPT:
                    self._kept.clear()
                self._kept[key] = kept
        return kept.collateral

    async def _intel(self, kind: str, fmspc: str, ca: str) -> IntelCollateral:
        url = self._sources.intel_url
        crl = await self._get(f"{url}{_SGX}/pckcrl", {"ca": ca, "encoding": "der"})
        tcb = await self._get(f"{url}{kind}/tcb", {"fmspc": fmspc})
        identity = await self._get(f"{url}{kind}/qe/identity", {})
        root = await self._get(self._sources.intel_root_crl_url, {})
        level, enclave = _read(tcb, _TcbAnswer), _read(identity, _IdentityAnswer)
        return IntelCollateral(
            pck_crl_issuer_chain=_chain(crl, "SGX-PCK-CRL-Issuer-Chain"),
            root_ca_crl=_der(root.content).hex(),
            pck_crl=_der(crl.content).hex(),
            tcb_info_issuer_chain=_chain(tcb, "TCB-Info-Issuer-Chain"),
            tcb_info=bytes(level.tcb).decode(),
            tcb_info_signature=level.signature,
            qe_identity_issuer_chain=_chain(identity, "SGX-Enclave-Identity-Issuer-Chain"),
            qe_identity=bytes(enclave.identity).decode(),
            qe_identity_signature=enclave.signature,
        )

    async def _amd(self, product: str, chip: str, versions: tuple[tuple[str, int], ...]) -> SnpCollateral:
        """Ask for a chip's certificate; an old report does not name its product, so each is tried."""
        wanted = {name: str(version) for name, version in versions}
        for name in [product] if product else PRODUCTS:
            try:
                return SnpCollateral((await self._get(f"{self._sources.amd_url}/vcek/v1/{name.capitalize()}/{chip}", wanted)).content)
            except _AbsentError:
                continue
        raise TrustError("AMD knows no chip with the number and versions that the report names")

    async def _get(self, url: str, query: dict[str, str]) -> httpx.Response:
        try:
            answer = await self._http.get(url, params=query)
        except httpx.HTTPError as error:
            raise UnavailableError(f"{url} does not answer: {error}", hint="evidence cannot be verified until it does") from None
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise _AbsentError(f"{url} knows nothing of this platform", hint="the machine may be too new, or not registered")
        if answer.status_code != httpx.codes.OK or len(answer.content) > MAX_ANSWER:
            raise UnavailableError(f"{url} answers {answer.status_code}", hint="evidence cannot be verified until it does")
        return answer


class _AbsentError(UnavailableError):
    """A maker's service does not know what it was asked for."""


def _read(answer: httpx.Response, kind: type[T]) -> T:
    try:
        return decode(answer.content, kind, f"the answer of {answer.url}")
    except InputError as error:
        raise UnavailableError(error.message, hint="ask a service that speaks version 4") from None


def _chain(answer: httpx.Response, header: str) -> str:
    found = answer.headers.get(header, "")
    if not found:
        raise UnavailableError(f"{answer.url} gives no {header}", hint="ask a service that speaks version 4")
    return unquote(found)


def _der(data: bytes) -> bytes:
    """Take a list as it is; some caches give it in hex."""
    if data[:1] == b"0" and data[:2] != b"\x30\x82":
        try:
            return bytes.fromhex(data.decode())
        except ValueError:
            return data
    return data
