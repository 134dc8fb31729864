"""
What a market reads from the chain, and the chain that answers it.

`Ledger` is all that the market knows of a chain: `ChainLedger` asks a node, `voisin.market.twin.TwinLedger` keeps a small
hub in memory for tests and simulations.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from voisin.chain import Chain, EventRange, follow
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address, DealId, Hash32, OrderHash, TaskId, from_hex
from voisin.protocol.orders import OrderKind
from voisin.protocol.records import Deal, Task
from voisin.units import NRLC, UnixSeconds


class Ledger(Protocol):
    """The questions that a market asks a chain; each answer is as of the latest block or newer."""

    @property
    def domain(self) -> Domain:
        """The hub and the chain that orders are signed for."""
        ...

    async def head(self) -> int:
        """Tell the number of the latest block."""
        ...

    async def is_registered(self, kind: OrderKind, entry: Address) -> bool:
        """Tell whether an app, dataset or workerpool is in its registry."""
        ...

    async def owner_of(self, entry: Address) -> Address:
        """Name the present owner of a registered entry."""
        ...

    async def consumed(self, order_hash: OrderHash) -> int:
        """Tell how much of an order's volume is used [tasks]; all of it once it is closed."""
        ...

    async def presigner(self, order_hash: OrderHash) -> Address:
        """Name who presigned an order on the chain; zero when nobody did."""
        ...

    async def is_signed_by(self, owner: Address, digest: Hash32, signature: str) -> bool:
        """Tell whether an account, by its key or as a contract (ERC-1271), signed a digest."""
        ...

    async def stake_of(self, owner: Address) -> NRLC:
        """Tell how much free money an account has in the hub [nRLC]."""
        ...

    async def has_category(self, category: int) -> bool:
        """Tell whether a category exists."""
        ...

    async def block_time(self, block: int) -> UnixSeconds:
        """Tell the time of a block [Unix s]."""
        ...

    async def deal(self, deal_id: DealId) -> Deal:
        """Read a deal."""
        ...

    async def task(self, task_id: TaskId) -> Task:
        """Read a task."""
        ...

    def ranges(self, start_block: int, parent_hash: Hash32 | None) -> AsyncIterator[EventRange]:
        """
        Follow the events of hub and registries from a block on, for ever, in ranges without gap or overlap.

        Args:
            start_block: First block of the first range.
            parent_hash: Hash of the block before it, when known.
        """
        ...


class ChainLedger:
    """A ledger that asks a node; see `Ledger`."""

    def __init__(self, chain: Chain, *, poll_s: float = 0.1) -> None:
        """
        Args:
            chain: The open chain.
            poll_s: Pause between two looks for new blocks where the node does not announce them [s].
        """
        self._chain = chain
        self._poll_s = poll_s

    @property
    def domain(self) -> Domain:
        """The hub and the chain that orders are signed for."""
        return self._chain.domain

    async def head(self) -> int:
        """Tell the number of the latest block."""
        return await self._chain.block_number()

    async def is_registered(self, kind: OrderKind, entry: Address) -> bool:
        """Tell whether an app, dataset or workerpool is in its registry."""
        registries = self._chain.registries
        match kind:
            case OrderKind.APP:
                return await registries.is_app(entry)
            case OrderKind.DATASET:
                return await registries.is_dataset(entry)
            case OrderKind.WORKERPOOL:
                return await registries.is_workerpool(entry)
            case OrderKind.REQUEST:
                return False

    async def owner_of(self, entry: Address) -> Address:
        """Name the present owner of a registered entry."""
        return await self._chain.registries.owner_of(entry)

    async def consumed(self, order_hash: OrderHash) -> int:
        """Tell how much of an order's volume is used [tasks]; all of it once it is closed."""
        return await self._chain.hub.consumed(order_hash)

    async def presigner(self, order_hash: OrderHash) -> Address:
        """Name who presigned an order on the chain; zero when nobody did."""
        return await self._chain.hub.presigned(order_hash)

    async def is_signed_by(self, owner: Address, digest: Hash32, signature: str) -> bool:
        """Tell whether an account, by its key or as a contract (ERC-1271), signed a digest."""
        return await self._chain.is_signed_by(owner, from_hex(digest), signature)

    async def stake_of(self, owner: Address) -> NRLC:
        """Tell how much free money an account has in the hub [nRLC]."""
        return (await self._chain.hub.account(owner)).stake

    async def has_category(self, category: int) -> bool:
        """Tell whether a category exists."""
        return category < len(await self._chain.hub.categories())

    async def block_time(self, block: int) -> UnixSeconds:
        """Tell the time of a block [Unix s]."""
        return await self._chain.block_time(block)

    async def deal(self, deal_id: DealId) -> Deal:
        """Read a deal."""
        return await self._chain.hub.deal(deal_id)

    async def task(self, task_id: TaskId) -> Task:
        """Read a task."""
        return await self._chain.hub.task(task_id)

    def ranges(self, start_block: int, parent_hash: Hash32 | None) -> AsyncIterator[EventRange]:
        """Follow the events of hub and registries from a block on, for ever, in ranges without gap or overlap."""
        return follow(self._chain, start_block, poll_s=self._poll_s, parent_hash=parent_hash)
