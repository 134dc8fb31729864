"""
Opening a market's database: SQLite in WAL mode or PostgreSQL, with its tables brought up to date.

Writing transactions run one after another: on SQLite because each begins by taking the write lock, on PostgreSQL because
each begins by locking the one row of `follower`. Reading goes on beside them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, event, insert, make_url, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from voisin.errors import InputError, UnavailableError
from voisin.market.schema import follower
from voisin.protocol.eip712 import Domain

LOCK_WAIT_S = 30
"""How long a transaction on SQLite waits for another one's lock [s]."""

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
_EXAMPLES = "write sqlite:///market.sqlite or postgresql://user@host/name"
_WRITES = "voisin_writes"
_FOLLOWER = 1


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
    engine = _engine(database_url)
    try:
        with anyio.CancelScope(shield=True), answering():
            async with writing(engine) as connection:
                await connection.run_sync(upgrade_tables)
                await _claim(connection, domain, start_block)
        yield engine
    finally:
        with anyio.CancelScope(shield=True):
            await engine.dispose()


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Begin a writing transaction; it waits for the one before it."""
    async with engine.connect() as connection:
        await connection.execution_options(**{_WRITES: True})
        async with connection.begin():
            yield connection


@contextmanager
def answering() -> Iterator[None]:
    """
    Turn a database's failures into ours.

    Raises:
        UnavailableError: The database failed.
    """
    try:
        yield
    except (IntegrityError, ProgrammingError, DataError):
        raise  # our own fault, not the database's
    except DBAPIError as error:
        raise UnavailableError(f"the market's database failed: {error.orig}", hint="see whether it runs and has space") from error
    except PoolTimeoutError:
        raise UnavailableError("the market's database is too busy", hint="try again") from None


def upgrade_tables(connection: Connection) -> None:
    """Bring the tables up to date, inside the connection's transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def _claim(connection: AsyncConnection, domain: Domain, start_block: int) -> None:
    """Write down whom the records are about, or see that they are about the same."""
    row = (await connection.execute(select(follower))).one_or_none()
    if row is None:
        first = {"id": _FOLLOWER, "chain_id": domain.chain_id, "hub": domain.hub, "next_block": start_block}
        await connection.execute(insert(follower).values(first))
    elif (row.chain_id, row.hub) != (domain.chain_id, domain.hub):
        raise InputError(
            f"the database is about hub {row.hub} on chain {row.chain_id}, not {domain.hub} on chain {domain.chain_id}",
            hint="give each hub its own database",
        )


def _engine(database_url: str) -> AsyncEngine:
    url = _url(database_url)
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    try:
        return create_async_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise InputError(
            f"the database needs the package {error.name}", hint=f"install {error.name}, or use sqlite:///market.sqlite"
        ) from None


def _sqlite_engine(url: URL) -> AsyncEngine:
    if url.database is None or url.database in ("", ":memory:"):
        raise InputError("a market's records need a file", hint=_EXAMPLES)
    folder = Path(url.database).parent
    if not folder.is_dir():
        raise InputError(f"the folder {folder} of the market's database does not exist", hint="make it, or name another file")
    engine = create_async_engine(url, connect_args={"timeout": LOCK_WAIT_S})

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # SQLAlchemy begins transactions, not the driver
        try:
            for pragma in ("journal_mode=WAL", "foreign_keys=ON"):
                cursor = connection.cursor()
                cursor.execute(f"PRAGMA {pragma}")
                cursor.close()
        except BaseException:
            connection.close()  # the pool does not know it yet
            raise

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _url(database_url: str) -> URL:
    try:
        url = make_url(database_url)
    except ArgumentError as error:
        raise InputError(f"the database address cannot be used: {error}", hint=_EXAMPLES) from None
    driver = _DRIVERS.get(url.get_backend_name())
    if driver is None:
        raise InputError(f"databases of the kind {url.get_backend_name()!r} are not supported", hint=_EXAMPLES)
    return url.set(drivername=driver)
