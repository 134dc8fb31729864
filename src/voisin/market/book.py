"""
What a market keeps, and what may be done with it.

Two stores keep it: `voisin.market.store.SqlStore` in a database, `voisin.market.memory.MemoryStore` in memory, for tests
and simulations.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from voisin.market.following import TaskChange
from voisin.market.machine import Entry
from voisin.market.query import DealQuery, OrderQuery, TaskQuery
from voisin.protocol.api import DealEntry, DealPage, Moment, OrderPage, TaskEntry, TaskPage
from voisin.protocol.ids import Address, DealId, Hash32, OrderHash, TaskId
from voisin.protocol.orders import OrderKind


@dataclass(frozen=True, slots=True)
class Position:
    """
    How far the chain is recorded.

    Attributes:
        next_block: First block that is not recorded yet.
        last_hash: Hash of the block before it; None when nothing is recorded yet.
    """

    next_block: int
    last_hash: Hash32 | None = None


class BookWrite(Protocol):
    """One transaction. Transactions run one after another; what one reads, no other changes before it ends."""

    async def position(self) -> Position:
        """Tell how far the chain is recorded."""
        ...

    async def advance(self, position: Position) -> None:
        """Set how far the chain is recorded."""
        ...

    async def entry(self, order_hash: OrderHash) -> Entry | None:
        """Find an order."""
        ...

    async def entries_of_resource(self, resource: Address) -> list[Entry]:
        """List the open and dead orders of an app, dataset or workerpool."""
        ...

    async def entries_of_signer(self, signer: Address) -> list[Entry]:
        """List the open and dead orders of a signer."""
        ...

    async def open_count(self, signer: Address) -> int:
        """Count the open orders of a signer."""
        ...

    async def save(self, entry: Entry) -> None:
        """Add an order, or replace what is known of it."""
        ...

    async def tell(self, order_hash: OrderHash, moment: Moment) -> None:
        """Add a moment to an order's story."""
        ...

    async def add_deal(self, deal: DealEntry, log_index: int) -> None:
        """Add a deal; one that is there already stays."""
        ...

    async def add_task(self, task: TaskEntry) -> None:
        """Add a task; one that is there already stays."""
        ...

    async def change_task(self, change: TaskChange) -> None:
        """Let a task go on; a task that is not there is left alone: it began before the records do."""
        ...


class BookStore(Protocol):
    """The records of a market."""

    def write(self) -> AbstractAsyncContextManager[BookWrite]:
        """Begin a transaction that is kept whole at the end of the context, or not at all when it is left by an error."""
        ...

    async def position(self) -> Position:
        """Tell how far the chain is recorded."""
        ...

    async def entry(self, order_hash: OrderHash) -> Entry | None:
        """Find an order."""
        ...

    async def story(self, order_hash: OrderHash) -> tuple[Moment, ...]:
        """Tell how an order came to stand where it stands."""
        ...

    async def orders(self, query: OrderQuery) -> OrderPage:
        """List orders, best price first."""
        ...

    async def open_orders(self) -> dict[OrderKind, int]:
        """Count the open orders of each kind."""
        ...

    async def deal(self, deal_id: DealId) -> DealEntry | None:
        """Find a deal."""
        ...

    async def deals(self, query: DealQuery) -> DealPage:
        """List deals, newest first."""
        ...

    async def task(self, task_id: TaskId) -> TaskEntry | None:
        """Find a task."""
        ...

    async def tasks(self, deal_id: DealId, query: TaskQuery) -> TaskPage:
        """List the initialised tasks of a deal, by index."""
        ...
