"""Workers that say that they have real enclaves: what they show is verified before anything is sold with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from voisin.errors import TrustError
from voisin.protocol.evidence import Evidence, KeptEvidence
from voisin.protocol.ids import Hash32
from voisin.protocol.introduction import introduction_binding, kind_of
from voisin.protocol.wire import Challenge, Hello
from voisin.protocol.wire_words import EnclaveKind
from voisin.units import UnixSeconds


class Judge(Protocol):
    """Judges evidence of hardware; `voisin.service.enclaves.RealEnclaves` is one."""

    async def require(self, evidence: Evidence, binding: Hash32, now: UnixSeconds) -> KeptEvidence:
        """
        Require that evidence verifies and is good enough.

        Raises:
            VoisinError: It is not, or cannot be judged now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Introductions:
    """
    Looks at what workers say of their enclaves.

    Attributes:
        judge: Judges real ones; None where there is no policy for them: then they do not count, and their workers do plain tasks.
        wall: This machine's clock [Unix s].
    """

    judge: Judge | None
    wall: Callable[[], float]

    async def kind_of(self, hello: Hello, challenge: Challenge) -> EnclaveKind:
        """
        Say what enclaves a worker has, once that is proved; of simulated ones there is nothing to prove.

        Raises:
            StateError: A library is missing that this kind of evidence needs.
            TrustError: It says that it has real ones, and what it shows does not verify, is of another kind, or not good enough.
            UnavailableError: The service of the hardware's maker does not answer.
        """
        said = hello.resources.enclave
        if not said.is_hardware:
            return said
        if self.judge is None:
            return EnclaveKind.NONE
        if hello.evidence is None or kind_of(hello.evidence) is not said:
            shown = "shows no evidence" if hello.evidence is None else f"shows evidence of {kind_of(hello.evidence)}"
            raise TrustError(f"the worker says that it has enclaves of {said}, and {shown}", hint="join with --enclave, of its true kind")
        binding = introduction_binding(challenge.nonce, challenge.workerpool, challenge.chain_id, hello.worker)
        await self.judge.require(hello.evidence, binding, UnixSeconds(int(self.wall())))
        return said
