"""Bags as their requester meets them: results at once, every fraud proven with what it really holds, and its money back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest

from tests.integration.client_rig import PRICE, WASM, Rig, open_rig
from tests.support.bag_pool import FRAUDS, BagScript
from voisin.chain.bags import Fraud
from voisin.client import AsyncCloud, AsyncJob, connect_async
from voisin.errors import StateError
from voisin.protocol.bag_api import BagStage
from voisin.protocol.records import Account
from voisin.units import NRLC

pytestmark = pytest.mark.anyio
WINDOW_S = 600
STAKE = 3 * PRICE * 30 // 100
TASKS = [["one"], ["two"], ["three"]]
PROVEN = {
    "little trust": Fraud.LITTLE_TRUST,
    "a worker twice": Fraud.LITTLE_TRUST,
    "a count too high": Fraud.WRONG_COUNT,
    "paid for nothing": Fraud.WRONG_COUNT,
    "a task left out": Fraud.OMISSION,
    "the last task left out": Fraud.SILENCE,
    "a result exchanged": Fraud.SILENCE,
    "a leaf that nobody can show": Fraud.SILENCE,
    "a tree that is too flat": Fraud.SILENCE,
}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def market(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path_factory.mktemp("home"), settles_bags=True) as rig:
        await rig.offer()
        async with connect_async(rig.home) as cloud:
            await cloud.deposit("20 RLC")
        yield rig


@pytest.fixture
def rig(market: Rig) -> Rig:
    market.script.bag = BagScript()
    return market


@pytest.fixture
async def cloud(rig: Rig) -> AsyncIterator[AsyncCloud]:
    async with connect_async(rig.home) as cloud:
        yield cloud


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "sentence.wasm"
    path.write_bytes(WASM)
    return path


async def start(cloud: AsyncCloud, app: Path, tasks: list[list[str]] | None = None) -> AsyncJob:
    return await cloud.start(await cloud.quote(app, tasks or TASKS, window_s=WINDOW_S))


async def travel(rig: Rig, seconds: int = WINDOW_S + 200) -> None:
    await rig.chain.rpc.fetch(int | str, "evm_increaseTime", seconds)
    await rig.chain.rpc.fetch(object, "evm_mine")


async def until(job: AsyncJob, condition: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not condition():
            await job.watch.changed()


async def purse(cloud: AsyncCloud) -> int:
    """What the requester's account holds; deals and bonds are paid out of it."""
    return (await cloud.account()).stake


async def over(job: AsyncJob) -> BagStage:
    with anyio.fail_after(60):
        await job.settled()
    return job.bags[0].story.stage


async def test_results_come_before_the_bag_is_settled_and_the_workers_are_paid_after(rig: Rig, cloud: AsyncCloud, app: Path) -> None:
    held = await purse(cloud)
    paid = [await rig.chain.hub.account(worker.address) for worker in rig.workers[:2]]
    job = await start(cloud, app)
    results = await job.results()
    assert [result.files["out.txt"] for result in results] == [b"one", b"two", b"three"]
    assert {worker for result in results for worker in result.workers} == {worker.address for worker in rig.workers[:2]}
    assert job.bags[0].story.stage in (BagStage.RUNNING, BagStage.POSTED)
    with anyio.fail_after(30):
        await job.checked()
    audit = job.bags[0].audit
    assert audit is not None
    assert audit.is_clean
    await travel(rig)
    assert await over(job) is BagStage.SETTLED
    await money_is(cloud, held - 3 * PRICE)
    now = [await rig.chain.hub.account(worker.address) for worker in rig.workers[:2]]
    assert [after.stake - then.stake for after, then in zip(now, paid, strict=True)] == [3 * PRICE * 9 // 20] * 2
    again = await cloud.deal(job.deal_ids[0])
    assert [result.archive for result in await again.results()] == [result.archive for result in results]


@pytest.mark.parametrize("fraud", sorted(FRAUDS))
async def test_every_fraud_is_proven_and_the_money_is_back(rig: Rig, cloud: AsyncCloud, app: Path, fraud: str) -> None:
    rig.script.bag = BagScript(fraud=fraud, settles=False)
    held = await purse(cloud)
    job = await start(cloud, app)
    story = job.bags[0].story
    if PROVEN[fraud] is Fraud.SILENCE:
        await until(job, lambda: bool(story.demands))
        await travel(rig)
    assert await over(job) is BagStage.PUNISHED
    assert (story.fraud, story.challenger) == (PROVEN[fraud], rig.requester.address)
    await money_is(cloud, held + STAKE // 10)


async def money_is(cloud: AsyncCloud, stake: int) -> None:
    """Bonds are given back after the bag's end."""
    with anyio.move_on_after(20):
        while await cloud.account() != Account(NRLC(stake), NRLC(0)):
            await cloud.links.chain.heads.wait(await cloud.links.chain.block_number(), poll_s=0.1)
    assert await cloud.account() == Account(NRLC(stake), NRLC(0))


async def test_a_count_that_is_not_the_leaves(rig: Rig, cloud: AsyncCloud, app: Path) -> None:
    rig.script.bag = BagScript(counts=1, settles=False)
    held = await purse(cloud)
    job = await start(cloud, app, [["one"], ["idle"], ["three"]])
    assert await over(job) is BagStage.PUNISHED
    assert job.bags[0].story.fraud is Fraud.WRONG_COUNT
    await money_is(cloud, held + STAKE // 10)


async def test_withheld_leaves_are_demanded_and_their_absence_is_punished(rig: Rig, cloud: AsyncCloud, app: Path) -> None:
    rig.script.bag = BagScript(withholds=True, answers=False, settles=False)
    held = await purse(cloud)
    job = await start(cloud, app)
    story = job.bags[0].story
    await until(job, lambda: story.posted is not None)
    await travel(rig, WINDOW_S // 2 + 1)
    await until(job, lambda: len(story.demands) == 3)
    await travel(rig)
    assert await over(job) is BagStage.PUNISHED
    assert story.fraud is Fraud.SILENCE
    await money_is(cloud, held + STAKE // 10)


async def test_leaves_that_are_shown_when_they_are_asked_for_cost_the_bonds_and_the_bag_settles(
    rig: Rig, cloud: AsyncCloud, app: Path
) -> None:
    rig.script.bag = BagScript(withholds=True, answers=True, settles=False)
    held = await purse(cloud)
    job = await start(cloud, app)
    story = job.bags[0].story
    await until(job, lambda: story.posted is not None)
    await travel(rig, WINDOW_S // 2 + 1)
    await until(job, lambda: len(story.answered) == 3)
    await travel(rig)
    assert await over(job) is BagStage.SETTLED
    await money_is(cloud, held - 6 * PRICE)
    assert [result.files["out.txt"] for result in await job.results()] == [b"one", b"two", b"three"]


async def test_without_the_pools_word_the_leaves_tell_the_results(rig: Rig, cloud: AsyncCloud, app: Path) -> None:
    rig.script.bag = BagScript(hands_out=False)
    job = await start(cloud, app)
    assert [result.files["out.txt"] for result in await job.results()] == [b"one", b"two", b"three"]
    await travel(rig)
    assert await over(job) is BagStage.SETTLED


async def test_nobody_settles_so_the_client_does(rig: Rig, cloud: AsyncCloud, app: Path) -> None:
    rig.script.bag = BagScript(settles=False)
    held = await purse(cloud)
    job = await start(cloud, app, [["one"], ["idle"], ["three"]])
    with pytest.raises(StateError, match=r"task 1 of deal .* has no result: nobody can run it"):
        await job.results()
    await until(job, lambda: job.bags[0].story.posted is not None)
    await travel(rig)
    assert await over(job) is BagStage.SETTLED
    await money_is(cloud, held - 2 * PRICE)


async def test_nobody_posts_so_the_client_claims(rig: Rig, cloud: AsyncCloud, app: Path) -> None:
    rig.script.bag = BagScript(ending="nothing", hands_out=False)
    held = await purse(cloud)
    job = await start(cloud, app)
    await travel(rig, 3001)
    assert await over(job) is BagStage.CLAIMED
    with pytest.raises(StateError, match="the pool settled nothing in time"):
        await job.results()
    await money_is(cloud, held)


async def test_a_deal_that_is_given_back_is_over_at_once(rig: Rig, cloud: AsyncCloud, app: Path) -> None:
    rig.script.bag = BagScript(ending="give back", hands_out=False)
    job = await start(cloud, app)
    assert await over(job) is BagStage.GIVEN_BACK
    with pytest.raises(StateError, match="the pool gave the deal back"):
        await job.results()
    assert (await cloud.account()).locked == 0
