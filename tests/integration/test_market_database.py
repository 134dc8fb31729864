"""A market's database: migrations that make what the code expects, and databases that must not be used."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import anyio
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from tests.support.order_book import somewhere
from voisin.errors import InputError, UnavailableError
from voisin.market.database import open_database
from voisin.market.schema import metadata
from voisin.market.store import open_store
from voisin.market.twin import TWIN_DOMAIN
from voisin.protocol.eip712 import Domain

pytestmark = pytest.mark.anyio


async def test_migrations_make_the_tables_that_the_code_uses(database_url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))

    async with open_database(database_url, TWIN_DOMAIN, 7) as engine, engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_opening_again_changes_nothing(database_url: str) -> None:
    for start_block in (7, 99):  # the start counts for an empty database only
        async with open_store(database_url, TWIN_DOMAIN, start_block) as store:
            assert (await store.position()).next_block == 7


async def test_many_open_an_empty_database_at_once(database_url: str) -> None:
    async def open_it() -> None:
        async with open_store(database_url, TWIN_DOMAIN, 7) as store:
            assert (await store.position()).next_block == 7

    async with anyio.create_task_group() as crowd:
        for _ in range(5):
            crowd.start_soon(open_it)


async def test_file_is_in_wal_mode_and_left_clean(tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite"
    async with open_store(f"sqlite:///{path}", TWIN_DOMAIN, 0):
        pass
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0008",)]
    connection.close()


@pytest.mark.parametrize("domain", [Domain(chain_id=1, hub=TWIN_DOMAIN.hub), Domain(chain_id=TWIN_DOMAIN.chain_id, hub=somewhere(0xBB))])
async def test_database_of_another_hub(database_url: str, domain: Domain) -> None:
    async with open_store(database_url, TWIN_DOMAIN, 0):
        pass
    with pytest.raises(InputError, match="give each hub its own database"):
        async with open_store(database_url, domain, 0):
            pass


@pytest.mark.parametrize("url", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "oracle:///x", "mysql+nothing://x"])
async def test_addresses_that_are_no_database(url: str) -> None:
    with pytest.raises(InputError):
        async with open_store(url, TWIN_DOMAIN, 0):
            pass


async def test_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere of the market's database does not exist"):
        async with open_store(f"sqlite:///{tmp_path / 'nowhere' / 'book.sqlite'}", TWIN_DOMAIN, 0):
            pass


async def test_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite"
    path.write_bytes(b"this is a letter, not a database" * 100)
    with pytest.raises(UnavailableError, match="not a database"):
        async with open_store(f"sqlite:///{path}", TWIN_DOMAIN, 0):
            pass


async def test_database_locked_by_somebody_else_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite"
    async with open_store(f"sqlite:///{path}", TWIN_DOMAIN, 3) as store:
        stranger = sqlite3.connect(path, isolation_level=None)
        try:
            stranger.execute("BEGIN IMMEDIATE")
            assert (await store.position()).next_block == 3
        finally:
            stranger.close()
