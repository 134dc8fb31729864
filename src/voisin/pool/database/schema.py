"""The tables of a pool's database; `migrations` makes them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text, false

_ADDRESS = String(42)
_HASH = String(66)
_SERIAL = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts by itself only in columns of this type."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

position = Table(
    "pool_position",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("hub", _ADDRESS, nullable=False),
    Column("workerpool", _ADDRESS, nullable=False),
    Column("next_block", BigInteger, nullable=False),
    Column("last_hash", _HASH),
    Column("is_draining", Boolean, nullable=False, server_default=false()),
)
"""One row: whom the records are about, up to where all deals are found, and whether the pool takes no new ones."""

schedulers = Table(
    "pool_schedulers",
    metadata,
    Column("session", _SERIAL, primary_key=True, autoincrement=True),
    Column("name", String(64)),
    Column("url", Text, nullable=False),
    Column("alive_until", Float, nullable=False),
    Column("next_block", BigInteger, nullable=False),
    Index(None, "name", unique=True),
    sqlite_autoincrement=True,
)
"""
The processes that work on this pool; `alive_until` goes by the database's clock [Unix s], `next_block` is how far one's deals are
written down, and one whose name another took has none.
"""

duties = Table(
    "pool_duties",
    metadata,
    Column("duty", String(16), primary_key=True),
    Column("holder", BigInteger),
)
"""What one scheduler does for all of them, and the session of the one that does it."""

turns = Table(
    "pool_turns",
    metadata,
    Column("wallet", _ADDRESS, primary_key=True),
    Column("taken_by", String(64), nullable=False),
)
"""Which process was last to have the turn of a wallet that several send from."""

deals = Table(
    "pool_deals",
    metadata,
    Column("deal_id", _HASH, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("block", BigInteger, nullable=False),
    Column("time_ref_s", BigInteger, nullable=False),
    Column("deal", Text, nullable=False),
    Column("holder", BigInteger),
    Column("epoch", BigInteger, nullable=False, server_default="0"),
    Column("from_block", BigInteger),
    Column("is_over", Boolean, nullable=False, server_default=false()),
    Index(None, "seq"),
    Index(None, "is_over", "holder"),
)
"""
`deal` is the hub's record as JSON, `holder` the session of the scheduler that works on it, `epoch` how often that changed (whoever
writes must know it), and `from_block` where whoever takes it over from nobody has to read the chain on.
"""

tasks = Table(
    "pool_tasks",
    metadata,
    Column("task_id", _HASH, primary_key=True),
    Column("deal_id", _HASH, ForeignKey("pool_deals.deal_id"), nullable=False),
    Column("index", BigInteger, nullable=False),
    Column("phase", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("consensus", _HASH),
    Column("digest", _HASH),
    Column("reveal_deadline", BigInteger, nullable=False),
    Column("cid", String(128), nullable=False),
    Column("callback_data", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("enclave", String(16), nullable=False),
    Column("challenge", _ADDRESS),
    Index(None, "deal_id", "index"),
    Index(None, "phase"),
)

replicas = Table(
    "pool_replicas",
    metadata,
    Column("task_id", _HASH, ForeignKey("pool_tasks.task_id"), primary_key=True),
    Column("worker", _ADDRESS, primary_key=True),
    Column("stage", String(16), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("cause", Text, nullable=False),
    Column("result_hash", _HASH),
    Column("weight", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("not_before", Float, nullable=False),
    Column("is_barred", Boolean, nullable=False),
    Column("exit_code", Integer),
)

workers = Table(
    "pool_workers",
    metadata,
    Column("address", _ADDRESS, primary_key=True),
    Column("name", String(256), nullable=False),
    Column("slots", Integer, nullable=False),
    Column("score", BigInteger, nullable=False),
    Column("faulty", Integer, nullable=False),
    Column("ban", Text, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("enclave", String(16), nullable=False),
)

story = Table(
    "pool_story",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("task_id", _HASH, ForeignKey("pool_tasks.task_id"), nullable=False),
    Column("worker", String(42), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("what", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Index(None, "task_id", "id"),
)

logs = Table(
    "pool_logs",
    metadata,
    Column("task_id", _HASH, primary_key=True),
    Column("worker", _ADDRESS, primary_key=True),
    Column("stdout", Text, nullable=False),
    Column("stderr", Text, nullable=False),
    Column("stdout_end", BigInteger, nullable=False),
    Column("stderr_end", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index(None, "expires_at"),
)
"""What apps printed, for their requesters, for some days; each ends where the stream ends [characters]."""

nonces = Table(
    "pool_nonces",
    metadata,
    Column("signer", _ADDRESS, primary_key=True),
    Column("nonce", _HASH, primary_key=True),
    Column("until", BigInteger, nullable=False),
    Index(None, "until"),
)
"""Signatures that were used to read logs, until they would count no more."""
