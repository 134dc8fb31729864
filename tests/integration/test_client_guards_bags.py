"""Bags as their requester meets them: results at once, every fraud proven with what it really holds, and its money back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import msgspec
import pytest

from tests.integration.client_rig import PRICE, WASM, Rig, open_rig
from tests.support.bag_pool import FRAUDS, BagScript
from voisin.chain import calls
from voisin.chain.bags import Fraud
from voisin.client import AppFailedError, AsyncCloud, AsyncJob, CallbackState, connect_async
from voisin.client.requester import new_salt
from voisin.client.settlement import Outcome, Role
from voisin.errors import RevertError, StateError
from voisin.protocol.bag_api import BagStage
from voisin.protocol.eip712 import sign_order
from voisin.protocol.events import OrdersMatched
from voisin.protocol.orders import RequestOrder
from voisin.protocol.records import Account, TaskStatus
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
    with anyio.fail_after(120):
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
    with anyio.fail_after(120):
        await job.checked()
    audit = job.bags[0].audit
    assert audit is not None
    assert audit.is_clean
    await travel(rig)
    assert await over(job) is BagStage.SETTLED
    await money_is(cloud, held - 3 * PRICE)
    now = [await rig.chain.hub.account(worker.address) for worker in rig.workers[:2]]
    assert [after.stake - then.stake for after, then in zip(now, paid, strict=True)] == [3 * PRICE * 9 // 20] * 2
    await invoice_adds_up(rig, job)
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
    (invoice,) = await job.invoices()
    assert (invoice.spent, invoice.refunded, [line.amount for line in invoice.fines]) == (0, 3 * PRICE, [STAKE])
    assert {line.role: line.amount for line in invoice.payments} == {Role.CHALLENGER: STAKE // 10, Role.KITTY: STAKE - STAKE // 10}
    await money_is(cloud, held + STAKE // 10)


async def invoice_adds_up(rig: Rig, job: AsyncJob) -> None:
    """The payouts are the workers' lines, what is left is the scheduler's, and every task names who agreed."""
    (invoice,) = await job.invoices()
    assert (invoice.spent, invoice.refunded, invoice.pending) == (3 * PRICE, 0, 0)
    share = 3 * PRICE * 9 // 20
    workers = {worker.address: share for worker in rig.workers[:2]}
    assert {line.owner: line.amount for line in invoice.payments if line.role is Role.WORKER} == workers
    others = {line.owner: line.amount for line in invoice.payments if line.role is not Role.WORKER}
    assert others == {rig.scheduler.address: PRICE * 3 // 10}
    assert [task.outcome for task in invoice.tasks] == [Outcome.COMPLETED] * 3
    assert all({vote.worker for vote in task.votes} == workers.keys() for task in invoice.tasks)
    assert invoice.bag is not None
    assert (invoice.bag.stage, invoice.bag.done, invoice.bag.window_s) == ("settled", 3, WINDOW_S)
    paid_gas = {line.kind: line.role for line in invoice.gas}
    assert paid_gas.pop("settle bag") in ("scheduler", "requester"), "whoever is first"
    assert paid_gas == {"match": "requester", "post bag": "scheduler"}


async def money_is(cloud: AsyncCloud, stake: int) -> None:
    """Bonds are given back after the bag's end."""
    with anyio.move_on_after(120):
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
    (invoice,) = await job.invoices()
    assert [(line.role, line.amount) for line in invoice.fines] == [(Role.REQUESTER, 3 * PRICE)]
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
    (invoice,) = await job.invoices()
    assert (invoice.refunded, [(line.role, line.amount) for line in invoice.payments]) == (3 * PRICE, [(Role.KITTY, STAKE)])
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
    (invoice,) = await job.invoices()
    assert (invoice.refunded, invoice.bag and invoice.bag.stage) == (3 * PRICE, "given-back")


async def test_one_result_is_proven_on_the_chain(rig: Rig, cloud: AsyncCloud, app: Path) -> None:
    job = await start(cloud, app, [["one"], ["idle"], ["three"]])
    with anyio.fail_after(120):
        await job.checked()
    deal, names = job.deal_ids[0], list(job.deals[0].tasks)
    with pytest.raises(StateError, match=r"no result of deal .* can be proven: it is posted"):
        await cloud.bags.prove(names[0], deal)
    await travel(rig)
    assert await over(job) is BagStage.SETTLED
    proven = await cloud.bags.prove(names[2], deal)
    assert proven.state is CallbackState.NONE
    task = await rig.chain.hub.task(names[2])
    assert (task.status, task.result_digest) == (TaskStatus.COMPLETED, (await job.result(2)).digest)
    with pytest.raises(StateError, match="has no result"):
        await cloud.bags.prove(names[1], deal)
    with pytest.raises(RevertError, match="proven"):
        await cloud.bags.prove(names[2])
    with pytest.raises(StateError, match="name its deal with --deal"):
        await cloud.bags.prove(names[0])


async def test_proving_a_result_hands_it_to_the_deals_contract(rig: Rig, cloud: AsyncCloud, app: Path) -> None:
    """The token is a contract that takes no results: that is heard of, and the result is on the chain all the same."""
    quote, requester = await cloud.quote(app, TASKS), await cloud.requester()
    await requester.register(quote.app)
    lot, domain, me = quote.lots[0], rig.chain.domain, rig.requester.address
    request = RequestOrder(
        app=quote.app.address,
        appmaxprice=NRLC(0),
        workerpoolmaxprice=PRICE,
        requester=me,
        volume=2,
        category=0,
        trust=3,
        beneficiary=me,
        callback=rig.chain.token_address,
        params='{"voisin_window":"000600","iexec_args":"fail"}',
        salt=new_salt(),
    )
    offer = sign_order(msgspec.structs.replace(lot.app, salt=new_salt()), domain, rig.requester)
    orders = (offer, None, lot.workerpool, sign_order(request, domain, rig.requester))
    receipt = await requester.sender.send(calls.match_orders(rig.chain.hub_address, *orders))
    (deal,) = [logged.event.deal_id for logged in receipt.events if isinstance(logged.event, OrdersMatched)]
    job = await cloud.deal(deal)
    with anyio.fail_after(120):
        await job.checked()
    await travel(rig)
    assert await over(job) is BagStage.SETTLED
    with pytest.raises(AppFailedError):
        await job.result(0)
    task = next(iter(job.deals[0].tasks))
    proven = await cloud.bags.prove(task, deal)
    assert (proven.state, proven.contract) == (CallbackState.FAILED, rig.chain.token_address)
    assert bytes.fromhex(proven.result[2:]).endswith(b"error.json\n")


async def test_what_a_person_may_do_by_hand(rig: Rig, app: Path) -> None:
    """A wallet that only looks, then one that challenges, settles and claims; each says when it is too early."""
    rig.script.bag = BagScript(settles=False)
    async with connect_async(rig.home) as cloud:
        deal = (await start(cloud, app)).deal_ids[0]
    async with connect_async(rig.home, wallet=rig.poor) as stranger:
        async with anyio.create_task_group() as tasks:
            job = await stranger.deal(deal)
            with anyio.fail_after(120):
                await job.checked()
            tasks.cancel_scope.cancel()
        report = await stranger.bags.show(deal)
        assert (report.stage, report.done, report.is_checked, report.wrong) == (BagStage.POSTED, 3, True, ())
        assert (await stranger.bags.challenge(deal)).acts == ()
        for early in (stranger.bags.settle, stranger.bags.claim):
            with pytest.raises(StateError):
                await early(deal)
        await travel(rig)
        settled = await stranger.bags.settle(deal)
        assert (settled.stage, len(settled.acts)) == (BagStage.SETTLED, 1)
        with pytest.raises(StateError, match="nothing can be done about the bag"):
            await stranger.bags.settle(deal)


async def test_a_leaf_that_is_asked_for_by_hand(rig: Rig, cloud: AsyncCloud, app: Path) -> None:
    rig.script.bag = BagScript(settles=False)
    job = await start(cloud, app)
    with anyio.fail_after(120):
        await job.checked()
    report = await cloud.bags.challenge(job.deal_ids[0], [1])
    assert [(demand.index, demand.asker) for demand in report.demands] == [(1, rig.requester.address)]
    await until(job, lambda: job.bags[0].story.answered == {1})
    with pytest.raises(RevertError, match="demanded"):
        await cloud.bags.challenge(job.deal_ids[0], [1])
    await travel(rig)
    assert await over(job) is BagStage.SETTLED


async def test_task_by_task_is_had_when_it_is_wanted(rig: Rig, cloud: AsyncCloud, app: Path) -> None:
    quote = await cloud.quote(app, TASKS)
    assert quote.window_s == rig.network.bag_window_s
    assert (await cloud.quote(app, [["one"]])).window_s == 0
    quote = await cloud.quote(app, TASKS, window_s=0)
    job = await cloud.start(quote)
    assert job.bags == ()
    assert len(await job.results()) == 3
