"""
What a vault asks of the chain.

Two ledgers answer: `ChainLedger` from a node, `voisin.vault.twin.TwinLedger` from memory, for tests and simulations.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from voisin.chain import Chain, ranges_of
from voisin.errors import StateError
from voisin.protocol.eip712 import Domain
from voisin.protocol.events import OrderClosed, OrdersMatched
from voisin.protocol.ids import ZERO_HASH, Address, DealId, Hash32, OrderHash, TaskId
from voisin.protocol.orders import DatasetOrder, OrderKind
from voisin.protocol.records import Deal, Task
from voisin.protocol.signatures import signed_by
from voisin.units import UnixSeconds


@dataclass(frozen=True, slots=True)
class DatasetMatch:
    """A deal about a dataset, as the hub's event tells it, and where on the chain it stands."""

    deal_id: DealId
    order_hash: OrderHash
    volume: int
    block: int
    place: int


@dataclass(frozen=True, slots=True)
class MatchRange:
    """
    What happened to dataset orders in a stretch of blocks.

    Attributes:
        last: The last block.
        last_hash: Its hash.
        matches: Deals, in order.
        closed: Dataset orders that were closed for good.
    """

    last: int
    last_hash: Hash32
    matches: tuple[DatasetMatch, ...]
    closed: tuple[OrderHash, ...]


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

    async def checksum_of(self, kind: OrderKind, entry: Address) -> Hash32 | None:
        """Tell the checksum of an app or dataset; None for what is not in that registry."""
        ...

    async def is_member(self, group: Address, account: Address) -> bool:
        """Tell whether a group contract lets an account in; an address without code has no members."""
        ...

    async def consumed(self, order_hash: OrderHash) -> int:
        """Tell how much of an order is used up or closed [tasks]."""
        ...

    async def height(self) -> int:
        """Number the latest block."""
        ...

    async def block_hash(self, number: int) -> Hash32 | None:
        """Tell the hash of a block; None when there is none."""
        ...

    def matches(self, first: int, last: int, parent_hash: Hash32 | None) -> AsyncIterator[MatchRange]:
        """
        Read what happened to dataset orders in blocks that the chain has, part by part.

        Args:
            first: The first block.
            last: The last block.
            parent_hash: Hash of the block before the first; iterating raises `WentBackError` when it is another one now.
        """
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

    async def checksum_of(self, kind: OrderKind, entry: Address) -> Hash32 | None:
        """Tell the checksum of an app or dataset; None for what is not in that registry."""
        registries = self._chain.registries
        try:
            found = await (registries.app(entry) if kind is OrderKind.APP else registries.dataset(entry))
        except StateError:
            return None
        return found.checksum

    async def is_member(self, group: Address, account: Address) -> bool:
        """Tell whether a group contract lets an account in; an address without code has no members."""
        return group != account and await self._chain.is_authorized(group, account)

    async def consumed(self, order_hash: OrderHash) -> int:
        """Tell how much of an order is used up or closed [tasks]."""
        return await self._chain.hub.consumed(order_hash)

    async def height(self) -> int:
        """Number the latest block."""
        return await self._chain.block_number()

    async def block_hash(self, number: int) -> Hash32 | None:
        """Tell the hash of a block; None when there is none."""
        return await self._chain.block_hash(number)

    async def matches(self, first: int, last: int, parent_hash: Hash32 | None) -> AsyncIterator[MatchRange]:
        """Read what happened to dataset orders in blocks that the chain has, part by part."""
        async for part in ranges_of(self._chain, first, last, parent_hash=parent_hash):
            matches, closed = [], []
            for logged in part.events:
                match logged.event:
                    case OrdersMatched(deal_id=deal, dataset_hash=order, volume=volume) if order != ZERO_HASH:
                        matches.append(DatasetMatch(deal, order, volume, logged.block, logged.log_index))
                    case OrderClosed(kind=OrderKind.DATASET, order_hash=order):
                        closed.append(order)
                    case _:
                        pass
            yield MatchRange(part.last, part.last_hash, tuple(matches), tuple(closed))
