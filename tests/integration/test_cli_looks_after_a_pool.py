"""`voisin pool status | drain | resume | rebuild` against a pool that runs, and one that does not."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tests.support.pool_rig import POLL_S, PoolRig, join, open_pool_rig
from tests.support.pool_worker import DEADLINE_S
from voisin.chain import bags
from voisin.chain.bags import BagStatus
from voisin.chain.keystore import create_keystore
from voisin.client.network import Network, save_network
from voisin.protocol.events import TaskFinalized
from voisin.protocol.ids import DealId

pytestmark = pytest.mark.anyio


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[PoolRig]:
    async with open_pool_rig(tmp_path) as rig:
        await rig.refresh(tmp_path)
        yield rig


async def said(folder: Path, *words: str, code: int = 0) -> str:
    """What a command prints, or complains of."""
    done = await anyio.run_process([sys.executable, "-m", "voisin", *words, "--home", str(folder)], check=False)
    assert done.returncode == code, done.stderr.decode()
    return (done.stdout if code == 0 else done.stderr).decode()


async def test_a_pool_is_watched_and_drained(rig: PoolRig, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/pool.sqlite"
    async with rig.pool() as running, anyio.create_task_group() as tasks:
        join(tasks, running, rig.worker(0))
        (task,) = await rig.deal()
        await rig.seen(TaskFinalized, task)
        await running.ended(task)
        (shown,) = json.loads(await said(tmp_path, "pool", "status", running.url, "--json"))
        assert (shown["scheduler"], shown["is_live"], shown["workers_online"], shown["is_draining"]) == ("main", True, 1, False)
        assert "1 worker online" in await said(tmp_path, "pool", "status", running.url)
        drained = json.loads(await said(tmp_path, "pool", "drain", "--database", database, "--json"))
        assert drained == {"open_deals": 0, "is_drained": True}
        (shown,) = json.loads(await said(tmp_path, "pool", "status", running.url, "--json"))
        assert (shown["is_draining"], shown["is_drained"]) == (True, True)
        await said(tmp_path, "pool", "resume", "--database", database)
        figures = (await running.http.get("/metrics")).text
        assert 'voisin_pool_state{state="holds a lease"} 1.0' in figures
        assert "voisin_pool_fees_wei" in figures
        assert (await running.http.get("/v1/health/ready")).json() == {"is_ready": True}
        tasks.cancel_scope.cancel()


async def test_a_database_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "there is no database" in await said(tmp_path, "pool", "drain", "--database", f"sqlite:///{tmp_path}/none.db", code=1)


async def settled(rig: PoolRig, deal: DealId) -> None:
    """Wait until a bag is settled."""
    with anyio.fail_after(DEADLINE_S):
        while True:
            if (await bags.view_bag(rig.rig.chain.rpc, rig.rig.chain.hub_address, deal)).status is BagStatus.SETTLED:
                return
            await anyio.sleep(POLL_S)


async def test_records_are_rebuilt_from_chain_and_storage(rig: PoolRig, tmp_path: Path) -> None:
    async with rig.pool() as running, anyio.create_task_group() as tasks:
        join(tasks, running, rig.worker(0))
        (task,) = await rig.deal()
        await rig.seen(TaskFinalized, task)
        tasks.cancel_scope.cancel()
    async with rig.pool() as running, anyio.create_task_group() as tasks:
        join(tasks, running, rig.bag_worker(1))
        await settled(rig, await rig.bag(3))
        tasks.cancel_scope.cancel()
    chain = rig.rig.chain
    create_keystore(tmp_path / "wallets" / "scheduler.json", "a word", key=rig.rig.scheduler.expose_key(), strength="light")
    (tmp_path / "password").write_text("a word\n")
    network = Network(
        chain_id=chain.domain.chain_id,
        rpc_url=rig.rig.node.rpc_url,
        hub=chain.hub_address,
        market_url="",
        storage_url=rig.storage_url,
        first_block=rig.rig.deployment.block,
    )
    save_network(tmp_path, network)
    which = ("--wallet", "scheduler", "--password-file", f"{tmp_path}/password", "--description", f"pool {rig.named}")
    words = ("pool", "rebuild", f"sqlite:///{tmp_path}/again.sqlite", *which, "--json")
    made = json.loads(await said(tmp_path, *words))
    assert (made["deals"], made["bags"], made["without_leaves"], made["tasks"]) == (2, {"settled": 1}, [], {"completed": 1})
    assert "it has read the chain before" in await said(tmp_path, *words, code=1), "records that are there are not written over"
