"""
Opening a service's database: SQLite in WAL mode or PostgreSQL, with its tables brought up to date.

Writing transactions run one after another where that matters: on SQLite because each begins by taking the write lock, on
PostgreSQL because the service locks a row of its own first. Reading goes on beside them. Several processes may open the same
database at once: one makes the tables, the others wait for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, Dialect, Insert, event, func, make_url, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from voisin.errors import InputError, UnavailableError

LOCK_WAIT_S = 30
"""How long a transaction on SQLite waits for another one's lock [s]."""

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
_WRITES = "voisin_writes"
_upgrading = anyio.Lock()
"""Alembic keeps what it works on in variables of its modules: two upgrades in one process would mix them up."""

Claim = Callable[[AsyncConnection], Awaitable[None]]
"""Writes down whom the records are about, or sees that they are about the same; raises `InputError` otherwise."""


@dataclass(frozen=True, slots=True)
class Records:
    """
    What a service keeps in its database.

    Attributes:
        service: Whose records they are, as messages call it: `market`.
        migrations: The folder of the Alembic scripts that make the tables.
        is_replayable: Whether the chain gives back what a power cut takes; SQLite then syncs its file less often.
    """

    service: str
    migrations: Path
    is_replayable: bool = False

    @asynccontextmanager
    async def open(self, database_url: str, claim: Claim) -> AsyncIterator[AsyncEngine]:
        """
        Open a database, making its tables or bringing them up to date.

        Args:
            database_url: For example `sqlite:///market.sqlite` or `postgresql://user@host/market`.
            claim: Run in the transaction that brings the tables up to date.

        Raises:
            InputError: The address is malformed, or `claim` refuses the database.
            UnavailableError: The database does not answer.
        """
        engine = self._engine(database_url)
        try:
            with anyio.CancelScope(shield=True), self.answering():
                async with _upgrading, writing(engine) as connection:
                    if engine.dialect.name == "postgresql":
                        await connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"voisin {self.service}"))))
                    await connection.run_sync(self.upgrade_tables)
                    await claim(connection)
            yield engine
        finally:
            with anyio.CancelScope(shield=True):
                await engine.dispose()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """
        Turn a database's failures into ours; what is our own fault, such as a broken constraint, stays what it is.

        Raises:
            UnavailableError: The database failed.
        """
        try:
            yield
        except (IntegrityError, ProgrammingError, DataError):
            raise
        except DBAPIError as error:
            hint = "see whether it runs and has space"
            raise UnavailableError(f"the {self.service}'s database failed: {error.orig}", hint=hint) from error
        except PoolTimeoutError:
            raise UnavailableError(f"the {self.service}'s database is too busy", hint="try again") from None

    def upgrade_tables(self, connection: Connection) -> None:
        """Bring the tables up to date, inside the connection's transaction."""
        config = Config()
        config.set_main_option("script_location", str(self.migrations))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    def _engine(self, database_url: str) -> AsyncEngine:
        url = self._url(database_url)
        if url.get_backend_name() == "sqlite":
            return self._sqlite_engine(url)
        try:
            engine = create_async_engine(url, pool_pre_ping=True)
        except ModuleNotFoundError as error:
            hint = f"install voisin[postgres], or use sqlite:///{self.service}.sqlite"
            raise InputError(f"the database needs the package {error.name}", hint=hint) from None
        event.listen(engine.sync_engine, "do_connect", self._connect)
        return engine

    def _connect(self, dialect: Dialect, _record: object, arguments: tuple[str, ...], named: dict[str, object]) -> DBAPIConnection:
        """Connect to PostgreSQL; that nobody is there is not yet an error of the database's kind."""
        try:
            return dialect.connect(*arguments, **named)
        except OSError as error:
            hint = "see whether it runs, and whether its address is right"
            raise UnavailableError(f"the {self.service}'s database does not answer: {error}", hint=hint) from error
        except TypeError as error:
            raise InputError(f"the database address cannot be used: {error}", hint=self._examples()) from None

    def _sqlite_engine(self, url: URL) -> AsyncEngine:
        if url.database is None or url.database in ("", ":memory:"):
            raise InputError(f"a {self.service}'s records need a file", hint=self._examples())
        folder = Path(url.database).parent
        if not folder.is_dir():
            hint = "make it, or name another file"
            raise InputError(f"the folder {folder} of the {self.service}'s database does not exist", hint=hint)
        engine = create_async_engine(url, connect_args={"timeout": LOCK_WAIT_S})
        _prepare_sqlite(engine, ["journal_mode=WAL", f"synchronous={'NORMAL' if self.is_replayable else 'FULL'}", "foreign_keys=ON"])
        return engine

    def _url(self, database_url: str) -> URL:
        try:
            url = make_url(database_url)
        except ArgumentError as error:
            raise InputError(f"the database address cannot be used: {error}", hint=self._examples()) from None
        driver = _DRIVERS.get(url.get_backend_name())
        if driver is None:
            raise InputError(f"databases of the kind {url.get_backend_name()!r} are not supported", hint=self._examples())
        return url.set(drivername=driver)

    def _examples(self) -> str:
        return f"write sqlite:///{self.service}.sqlite or postgresql://user@host/name"


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Begin a writing transaction; on SQLite it waits for the one before it."""
    async with engine.connect() as connection:
        await connection.execution_options(**{_WRITES: True})
        async with connection.begin():
            yield connection


class Spelled:
    """
    A statement for many rows, spelled once: what is done for each value of a statement otherwise costs more than writing it.

    Args:
        engine: The database.
        statement: An `insert` of whole rows, whose columns take what the driver takes.
    """

    def __init__(self, engine: AsyncEngine, statement: Insert) -> None:
        compiled = statement.compile(dialect=engine.sync_engine.dialect)
        self._text = str(compiled)
        self._names = tuple(compiled.positiontup or ())

    async def write(self, connection: AsyncConnection, rows: Iterable[Mapping[str, object]]) -> None:
        """Write rows; each has a value for every column."""
        await connection.exec_driver_sql(self._text, [tuple([row[name] for name in self._names]) for row in rows])


def _prepare_sqlite(engine: AsyncEngine, pragmas: list[str]) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # SQLAlchemy begins transactions, not the driver
        try:
            for pragma in pragmas:
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
