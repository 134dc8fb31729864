"""A pool that lies about a bag gains nothing by it: the worker goes no further, and proves what it can prove from what it holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.bag_scheduler import SHARE, WINDOW_S, BagScheduler
from tests.support.worker_bench import key, open_bench
from voisin.chain.bags import BagStatus
from voisin.protocol.bag_settlement import NO_RESULT, Dissent, earned_digest, receipt_digest
from voisin.protocol.bag_wire import AskDigests, Receipt, Receipts, Statement
from voisin.protocol.ids import DealId, Hash32
from voisin.protocol.wire_words import MachineFailure

pytestmark = pytest.mark.anyio
OTHER = Hash32("0x" + "77" * 32)
THIEF = key("somebody else")


def bad_receipt(scheduler: BagScheduler, how: str) -> Callable[[Any], Any]:
    """A pool whose receipts are worth nothing."""
    domain, me = scheduler.bench.bags.domain, scheduler.bench.me

    def spoil(deal: DealId, receipt: Receipt) -> Receipt:
        digest = receipt_digest(domain, deal, receipt.index, worker=me, said=receipt.said)
        match how:
            case "another key":
                return replace(receipt, signature=THIEF.sign_digest(digest))
            case "another result":
                return scheduler.receipt(deal, receipt.index, OTHER)
            case "another task":
                return replace(scheduler.receipt(deal, receipt.index + 100, receipt.said), index=receipt.index)
            case "another worker":
                digest = receipt_digest(domain, deal, receipt.index, worker=THIEF.address, said=receipt.said)
                return replace(receipt, signature=scheduler.bench.scheduler.sign_digest(digest))
            case _:
                return replace(receipt, signature="0x1234")

    def lie(message: Any) -> Any:
        if isinstance(message, Receipts):
            return Receipts(message.deal_id, tuple(spoil(message.deal_id, each) for each in message.receipts))
        return message

    return lie


@pytest.mark.parametrize("how", ["another key", "another result", "another task", "another worker", "nonsense"])
async def test_no_result_is_shown_for_a_bad_receipt(tmp_path: Path, how: str) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler, bench.working(slots=1):
        await bench.pool.joined()
        scheduler.lie = bad_receipt(scheduler, how)
        deal = scheduler.deal(100_000)
        for index in range(100_000):
            await scheduler.give(deal, (index,))
            await scheduler.until(lambda index=index: bool(scheduler.gave_up) or (deal, index) in scheduler.said)  # type: ignore[misc]
            if scheduler.gave_up:
                break
        assert scheduler.gave_up[0].failure is MachineFailure.UNPAID
        assert not scheduler.shown
        assert len(bench.storage.blobs) == 1  # the app


def bad_statement(scheduler: BagScheduler, how: str) -> Callable[[Any], Any]:
    """A pool whose statements are worth nothing."""
    domain, me = scheduler.bench.bags.domain, scheduler.bench.me

    def lie(message: Any) -> Any:
        if not isinstance(message, Statement):
            return message
        match how:
            case "none":
                return None
            case "too low":
                return scheduler.statement(message.deal_id, 1)
            case "another deal":
                return replace(scheduler.statement(DealId(OTHER), message.amount), deal_id=message.deal_id)
            case "another worker":
                digest = earned_digest(domain, message.deal_id, THIEF.address, message.amount)
                return replace(message, signature=scheduler.bench.scheduler.sign_digest(digest))
            case _:
                return replace(message, signature=THIEF.sign_digest(earned_digest(domain, message.deal_id, me, message.amount)))

    return lie


@pytest.mark.parametrize("how", ["none", "too low", "another deal", "another worker", "another key"])
async def test_no_more_tasks_are_done_for_a_pool_that_owes_a_statement(tmp_path: Path, how: str) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler, bench.working(statement_s=0.01):
        await bench.pool.joined()
        scheduler.lie = bad_statement(scheduler, how)
        deal = scheduler.deal(100_000)
        await scheduler.give(deal, range(10))
        await scheduler.shows(deal, 10)

        def refuses() -> bool:
            return any(each.failure is MachineFailure.UNPAID for each in scheduler.gave_up)

        for index in range(10, 99_000):
            if refuses():
                break
            await scheduler.give(deal, (index,))
            await scheduler.until(lambda index=index: refuses() or (deal, index) in scheduler.said)  # type: ignore[misc]
        assert refuses()
        if how in ("none", "too low"):  # an honest pool that was slow can make up for it
            scheduler.lie = lambda message: message
            await bench.pool.say(scheduler.statement(deal, scheduler.earned(deal)))
            for index in range(99_000, 100_000):
                before = len(scheduler.gave_up) + len(scheduler.said)
                await scheduler.give(deal, (index,))
                await scheduler.until(lambda before=before: len(scheduler.gave_up) + len(scheduler.said) > before)  # type: ignore[misc]
                if (deal, index) in scheduler.said:
                    return
            raise AssertionError("the worker does not go on")


async def test_a_lower_statement_does_not_replace_a_higher_one(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler, bench.working():
        deal = await done(scheduler, 5)
        await bench.pool.say(scheduler.statement(deal, 1))
        scheduler.post(deal, paid=SHARE)
        await slashed(scheduler, deal, "underpayment")


async def done(scheduler: BagScheduler, volume: int) -> DealId:
    """Have a bag done, and the worker know what it has earned."""
    await scheduler.bench.pool.joined()
    deal = scheduler.deal(volume)
    await scheduler.give(deal, range(volume))
    await scheduler.shows(deal, volume)
    last = scheduler.contributed[-1]
    await scheduler.bench.pool.say(AskDigests(deal, (last,)))  # what is answered after the statement has come
    before = len(scheduler.bench.pool.heard)
    await scheduler.until(lambda: len(scheduler.bench.pool.heard) > before)
    return deal


async def slashed(scheduler: BagScheduler, deal: DealId, fraud: str) -> None:
    """Wait until the worker has proven a fraud."""
    bench = scheduler.bench
    while not bench.bags.slashed:
        await bench.bags.changed()
    assert bench.bags.slashed == [(deal, fraud, bench.me)]
    assert bench.bags.status[deal] is BagStatus.ENDED


async def test_underpayment_is_proven(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler, bench.working():
        deal = await done(scheduler, 5)
        scheduler.post(deal, paid=4 * SHARE)
        await slashed(scheduler, deal, "underpayment")


async def test_a_deal_that_is_given_back_with_the_work_done_is_proven(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler, bench.working():
        deal = await done(scheduler, 5)
        bench.bags.post(deal, root=NO_RESULT, leaves=NO_RESULT, payouts=b"", done=0, window_s=WINDOW_S)
        await slashed(scheduler, deal, "underpayment")


@pytest.mark.parametrize("how", ["left out", "said to have said another", "exchanged", "without result"])
async def test_a_leaf_that_contradicts_a_receipt_is_proven(tmp_path: Path, how: str) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler, bench.working():
        deal = await done(scheduler, 5)
        leaves = scheduler.leaves(deal)
        match how:
            case "left out":
                leaves[3] = replace(leaves[3], agreed=(THIEF.address,))
            case "said to have said another":
                leaves[3] = replace(leaves[3], agreed=(THIEF.address,), others=(Dissent(OTHER, bench.me),))
            case "exchanged":
                leaves[3] = replace(leaves[3], digest=OTHER)
            case _:
                leaves[3:] = [replace(leaf, done=leaf.done - 1) for leaf in leaves[3:]]
                leaves[3] = replace(leaves[3], digest=NO_RESULT, agreed=())
        scheduler.post(deal, leaves)
        await slashed(scheduler, deal, "contradiction")


async def test_withheld_leaves_are_demanded(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler, bench.working():
        deal = await done(scheduler, 5)
        scheduler.post(deal, is_withheld=True)
        bench.hub.time_s += WINDOW_S // 2 + 1
        while not bench.bags.demands:
            await bench.bags.changed()
        while not bench.bags.slashed:
            bench.hub.time_s += WINDOW_S
            await bench.bags.changed()
        await slashed(scheduler, deal, "silence")


async def test_leaves_that_come_late_are_not_demanded(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler, bench.working():
        deal = await done(scheduler, 5)
        bag = scheduler.post(deal, is_withheld=True)
        scheduler.post(deal)
        assert bench.bags.posted[deal] == bag
        bench.hub.time_s += 2 * WINDOW_S
        while bench.bags.status[deal] is not BagStatus.SETTLED:
            await bench.bags.changed()
        assert not bench.bags.demands
        assert not bench.bags.slashed


async def test_fraud_is_proven_by_a_worker_that_was_away(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler:
        async with bench.working():
            deal = await done(scheduler, 5)
        scheduler.post(deal, paid=0)
        await bench.pool.stop()  # the pool is of no use for it
        async with bench.working():
            await slashed(scheduler, deal, "underpayment")


async def test_the_chain_may_refuse_for_a_while(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler, bench.working():
        deal = await done(scheduler, 5)
        bench.bags.refusal = "not now"
        scheduler.post(deal, paid=0)
        await bench.bags.changed()
        bench.hub.is_silent = True
        await bench.bags.changed()
        bench.hub.is_silent, bench.bags.refusal = False, ""
        await slashed(scheduler, deal, "underpayment")
