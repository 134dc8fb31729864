"""The tables of an index's database."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text

_ADDRESS = String(42)
_HASH = String(66)

metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"})

follower = Table(
    "follower",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("hub", _ADDRESS, nullable=False),
    Column("start_block", BigInteger, nullable=False),
    Column("next_block", BigInteger, nullable=False),
    Column("last_hash", _HASH),
)
"""One row: which hub the records are about, where they begin, the first block that is not in them yet, the hash of the one before."""

listings = Table(
    "listings",
    metadata,
    Column("workerpool", _ADDRESS, primary_key=True),
    Column("owner", _ADDRESS, nullable=False),
    Column("statement", Text, nullable=False),
)
"""The newest statement of each workerpool's owner, as JSON. Not from the chain: what is rebuilt from there leaves it alone."""
