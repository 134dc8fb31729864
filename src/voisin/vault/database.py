"""A vault's database: how it is opened, and the row that says which hub its records are about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from sqlalchemy import insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voisin.errors import InputError
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import ZERO_HASH
from voisin.service.databases import Records, writing
from voisin.vault.schema import vault

RECORDS = Records("vault", Path(__file__).parent / "migrations")

ONLY = 1
"""The id of the one row of the table `vault`."""

_NOTHING = {"serial": 0, "restored_at": 0, "read_block": 0, "read_hash": ZERO_HASH}


class Transactions:
    """
    A vault's way into its database. What was written survives the process: every write is committed before it answers.

    Attributes:
        engine: The database.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        """
        Args:
            engine: A database whose tables are up to date.
        """
        self.engine = engine
        self.insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        self._turn = anyio.Lock()  # who waits for a turn should not hold one of the pool's connections

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Begin a writing transaction, kept whole or not at all."""
        async with self._turn:
            with anyio.CancelScope(shield=True), RECORDS.answering():
                async with writing(self.engine) as connection:
                    yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Begin to read."""
        with anyio.CancelScope(shield=True), RECORDS.answering():
            async with self.engine.connect() as connection:
                yield connection


@asynccontextmanager
async def open_database(database_url: str, domain: Domain) -> AsyncIterator[AsyncEngine]:
    """
    Open a vault's database, making its tables or bringing them up to date.

    Args:
        database_url: For example `sqlite:///vault.sqlite` or `postgresql://user@host/vault`.
        domain: The hub that the records are about.

    Raises:
        InputError: The address is malformed, or the records are about another hub.
        UnavailableError: The database does not answer.
    """

    async def claim(connection: AsyncConnection) -> None:
        row = (await connection.execute(select(vault))).one_or_none()
        if row is None:
            await connection.execute(insert(vault).values({"id": ONLY, "chain_id": domain.chain_id, "hub": domain.hub, **_NOTHING}))
        elif (row.chain_id, row.hub) != (domain.chain_id, domain.hub):
            raise InputError(
                f"the database is about hub {row.hub} on chain {row.chain_id}, not {domain.hub} on chain {domain.chain_id}",
                hint="give each hub its own database",
            )

    async with RECORDS.open(database_url, claim) as engine:
        yield engine
