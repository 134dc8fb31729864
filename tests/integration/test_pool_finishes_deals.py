"""The pool on real contracts: deals are done and paid, liars fined, silence outlived; the invoice is the chain's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tests.support.pool_rig import PoolRig, join, open_pool_rig
from voisin.protocol.api import PoolView
from voisin.protocol.archive import pack_files
from voisin.protocol.codec import decode
from voisin.protocol.events import FaultyContribution, TaskClaimed, TaskFinalized, TaskInitialized, TaskReopened
from voisin.protocol.records import TaskStatus
from voisin.protocol.results import decode_link
from voisin.protocol.wire import AskReveal, AskUpload, Assign, Release

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for all tests of this file, which share a chain."""
    return "asyncio"


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PoolRig]:
    async with open_pool_rig(tmp_path_factory.mktemp("pool")) as rig:
        yield rig


@pytest.fixture
async def around(shared: PoolRig, tmp_path: Path) -> PoolRig:
    await shared.refresh(tmp_path)
    return shared


async def test_a_bag_of_tasks_is_done_by_two_workers_and_paid(around: PoolRig) -> None:
    rig = around.rig
    async with around.pool() as running, anyio.create_task_group() as tasks:
        alice, bob = around.worker(0, slots=2), around.worker(1, slots=2)
        join(tasks, running, alice, bob)
        before = [(await rig.chain.hub.account(worker.wallet.address)).stake for worker in (alice, bob)]
        done = await around.deal(4, trust=4)
        await around.seen(TaskFinalized, *done)
        await alice.heard_of(Release, 4)

        found = await rig.chain.hub.task(done[0])
        assert found.status is TaskStatus.COMPLETED
        assert await around.storage.get_bytes(decode_link(found.results), max_bytes=10_000) == alice.archive(done[0])
        view = await running.ended(done[0])
        assert (view.phase, view.why) == ("completed", "completed: 2 workers agreed and were paid")
        assert [moment.what for moment in view.story][-1] == "completed and paid"
        after = [await rig.chain.hub.account(worker.wallet.address) for worker in (alice, bob)]
        # 10 RLC a task, 1 % for the scheduler, the rest halved: 4.95 RLC for each worker and task
        assert [account.stake - paid for account, paid in zip(after, before, strict=True)] == [4 * 4_950_000_000] * 2
        assert [account.locked for account in after] == [0, 0]
        shown = decode((await running.http.get("/v1/pool")).content, PoolView, "the view")
        assert [(worker.name, worker.online) for worker in shown.workers] == [("worker-0", True), ("worker-1", True)]
        assert shown.open_tasks == 0
        tasks.cancel_scope.cancel()


async def test_a_liar_is_outvoted_fined_and_named(around: PoolRig) -> None:
    async with around.pool() as running, anyio.create_task_group() as tasks:
        liar = around.worker(0, answer="wrong")
        join(tasks, running, liar)
        (task,) = await around.deal(trust=3)
        await liar.heard_of(Assign)
        honest = [around.worker(number) for number in (1, 2, 3, 4)]
        join(tasks, running, *honest)
        before = await around.rig.chain.hub.account(liar.wallet.address)
        await around.seen(TaskFinalized, task)
        # against the liar's group of weight 2, trust 3 takes a group of weight above (1 + 2) x 2: three workers
        assert (await running.ended(task)).why == "completed: 3 workers agreed and were paid, 1 worker fined"
        after = await around.rig.chain.hub.account(liar.wallet.address)
        assert before.stake + before.locked - (after.stake + after.locked) == 3_000_000_000, "30 % of 10 RLC"
        assert await running.fined("worker-0") == 1
        tasks.cancel_scope.cancel()


async def test_a_winner_that_never_reveals_is_outlived(around: PoolRig) -> None:
    async with around.pool() as running, anyio.create_task_group() as tasks:
        silent, honest = around.worker(0, stops_at=AskReveal), around.worker(1)
        join(tasks, running, silent, honest)
        (task,) = await around.deal(trust=4)
        await silent.heard_of(AskReveal)
        await honest.heard_of(AskUpload)
        await around.travel(601)
        await around.seen(TaskFinalized, task)
        await around.seen(FaultyContribution, task)
        await honest.heard_of(Release)
        assert (await running.ended(task)).why == "completed: 1 worker agreed and was paid, 1 worker fined"
        tasks.cancel_scope.cancel()


async def test_nobody_reveals_and_the_task_is_reopened_for_another(around: PoolRig) -> None:
    async with around.pool() as running, anyio.create_task_group() as tasks:
        silent = around.worker(0, stops_at=AskReveal)
        join(tasks, running, silent)
        (task,) = await around.deal()
        await silent.heard_of(AskReveal)
        await around.travel(601)
        await around.seen(TaskReopened, task)
        join(tasks, running, around.worker(1))
        await around.seen(TaskFinalized, task)
        tasks.cancel_scope.cancel()


async def test_a_false_upload_never_reaches_the_requester(around: PoolRig) -> None:
    async with around.pool() as running, anyio.create_task_group() as tasks:
        false = around.worker(0, uploads=pack_files({"answer.txt": b"something else"}))
        join(tasks, running, false)
        (task,) = await around.deal(trust=4)
        await false.heard_of(Assign)
        join(tasks, running, around.worker(1))
        await around.seen(TaskFinalized, task)
        link = decode_link((await around.rig.chain.hub.task(task)).results)
        assert await around.storage.get_bytes(link, max_bytes=10_000) == false.archive(task)
        tasks.cancel_scope.cancel()


async def test_what_nobody_does_is_refunded_in_time(around: PoolRig) -> None:
    rig = around.rig
    before = await rig.chain.hub.account(rig.requester.address)
    async with around.pool(initialize_ahead=1, initialize_chunk=2) as running:
        done = await around.deal(3)
        await around.seen(TaskInitialized, done[0])
        await around.travel(3001)
        await around.seen(TaskClaimed, *done)
        assert (await rig.chain.hub.account(rig.requester.address)) == before
        view = await running.ended(done[0])
        assert view.phase in ("failed", "claimed")


@pytest.mark.parametrize("stop", [Assign, AskReveal, AskUpload])
async def test_killed_and_started_again_it_finishes(around: PoolRig, stop: type) -> None:
    worker = around.worker(0, stops_at=stop)
    async with around.pool() as running, anyio.create_task_group() as tasks:
        join(tasks, running, worker)
        (task,) = await around.deal()
        await worker.heard_of(stop)
        tasks.cancel_scope.cancel()
    worker.stops_at = None
    async with around.pool() as running, anyio.create_task_group() as tasks:
        join(tasks, running, worker)
        await around.seen(TaskFinalized, task)
        tasks.cancel_scope.cancel()


async def test_without_its_database_it_reads_the_chain_and_finishes(around: PoolRig) -> None:
    worker = around.worker(0, stops_at=AskUpload)
    async with around.pool() as running, anyio.create_task_group() as tasks:
        join(tasks, running, worker)
        done, open_ = await around.deal(2)
        await worker.heard_of(AskUpload)
        tasks.cancel_scope.cancel()
    worker.stops_at = None
    async with around.pool(database_url=f"sqlite:///{around.folder}/new.sqlite") as running, anyio.create_task_group() as tasks:
        join(tasks, running, worker)
        await around.seen(TaskFinalized, done, open_)
        tasks.cancel_scope.cancel()
