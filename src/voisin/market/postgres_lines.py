"""Lines to PostgreSQL: one connection to write and one to read, used without SQLAlchemy's layers, which make and mend them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, cast

import anyio
import asyncpg
from sqlalchemy import Boolean, Integer
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voisin.errors import UnavailableError
from voisin.market.database import RECORDS
from voisin.market.lines import EventRow, MomentRow, ShelfRows, StandingRows, Values
from voisin.market.rows import ENTRY_COLUMNS, ORDER_COLUMNS
from voisin.market.schema import orders
from voisin.protocol.api import OrderStatus

_ENTRIES = f"SELECT {', '.join(ENTRY_COLUMNS)} FROM orders"  # noqa: S608  (names of columns)
_KINDS = {name: "bool" if isinstance(orders.c[name].type, Boolean) else "int8" for name in ORDER_COLUMNS} | {
    name: "text" for name in ORDER_COLUMNS if not isinstance(orders.c[name].type, Boolean | Integer)
}
_ADD = (
    f"INSERT INTO orders ({', '.join(ORDER_COLUMNS)}) SELECT * FROM unnest("  # noqa: S608
    + ", ".join(f"${place}::{_KINDS[name]}[]" for place, name in enumerate(ORDER_COLUMNS, 1))
    + ") ON CONFLICT (hash) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in ORDER_COLUMNS if name != "hash")
)
_TELL = (
    "INSERT INTO moments (order_hash, number, at, what, detail) "
    "SELECT t.order_hash, (SELECT count(*) FROM moments m WHERE m.order_hash = t.order_hash), t.at, t.what, t.detail "
    "FROM unnest($1::text[], $2::int8[], $3::text[], $4::text[]) AS t (order_hash, at, what, detail)"
)
_ANNOUNCE = "INSERT INTO feed (id, topic, content) SELECT * FROM unnest($1::int8[], $2::text[], $3::text[])"
_SHELF = "SELECT (SELECT coalesce(max(number), 0) FROM orders), (SELECT coalesce(max(id), 0) FROM feed)"
_COUNT = "SELECT signer, count(*) FROM orders WHERE signer = ANY($1::text[]) AND status = 'open' GROUP BY signer"


class _Wire(Protocol):
    """What is used of asyncpg's connection."""

    async def fetch(self, query: str, *values: object) -> list[Any]: ...

    async def fetchrow(self, query: str, *values: object) -> Any: ...

    async def execute(self, query: str, *values: object) -> str: ...

    def is_closed(self) -> bool: ...


class PostgresLines:
    """Lines to a database; see `voisin.market.lines.Lines`."""

    def __init__(self, engine: AsyncEngine) -> None:
        """
        Args:
            engine: The database, whose tables are up to date.
        """
        self._writing = _Line(engine)
        self._reading = _Line(engine)

    async def close(self) -> None:
        """Hang up."""
        await self._writing.close()
        await self._reading.close()

    async def standing(self, hashes: Sequence[str]) -> StandingRows:
        """Tell what is known of orders."""
        known = (
            "SELECT next_block, (SELECT array_agg(order_hash) FROM used_orders WHERE order_hash = ANY($1::text[])), "
            "EXISTS (SELECT 1 FROM orders WHERE hash = ANY($1::text[])) FROM follower"
        )
        async with self._reading.turn() as wire:
            next_block, used, has_entries = await wire.fetchrow(known, list(hashes))
            entries = await wire.fetch(f"{_ENTRIES} WHERE hash = ANY($1::text[])", list(hashes)) if has_entries else []
        return StandingRows(next_block, used or (), entries)

    async def events(self, after: int, limit: int) -> Sequence[EventRow]:
        """List events of the feed after one, in order."""
        async with self._reading.turn() as wire:
            found = await wire.fetch("SELECT id, topic, content FROM feed WHERE id > $1 ORDER BY id LIMIT $2", after, limit)
        return [(number, topic, content) for number, topic, content in found]

    async def entries(self, hashes: Sequence[str]) -> Sequence[Values]:
        """Find orders, by `ENTRY_COLUMNS`."""
        async with self._reading.turn() as wire:
            return await wire.fetch(f"{_ENTRIES} WHERE hash = ANY($1::text[])", list(hashes))

    async def open_orders(self) -> tuple[int, Sequence[Values]]:
        """Give the feed's last id and, as of then, all open orders, by `ENTRY_COLUMNS`."""
        async with self._reading.turn() as wire:
            await wire.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                (event,) = await wire.fetchrow("SELECT coalesce(max(id), 0) FROM feed")
                found = await wire.fetch(f"{_ENTRIES} WHERE status = $1", OrderStatus.OPEN.value)
            finally:
                await wire.execute("ROLLBACK")
        return event, found

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[_PostgresEntering]:
        """Begin a transaction that enters orders; one at a time."""
        async with self._writing.turn() as wire:
            entering = _PostgresEntering(wire)
            try:
                yield entering
            finally:
                if entering.is_open and not wire.is_closed():
                    await wire.execute("ROLLBACK")


class _PostgresEntering:
    """A transaction; see `voisin.market.lines.Entering`."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire
        self.is_open = False

    async def shelf(self, hashes: Sequence[str]) -> ShelfRows:
        """Read what must be known; on other processes' transactions it waits."""
        if not self.is_open:
            await self._wire.execute("BEGIN")
            self.is_open = True
        (next_block,) = await self._wire.fetchrow("SELECT next_block FROM follower FOR UPDATE")
        entries = await self._wire.fetch(f"{_ENTRIES} WHERE hash = ANY($1::text[])", list(hashes))
        number, event = await self._wire.fetchrow(_SHELF)
        return ShelfRows(next_block, entries, number, event)

    async def counts(self, signers: Sequence[str]) -> Sequence[tuple[str, int]]:
        """List those of some signers who have open orders, and how many."""
        return [(signer, count) for signer, count in await self._wire.fetch(_COUNT, list(signers))]

    async def finish(self, rows: Sequence[Values], told: Sequence[MomentRow], events: Sequence[EventRow], *, forget: int) -> None:
        """Write everything, and end the transaction."""
        for statement, lines in ((_ADD, rows), (_TELL, told), (_ANNOUNCE, events)):
            if lines:
                await self._wire.execute(statement, *(list(column) for column in zip(*lines, strict=True)))
        if forget > 0:
            await self._wire.execute("DELETE FROM feed WHERE id <= $1", forget)
        await self._wire.execute("COMMIT")
        self.is_open = False


class _Line:
    """A connection that is kept, and made anew after it failed; one user has it at a time."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._wire: _Wire | None = None
        self._turn = anyio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[_Wire]:
        """
        Use the connection.

        Raises:
            UnavailableError: The database failed.
        """
        async with self._turn:
            wire = await self._connected()
            try:
                yield wire
            except (asyncpg.IntegrityConstraintViolationError, asyncpg.SyntaxOrAccessError, asyncpg.DataError):
                raise
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                await self._drop()
                hint = "see whether it runs and has space"
                raise UnavailableError(f"the market's database failed: {error}", hint=hint) from error

    async def close(self) -> None:
        """Hang up."""
        async with self._turn:
            if self._connection is not None:
                await self._connection.close()
                self._connection = None

    async def _connected(self) -> _Wire:
        if self._wire is not None and self._wire.is_closed():
            await self._drop()
        if self._wire is None:
            with RECORDS.answering():
                self._connection = await self._engine.connect()
                raw = await self._connection.get_raw_connection()
            self._wire = cast(_Wire, raw.driver_connection)
        return self._wire

    async def _drop(self) -> None:
        if self._connection is not None:
            await self._connection.invalidate()
            await self._connection.close()
        self._connection = self._wire = None
