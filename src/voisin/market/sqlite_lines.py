"""Lines to a SQLite file: one connection to write and one to read, each with a thread of its own."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec

from voisin.errors import UnavailableError
from voisin.market.lines import EventRow, MomentRow, ShelfRows, StandingRows, Values
from voisin.market.rows import ENTRY_COLUMNS, ORDER_COLUMNS
from voisin.protocol.api import OrderStatus
from voisin.service.databases import LOCK_WAIT_S

T = TypeVar("T")

_SOME = "IN (SELECT value FROM json_each(?))"
_ENTRIES = f"SELECT {', '.join(ENTRY_COLUMNS)} FROM orders"  # noqa: S608  (names of columns)
_ADD = (
    f"INSERT INTO orders ({', '.join(ORDER_COLUMNS)}) VALUES ({', '.join('?' * len(ORDER_COLUMNS))}) ON CONFLICT (hash) DO UPDATE SET "  # noqa: S608
    + ", ".join(f"{name} = excluded.{name}" for name in ORDER_COLUMNS if name != "hash")
)
_TELL = (
    "INSERT INTO moments (order_hash, number, at, what, detail) "
    "SELECT name, (SELECT count(*) FROM moments WHERE order_hash = name), at, what, detail FROM ("
    "SELECT json_extract(value, '$[0]') AS name, json_extract(value, '$[1]') AS at, "
    "json_extract(value, '$[2]') AS what, json_extract(value, '$[3]') AS detail FROM json_each(?))"
)
_ANNOUNCE = (
    "INSERT INTO feed (id, topic, content) "
    "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]') FROM json_each(?)"
)
"""Many rows in one statement: after each statement of its own a thread waits for its turn among Python's others."""
_CHECKPOINT_PAGES = 8_000
"""
How long the log may become before it is written back into the file [pages of 4 kB]. Each order touches pages here and there in the indexes;
the longer the log, the more of them are written back once for many.
"""


class SqliteLines:
    """Lines to a file; see `voisin.market.lines.Lines`."""

    def __init__(self, path: str) -> None:
        """
        Args:
            path: The file, whose tables are up to date.
        """
        self._writing = _Thread(path)
        self._reading = _Thread(path)

    async def close(self) -> None:
        """Hang up."""
        await self._writing.close()
        await self._reading.close()

    async def standing(self, hashes: Sequence[str]) -> StandingRows:
        """Tell what is known of orders."""
        asked = [_json(hashes)]

        def look(db: sqlite3.Connection) -> StandingRows:
            (next_block,) = db.execute("SELECT next_block FROM follower").fetchone()  # first: nothing recorded later must seem missing
            used = [name for (name,) in db.execute(f"SELECT order_hash FROM used_orders WHERE order_hash {_SOME}", asked)]  # noqa: S608
            return StandingRows(next_block, used, db.execute(f"{_ENTRIES} WHERE hash {_SOME}", asked).fetchall())

        return await self._reading.run(look)

    async def events(self, after: int, limit: int) -> Sequence[EventRow]:
        """List events of the feed after one, in order."""
        asked = "SELECT id, topic, content FROM feed WHERE id > ? ORDER BY id LIMIT ?"
        return await self._reading.run(lambda db: db.execute(asked, (after, limit)).fetchall())

    async def entries(self, hashes: Sequence[str]) -> Sequence[Values]:
        """Find orders, by `ENTRY_COLUMNS`."""
        asked = [_json(hashes)]
        return await self._reading.run(lambda db: db.execute(f"{_ENTRIES} WHERE hash {_SOME}", asked).fetchall())

    async def open_orders(self) -> tuple[int, Sequence[Values]]:
        """Give the feed's last id and, as of then, all open orders, by `ENTRY_COLUMNS`."""

        def look(db: sqlite3.Connection) -> tuple[int, Sequence[Values]]:
            with _Reading(db):
                (event,) = db.execute("SELECT coalesce(max(id), 0) FROM feed").fetchone()
                return event, db.execute(f"{_ENTRIES} WHERE status = ?", (OrderStatus.OPEN.value,)).fetchall()

        return await self._reading.run(look)

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[_SqliteEntering]:
        """Begin a transaction that enters orders; one at a time."""
        entering = _SqliteEntering(self._writing)
        try:
            yield entering
        finally:
            if entering.is_open:
                await self._writing.run(lambda db: db.rollback())


class _SqliteEntering:
    """A transaction; see `voisin.market.lines.Entering`."""

    def __init__(self, thread: _Thread) -> None:
        self._thread = thread
        self.is_open = False

    async def shelf(self, hashes: Sequence[str]) -> ShelfRows:
        """Read what must be known; on other processes' transactions it waits."""

        def look(db: sqlite3.Connection) -> ShelfRows:
            if not self.is_open:
                db.execute("BEGIN IMMEDIATE")
                self.is_open = True
            return ShelfRows(
                next_block=db.execute("SELECT next_block FROM follower").fetchone()[0],
                entries=db.execute(f"{_ENTRIES} WHERE hash {_SOME}", [_json(hashes)]).fetchall(),
                number=db.execute("SELECT coalesce(max(number), 0) FROM orders").fetchone()[0],
                event=db.execute("SELECT coalesce(max(id), 0) FROM feed").fetchone()[0],
            )

        return await self._thread.run(look)

    async def counts(self, signers: Sequence[str]) -> Sequence[tuple[str, int]]:
        """List those of some signers who have open orders, and how many."""
        counting = f"SELECT signer, count(*) FROM orders WHERE signer {_SOME} AND status = ? GROUP BY signer"  # noqa: S608
        return await self._thread.run(lambda db: db.execute(counting, (_json(signers), OrderStatus.OPEN.value)).fetchall())

    async def finish(self, rows: Sequence[Values], told: Sequence[MomentRow], events: Sequence[EventRow], *, forget: int) -> None:
        """Write everything, and end the transaction."""

        def write(db: sqlite3.Connection) -> None:
            db.executemany(_ADD, rows)
            db.execute(_TELL, [_json(told)])
            db.execute(_ANNOUNCE, [_json(events)])
            if forget > 0:
                db.execute("DELETE FROM feed WHERE id <= ?", (forget,))
            db.commit()
            self.is_open = False

        await self._thread.run(write)


class _Reading:
    """A reading transaction: all that is read is as of one moment."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN")

    def __exit__(self, *_: object) -> None:
        self._db.rollback()


class _Thread:
    """A connection, and the thread that uses it."""

    def __init__(self, path: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="market database")
        self._path = path
        self._connection: sqlite3.Connection | None = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """
        Let the thread work.

        Raises:
            UnavailableError: The database failed.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: work(self._connected()))
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise UnavailableError(f"the market's database failed: {error}", hint="see whether it runs and has space") from error

    async def close(self) -> None:
        """Close the connection, and end the thread."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._disconnect)
        self._executor.shutdown()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, timeout=LOCK_WAIT_S, isolation_level=None, cached_statements=64)
            for pragma in ("synchronous=FULL", "foreign_keys=ON", f"wal_autocheckpoint={_CHECKPOINT_PAGES}"):
                self._connection.execute(f"PRAGMA {pragma}")
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _json(values: Sequence[object]) -> str:
    return msgspec.json.encode(values).decode()
