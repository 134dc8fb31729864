"""
What a vault asks of the chain.

Two ledgers answer: `ChainLedger` from a node, `voisin.vault.twin.TwinLedger` from memory, for tests and simulations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from voisin.chain import Chain
from voisin.errors import StateError
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address, DealId, TaskId
from voisin.protocol.orders import DatasetOrder, OrderKind
from voisin.protocol.records import Deal, Task
from voisin.protocol.signatures import signed_by
from voisin.units import UnixSeconds


class Ledger(Protocol):
    """The chain as a vault sees it."""

    @property
    def domain(self) -> Domain:
        """The hub whose tasks are served."""
        ...

    async def owner_of(self, kind: OrderKind, entry: Address) -> Address | None:
        """Name the present owner of an app or dataset; None for what is not in that registry."""
        ...

    async def task(self, task_id: TaskId) -> Task | None:
        """Look a task up; None for one that is not initialized."""
        ...

    async def deal(self, deal_id: DealId) -> Deal:
        """Look a deal up."""
        ...

    async def tee_broker(self) -> Address:
        """Name who signs the authorisations of enclave tasks in place of the workerpools' owners; zero for nobody."""
        ...

    async def now(self) -> UnixSeconds:
        """Tell the time that deadlines are held against [Unix s]."""
        ...

    async def is_signed_by(self, owner: Address, digest: bytes, signature: str) -> bool:
        """Tell whether an account signed a digest: with its key, or as a contract."""
        ...

    async def may_open(self, dataset_order: DatasetOrder, deal_id: DealId) -> bool:
        """Tell whether a deal without dataset of its own may open the one of a signed order."""
        ...


class ChainLedger:
    """A chain; see `Ledger`."""

    def __init__(self, chain: Chain, wall: Callable[[], float]) -> None:
        """
        Args:
            chain: The open chain.
            wall: This machine's clock [Unix s].
        """
        self._chain = chain
        self._wall = wall

    @property
    def domain(self) -> Domain:
        """The hub whose tasks are served."""
        return self._chain.domain

    async def owner_of(self, kind: OrderKind, entry: Address) -> Address | None:
        """Name the present owner of an app or dataset; None for what is not in that registry."""
        registries = self._chain.registries
        is_registered = registries.is_app if kind is OrderKind.APP else registries.is_dataset
        if not await is_registered(entry):
            return None
        return await registries.owner_of(entry)

    async def task(self, task_id: TaskId) -> Task | None:
        """Look a task up; None for one that is not initialized."""
        try:
            return await self._chain.hub.task(task_id)
        except StateError:
            return None

    async def deal(self, deal_id: DealId) -> Deal:
        """Look a deal up."""
        return await self._chain.hub.deal(deal_id)

    async def tee_broker(self) -> Address:
        """Name who signs the authorisations of enclave tasks in place of the workerpools' owners; zero for nobody."""
        return await self._chain.hub.tee_broker()

    async def now(self) -> UnixSeconds:
        """
        Tell the time that deadlines are held against [Unix s].

        The chain's time stands still while it makes no blocks, and a development chain's may run ahead of this machine's: the later
        of the two counts.
        """
        return UnixSeconds(max(int(self._wall()), await self._chain.block_time()))

    async def is_signed_by(self, owner: Address, digest: bytes, signature: str) -> bool:
        """Tell whether an account signed a digest: with its key, or as a contract."""
        return signed_by(owner, digest, signature) or await self._chain.is_signed_by(owner, digest, signature)

    async def may_open(self, dataset_order: DatasetOrder, deal_id: DealId) -> bool:
        """Tell whether a deal without dataset of its own may open the one of a signed order."""
        return await self._chain.hub.may_open(dataset_order, deal_id)
