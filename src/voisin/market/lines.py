"""
Lines to the database that cost little: the statements of publications and readers, written by hand for each kind of database.

SQLAlchemy, and a thread's turn for each statement on SQLite, take several times the time of what the database does. Here what belongs
together goes to the database at once: on SQLite in one turn of a thread, on PostgreSQL with one statement for many rows. All else in the
records goes by `voisin.market.store`, to the same tables. The kinds are `voisin.market.sqlite_lines` and `voisin.market.postgres_lines`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

Values = Sequence[Any]
"""A row's values as the database gives or takes them."""
EventRow = tuple[int, str, str]
"""An event of the feed: id, topic, content."""
MomentRow = tuple[str, int, str, str]
"""A moment of an order's story: the order's hash, when, what, details."""


@dataclass(frozen=True, slots=True)
class StandingRows:
    """What is known of orders: first block that is not recorded, those noted as used, entries by `ENTRY_COLUMNS`."""

    next_block: int
    used: Sequence[str]
    entries: Sequence[Values]


@dataclass(frozen=True, slots=True)
class ShelfRows:
    """
    What must be read before orders are entered.

    Attributes:
        next_block: First block that is not recorded yet.
        entries: Those of the orders that are in the book, by `ENTRY_COLUMNS`.
        number: The last publication's number.
        event: The feed's last id.
    """

    next_block: int
    entries: Sequence[Values]
    number: int
    event: int


class Entering(Protocol):
    """A transaction that enters orders; it is undone unless it is finished."""

    async def shelf(self, hashes: Sequence[str]) -> ShelfRows:
        """Read what must be known; on other processes' transactions it waits."""
        ...

    async def counts(self, signers: Sequence[str]) -> Sequence[tuple[str, int]]:
        """List those of some signers who have open orders, and how many."""
        ...

    async def finish(self, rows: Sequence[Values], told: Sequence[MomentRow], events: Sequence[EventRow], *, forget: int) -> None:
        """
        Write everything, and end the transaction.

        Args:
            rows: The rows of orders, by `ORDER_COLUMNS`; they are added, or replace what is there.
            told: Moments.
            events: Events of the feed.
            forget: Up to which id events are forgotten.
        """
        ...


class Lines(Protocol):
    """Lines to a database; what they raise is `UnavailableError` where the database failed."""

    async def close(self) -> None:
        """Hang up."""
        ...

    async def standing(self, hashes: Sequence[str]) -> StandingRows:
        """Tell what is known of orders."""
        ...

    async def events(self, after: int, limit: int) -> Sequence[EventRow]:
        """List events of the feed after one, in order."""
        ...

    async def entries(self, hashes: Sequence[str]) -> Sequence[Values]:
        """Find orders, by `ENTRY_COLUMNS`."""
        ...

    async def open_orders(self) -> tuple[int, Sequence[Values]]:
        """Give the feed's last id and, as of then, all open orders, by `ENTRY_COLUMNS`."""
        ...

    def enter(self) -> AbstractAsyncContextManager[Entering]:
        """Begin a transaction that enters orders; one at a time."""
        ...
