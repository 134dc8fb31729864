"""
What a worker must not lose of a bag: its results, the scheduler's receipts for them, the last statement, the archives.

    bags/ledger.sqlite                       everything but large archives
    bags/<deal>/<location>.zip               large archives

Written in few transactions, each of which is on the disk when it ends: what several tasks have to write at the same time goes into one.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread

from voisin.protocol.bag_wire import Receipt, Statement
from voisin.protocol.codec import decode, encode
from voisin.protocol.ids import DealId, Hash32, as_hash32
from voisin.units import NRLC
from voisin.worker.bags.words import BagRecord, BagTerms, Kept

SMALL_BYTES: Final = 256 << 10
"""Archives up to this size lie in the database [bytes]."""
_PAGE: Final = 500
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS deals (deal TEXT PRIMARY KEY, terms BLOB NOT NULL, earned TEXT NOT NULL DEFAULT '0',
    signature TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS results (deal TEXT, task INTEGER, digest TEXT NOT NULL, location TEXT NOT NULL, said TEXT NOT NULL,
    signature TEXT NOT NULL, exit_code INTEGER, callback TEXT NOT NULL, receipt TEXT NOT NULL, PRIMARY KEY (deal, task)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS archives (deal TEXT, location TEXT, data BLOB NOT NULL, PRIMARY KEY (deal, location)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS demands (deal TEXT, task INTEGER, PRIMARY KEY (deal, task)) WITHOUT ROWID;
"""
_RESULT: Final = "task, digest, location, said, signature, exit_code, callback, receipt"

Work = Callable[[sqlite3.Cursor], None]
"""A part of a transaction."""


class BagStore:
    """
    The files of a worker's bags. All methods block.

    Args:
        folder: Where they are; created when missing, for this user alone.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._lock = threading.Lock()
        self._db = sqlite3.connect(folder / "ledger.sqlite", check_same_thread=False, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    def transact(self, works: Sequence[Work]) -> None:
        """Do several things in one transaction; once this returns, a power cut does not lose them."""
        with self._lock:
            cursor = self._db.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                for work in works:
                    work(cursor)
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")

    # --- reading ---

    def restore(self) -> tuple[BagRecord, ...]:
        """
        Read what there is of every deal after a start.

        Raises:
            InputError: A record is damaged.
        """
        records = []
        for deal, terms, earned in self._rows("SELECT deal, terms, earned FROM deals ORDER BY deal"):
            read = decode(bytes(terms), BagTerms, f"the record of deal {deal}")
            said = {task: bool(receipt) for task, receipt in self._rows("SELECT task, receipt FROM results WHERE deal = ?", deal)}
            records.append(BagRecord(terms=read, said=said, earned=NRLC(int(earned))))
        return tuple(records)

    def results(self, deal: DealId, indexes: Iterable[int]) -> list[Kept]:
        """Read some results of a deal; those that are not there are left out."""
        found = []
        for index in indexes:
            found += self._rows(f"SELECT {_RESULT} FROM results WHERE deal = ? AND task = ?", deal, index)  # noqa: S608
        return [_kept(row) for row in found]

    def page(self, deal: DealId, after: int) -> list[Kept]:
        """Read the next results of a deal, by task."""
        return [
            _kept(row)
            for row in self._rows(f"SELECT {_RESULT} FROM results WHERE deal = ? AND task > ? ORDER BY task LIMIT {_PAGE}", deal, after)  # noqa: S608
        ]

    def statement(self, deal: DealId) -> Statement | None:
        """Read the last statement of a deal; None without one."""
        for earned, signature in self._rows("SELECT earned, signature FROM deals WHERE deal = ?", deal):
            if signature:
                return Statement(deal_id=deal, amount=NRLC(int(earned)), signature=signature)
        return None

    def demands(self, deal: DealId) -> list[int]:
        """List the tasks whose leaves this worker has demanded."""
        return [task for (task,) in self._rows("SELECT task FROM demands WHERE deal = ? ORDER BY task", deal)]

    def archive(self, deal: DealId, location: Hash32) -> bytes | Path | None:
        """Find an archive: its bytes, or where it lies if it is large; None if it is lost."""
        for (data,) in self._rows("SELECT data FROM archives WHERE deal = ? AND location = ?", deal, location):
            return bytes(data)
        path = self.large(deal, location)
        return path if path.is_file() else None

    def large(self, deal: DealId, location: Hash32) -> Path:
        """Say where a large archive lies."""
        return self.folder(deal) / f"{as_hash32(location)[2:]}.zip"

    def folder(self, deal: DealId) -> Path:
        """Say where the files of a deal lie, and make the folder."""
        path = self._folder / as_hash32(deal)
        path.mkdir(exist_ok=True, mode=0o700)
        return path

    def remove_files(self, deal: DealId) -> None:
        """Remove the files of a deal."""
        shutil.rmtree(self._folder / as_hash32(deal), ignore_errors=True)

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(query, values).fetchall()


# --- parts of transactions -------------------------------------------------------------------------------------------


def keep_terms(terms: BagTerms) -> Work:
    """Write down that there is a deal."""

    def work(cursor: sqlite3.Cursor) -> None:
        query = "INSERT INTO deals (deal, terms) VALUES (?, ?) ON CONFLICT (deal) DO UPDATE SET terms = excluded.terms"
        cursor.execute(query, (terms.deal_id, encode(terms)))

    return work


def keep_results(deal: DealId, results: Sequence[Kept], archives: Mapping[Hash32, bytes]) -> Work:
    """
    Write results down. One that is there already stays as it is: it may have a receipt.

    Args:
        deal: The deal.
        results: The results.
        archives: Their archives, each once, but for the large ones, whose files are in their places.
    """

    def work(cursor: sqlite3.Cursor) -> None:
        cursor.executemany("INSERT INTO archives VALUES (?, ?, ?) ON CONFLICT DO NOTHING", [(deal, *each) for each in archives.items()])
        rows = [
            (deal, kept.index, kept.digest, kept.location, kept.said, kept.signature, kept.exit_code, kept.callback_data, kept.receipt)
            for kept in results
        ]
        cursor.executemany("INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)

    return work


def keep_receipts(deal: DealId, receipts: Sequence[Receipt]) -> Work:
    """Write receipts down."""

    def work(cursor: sqlite3.Cursor) -> None:
        rows = [(receipt.signature, deal, receipt.index, receipt.said) for receipt in receipts]
        cursor.executemany("UPDATE results SET receipt = ? WHERE deal = ? AND task = ? AND said = ?", rows)

    return work


def keep_statement(statement: Statement) -> Work:
    """Write a statement down, in place of the one before."""

    def work(cursor: sqlite3.Cursor) -> None:
        query = "UPDATE deals SET earned = ?, signature = ? WHERE deal = ?"
        cursor.execute(query, (str(statement.amount), statement.signature, statement.deal_id))

    return work


def keep_demand(deal: DealId, index: int) -> Work:
    """Write down that a leaf is about to be demanded."""

    def work(cursor: sqlite3.Cursor) -> None:
        cursor.execute("INSERT INTO demands VALUES (?, ?) ON CONFLICT DO NOTHING", (deal, index))

    return work


def drop_deal(deal: DealId) -> Work:
    """Forget a deal."""

    def work(cursor: sqlite3.Cursor) -> None:
        for table in ("deals", "results", "archives", "demands"):
            cursor.execute(f"DELETE FROM {table} WHERE deal = ?", (deal,))  # noqa: S608  (names of our own tables)

    return work


def _kept(row: tuple[Any, ...]) -> Kept:
    index, digest, location, said, signature, exit_code, callback, receipt = row
    return Kept(
        index=index, digest=digest, location=location, said=said, signature=signature, exit_code=exit_code, callback_data=callback,
        receipt=receipt,
    )  # fmt: skip


class GroupCommit:
    """
    Has many tasks write to a store in few transactions: while one is under way, whatever else is to be written gathers for the next.

    Args:
        store: The store.
    """

    def __init__(self, store: BagStore) -> None:
        self._store = store
        self._turn = anyio.Lock()
        self._gathered: list[tuple[Work, _Outcome]] = []

    async def write(self, *works: Work) -> None:
        """
        Write; once this returns, it is on the disk.

        Raises:
            OSError: The disk does not take it.
        """
        outcome = _Outcome()
        self._gathered += [(work, outcome) for work in works]
        async with self._turn:
            if outcome.is_done:
                outcome.check()
                return
            gathered, self._gathered = self._gathered, []
            with anyio.CancelScope(shield=True):
                error = await anyio.to_thread.run_sync(self._transact, [work for work, _ in gathered])
        for _, each in gathered:
            each.is_done, each.error = True, error
        outcome.check()

    def _transact(self, works: list[Work]) -> str:
        try:
            self._store.transact(works)
        except sqlite3.Error as error:
            return str(error) or type(error).__name__
        return ""


@dataclass(slots=True)
class _Outcome:
    is_done: bool = False
    error: str = ""

    def check(self) -> None:
        if self.error:
            raise OSError(0, self.error)
