"""
The tables of an index's database.

Each entity has a table whose rows are its versions: a row holds from block `from_block` on, and until before `to_block`; `NOW` means
that it still holds. So the index can answer as of an earlier block, and a chain that went back is followed by dropping what came
after. Text sorts by its bytes on every database.
"""

from __future__ import annotations

import json
from typing import Final

from sqlalchemy import BigInteger, Column, Dialect, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from voisin.index.dataprotector import DATAPROTECTOR
from voisin.index.entities import STORED, Entity, Kind
from voisin.index.poco import POCO
from voisin.service.columns import Uint256

NOW: Final = 2**63 - 1
"""The end of a version that still holds."""

_ADDRESS = String(42)
_HASH = String(66)


def bytewise(plain: String) -> String:
    """Give a type of text that sorts by its bytes, as SQLite does by itself."""
    return plain.with_variant(type(plain)(plain.length, collation="C"), "postgresql")


class Ids(TypeDecorator[tuple[str, ...]]):
    """Several ids in order, kept as a JSON list."""

    impl = bytewise(Text())
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:  # noqa: ARG002  (the base class calls it so)
        """Write the ids."""
        return None if value is None else write_ids(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...] | None:  # noqa: ARG002
        """Read the ids."""
        return None if value is None else tuple(json.loads(value))


def write_ids(ids: tuple[str, ...] | list[str]) -> str:
    """Write ids as their column keeps them."""
    return json.dumps(list(ids), separators=(",", ":"))


def column_type(kind: Kind) -> TypeEngine[object]:
    """Say how a kind of field is kept."""
    match kind:
        case Kind.BIGINT | Kind.RLC:
            return Uint256()  # type: ignore[return-value]  # a type engine of whole numbers is one of objects
        case Kind.INT:
            return BigInteger()  # type: ignore[return-value]
        case Kind.REFS:
            return Ids()  # type: ignore[return-value]
        case _:
            return bytewise(Text())  # type: ignore[return-value]


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

anchors = Table(
    "anchors",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", _HASH, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
)
"""Blocks at which recording paused, with hash and time: where a chain that went back may still be the same."""

bulks_wanted = Table(
    "bulks_wanted",
    metadata,
    Column("deal_id", _HASH, primary_key=True),
    Column("block", BigInteger, nullable=False),
    Column("cid", String(128), nullable=False),
    Column("first_index", Uint256, nullable=False),
    Column("size", Uint256, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("retry_at", BigInteger, nullable=False),
    Index(None, "retry_at"),
)
"""Bulks of datasets that deals name and storage has not given yet."""


def _table_of(entity: Entity) -> Table:
    stored = [field for field in entity.fields if field.kind in STORED and field.kind is not Kind.ID]
    columns: list[Column[object]] = [
        Column(field.stored_as, column_type(field.kind), nullable=field.is_optional, quote=True) for field in stored
    ]
    name = entity.table_name
    linked = [field.stored_as for field in stored if field.kind is Kind.REF]
    searched = [*linked, *(["timestamp"] if any(field.name == "timestamp" for field in stored) else [])]
    return Table(
        name,
        metadata,
        Column("id", bytewise(Text()), primary_key=True),
        Column("to_block", BigInteger, primary_key=True, autoincrement=False),
        Column("from_block", BigInteger, nullable=False),
        *columns,
        *(Index(f"ix_{name}_{column}".lower(), column) for column in searched),
    )


TABLES: dict[str, Table] = {
    entity.table_name: _table_of(entity)
    for catalog in (POCO, DATAPROTECTOR)
    for entity in catalog.entities.values()
    if not entity.table and (catalog is POCO or entity.name not in POCO.entities)
}
"""The entities' tables by name."""
