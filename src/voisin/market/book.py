"""
What a market keeps, and what may be done with it.

Two stores keep it: `voisin.market.store.SqlStore` in a database, `voisin.market.memory.MemoryStore` in memory, for tests
and simulations.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from voisin.market.following import TaskChange
from voisin.market.machine import Entry
from voisin.market.query import DealQuery, OrderQuery, TaskQuery
from voisin.protocol.api import CategoryEntry, DealEntry, DealPage, Moment, OrderPage, TaskEntry, TaskPage
from voisin.protocol.feed import News
from voisin.protocol.ids import Address, DealId, Hash32, OrderHash, TaskId
from voisin.protocol.orders import OrderKind
from voisin.units import UnixSeconds

EVENTS_KEPT = 10_000
"""Events of the live feed that are remembered [events]."""


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


@dataclass(frozen=True, slots=True)
class Challenge:
    """
    A text that was given to an address to be signed, once.

    Attributes:
        digest: What is signed: the EIP-712 hash of the text.
        address: Who is to sign it.
        text: The text.
        expires_at: From when on its signature proves nothing any more.
    """

    digest: Hash32
    address: Address
    text: str
    expires_at: UnixSeconds


@dataclass(frozen=True, slots=True)
class Told:
    """An event of the live feed: its id, its topic, and all of it as JSON."""

    id: int
    topic: str
    content: str


@dataclass(frozen=True, slots=True)
class Standing:
    """
    What the records know of some orders, all at one time.

    Attributes:
        entries: Those that are in the book.
        used: Those of which something was used or closed on the chain, in whatever book they are.
        next_block: First block that the records knew nothing of.
    """

    entries: dict[OrderHash, Entry]
    used: frozenset[OrderHash]
    next_block: int


@dataclass(frozen=True, slots=True)
class Shelf:
    """
    What must be known before orders are entered.

    Attributes:
        next_block: First block that is not recorded yet.
        entries: Those of the orders that are in the book.
        counts: How many open orders each of the signers has.
        number: The number of the next publication.
    """

    next_block: int
    entries: dict[OrderHash, Entry]
    counts: dict[Address, int]
    number: int


class BookNotes(Protocol):
    """What may be written about orders in a transaction."""

    async def save(self, *entries: Entry) -> None:
        """Add orders, or replace what is known of them."""
        ...

    async def tell(self, *moments: tuple[OrderHash, Moment]) -> None:
        """Add moments to the stories of orders, of each at most one."""
        ...

    async def announce(self, news: News) -> None:
        """Tell the live feed's readers, once the transaction is done; the event gets the next id."""
        ...


class BookEntering(BookNotes, Protocol):
    """A transaction that enters orders; see `BookWrite`."""

    async def shelf(self, hashes: Sequence[OrderHash], signers: Sequence[Address]) -> Shelf:
        """Read what must be known of orders and their signers."""
        ...


class BookWrite(BookNotes, Protocol):
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

    async def challenges_of(self, address: Address) -> list[Challenge]:
        """List the challenges that an address has not used yet, the one that expires first first."""
        ...

    async def add_challenge(self, challenge: Challenge) -> None:
        """Keep a challenge."""
        ...

    async def drop_challenge(self, digest: Hash32) -> bool:
        """Forget a challenge; tells whether it was there."""
        ...

    async def drop_expired(self, now: UnixSeconds) -> None:
        """Forget the challenges that have expired."""
        ...

    async def want(self, order_hash: OrderHash, resources: Collection[Address]) -> None:
        """Note that a request is to be in the book only while there are offers of these; noting it again changes nothing."""
        ...

    async def wanting(self, resource: Address) -> list[Entry]:
        """List the open requests that are in the book only while there are offers of an app or dataset."""
        ...

    async def best(self, query: OrderQuery) -> Entry | None:
        """Find the best of the orders that fit."""
        ...

    async def add_deal(self, deal: DealEntry, log_index: int) -> bool:
        """Add a deal, and tell whether it is new; one that is there already stays."""
        ...

    async def note_used(self, hashes: Collection[OrderHash]) -> None:
        """Note that something of orders was used, or that they were closed; noting it again changes nothing."""
        ...

    async def add_category(self, category: CategoryEntry) -> None:
        """Add a category; one that is there already stays."""
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

    def enter(self) -> AbstractAsyncContextManager[BookEntering]:
        """Begin a transaction that enters orders, and is kept whole or not at all."""
        ...

    async def position(self) -> Position:
        """Tell how far the chain is recorded."""
        ...

    async def entry(self, order_hash: OrderHash) -> Entry | None:
        """Find an order."""
        ...

    async def standing(self, hashes: Sequence[OrderHash]) -> Standing:
        """Tell what is known of orders."""
        ...

    async def first_block(self) -> int:
        """Number the first block that was recorded, or is to be."""
        ...

    async def story(self, order_hash: OrderHash) -> tuple[Moment, ...]:
        """Tell how an order came to stand where it stands."""
        ...

    async def orders(self, query: OrderQuery) -> OrderPage:
        """List orders, best price first."""
        ...

    async def orders_from(self, query: OrderQuery, skip: int) -> OrderPage:
        """List orders without a cursor, best price first; the first `skip` are left out."""
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

    async def deals_from(self, query: DealQuery, skip: int) -> DealPage:
        """List deals without a cursor: newest block first, in a block by id; the first `skip` are left out."""
        ...

    async def categories(self) -> tuple[CategoryEntry, ...]:
        """List the categories, by number."""
        ...

    async def events(self, after: int, limit: int) -> list[Told]:
        """List the live feed's events after one, in order, as far as they are remembered."""
        ...

    async def event_span(self) -> tuple[int, int]:
        """Number the oldest and the newest event that is remembered; (1, 0) when there is none."""
        ...

    async def challenge(self, digest: Hash32) -> Challenge | None:
        """Find a challenge that was given out and is not used yet."""
        ...

    async def task(self, task_id: TaskId) -> TaskEntry | None:
        """Find a task."""
        ...

    async def tasks(self, deal_id: DealId, query: TaskQuery) -> TaskPage:
        """List the initialised tasks of a deal, by index."""
        ...
