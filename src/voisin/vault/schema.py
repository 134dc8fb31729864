"""The tables of a vault's database. A box column holds what is sealed; `key_id` names the key it is under."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

_ADDRESS = String(42)
_HASH = String(66)
_KEY_ID = String(16)

metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"})

vault = Table(
    "vault",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("hub", _ADDRESS, nullable=False),
    Column("address", _ADDRESS),
    Column("key_id", _KEY_ID),
    Column("box", LargeBinary),
    Column("serial", BigInteger, nullable=False),
    Column("restored_at", BigInteger, nullable=False),
    Column("read_block", BigInteger, nullable=False),
    Column("read_hash", _HASH, nullable=False),
)
"""
One row: which hub the records are about, the vault's own key, how many changes were made that must never be forgotten, when the records
were last found to be older than that says (0 for never), and up to which block the chain's deals are in `matches`.
"""

secrets = Table(
    "secrets",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("holder", _ADDRESS, primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("pushed_by", _ADDRESS, nullable=False),
    Column("pushed_at", BigInteger, nullable=False),
    Column("key_id", _KEY_ID, nullable=False),
    Column("box", LargeBinary, nullable=False),
    Index(None, "pushed_by"),
)
"""Secrets; the name is empty for kinds that have none."""

challenges = Table(
    "challenges",
    metadata,
    Column("task_id", _HASH, primary_key=True),
    Column("challenge", _ADDRESS, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("key_id", _KEY_ID, nullable=False),
    Column("box", LargeBinary, nullable=False),
    Index(None, "expires_at"),
)
"""The challenge of each enclave task, and its key."""

former = Table(
    "former",
    metadata,
    Column("mark", String(64), primary_key=True),
)
"""Marks of values that were replaced or deleted: signatures without nonce cannot bring these back."""

nonces = Table(
    "nonces",
    metadata,
    Column("signer", _ADDRESS, primary_key=True),
    Column("nonce", _HASH, primary_key=True),
    Column("until", BigInteger, nullable=False),
    Index(None, "until"),
)
"""Nonces of consents that were used and would still count."""

releases = Table(
    "releases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("owner", _ADDRESS, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("holder", _ADDRESS, nullable=False),
    Column("name", String(128), nullable=False),
    Column("task_id", _HASH, nullable=False),
    Column("deal_id", _HASH, nullable=False),
    Column("app", _ADDRESS, nullable=False),
    Column("workerpool", _ADDRESS, nullable=False),
    Column("requester", _ADDRESS, nullable=False),
    Column("worker", _ADDRESS, nullable=False),
    Column("evidence", Text, nullable=False),
    Index(None, "owner", "id"),
)
"""Uses of secrets: which went to the enclave of which task, and whose it was."""

orders = Table(
    "orders",
    metadata,
    Column("order_hash", _HASH, primary_key=True),
    Column("dataset", _ADDRESS, nullable=False),
    Column("order", Text, nullable=False),
    Column("terms", Text, nullable=False),
    Column("pushed_by", _ADDRESS, nullable=False),
    Column("pushed_at", BigInteger, nullable=False),
    Column("from_block", BigInteger, nullable=False),
    Column("revoked_at", BigInteger, nullable=False),
    Index(None, "dataset", "pushed_at"),
)
"""Dataset orders with their terms of use, JSON; `revoked_at` is 0 while they count."""

matches = Table(
    "matches",
    metadata,
    Column("deal_id", _HASH, primary_key=True),
    Column("order_hash", _HASH, nullable=False),
    Column("dataset", _ADDRESS, nullable=False),
    Column("requester", _ADDRESS, nullable=False),
    Column("volume", BigInteger, nullable=False),
    Column("block", BigInteger, nullable=False),
    Column("place", BigInteger, nullable=False),
    Index(None, "order_hash", "block", "place"),
    Index(None, "dataset", "requester"),
)
"""Deals of these orders, as the chain tells them."""

served = Table(
    "served",
    metadata,
    Column("task_id", _HASH, primary_key=True),
    Column("worker", _ADDRESS, nullable=False),
    Column("session_key", _HASH, nullable=False),
)
"""Tasks that got the key of data with terms: once, to one enclave."""

uses = Table(
    "uses",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("task_id", _HASH, nullable=False),
    Column("dataset", _ADDRESS, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("use", Text, nullable=False),
    Index(None, "task_id", "dataset", unique=True),
    Index(None, "dataset", "id"),
)
"""The owners' ledger: each use of data with terms, JSON."""

refusals = Table(
    "refusals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("task_id", _HASH, nullable=False),
    Column("dataset", _ADDRESS, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("refusal", Text, nullable=False),
    Index(None, "task_id", "dataset", unique=True),
    Index(None, "dataset", "id"),
)
"""Uses that terms refused, the first of each task, JSON."""

evidence = Table(
    "evidence",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("task_id", _HASH, nullable=False),
    Column("session_key", _HASH, nullable=False),
    Column("session", Text, nullable=False),
    Index(None, "task_id", "session_key", unique=True),
)
"""What each enclave showed that got the secrets of a task, JSON."""

released = Table(
    "released",
    metadata,
    Column("task_id", _HASH, primary_key=True),
    Column("released_by", _ADDRESS, nullable=False),
    Column("released_at", BigInteger, nullable=False),
)
"""Results that waited for a release and got it."""
