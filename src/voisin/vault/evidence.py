"""What a vault asks of enclaves: evidence that verifies now, for this session, of a program that it was told to trust."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
import httpx
import msgspec
import structlog

from voisin.errors import InputError, TrustError
from voisin.protocol.codec import decode, encode
from voisin.protocol.consent import VaultId
from voisin.protocol.evidence import Evidence, KeptEvidence, SimulatedEvidence
from voisin.protocol.ids import Hash32, from_hex
from voisin.protocol.sessions import SessionRequest, evidence_binding
from voisin.units import UnixSeconds
from voisin.vault.settings import VaultSettings

if TYPE_CHECKING:
    from voisin.attestation import EnclavePolicy
    from voisin.vault.collateral import Collector

HTTP_TIMEOUT_S = 20

_log = structlog.get_logger()


class RealEnclaves:
    """Verifies and judges evidence of hardware."""

    def __init__(self, policy: EnclavePolicy, collector: Collector) -> None:
        """
        Args:
            policy: What is asked of it.
            collector: Fetches what it is verified with.
        """
        self._policy = policy
        self._collector = collector

    async def require(self, evidence: Evidence, binding: Hash32, now: UnixSeconds) -> KeptEvidence:
        """
        Require that evidence verifies and is good enough.

        Raises:
            StateError: A library is missing that this kind of evidence needs.
            TrustError: It is not; every reason is named.
            UnavailableError: Its maker's service does not answer.
        """
        from voisin.attestation import judge, verify

        collateral = await self._collector.collateral_of(evidence, now)
        claims = await anyio.to_thread.run_sync(verify, evidence, collateral, now)
        reasons = judge(claims, self._policy, from_hex(binding), now)
        if reasons:
            raise TrustError(
                f"the evidence of the enclave is genuine, and not good enough: {'; '.join(reasons)}",
                hint="see the vault's policy of enclaves",
            )
        _log.info("enclave_verified", technology=claims.technology, platform=claims.platform, status=claims.status)
        return KeptEvidence(evidence=evidence, collateral=msgspec.Raw(encode(collateral)), binding=binding, verified_at=now)


class Attestor:
    """Decides whether an enclave has shown enough."""

    def __init__(self, vault: VaultId, *, allow_simulated: bool, real: RealEnclaves | None, now: Callable[[], UnixSeconds]) -> None:
        """
        Args:
            vault: Whose sessions they are.
            allow_simulated: Whether simulated enclaves are good enough.
            real: Judges real ones; None refuses them all.
            now: The time.
        """
        self._vault = vault
        self._allow_simulated = allow_simulated
        self._real = real
        self._now = now

    def require_kind(self, evidence: Evidence) -> None:
        """
        Require that evidence is of a kind that may be good enough, before anything is spent on it.

        Raises:
            TrustError: It is not.
        """
        if isinstance(evidence, SimulatedEvidence):
            if not self._allow_simulated:
                raise TrustError("this vault gives nothing to simulated enclaves", hint="run the task on a machine with a real one")
        elif self._real is None:
            raise TrustError("this vault was told of no program that it could trust in an enclave", hint="ask a vault that was")

    async def require(self, request: SessionRequest) -> str:
        """
        Require that an enclave has shown enough for a session.

        Returns:
            The evidence as it is kept, JSON.

        Raises:
            StateError: A library is missing that this kind of evidence needs.
            TrustError: It has not.
            UnavailableError: Its maker's service does not answer.
        """
        self.require_kind(request.evidence)
        if self._real is None or isinstance(request.evidence, SimulatedEvidence):
            return encode(request.evidence).decode()
        binding = evidence_binding(request, self._vault, request.worker)
        return encode(await self._real.require(request.evidence, binding, self._now())).decode()


@asynccontextmanager
async def open_real_enclaves(settings: VaultSettings) -> AsyncIterator[RealEnclaves | None]:
    """
    Open what judges real enclaves, if a policy for them is set.

    Raises:
        InputError: The policy cannot be read, or the libraries that verify evidence are not installed.
    """
    if settings.enclave_policy_file is None:
        yield None
        return
    policy = await anyio.to_thread.run_sync(_read_policy, settings.enclave_policy_file)
    from voisin.vault.collateral import Collector, Sources

    sources = Sources(settings.intel_url, settings.intel_root_crl_url, settings.amd_url)
    async with httpx.AsyncClient(timeout=HTTP_TIMEOUT_S) as http:
        yield RealEnclaves(policy, Collector(http, sources, keep_s=settings.collateral_keep_s))


def _read_policy(file: Path) -> EnclavePolicy:
    try:
        from voisin.attestation import EnclavePolicy
    except ModuleNotFoundError as error:
        raise InputError(f"evidence cannot be verified here without {error.name}", hint="install voisin[attestation]") from None
    try:
        return decode(file.read_bytes(), EnclavePolicy, f"the policy {file}")
    except OSError as error:
        raise InputError(f"the policy {file} cannot be read: {error.strerror}") from None
