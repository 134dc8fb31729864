"""
What a market reads from the chain, and the chain that answers it.

`Ledger` is all that the market knows of a chain: `ChainLedger` asks a node, `voisin.market.twin.TwinLedger` keeps a small
hub in memory for tests and simulations.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from voisin.chain import Chain, EventRange, Follower, FollowSettings, Gathering
from voisin.chain.rpc import NodeError
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

    async def owners_of(self, entries: Sequence[tuple[OrderKind, Address]]) -> list[Address | None]:
        """Name the present owners of apps, datasets and workerpools; None stands for one that is not in its kind's registry."""
        ...

    async def owner_of(self, entry: Address) -> Address:
        """Name the present owner of a registered entry, whatever its kind."""
        ...

    async def consumed(self, hashes: Sequence[OrderHash]) -> list[int]:
        """Tell how much of orders' volumes is used [tasks]; all of it once one is closed."""
        ...

    async def presigner(self, order_hash: OrderHash) -> Address:
        """Name who presigned an order on the chain; zero when nobody did."""
        ...

    async def have_code(self, accounts: Sequence[Address]) -> list[bool]:
        """Tell of accounts whether they are contracts, or act as one: the hub asks those what they signed, and no key speaks for them."""
        ...

    async def is_whole_from(self, block: int) -> bool:
        """Tell whether all that the hub ever did happened in a block or after it; False where that cannot be known."""
        ...

    async def is_signed_by(self, owner: Address, digest: Hash32, signature: str) -> bool:
        """Tell whether an account, by its key or as a contract (ERC-1271), signed a digest."""
        ...

    async def stakes_of(self, owners: Sequence[Address]) -> list[NRLC]:
        """Tell how much free money accounts have in the hub [nRLC]."""
        ...

    async def count_categories(self) -> int:
        """Tell how many categories there are; their numbers begin at 0."""
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

    def __init__(self, chain: Chain, *, poll_s: float = 0.1, gather_s: float = 0.0) -> None:
        """
        Args:
            chain: The open chain.
            poll_s: Pause between two looks for new blocks where the node does not announce them [s].
            gather_s: How long news of a block waits for more [s].
        """
        self._chain = chain
        self._how = FollowSettings(poll_s=poll_s, gathering=Gathering(gather_s))

    @property
    def domain(self) -> Domain:
        """The hub and the chain that orders are signed for."""
        return self._chain.domain

    async def head(self) -> int:
        """Tell the number of the latest block."""
        return await self._chain.block_number()

    async def owners_of(self, entries: Sequence[tuple[OrderKind, Address]]) -> list[Address | None]:
        """Name the present owners of apps, datasets and workerpools; None stands for one that is not in its kind's registry."""
        return await self._chain.registries.owners_of(entries)

    async def owner_of(self, entry: Address) -> Address:
        """Name the present owner of a registered entry, whatever its kind."""
        return await self._chain.registries.owner_of(entry)

    async def consumed(self, hashes: Sequence[OrderHash]) -> list[int]:
        """Tell how much of orders' volumes is used [tasks]; all of it once one is closed."""
        return await self._chain.hub.consumptions(hashes)

    async def presigner(self, order_hash: OrderHash) -> Address:
        """Name who presigned an order on the chain; zero when nobody did."""
        return await self._chain.hub.presigned(order_hash)

    async def have_code(self, accounts: Sequence[Address]) -> list[bool]:
        """Tell of accounts whether they are contracts, or act as one: the hub asks those what they signed, and no key speaks for them."""
        return await self._chain.have_code(accounts)

    async def is_whole_from(self, block: int) -> bool:
        """Tell whether all that the hub ever did happened in a block or after it; False where the node forgot how it was before."""
        try:
            return block == 0 or not await self._chain.had_code(self._chain.hub_address, block - 1)
        except NodeError:
            return False

    async def is_signed_by(self, owner: Address, digest: Hash32, signature: str) -> bool:
        """Tell whether an account, by its key or as a contract (ERC-1271), signed a digest."""
        return await self._chain.is_signed_by(owner, from_hex(digest), signature)

    async def stakes_of(self, owners: Sequence[Address]) -> list[NRLC]:
        """Tell how much free money accounts have in the hub [nRLC]."""
        return [account.stake for account in await self._chain.hub.accounts(owners)]

    async def count_categories(self) -> int:
        """Tell how many categories there are; their numbers begin at 0."""
        return len(await self._chain.hub.categories())

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
        return Follower(self._chain, start_block, parent_hash, self._how)
