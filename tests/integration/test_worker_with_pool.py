"""Real workers and the real pool: deals are done, liars and the mute pay, and the pool's own restart costs nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup

from tests.support.chain_rig import POOL_PRICE
from tests.support.patience import a_moment
from tests.support.rogue_worker import MODES
from tests.support.worker_rig import WorkerRig, open_worker_rig, tasks_of
from voisin.chain import follow
from voisin.pool import PoolSettings, open_pool
from voisin.protocol.archive import ResultArchive, open_archive
from voisin.protocol.cid import Cid
from voisin.protocol.events import TaskFinalized
from voisin.protocol.ids import TaskId
from voisin.protocol.params import Bag, BagEntry, encode_bag
from voisin.protocol.records import ContributionStatus
from voisin.protocol.results import decode_link
from voisin.protocol.signatures import KeySigner
from voisin.service.serving import serve_app
from voisin.worker import open_worker

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
DEADLINE_S = 120
STAKE = POOL_PRICE * 30 // 100


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for all tests of this file, which share a chain."""
    return "asyncio"


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WorkerRig]:
    async with open_worker_rig(tmp_path_factory.mktemp("world")) as rig:
        yield rig


@asynccontextmanager
async def pooling(world: WorkerRig, folder: Path, *, port: int = 0, **changes: Any) -> AsyncIterator[str]:
    """Run the real pool; answers its address."""
    told: dict[str, Any] = {
        "database_url": f"sqlite:///{folder}/pool.sqlite",
        "rpc_url": world.rig.node.rpc_url,
        "hub": world.rig.chain.hub_address,
        "start_block": world.rig.deployment.block,
        "workerpool": world.workerpool,
        "storage_url": world.storage_url,
        "price": POOL_PRICE,
        "tick_s": 0.05,
        "step_pause_s": 0.05,
        "confirm_s": 0.5,
    }
    async with open_pool(PoolSettings(**{**told, **changes}), world.rig.scheduler) as pool, serve_app(pool.app, port=port) as url:
        yield url


async def employ(tasks: TaskGroup, world: WorkerRig, url: str, modes: Sequence[str]) -> list[KeySigner]:
    """Have workers work in this process, each in its mode; answers their wallets."""
    wallets = [await world.hire() for _ in modes]

    async def work(wallet: KeySigner, mode: str) -> None:
        async with open_worker(world.settings(url, wallet.address), wallet, change=MODES[mode]) as worker:
            await worker.run()

    for wallet, mode in zip(wallets, modes, strict=True):
        tasks.start_soon(work, wallet, mode)
    return wallets


async def finished(world: WorkerRig, tasks: Sequence[TaskId]) -> dict[TaskId, ResultArchive]:
    """Wait until all tasks are finalised; answers their results, checked against the chain."""
    missing, found = set(tasks), {}
    with anyio.fail_after(DEADLINE_S):
        async for stretch in follow(world.rig.chain, world.rig.deployment.block):
            missing -= {logged.event.task_id for logged in stretch.events if isinstance(logged.event, TaskFinalized)}
            if not missing:
                break
    for name in tasks:
        task = await world.rig.chain.hub.task(name)
        found[name] = open_archive(await world.storage.get_bytes(Cid(decode_link(task.results)), max_bytes=1 << 26))
        found[name].require_digest(task.result_digest)
    return found


async def proven(world: WorkerRig, task: TaskId, wallets: Sequence[KeySigner]) -> list[ContributionStatus]:
    """How each worker's contribution to a task stands."""
    return [(await world.contribution(task, wallet)).status for wallet in wallets]


async def test_a_bag_of_tasks_is_done_by_two_of_three(world: WorkerRig, tmp_path: Path) -> None:
    """Trust 4 needs two agreeing newcomers for each task; every task has its own text."""
    texts = [f"{'word ' * count}end".encode() for count in range(1, 7)]
    entries = [BagEntry(args=(), inputs={"text": await world.storage.put_bytes(text)}) for text in texts]
    bag = await world.storage.put_bytes(encode_bag(Bag(tuple(entries))))
    async with pooling(world, tmp_path) as url, anyio.create_task_group() as tasks:
        wallets = await employ(tasks, world, url, ["honest"] * 3)
        before = [(await world.rig.chain.hub.account(wallet.address)).stake for wallet in wallets]
        deal = await world.deal("wordcount", params=json.dumps({"voisin_bag": bag}), volume=6, trust=4, initialize=False)
        results = await finished(world, tasks_of(deal, 6))
        for count, archive in enumerate(results.values(), 1):
            counts = dict(reversed(line.split()) for line in archive.read("counts.txt").splitlines())
            assert counts == {b"word": str(count).encode(), b"end": b"1"}
        for task in results:
            assert sorted(await proven(world, task, wallets)).count(ContributionStatus.PROVED) == 2
        after = [(await world.rig.chain.hub.account(wallet.address)).stake for wallet in wallets]
        assert sum(after) - sum(before) == 6 * (POOL_PRICE * 99 // 100)
        tasks.cancel_scope.cancel()


async def test_a_liar_is_outvoted_and_slashed(world: WorkerRig, tmp_path: Path) -> None:
    async with pooling(world, tmp_path) as url, anyio.create_task_group() as tasks:
        (liar,) = await employ(tasks, world, url, ["lie"])
        before = (await world.rig.chain.hub.account(liar.address)).stake
        deal = await world.deal("noop", trust=3, initialize=False)
        (task,) = tasks_of(deal)
        with anyio.fail_after(DEADLINE_S):
            while (await world.contribution(task, liar)).status is ContributionStatus.UNSET:
                await a_moment()
        honest = await employ(tasks, world, url, ["honest"] * 3)
        await finished(world, [task])
        assert await proven(world, task, honest) == [ContributionStatus.PROVED] * 3
        assert (await world.contribution(task, liar)).status is ContributionStatus.CONTRIBUTED
        account = await world.rig.chain.hub.account(liar.address)
        assert (account.stake, account.locked) == (before - STAKE, 0)
        tasks.cancel_scope.cancel()


async def test_a_stalling_and_a_forging_worker_do_not_stop_a_deal(world: WorkerRig, tmp_path: Path) -> None:
    async with pooling(world, tmp_path, grace_s=2.0, upload_lease_s=2.0) as url, anyio.create_task_group() as tasks:
        await employ(tasks, world, url, ["forge", "stall", "honest", "honest"])
        params = json.dumps({"voisin_limits": {"time_s": 1}})
        deal = await world.deal("noop", params=params, trust=4, volume=2, initialize=False)
        assert all(archive.failure() is None for archive in (await finished(world, tasks_of(deal, 2))).values())
        tasks.cancel_scope.cancel()


async def test_a_failing_app_is_finished_and_paid(world: WorkerRig, tmp_path: Path) -> None:
    async with pooling(world, tmp_path) as url, anyio.create_task_group() as tasks:
        wallets = await employ(tasks, world, url, ["honest"] * 2)
        deal = await world.deal("exit_code", params=json.dumps({"iexec_args": "7"}), trust=4, initialize=False)
        (archive,) = (await finished(world, tasks_of(deal))).values()
        failure = archive.failure()
        assert failure is not None
        assert (failure.cause, failure.detail) == ("exit-code", "exit code 7")
        assert await proven(world, tasks_of(deal)[0], wallets) == [ContributionStatus.PROVED] * 2
        tasks.cancel_scope.cancel()


async def test_the_pool_restarts_in_the_middle_of_a_deal(world: WorkerRig, tmp_path: Path) -> None:
    async with anyio.create_task_group() as tasks:
        async with pooling(world, tmp_path) as url:
            wallets = await employ(tasks, world, url, ["honest"] * 2)
            params = json.dumps({"iexec_args": "--frame 1 --size 64x48 --samples 16"})
            deal = await world.deal("pathtracer", params=params, trust=4, volume=2, initialize=False)
            (first, _) = tasks_of(deal, 2)
            with anyio.fail_after(DEADLINE_S):
                while set(await proven(world, first, wallets)) == {ContributionStatus.UNSET}:
                    await a_moment()
        async with pooling(world, tmp_path, port=int(url.rsplit(":", 1)[1])):
            await finished(world, tasks_of(deal, 2))
        tasks.cancel_scope.cancel()
