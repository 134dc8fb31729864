"""A pool puts itself into the directory of an index, on a real chain: at once, again when the index was away, and under its own name."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest

from tests.support.chain_rig import Rig, open_rig
from tests.support.patience import a_moment
from voisin.errors import TrustError
from voisin.index import IndexSettings, open_index
from voisin.pool import PoolSettings, announced
from voisin.pool.selling.announcing import Announcer
from voisin.protocol.compass import PoolStatement
from voisin.protocol.ids import Address
from voisin.service.serving import bind, serve_app
from voisin.units import UnixSeconds

pytestmark = pytest.mark.anyio

DEADLINE_S = 120
POOL_URL = "http://127.0.0.1:13000"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A chain with a market."""
    async with open_rig() as opened:
        yield opened


def settings(rig: Rig, folder: Path, port: int = 0) -> IndexSettings:
    """An index of the rig's hub."""
    database = f"sqlite:///{folder / 'index.sqlite'}"
    return IndexSettings(hub=rig.chain.hub_address, rpc_url=rig.node.rpc_url, database_url=database, port=port)


async def where(http: httpx.AsyncClient, index_url: str, workerpool: Address, *, is_not: str = "") -> str:
    """Ask the directory until it knows a pool, elsewhere than before."""
    with anyio.fail_after(DEADLINE_S):
        while True:
            try:
                answer = await http.get(f"{index_url}/31337/workerpools/{workerpool}")
            except httpx.HTTPError:
                continue
            if answer.status_code == 200 and answer.json()["apiUrl"] != is_not:
                return str(answer.json()["apiUrl"])
            await a_moment()


async def test_a_pool_is_found_where_it_announces_itself(rig: Rig, tmp_path: Path) -> None:
    """First where it is served, then where its owner says that others reach it; the whole statement is given out too."""
    entry = await rig.create_pool()
    async with (
        open_index(settings(rig, tmp_path)) as index,
        serve_app(index.app) as index_url,
        httpx.AsyncClient() as http,
    ):
        pool = PoolSettings(hub=rig.chain.hub_address, workerpool=entry, index_url=index_url)
        async with announced(pool, rig.chain.domain, rig.scheduler, POOL_URL, wall=time.time):
            assert await where(http, index_url, entry) == POOL_URL
        public = pool.model_copy(update={"public_url": "https://pool.example"})
        async with announced(public, rig.chain.domain, rig.scheduler, POOL_URL, wall=time.time):
            assert await where(http, index_url, entry, is_not=POOL_URL) == "https://pool.example"
        shown = msgspec.json.decode((await http.get(f"{index_url}/v1/workerpools/{entry}")).content, type=PoolStatement)
        assert (shown.workerpool, shown.chain_id, shown.hub) == (entry, 31337, rig.chain.hub_address)
        assert shown.expires_at - shown.issued_at == 6 * 600


async def test_an_index_that_comes_late_is_found(rig: Rig, tmp_path: Path) -> None:
    """The pool starts first; the index lists it soon after it has come."""
    entry = await rig.create_pool()
    with bind("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    pool = PoolSettings(hub=rig.chain.hub_address, workerpool=entry, index_url=f"http://127.0.0.1:{port}")
    async with announced(pool, rig.chain.domain, rig.scheduler, POOL_URL, wall=time.time), httpx.AsyncClient() as http:
        async with open_index(settings(rig, tmp_path)) as index, serve_app(index.app, port=port) as index_url:
            assert await where(http, index_url, entry) == POOL_URL
        async with open_index(settings(rig, tmp_path)) as index, serve_app(index.app, port=port) as index_url:
            assert await where(http, index_url, entry) == POOL_URL, "listings outlive a restart"


async def test_only_the_owner_on_the_chain_is_believed(rig: Rig, tmp_path: Path) -> None:
    """A stranger's announcement is refused with the index's own words."""
    entry = await rig.create_pool()
    async with open_index(settings(rig, tmp_path)) as index, serve_app(index.app) as index_url, httpx.AsyncClient() as http:
        pool = PoolSettings(hub=rig.chain.hub_address, workerpool=entry, index_url=index_url)
        announcer = Announcer(pool, rig.chain.domain, rig.stranger, http)
        with pytest.raises(TrustError, match=f"not signed by {rig.scheduler.address}"):
            await announcer.announce(POOL_URL, UnixSeconds(int(time.time())))
        assert (await http.get(f"{index_url}/31337/workerpools/{entry}")).status_code == 404


async def test_a_pool_without_directory_announces_nothing(rig: Rig) -> None:
    """Without an index the pool just runs."""
    async with announced(PoolSettings(), rig.chain.domain, rig.scheduler, POOL_URL, wall=time.time):
        pass
