"""A PostgreSQL database that is not there, or goes away: who asks is told so, and served again once it is back."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.support.postgres import Cluster
from voisin.errors import InputError, UnavailableError
from voisin.market.database import open_database
from voisin.market.store import open_store, store_of
from voisin.market.twin import TWIN_DOMAIN

pytestmark = pytest.mark.anyio

_CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u@127.0.0.1:1/x", "does not answer"),
        ("postgresql://u@nowhere.invalid/x", "does not answer"),
        ("postgresql://u@/x?host=/nowhere", "does not answer"),
    ],
)
async def test_nobody_is_there(url: str, said: str) -> None:
    with pytest.raises(UnavailableError, match=said):
        async with open_store(url, TWIN_DOMAIN, 0):
            pass


async def test_no_such_database(postgres: Cluster) -> None:
    with pytest.raises(UnavailableError, match='database "nothing" does not exist'):
        async with open_store(f"postgresql://voisin@/nothing?host={postgres.folder}", TWIN_DOMAIN, 0):
            pass


async def test_address_with_a_parameter_that_means_nothing(postgres_url: str) -> None:
    with pytest.raises(InputError, match="'colour'"):
        async with open_store(f"{postgres_url}&colour=green", TWIN_DOMAIN, 0):
            pass


async def test_connections_cut_while_the_market_runs(postgres_url: str) -> None:
    async with (
        open_database(postgres_url, TWIN_DOMAIN, 7) as engine,
        open_database(postgres_url, TWIN_DOMAIN, 7) as administrator,
        store_of(engine) as store,
    ):

        async def write_while_cut_off() -> None:
            async with store.write() as write:
                async with administrator.connect() as connection:
                    assert len((await connection.execute(text(_CUT))).all()) == 1
                await write.position()

        with pytest.raises(UnavailableError, match="database failed"):
            await write_while_cut_off()
        assert (await store.position()).next_block == 7
