"""A worker does bags: tasks by the hundred, nothing on the chain before the end, paid at the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.support.bag_scheduler import SHARE, WINDOW_S, BagScheduler
from tests.support.worker_bench import open_bench
from voisin.protocol.archive import open_archive
from voisin.protocol.bag_wire import AskDigests, GiveTasks, TakeBack
from voisin.protocol.cid import cid_from_digest
from voisin.protocol.ids import from_hex, task_id
from voisin.protocol.results import result_hash
from voisin.protocol.wire_words import MachineFailure
from voisin.worker.vocabulary import BagEnded

pytestmark = pytest.mark.anyio


async def test_a_bag_is_done_and_paid(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler, bench.working():
        await bench.pool.joined()
        deal = scheduler.deal(300)
        await scheduler.give(deal, range(300))
        await scheduler.shows(deal, 300)
        for index in range(300):
            shown = scheduler.shown[deal, index]
            assert scheduler.said[deal, index] == result_hash(task_id(deal, index), shown.digest)
            archive = open_archive(bench.storage.blobs[cid_from_digest(from_hex(shown.location))])
            assert archive.digest() == shown.digest
            assert archive.read("task.txt") == str(index).encode()
        scheduler.post(deal)
        before = bench.account.stake
        bench.hub.time_s += WINDOW_S * 2
        await bench.until(lambda: any(isinstance(news, BagEnded) for news in bench.news))
        assert BagEnded(deal, "settled", 300 * SHARE) in bench.news
        assert bench.account.stake == before + 300 * SHARE
    assert bench.hub.sent == []  # not a single transaction for a task
    assert scheduler.contributed == sorted(set(scheduler.contributed), key=scheduler.contributed.index)
    assert not list((bench.folder / "bags").glob("0x*"))


async def test_app_and_inputs_are_fetched_once(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler, bench.working():
        await bench.pool.joined()
        deal = scheduler.deal(50)
        await scheduler.give(deal, range(50))
        await scheduler.shows(deal, 50)
        assert len(bench.storage.asked) == 1


async def test_nothing_is_shown_without_a_receipt(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler, bench.working():
        await bench.pool.joined()
        scheduler.is_asking = False
        held_back = []

        def lie(message):  # type: ignore[no-untyped-def]
            held_back.append(message)

        scheduler.lie = lie
        deal = scheduler.deal(3)
        await scheduler.give(deal, range(3))
        await scheduler.until(lambda: len(scheduler.said) == 3)
        await bench.pool.say(AskDigests(deal, (0, 1, 2)))
        await bench.pool.say(GiveTasks(deal, (0,)))  # answered with the contribution, after what was asked before it
        await scheduler.until(lambda: len(scheduler.contributed) == 4)
        assert not scheduler.shown
        assert len(bench.storage.blobs) == 1
        scheduler.lie = lambda message: message
        for message in held_back:
            await bench.pool.say(message)
        await scheduler.shows(deal, 3)


async def test_taken_back_tasks_are_not_done(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler, bench.working():
        await bench.pool.joined()
        deal = scheduler.deal(10)
        bench.storage.is_silent = True
        await scheduler.give(deal, range(10))
        await bench.pool.say(TakeBack(deal, tuple(range(5)), "others were quicker"))
        await scheduler.give(deal, (20,))
        bench.storage.is_silent = False
        await scheduler.until(lambda: bool(scheduler.shown) or bool(scheduler.gave_up))
        assert not {index for _, index in scheduler.shown} & set(range(5))


@pytest.mark.parametrize(
    ("params", "failure"),
    [
        ("", MachineFailure.CHAIN_REFUSED),
        ('{"voisin_window":"000001"}', MachineFailure.NO_RESOURCES),
        ('{"voisin_window":"00000x"}', MachineFailure.CHAIN_REFUSED),
    ],
)
async def test_deals_that_are_not_worth_it_are_given_up(tmp_path: Path, params: str, failure: MachineFailure) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler, bench.working():
        await bench.pool.joined()
        deal = scheduler.deal(3, params=params)
        await scheduler.give(deal, range(3))
        await scheduler.until(lambda: bool(scheduler.gave_up))
        assert scheduler.gave_up[0].indexes == (0, 1, 2)
        assert scheduler.gave_up[0].failure is failure
        assert not bench.runner.jobs


async def test_tasks_that_the_deal_does_not_have_are_given_up(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler, bench.working():
        await bench.pool.joined()
        deal = scheduler.deal(2, bot_first=5)
        await scheduler.give(deal, (4, 5, 6, 7))
        await scheduler.shows(deal, 2)
        assert {index for gave_up in scheduler.gave_up for index in gave_up.indexes} == {4, 7}


async def test_a_foreign_pools_deal_is_given_up(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler, bench.working():
        await bench.pool.joined()
        deal = scheduler.deal(2)
        terms = bench.hub.deals[deal]
        bench.hub.deals[deal] = replace(terms, workerpool=replace(terms.workerpool, pointer=terms.app.pointer))
        await scheduler.give(deal, range(2))
        await scheduler.until(lambda: bool(scheduler.gave_up))
        assert scheduler.gave_up[0].failure is MachineFailure.CHAIN_REFUSED
