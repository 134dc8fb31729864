"""
What a storage knows about its blocks beyond their bytes: how they are read, what they link to, and why they are kept.

A block is kept for as long as it is a root that somebody asked for, or hangs below one. The catalog is a SQLite file beside the blobs;
a block is written down before it is stored, so that after a crash there is no block without a line.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from voisin.protocol.ipld import Codec, Name

PAGE = 500
_TABLES = """
CREATE TABLE IF NOT EXISTS blocks (
    digest BLOB PRIMARY KEY, size INTEGER NOT NULL, is_node INTEGER NOT NULL, noted_unix_s REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS links (parent BLOB, child BLOB, PRIMARY KEY (parent, child)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS parents ON links (child);
CREATE TABLE IF NOT EXISTS roots (
    digest BLOB PRIMARY KEY, codec INTEGER NOT NULL, version INTEGER NOT NULL, kind INTEGER NOT NULL,
    kept_unix_s REAL NOT NULL, used_unix_s REAL NOT NULL) WITHOUT ROWID;
"""
_BELOW = """
WITH RECURSIVE below (digest) AS (VALUES (?) UNION SELECT child FROM links JOIN below ON parent = below.digest)
SELECT count(*) FROM below WHERE digest NOT IN (SELECT digest FROM blocks)
"""
_ORPHANS = """
SELECT digest FROM blocks WHERE noted_unix_s < ? AND digest > ?
AND NOT EXISTS (SELECT 1 FROM roots WHERE roots.digest = blocks.digest)
AND NOT EXISTS (SELECT 1 FROM links WHERE child = blocks.digest) ORDER BY digest LIMIT ?
"""


_NOTE = (
    "INSERT INTO blocks VALUES (?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE SET "
    "is_node = max(is_node, excluded.is_node), noted_unix_s = excluded.noted_unix_s"
)
_KEEP = (
    "INSERT INTO roots VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE SET kind = max(kind, excluded.kind), "
    "codec = max(codec, excluded.codec), kept_unix_s = excluded.kept_unix_s, used_unix_s = excluded.used_unix_s"
)


class Keep(IntEnum):
    """Why a root is kept; a stronger reason takes the place of a weaker one."""

    LOOSE = 0
    RESULT = 1
    PINNED = 2


class Root(NamedTuple):
    """
    Something that was asked to be kept.

    Attributes:
        name: What.
        keep: Why.
        kept_unix_s: Since when [Unix s].
        used_unix_s: When it was last stored or read [Unix s].
    """

    name: Name
    keep: Keep
    kept_unix_s: float
    used_unix_s: float


class Catalog:
    """
    The catalog of a storage; several threads may use it.

    Args:
        path: The SQLite file; created when missing.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._close = weakref.finalize(self, self._db.close)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def reconcile(self, sizes: Iterable[tuple[bytes, int]], now: float) -> None:
        """
        Bring the catalog in line with what is really stored.

        Args:
            sizes: Digest and size of every stored block. One that is not known yet was stored before there was a catalog: it is pinned.
            now: The time [Unix s].
        """
        with self._writing():
            self._db.execute("CREATE TEMP TABLE found (digest BLOB PRIMARY KEY, size INTEGER) WITHOUT ROWID")
            self._db.executemany("INSERT OR REPLACE INTO found VALUES (?, ?)", sizes)
            known = "SELECT digest FROM blocks"
            self._db.execute(
                f"INSERT OR IGNORE INTO roots SELECT digest, ?, 1, ?, ?, ? FROM found WHERE digest NOT IN ({known})",  # noqa: S608
                (Codec.RAW, Keep.PINNED, now, now),
            )
            self._db.execute("INSERT OR IGNORE INTO blocks SELECT digest, size, 0, ? FROM found", (now,))
            for table, column in (("blocks", "digest"), ("roots", "digest"), ("links", "parent")):
                self._db.execute(f"DELETE FROM {table} WHERE {column} NOT IN (SELECT digest FROM found)")  # noqa: S608
            self._db.execute("DROP TABLE found")

    def note(self, name: Name, size: int, links: Iterable[bytes], now: float) -> None:
        """
        Write a block down, or that it was stored again.

        Args:
            name: The block; a node stays known as one when its bytes are stored again as raw ones.
            size: Its length [bytes].
            links: Digests of the blocks right below.
            now: The time [Unix s].
        """
        line = (name.digest, size, name.codec is Codec.DAG_PB, now)
        with self._writing():
            self._db.execute(_NOTE, line)
            self._db.executemany("INSERT OR IGNORE INTO links VALUES (?, ?)", ((name.digest, child) for child in links))

    def note_all(self, blobs: Iterable[tuple[Name, int]], now: float) -> None:
        """Write several raw blocks down with their lengths [bytes], in one go."""
        with self._writing():
            self._db.executemany(_NOTE, ((name.digest, size, False, now) for name, size in blobs))

    def keep_all(self, names: Iterable[Name], keep: Keep, now: float) -> None:
        """Keep several roots, in one go."""
        with self._writing():
            self._db.executemany(_KEEP, ((name.digest, name.codec, name.version, keep, now, now) for name in names))

    def is_node(self, digest: bytes) -> bool | None:
        """Tell whether a block was stored as a node; None when it is not here."""
        row = self._one("SELECT is_node FROM blocks WHERE digest = ?", digest)
        return None if row is None else bool(row[0])

    def children(self, digest: bytes) -> list[bytes]:
        """List the blocks right below one."""
        return [_digest(row[0]) for row in self._all("SELECT child FROM links WHERE parent = ?", digest)]

    def missing_below(self, digest: bytes) -> int:
        """Count the blocks of a tree that are not here."""
        row = self._one(_BELOW, digest)
        assert row is not None
        return int(row[0])

    def keep(self, name: Name, keep: Keep, now: float) -> None:
        """Keep a root, or keep it for a stronger reason, from now on."""
        with self._writing():
            self._db.execute(_KEEP, (name.digest, name.codec, name.version, keep, now, now))

    def loosen(self, digest: bytes, now: float) -> bool:
        """Make a pinned root a loose one; tells whether it was pinned."""
        with self._writing():
            done = self._db.execute(
                "UPDATE roots SET kind = ?, used_unix_s = ? WHERE digest = ? AND kind = ?", (Keep.LOOSE, now, digest, Keep.PINNED)
            )
            return done.rowcount > 0

    def touch(self, digest: bytes, now: float, every_s: float) -> None:
        """Remember that a root was read, unless that was remembered a moment ago."""
        row = self._one("SELECT used_unix_s FROM roots WHERE digest = ?", digest)
        if row is not None and float(row[0]) + every_s < now:
            with self._writing():
                self._db.execute("UPDATE roots SET used_unix_s = max(used_unix_s, ?) WHERE digest = ?", (now, digest))

    def root(self, digest: bytes) -> Root | None:
        """Look a root up."""
        row = self._one("SELECT * FROM roots WHERE digest = ?", digest)
        return None if row is None else _root(row)

    def roots(self, keep: Keep) -> Iterator[Root]:
        """
        Walk the roots that are kept for a reason.

        Yields:
            Them; those that come or go meanwhile may be among them or not.
        """
        after = b""
        while rows := self._all("SELECT * FROM roots WHERE kind = ? AND digest > ? ORDER BY digest LIMIT ?", keep, after, PAGE):
            yield from map(_root, rows)
            after = _digest(rows[-1][0])

    def overdue(self, keep: Keep, column: str, before: float) -> list[Root]:
        """List some of the roots whose time (`kept_unix_s` or `used_unix_s`) is before another, oldest first."""
        assert column in ("kept_unix_s", "used_unix_s")
        rows = self._all(f"SELECT * FROM roots WHERE kind = ? AND {column} < ? ORDER BY {column} LIMIT ?", keep, before, PAGE)  # noqa: S608
        return [_root(row) for row in rows]

    def forget_root(self, digest: bytes) -> None:
        """Let a root go; its blocks are orphans then, unless they hang below another."""
        with self._writing():
            self._db.execute("DELETE FROM roots WHERE digest = ?", (digest,))

    def orphans(self, before: float, after: bytes = b"") -> list[bytes]:
        """List some of the blocks that nobody keeps and that were not stored since a time, by digest after a given one."""
        return [_digest(row[0]) for row in self._all(_ORPHANS, before, after, PAGE)]

    def is_orphan(self, digest: bytes, before: float) -> bool:
        """Tell whether one block is such a one."""
        return self._one("SELECT 1 FROM (" + _ORPHANS.replace("digest > ?", "digest = ?") + ")", before, digest, 1) is not None  # noqa: S608

    def forget_block(self, digest: bytes) -> None:
        """Forget a block and what it links to."""
        with self._writing():
            self._db.execute("DELETE FROM blocks WHERE digest = ?", (digest,))
            self._db.execute("DELETE FROM links WHERE parent = ?", (digest,))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _one(self, query: str, *values: object) -> tuple[float | bytes, ...] | None:
        rows = self._all(query, *values)
        return rows[0] if rows else None

    def _all(self, query: str, *values: object) -> list[tuple[float | bytes, ...]]:
        with self._lock:
            return self._db.execute(query, values).fetchall()


def _root(row: tuple[float | bytes, ...]) -> Root:
    digest, codec, version, kind, kept, used = row
    return Root(Name(_digest(digest), Codec(int(codec)), int(version)), Keep(int(kind)), float(kept), float(used))


def _digest(value: float | bytes) -> bytes:
    assert isinstance(value, bytes)
    return value
