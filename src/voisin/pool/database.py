"""Opening a pool's database: SQLite in WAL mode or PostgreSQL, with its tables brought up to date."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, event, insert, make_url, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from voisin.errors import InputError, UnavailableError
from voisin.pool.schema import position
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address

LOCK_WAIT_S = 30
"""How long a transaction on SQLite waits for another one's lock [s]."""

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
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
    engine = _engine(database_url)
    try:
        with anyio.CancelScope(shield=True), answering():
            async with engine.begin() as connection:
                await connection.run_sync(upgrade_tables)
                await _claim(connection, domain, workerpool, start_block)
        yield engine
    finally:
        with anyio.CancelScope(shield=True):
            await engine.dispose()


@contextmanager
def answering() -> Iterator[None]:
    """
    Turn a database's failures into ours.

    Raises:
        UnavailableError: The database failed.
    """
    try:
        yield
    except DBAPIError as error:
        raise UnavailableError(f"the pool's database failed: {error.orig}", hint="see whether it runs and has space") from error


def upgrade_tables(connection: Connection) -> None:
    """Bring the tables up to date, inside the connection's transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def _claim(connection: AsyncConnection, domain: Domain, workerpool: Address, start_block: int) -> None:
    """Write down whom the records are about, or see that they are about the same."""
    wanted = (domain.chain_id, domain.hub, workerpool)
    row = (await connection.execute(select(position))).one_or_none()
    if row is None:
        owner = {"chain_id": domain.chain_id, "hub": domain.hub, "workerpool": workerpool}
        await connection.execute(insert(position).values({"id": _ONLY, "next_block": start_block, **owner}))
    elif (row.chain_id, row.hub, row.workerpool) != wanted:
        raise InputError(
            f"the database is about workerpool {row.workerpool} at hub {row.hub} on chain {row.chain_id}, not {workerpool} at {domain.hub}"
            f" on chain {domain.chain_id}",
            hint="give each pool its own database",
        )


def _engine(database_url: str) -> AsyncEngine:
    url = _url(database_url)
    if url.get_backend_name() != "sqlite":
        return _server_engine(url)
    if url.database in (None, "", ":memory:"):
        raise InputError("a pool's records need a file", hint="name one, for example sqlite:///pool.sqlite")
    engine = create_async_engine(url, connect_args={"timeout": LOCK_WAIT_S})

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # SQLAlchemy begins transactions, not the driver
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")  # a power cut may take the last moments, which the chain gives back
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _server_engine(url: URL) -> AsyncEngine:
    try:
        return create_async_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise InputError(f"the database's driver is not installed: {error}", hint=f"install {error.name}") from None


def _url(database_url: str) -> URL:
    hint = "write sqlite:///pool.sqlite or postgresql://user@host/name"
    try:
        url = make_url(database_url)
    except ArgumentError as error:
        raise InputError(f"the database address cannot be used: {error}", hint=hint) from None
    if url.get_backend_name() not in _DRIVERS:
        raise InputError(f"a {url.get_backend_name()} database cannot be used", hint=hint)
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
