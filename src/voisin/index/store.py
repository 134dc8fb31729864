"""An index's records in a database: how far the chain is recorded, versions of entities, and listings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import groupby

import anyio
from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voisin.index.bulks import Wanted
from voisin.index.compass import Listing
from voisin.index.database import RECORDS, open_database
from voisin.index.draft import Key, Row, Version
from voisin.index.poco import POCO
from voisin.index.schema import NOW, TABLES, anchors, bulks_wanted, follower, listings
from voisin.protocol.codec import decode, encode
from voisin.protocol.compass import PoolStatement
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address, Hash32
from voisin.service.databases import writing
from voisin.units import UnixSeconds

IDS_AT_ONCE = 5_000
"""Most ids in one question to the database; both kinds take more than 30,000 parameters."""


@dataclass(frozen=True, slots=True)
class Position:
    """
    How far the chain is recorded.

    Attributes:
        next_block: First block that is not recorded yet.
        last_hash: Hash of the block before it; None when nothing is recorded yet.
    """

    next_block: int
    last_hash: Hash32 | None = None


@dataclass(frozen=True, slots=True)
class Anchor:
    """A block at which recording paused."""

    number: int
    hash: Hash32
    timestamp: UnixSeconds


@asynccontextmanager
async def open_store(database_url: str, domain: Domain, start_block: int) -> AsyncIterator[SqlStore]:
    """
    Open the records in a database; arguments and errors are `voisin.index.database.open_database`'s.

    Yields:
        The records.
    """
    async with open_database(database_url, domain, start_block) as engine:
        yield SqlStore(engine)


class SqlStore:
    """An index's records in a database."""

    def __init__(self, engine: AsyncEngine) -> None:
        """
        Args:
            engine: A database whose tables are up to date; `open_store` makes one.
        """
        self._engine = engine
        self._turn = anyio.Lock()  # who waits for a turn should not hold one of the pool's connections

    @asynccontextmanager
    async def write(self) -> AsyncIterator[SqlWrite]:
        """Begin a transaction; it is never cancelled half-way."""
        async with self._turn:
            with anyio.CancelScope(shield=True), RECORDS.answering():
                async with writing(self._engine) as connection:
                    await connection.execute(select(follower.c.id).with_for_update())
                    yield SqlWrite(connection)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection on which everything is read as of one moment."""
        with anyio.CancelScope(shield=True), RECORDS.answering():
            async with self._engine.connect() as connection:
                if self._engine.dialect.name == "postgresql":
                    await connection.execution_options(isolation_level="REPEATABLE READ")
                yield connection

    async def position(self) -> Position:
        """Tell how far the chain is recorded."""
        async with self.read() as connection:
            return await find_position(connection)

    async def listing(self, workerpool: Address) -> Listing | None:
        """Find the newest statement about a workerpool."""
        async with self.read() as connection:
            return await _find_listing(connection, workerpool)

    async def due_bulk(self, now: UnixSeconds) -> Wanted | None:
        """Find a bulk that is due."""
        due = select(bulks_wanted).where(bulks_wanted.c.retry_at <= now).order_by(bulks_wanted.c.retry_at, bulks_wanted.c.deal_id)
        async with self.read() as connection:
            row = (await connection.execute(due.limit(1))).one_or_none()
        return None if row is None else Wanted(row.deal_id, row.block, row.cid, row.first_index, row.size, row.attempts)

    async def keep_bulk(self, wanted: Wanted, versions: list[Version]) -> None:
        """Keep what a bulk is, unless its deal is gone."""
        async with self.write() as write:
            done = await write.connection.execute(
                delete(bulks_wanted).where(bulks_wanted.c.deal_id == wanted.deal_id, bulks_wanted.c.block == wanted.block)
            )
            if done.rowcount:
                await write.keep(versions)

    async def postpone_bulk(self, wanted: Wanted, retry_at: UnixSeconds) -> None:
        """Note that a bulk was looked for in vain."""
        async with self.write() as write:
            later = update(bulks_wanted).where(bulks_wanted.c.deal_id == wanted.deal_id)
            await write.connection.execute(later.values(attempts=wanted.attempts + 1, retry_at=retry_at))


class SqlWrite:
    """One transaction on the records."""

    def __init__(self, connection: AsyncConnection) -> None:
        """
        Args:
            connection: A connection inside a transaction.
        """
        self.connection = connection

    async def position(self) -> Position:
        """Tell how far the chain is recorded."""
        return await find_position(self.connection)

    async def advance(self, position: Position, anchor: Anchor, *, keep: int) -> None:
        """
        Set how far the chain is recorded.

        Args:
            position: How far.
            anchor: Its last block.
            keep: How many blocks back anchors are kept.
        """
        await self.connection.execute(update(follower).values(next_block=position.next_block, last_hash=position.last_hash))
        await self.connection.execute(insert(anchors).values(number=anchor.number, hash=anchor.hash, timestamp=anchor.timestamp))
        await self.connection.execute(delete(anchors).where(anchors.c.number < anchor.number - keep))

    async def anchors(self) -> list[Anchor]:
        """List the blocks at which recording paused, newest first."""
        found = await self.connection.execute(select(anchors).order_by(anchors.c.number.desc()))
        return [Anchor(row.number, Hash32(row.hash), UnixSeconds(row.timestamp)) for row in found]

    async def look_up(self, keys: Iterable[Key]) -> dict[Key, Row | None]:
        """Find entities as they are now; None for those that are not there."""
        found: dict[Key, Row | None] = {}
        for kind, group in groupby(sorted(keys), key=lambda key: key.kind):
            names = [key.id for key in group]
            found.update({Key(kind, name): None for name in names})
            table = TABLES[POCO.entities[kind].table_name]
            for part in _parts(names):
                rows = await self.connection.execute(select(table).where(table.c.id.in_(part), table.c.to_block == NOW))
                for row in rows.mappings():
                    values = {str(name): value for name, value in row.items() if name not in ("id", "from_block", "to_block")}
                    found[Key(kind, row["id"])] = values
        return found

    async def keep(self, versions: Sequence[Version]) -> None:
        """Add versions of entities, in the order of their blocks; each ends the one before it."""
        for kind in sorted({version.key.kind for version in versions}):
            table = TABLES[POCO.entities[kind].table_name]
            lives: dict[str, list[Version]] = {}
            for version in versions:
                if version.key.kind == kind:
                    lives.setdefault(version.key.id, []).append(version)
            ended = [{"ended_id": name, "ended_at": life[0].block} for name, life in lives.items()]
            ending = (
                update(table).where(table.c.id == bindparam("ended_id"), table.c.to_block == NOW).values(to_block=bindparam("ended_at"))
            )
            await self.connection.execute(ending, ended)
            rows = [
                {"id": name, "from_block": version.block, "to_block": following.block if following else NOW, **version.row}
                for name, life in lives.items()
                for version, following in zip(life, [*life[1:], None], strict=True)
            ]
            await self.connection.execute(insert(table), rows)

    async def want_bulks(self, wanted: Iterable[Wanted]) -> None:
        """Note bulks that are to be looked up."""
        for bulk in wanted:
            row = {"deal_id": bulk.deal_id, "block": bulk.block, "cid": bulk.cid, "first_index": bulk.first, "size": bulk.size}
            await self.connection.execute(insert(bulks_wanted).values(**row, attempts=0, retry_at=0))

    async def go_back(self, position: Position) -> None:
        """Forget everything that is of `position.next_block` or later."""
        for table in TABLES.values():
            await self.connection.execute(delete(table).where(table.c.from_block >= position.next_block))
            reopened = update(table).where(table.c.to_block != NOW, table.c.to_block >= position.next_block).values(to_block=NOW)
            await self.connection.execute(reopened)
        await self.connection.execute(delete(bulks_wanted).where(bulks_wanted.c.block >= position.next_block))
        await self.connection.execute(delete(anchors).where(anchors.c.number >= position.next_block))
        await self.connection.execute(update(follower).values(next_block=position.next_block, last_hash=position.last_hash))

    async def start_block(self) -> int:
        """Tell where the records begin."""
        return int((await self.connection.execute(select(follower.c.start_block))).scalar_one())

    async def listing(self, workerpool: Address) -> Listing | None:
        """Find the newest statement about a workerpool."""
        return await _find_listing(self.connection, workerpool)

    async def keep_listing(self, listing: Listing) -> None:
        """Keep a statement in the place of the one before."""
        workerpool = listing.statement.workerpool
        row = {"workerpool": workerpool, "owner": listing.owner, "statement": encode(listing.statement).decode()}
        replaced = await self.connection.execute(update(listings).where(listings.c.workerpool == workerpool).values(row))
        if replaced.rowcount == 0:
            await self.connection.execute(insert(listings).values(row))


async def find_position(connection: AsyncConnection) -> Position:
    """Tell how far the chain is recorded."""
    row = (await connection.execute(select(follower))).one()
    return Position(row.next_block, row.last_hash)


async def count_entities(connection: AsyncConnection) -> Mapping[str, int]:
    """Count the present entities of each kind."""
    counted = {}
    for entity in POCO.entities.values():
        table = TABLES[entity.table_name]
        counting = select(func.count()).select_from(table).where(table.c.to_block == NOW)
        counted[entity.name] = (await connection.execute(counting)).scalar_one()
    return counted


async def _find_listing(connection: AsyncConnection, workerpool: Address) -> Listing | None:
    row = (await connection.execute(select(listings).where(listings.c.workerpool == workerpool))).one_or_none()
    return None if row is None else Listing(decode(row.statement, PoolStatement, "a statement in the records"), Address(row.owner))


def _parts(names: list[str]) -> Iterable[list[str]]:
    return (names[first : first + IDS_AT_ONCE] for first in range(0, len(names), IDS_AT_ONCE))
