"""Bags on real contracts: done by honest and lying workers, posted, settled; everybody is paid, and nothing stays locked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from tests.support.chain_rig import APP_PRICE, POOL_PRICE
from tests.support.pool_rig import POLL_S, PoolRig, Running, join, open_pool_rig
from tests.support.pool_worker import DEADLINE_S
from voisin.chain import bags
from voisin.chain.bags import BagState, BagStatus, SignedReceipt
from voisin.protocol.api import PoolTaskView
from voisin.protocol.bag_api import BagStage, BagView, decode_leaves
from voisin.protocol.bag_settlement import PostedBag, is_trusted
from voisin.protocol.cid import cid_from_digest
from voisin.protocol.codec import decode
from voisin.protocol.ids import DealId, from_hex, task_id
from voisin.protocol.records import TaskStatus
from voisin.protocol.wire_words import MachineFailure

pytestmark = pytest.mark.anyio

SHARE = POOL_PRICE * 99 // 100


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


async def seen(running: Running, deal: DealId, stage: BagStage, *, after: int = 0) -> BagView:
    """Wait until the pool says that a bag is at a stage."""
    with anyio.fail_after(DEADLINE_S):
        while True:
            answer = await running.http.get(f"/v1/bags/{deal}", params={"after": after, "wait": 0.2})
            if answer.is_success and (view := decode(answer.content, BagView, "the view")).stage is stage:
                return view


async def posted(running: Running, deal: DealId) -> PostedBag:
    """The bag as the pool posted it."""
    record = await running.pool.service.bags.store.record(deal)
    assert record is not None
    assert record.posted is not None
    return record.posted


async def settled(around: PoolRig, deal: DealId) -> None:
    """Wait until the hub has settled a bag."""
    await until(lambda: _is(around, deal, lambda state: state.status is BagStatus.SETTLED))


async def _is(around: PoolRig, deal: DealId, fits: Callable[[BagState], bool]) -> bool:
    return fits(await bags.view_bag(around.rig.chain.rpc, around.rig.chain.hub_address, deal))


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition on the chain."""
    with anyio.fail_after(DEADLINE_S):
        while True:
            if await is_so():
                return
            await anyio.sleep(POLL_S)


async def test_a_bag_is_settled_and_everybody_is_paid(around: PoolRig) -> None:
    rig = around.rig
    async with around.pool() as running, anyio.create_task_group() as tasks:
        alice, bob = around.bag_worker(0), around.bag_worker(1)
        join(tasks, running, alice, bob)
        owners = {"worker": alice.wallet, "other": bob.wallet, "requester": rig.requester, "app": rig.app_owner, "pool": rig.scheduler}
        before = {name: await rig.chain.hub.account(wallet.address) for name, wallet in owners.items()}
        deal = await around.bag(12)
        await settled(around, deal)
        await alice.over(deal)
        view = await seen(running, deal, BagStage.SETTLED)
        assert (view.done, view.given_back, view.why) == (12, 0, "everybody is paid")
        assert sorted(result.index for result in view.results) == list(range(12))
        assert view.leaves is not None
        file = await around.storage.get_bytes(cid_from_digest(from_hex(view.leaves)), max_bytes=100_000)
        assert len(file) > 0
        told = {worker.wallet.address: worker.parts[deal].earned for worker in (alice, bob) if deal in worker.parts}
        assert view.payouts == {worker: amount for worker, amount in told.items() if amount}
        after = {name: await rig.chain.hub.account(wallet.address) for name, wallet in owners.items()}
        gains = {name: after[name].stake - before[name].stake for name in owners}
        assert gains["worker"] + gains["other"] == 12 * SHARE
        assert gains["pool"] == 12 * (POOL_PRICE - SHARE)
        assert gains["app"] == 12 * APP_PRICE
        assert gains["requester"] == -12 * (POOL_PRICE + APP_PRICE)
        assert all(after[name].locked == before[name].locked for name in owners)
        shown = decode((await running.http.get(f"/v1/tasks/{task_id(deal, 3)}")).content, PoolTaskView, "the view")
        assert (shown.phase, shown.why) == ("completed", "completed: 2 workers agreed; the bag is settled")
        tasks.cancel_scope.cancel()


async def test_liars_are_outvoted_and_not_paid(around: PoolRig) -> None:
    async with around.pool() as running, anyio.create_task_group() as tasks:
        liar = around.bag_worker(0, answer="wrong")
        honest = [around.bag_worker(number) for number in (1, 2, 3, 4)]
        join(tasks, running, liar, *honest)
        deal = await around.bag(5, trust=3)
        await settled(around, deal)
        view = await seen(running, deal, BagStage.SETTLED)
        assert view.done == 5
        assert liar.wallet.address not in view.payouts
        assert {result.digest for result in view.results} == {honest[0].result(deal, index)[0] for index in range(5)}
        file = await around.storage.get_bytes(cid_from_digest(from_hex(view.leaves)), max_bytes=100_000)
        leaves = decode_leaves(file, deal, (await posted(running, deal)).root)
        assert all(is_trusted(leaf, 3) for leaf in leaves)
        tasks.cancel_scope.cancel()


async def test_a_demanded_leaf_is_shown(around: PoolRig) -> None:
    rig = around.rig
    async with around.pool() as running, anyio.create_task_group() as tasks:
        alice = around.bag_worker(0)
        join(tasks, running, alice)
        deal = await around.bag(3, window_s=600)
        view = await seen(running, deal, BagStage.POSTED)
        assert view.deadline > 0
        bag = await posted(running, deal)
        receipt = alice.parts[deal].receipts[1]
        call = bags.demand_leaf(rig.chain.hub_address, bag, 1, SignedReceipt(alice.wallet.address, receipt.said, receipt.signature))
        await rig.send(alice.wallet, call)
        await until(lambda: _is(around, deal, lambda state: not state.demands))
        await around.travel(601)
        await settled(around, deal)
        tasks.cancel_scope.cancel()


async def test_a_bag_that_nobody_can_do_is_given_back_with_the_reason(around: PoolRig) -> None:
    rig = around.rig
    async with around.pool(retry_pause_s=0) as running, anyio.create_task_group() as tasks:
        join(tasks, running, around.bag_worker(0, fails=MachineFailure.NO_RESOURCES))
        before = await rig.chain.hub.account(rig.requester.address)
        deal = await around.bag(3)
        view = await seen(running, deal, BagStage.GIVEN_BACK)
        assert (view.done, view.given_back) == (0, 3)
        assert "no-resources: as the test wants" in view.results[0].reason
        assert await rig.chain.hub.account(rig.requester.address) == before
        tasks.cancel_scope.cancel()


async def test_the_pool_is_killed_between_any_two_steps(around: PoolRig) -> None:
    alice, bob = around.bag_worker(0), around.bag_worker(1)
    deal: DealId | None = None
    for wanted in (BagStage.RUNNING, BagStage.RUNNING, BagStage.POSTED, BagStage.SETTLED):
        async with around.pool() as running, anyio.create_task_group() as tasks:
            join(tasks, running, alice, bob)
            deal = deal or await around.bag(40, trust=4, window_s=5)
            await seen(running, deal, wanted)
            tasks.cancel_scope.cancel()
        if wanted is BagStage.POSTED:
            await around.travel(10)
    assert deal is not None
    async with around.pool() as running:
        view = await seen(running, deal, BagStage.SETTLED)
    assert view.done == 40
    told = {worker.wallet.address: worker.parts[deal].earned for worker in (alice, bob)}
    assert all(view.payouts[worker] >= amount for worker, amount in told.items())
    assert sum(view.payouts.values()) == 40 * (SHARE // 2) * 2


async def test_results_reach_the_deals_callback(around: PoolRig) -> None:
    rig = around.rig
    async with around.pool() as running, anyio.create_task_group() as tasks:
        alice = around.bag_worker(0, callback=lambda index: index.to_bytes(32, "big"))
        join(tasks, running, alice)
        deal = await around.bag(2, callback=rig.stranger.address)
        await seen(running, deal, BagStage.SETTLED)
        names = [task_id(deal, index) for index in range(2)]

        async def are_there() -> bool:
            return None not in await rig.chain.hub.tasks(names)

        await until(are_there)
        found = [task for task in await rig.chain.hub.tasks(names) if task is not None]
        assert [task.status for task in found] == [TaskStatus.COMPLETED] * 2
        assert [task.results_callback for task in found] == [index.to_bytes(32, "big") for index in range(2)]
        tasks.cancel_scope.cancel()
