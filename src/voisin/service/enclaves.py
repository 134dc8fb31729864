"""Judging real enclaves by a policy: for a vault before a key goes out, for a pool before it sells what a worker says that it has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import anyio.to_thread
import httpx
import msgspec
import structlog

from voisin.errors import InputError, TrustError
from voisin.protocol.codec import decode, encode
from voisin.protocol.evidence import Evidence, KeptEvidence
from voisin.protocol.ids import Hash32, from_hex
from voisin.units import UnixSeconds

if TYPE_CHECKING:
    from voisin.attestation import EnclavePolicy
    from voisin.service.collateral import Collector

HTTP_TIMEOUT_S = 20

_log = structlog.get_logger()


class EnclaveSources(Protocol):
    """What settings say of policy and makers' services; see `VaultSettings` and `PoolSettings`."""

    @property
    def enclave_policy_file(self) -> Path | None:
        """What is asked of real enclaves."""
        ...

    @property
    def intel_url(self) -> str:
        """Intel's provisioning service."""
        ...

    @property
    def intel_root_crl_url(self) -> str:
        """Where the list of what Intel's root has revoked is."""
        ...

    @property
    def amd_url(self) -> str:
        """AMD's service for certificates of chips."""
        ...

    @property
    def collateral_keep_s(self) -> int:
        """How long what they publish is used [s]."""
        ...


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
                hint="see the policy of enclaves of whoever judges it",
            )
        _log.info("enclave_verified", technology=claims.technology, platform=claims.platform, status=claims.status)
        return KeptEvidence(evidence=evidence, collateral=msgspec.Raw(encode(collateral)), binding=binding, verified_at=now)


@asynccontextmanager
async def open_real_enclaves(settings: EnclaveSources) -> AsyncIterator[RealEnclaves | None]:
    """
    Open what judges real enclaves, if a policy for them is set.

    Raises:
        InputError: The policy cannot be read, or the libraries that verify evidence are not installed.
    """
    if settings.enclave_policy_file is None:
        yield None
        return
    policy = await anyio.to_thread.run_sync(_read_policy, settings.enclave_policy_file)
    from voisin.service.collateral import Collector, Sources

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
