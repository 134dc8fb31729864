"""A market's database: how it is opened, and the row that says which hub its records are about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voisin.errors import InputError
from voisin.market.schema import follower
from voisin.protocol.eip712 import Domain
from voisin.service.databases import Records

RECORDS = Records("market", Path(__file__).parent / "migrations")

_FOLLOWER = 1
_ANEW = -1
"""The next block that a migration sets when the chain is to be recorded anew from the hub's first block on."""


@asynccontextmanager
async def open_database(database_url: str, domain: Domain, start_block: int) -> AsyncIterator[AsyncEngine]:
    """
    Open a market's database, making its tables or bringing them up to date.

    Args:
        database_url: For example `sqlite:///market.sqlite` or `postgresql://user@host/market`.
        domain: The hub that the records are about.
        start_block: Where the hub's history starts, for a database that is still empty.

    Raises:
        InputError: The address is malformed, or the records are about another hub.
        UnavailableError: The database does not answer.
    """

    async def claim(connection: AsyncConnection) -> None:
        row = (await connection.execute(select(follower))).one_or_none()
        if row is None:
            first = {"id": _FOLLOWER, "chain_id": domain.chain_id, "hub": domain.hub, "next_block": start_block, "first_block": start_block}
            await connection.execute(insert(follower).values(first))
        elif (row.chain_id, row.hub) != (domain.chain_id, domain.hub):
            raise InputError(
                f"the database is about hub {row.hub} on chain {row.chain_id}, not {domain.hub} on chain {domain.chain_id}",
                hint="give each hub its own database",
            )
        elif row.next_block == _ANEW:
            await connection.execute(update(follower).values(next_block=start_block, first_block=start_block, last_hash=None))

    async with RECORDS.open(database_url, claim) as engine:
        yield engine
