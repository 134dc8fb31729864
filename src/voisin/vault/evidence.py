"""What a vault asks of enclaves: evidence that verifies now, for this session, of a program that it was told to trust."""

from __future__ import annotations

from collections.abc import Callable

from voisin.errors import TrustError
from voisin.protocol.codec import encode
from voisin.protocol.consent import VaultId
from voisin.protocol.evidence import Evidence, SimulatedEvidence
from voisin.protocol.sessions import SessionRequest, evidence_binding
from voisin.service.enclaves import RealEnclaves
from voisin.units import UnixSeconds


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
