"""
The tables of bags; `voisin.pool.database.migrations` makes them.

Addresses and hashes are bytes here: tasks of a bag are read and written by the thousand.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Dialect, Index, Integer, LargeBinary, String, Table, Text

from voisin.pool.database.schema import metadata


class _Bytes(LargeBinary):
    """Bytes as the drivers take and give them; SQLAlchemy would wrap each value, which costs more than writing it."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> None:
        """Leave values as they are."""

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        """Leave values as they are."""


bags = Table(
    "pool_bags",
    metadata,
    Column("deal", _Bytes(32), primary_key=True),
    Column("terms", Text, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("posted", Text),
    Column("is_over", Boolean, nullable=False),
    Column("why", Text, nullable=False),
    Index(None, "is_over"),
)
"""`terms` is the deal and `posted` the posted bag, as JSON."""

votes = Table(
    "pool_bag_votes",
    metadata,
    Column("deal", _Bytes(32), primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("worker", _Bytes(20), primary_key=True),
    Column("said", _Bytes(32), nullable=False),
    Column("signature", _Bytes(65), nullable=False),
    sqlite_with_rowid=False,
)
"""What workers have signed; each row is as good as a receipt, which the pool signs anew when it is asked."""

ended = Table(
    "pool_bag_tasks",
    metadata,
    Column("deal", _Bytes(32), primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("place", BigInteger, nullable=False),
    Column("task_id", _Bytes(32), nullable=False),
    Column("digest", _Bytes(32), nullable=False),
    Column("location", _Bytes(32), nullable=False),
    Column("agreed", _Bytes, nullable=False),
    Column("others", _Bytes, nullable=False),
    Column("exit_code", Integer),
    Column("reason", Text, nullable=False),
    Column("callback_data", _Bytes, nullable=False),
    Index(None, "deal", "place"),
    Index(None, "task_id"),
    sqlite_with_rowid=False,
)
"""Tasks that have ended, `place` in the order in which they did."""

earned = Table(
    "pool_bag_earnings",
    metadata,
    Column("deal", _Bytes(32), primary_key=True),
    Column("worker", _Bytes(20), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""What workers were told that they have earned [nRLC]."""
