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
)
"""One row: which hub the records are about, and the vault's own key."""

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
