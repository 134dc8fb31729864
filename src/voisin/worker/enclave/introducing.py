"""Answering a pool that wants to know what a worker's enclave is."""

from __future__ import annotations

from dataclasses import dataclass

from voisin.enclave.words import Introduce
from voisin.protocol.evidence import Evidence
from voisin.protocol.ids import Address
from voisin.protocol.wire import Challenge
from voisin.worker.ports import Enclaves


@dataclass(frozen=True)
class Introducer:
    """
    Has a worker's enclave answer challenges of pools.

    Attributes:
        enclaves: The enclaves, if there are any.
        worker: The worker's address.
    """

    enclaves: Enclaves | None
    worker: Address

    async def evidence(self, challenge: Challenge) -> Evidence | None:
        """
        Have a real enclave show what it is; None where there is none, for of a simulated one there is nothing to show.

        Raises:
            StateError: It cannot, or is not what it was.
            UnavailableError: It is not there.
        """
        if self.enclaves is None or not self.enclaves.kind.is_hardware:
            return None
        nonce, pool, chain = challenge.nonce, challenge.workerpool, challenge.chain_id
        return (await self.enclaves.introduce(Introduce(nonce=nonce, workerpool=pool, chain_id=chain, worker=self.worker))).evidence
