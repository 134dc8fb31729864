"""A pool's database: how it is opened, and the row that says which workerpool its records are about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voisin.errors import InputError
from voisin.pool.database.schema import position
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address
from voisin.service.databases import Records

RECORDS = Records("pool", Path(__file__).parent / "migrations")
"""What workers of bags were promised stands nowhere else, so SQLite syncs its file at every commit."""

_ONLY = 1


@asynccontextmanager
async def open_database(database_url: str, domain: Domain, workerpool: Address, start_block: int) -> AsyncIterator[AsyncEngine]:
    """
    Open a pool's database, making its tables or bringing them up to date.

    Args:
        database_url: For example `sqlite:///pool.sqlite` or `postgresql://user@host/pool`.
        domain: The hub that the records are about.
        workerpool: The workerpool that the records are about.
        start_block: Where the hub's history starts, for a database that is still empty.

    Raises:
        InputError: The address is malformed, or the records are about another pool or hub.
        UnavailableError: The database does not answer.
    """
    owner = {"chain_id": domain.chain_id, "hub": domain.hub, "workerpool": workerpool}

    async def claim(connection: AsyncConnection) -> None:
        row = (await connection.execute(select(position))).one_or_none()
        if row is None:
            await connection.execute(insert(position).values({"id": _ONLY, "next_block": start_block, **owner}))
        elif (row.chain_id, row.hub, row.workerpool) != tuple(owner.values()):
            raise InputError(
                f"the database is about workerpool {row.workerpool} at hub {row.hub} on chain {row.chain_id}, not {workerpool} at"
                f" {domain.hub} on chain {domain.chain_id}",
                hint="give each pool its own database",
            )

    async with RECORDS.open(database_url, claim) as engine:
        yield engine


@asynccontextmanager
async def open_existing(database_url: str) -> AsyncIterator[AsyncEngine]:
    """
    Open the database of a pool that is there already, whichever it is.

    Args:
        database_url: As for `open_database`.

    Raises:
        InputError: The address is malformed, or the database holds no pool.
        UnavailableError: The database does not answer.
    """

    async def require(connection: AsyncConnection) -> None:
        """See that there is a pool."""
        if (await connection.execute(select(position.c.id))).first() is None:
            raise InputError("there is no pool in this database", hint="name the database of a pool that has run")

    async with RECORDS.open(database_url, require) as engine:
        yield engine
