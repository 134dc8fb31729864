"""An index's database: how it is opened, and the row that says which hub its records are about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voisin.errors import InputError
from voisin.index.schema import follower
from voisin.protocol.eip712 import Domain
from voisin.service.databases import Records

RECORDS = Records("index", Path(__file__).parent / "migrations", is_replayable=True)

_ONLY = 1


@asynccontextmanager
async def open_database(database_url: str, domain: Domain, start_block: int) -> AsyncIterator[AsyncEngine]:
    """
    Open an index's database, making its tables or bringing them up to date.

    Args:
        database_url: For example `sqlite:///index.sqlite` or `postgresql://user@host/index`.
        domain: The hub that the records are about.
        start_block: Where the hub's history starts, for a database that is still empty.

    Raises:
        InputError: The address is malformed, or the records are about another hub or begin at another block.
        UnavailableError: The database does not answer.
    """
    about = {"chain_id": domain.chain_id, "hub": domain.hub, "start_block": start_block}

    async def claim(connection: AsyncConnection) -> None:
        row = (await connection.execute(select(follower))).one_or_none()
        if row is None:
            await connection.execute(insert(follower).values({"id": _ONLY, "next_block": start_block, **about}))
        elif (row.chain_id, row.hub, row.start_block) != tuple(about.values()):
            raise InputError(
                f"the database is about hub {row.hub} on chain {row.chain_id} from block {row.start_block} on, not about {domain.hub} on"
                f" chain {domain.chain_id} from block {start_block} on",
                hint="give each hub its own database, and a new one when the history starts elsewhere",
            )

    async with RECORDS.open(database_url, claim) as engine:
        yield engine
