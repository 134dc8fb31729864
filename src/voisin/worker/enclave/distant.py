"""
Enclaves that listen, in a confidential machine or elsewhere: each connection is one, started by `voisin enclave run --listen`.

What they are they say themselves, with evidence over a random number; a pool verifies it, and a vault does for each task.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import anyio

from voisin.enclave.words import Finished, Introduce, Refused
from voisin.errors import StateError, TrustError
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, to_hex
from voisin.protocol.introduction import Introduction
from voisin.protocol.wire_words import EnclaveKind
from voisin.sandbox import OnOutput
from voisin.worker.enclave.errand import Errand
from voisin.worker.enclave.reaching import Place, reach
from voisin.worker.enclave.talk import Talk


@dataclass(frozen=True)
class DistantEnclaves:
    """
    Enclaves at an address; `find_enclaves` asks them what they are.

    Attributes:
        place: Where they listen.
        kind: What they were when they were found.
        slots: How many tasks they do at a time.
    """

    place: Place
    kind: EnclaveKind
    slots: anyio.CapacityLimiter

    async def introduce(self, wanted: Introduce) -> Introduction:
        """Have an enclave show to a pool what it is; see `voisin.worker.ports.Enclaves`."""
        found = await introduce(self.place, wanted)
        if found.kind is not self.kind:
            hint = "start the worker again, if that is meant"
            raise StateError(f"the enclave at {self.place.text} was {self.kind} and says now that it is {found.kind}", hint=hint)
        return found

    async def run(self, errand: Errand, on_output: OnOutput) -> Finished | Refused:
        """Do a task in a fresh enclave; see `voisin.worker.ports.Enclaves`."""
        async with self.slots, await reach(self.place) as pipe:
            return await Talk(pipe, pipe, death=self._death).run(errand, on_output)

    async def _death(self) -> str:
        return _gone(self.place)


async def find_enclaves(place: Place, worker: Address, *, allow_simulated: bool) -> DistantEnclaves:
    """
    Ask an enclave what it is.

    Args:
        place: Where it listens.
        worker: The worker that asks.
        allow_simulated: Whether it may be simulated.

    Raises:
        StateError: It can show no evidence.
        TrustError: It is simulated, and may not be.
        UnavailableError: It is not there.
    """
    nonce = Hash32(to_hex(secrets.token_bytes(32)))
    found = await introduce(place, Introduce(nonce=nonce, workerpool=ZERO_ADDRESS, chain_id=0, worker=worker))
    if found.kind is EnclaveKind.SIMULATED and not allow_simulated:
        hint = "say that it may be with allow_simulated (--allow-simulated), or start it in a confidential machine"
        raise TrustError(f"the enclave at {place.text} is SIMULATED: it hides nothing from whoever runs its machine", hint=hint)
    return DistantEnclaves(place, found.kind, anyio.CapacityLimiter(max(found.slots, 1)))


async def introduce(place: Place, wanted: Introduce) -> Introduction:
    """Have an enclave at an address introduce itself; raises as `Talk.introduce`."""

    async def death() -> str:
        return _gone(place)

    async with await reach(place) as pipe:
        return await Talk(pipe, pipe, death=death).introduce(wanted)


def _gone(place: Place) -> str:
    return f"the enclave at {place.text} closed the connection"
