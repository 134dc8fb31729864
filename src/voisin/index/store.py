"""An index's records in a database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voisin.databases import writing
from voisin.index.compass import Listing
from voisin.index.database import RECORDS, open_database
from voisin.index.schema import follower, listings
from voisin.protocol.codec import decode, encode
from voisin.protocol.compass import PoolStatement
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address


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
    async def _read(self) -> AsyncIterator[AsyncConnection]:
        with anyio.CancelScope(shield=True), RECORDS.answering():
            async with self._engine.connect() as connection:
                yield connection

    async def listing(self, workerpool: Address) -> Listing | None:
        """Find the newest statement about a workerpool."""
        async with self._read() as connection:
            return await _find_listing(connection, workerpool)


class SqlWrite:
    """One transaction on the records."""

    def __init__(self, connection: AsyncConnection) -> None:
        """
        Args:
            connection: A connection inside a transaction.
        """
        self._connection = connection

    async def listing(self, workerpool: Address) -> Listing | None:
        """Find the newest statement about a workerpool."""
        return await _find_listing(self._connection, workerpool)

    async def keep_listing(self, listing: Listing) -> None:
        """Keep a statement in the place of the one before."""
        workerpool = listing.statement.workerpool
        row = {"workerpool": workerpool, "owner": listing.owner, "statement": encode(listing.statement).decode()}
        replaced = await self._connection.execute(update(listings).where(listings.c.workerpool == workerpool).values(row))
        if replaced.rowcount == 0:
            await self._connection.execute(insert(listings).values(row))


async def _find_listing(connection: AsyncConnection, workerpool: Address) -> Listing | None:
    row = (await connection.execute(select(listings).where(listings.c.workerpool == workerpool))).one_or_none()
    return None if row is None else Listing(decode(row.statement, PoolStatement, "a statement in the records"), Address(row.owner))
