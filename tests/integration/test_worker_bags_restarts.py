"""A worker that is killed in the middle of a bag loses nothing that it had, does nothing twice, and keeps what proves its work."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.support.bag_scheduler import SHARE, WINDOW_S, BagScheduler
from tests.support.patience import a_moment
from tests.support.worker_bench import Bench, open_bench
from voisin.protocol.bag_wire import Receipts
from voisin.protocol.ids import DealId
from voisin.worker.bags import store
from voisin.worker.bags.store import BagStore, Work
from voisin.worker.memory_world import MemoryStorage
from voisin.worker.vocabulary import BagEnded

pytestmark = pytest.mark.anyio


class Killed(BaseException):
    """The process is gone."""


async def until_killed(bench: Bench, scheduler: BagScheduler, volume: int) -> None:
    """Give a worker a bag, and let it work until its process dies; no goodbye."""
    with pytest.raises(BaseExceptionGroup) as caught:
        await _work_for_ever(bench, scheduler, volume)
    assert caught.group_contains(Killed)


async def _work_for_ever(bench: Bench, scheduler: BagScheduler, volume: int) -> None:
    async with bench.working():
        await bench.pool.joined(len(bench.pool.hellos) + 1)
        await scheduler.give(scheduler.deal(volume), range(volume))
        await anyio.sleep_forever()


@pytest.mark.parametrize("step", ["keep_results", "keep_receipts", "keep_statement"])
@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.parametrize("nth", [1, 2])
async def test_killed_at_a_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, is_written: bool, nth: int) -> None:
    count, transact = 0, BagStore.transact

    def dying(self: BagStore, works: list[Work]) -> None:
        nonlocal count
        is_it = any(step in work.__qualname__ for work in works)
        count += is_it
        if is_it and count == nth and not is_written:
            raise Killed
        transact(self, works)
        if is_it and count == nth:
            raise Killed

    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler:
        monkeypatch.setattr(store.BagStore, "transact", dying)
        await until_killed(bench, scheduler, 12)
        await goes_on(bench, scheduler, 12)
        if is_written or step != "keep_results":
            said_before = len(scheduler.said)
            assert said_before == 12


async def goes_on(bench: Bench, scheduler: BagScheduler, volume: int) -> None:
    """Check that the worker goes on after a restart: it tells what it has, does the rest, and is paid for all of it."""
    deal = next(iter(bench.hub.deals))
    ran_before = runs(bench)
    kept = BagStore(bench.folder / "bags")
    had = {result.index: result for result in kept.page(deal, -1)}
    kept.close()
    bench.pool.hellos.clear()
    async with bench.working():
        await bench.pool.joined()
        if had:
            await scheduler.until(lambda: {each.index for held in scheduler.held for each in held.contributed} == set(had))
        await scheduler.give(deal, range(volume))  # as a pool that has seen what is held, and more than it need
        await scheduler.shows(deal, volume)
        assert runs(bench) - ran_before == volume - len(had)
        scheduler.post(deal)
        bench.hub.time_s += WINDOW_S * 2
        await bench.until(lambda: any(isinstance(news, BagEnded) for news in bench.news))
    assert BagEnded(deal, "settled", volume * SHARE) in bench.news
    assert not bench.bags.slashed


def runs(bench: Bench) -> int:
    """How often the app ran."""
    return len(bench.runner.jobs) + sum(len(series.turns) for series in bench.runner.series)


async def test_killed_while_it_stores_archives(tmp_path: Path) -> None:
    class Dying(MemoryStorage):
        async def put_results(self, blobs):  # type: ignore[no-untyped-def]
            raise Killed

    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler:
        honest = bench.storage
        bench.storage = Dying(honest.blobs)
        await until_killed(bench, scheduler, 5)
        bench.storage = honest
        await goes_on(bench, scheduler, 5)


async def test_receipts_outlive_the_worker(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler:
        scheduler.is_asking = False
        sent = []

        def note(message):  # type: ignore[no-untyped-def]
            sent.append(message)
            return message

        scheduler.lie = note
        async with bench.working():
            await bench.pool.joined()
            deal = scheduler.deal(4)
            await scheduler.give(deal, range(4))
            await scheduler.until(lambda: len(scheduler.said) == 4)
            assert all(isinstance(message, Receipts) for message in sent)
            await bench.pool.say(scheduler.statement(deal, 1))
            await _kept(bench, scheduler, 4)
        leaves = scheduler.leaves(deal)
        scheduler.post(deal, leaves, paid=1)
        async with bench.working():
            while not bench.bags.slashed:
                await bench.bags.changed()
        assert bench.bags.slashed == [(deal, "contradiction", bench.me)]


async def _kept(bench: Bench, scheduler: BagScheduler, count: int) -> None:
    kept = BagStore(bench.folder / "bags")
    deal = next(iter(bench.hub.deals))
    try:
        with anyio.fail_after(120):
            while sum(bool(result.receipt) for result in kept.page(deal, -1)) < count:
                await bench.bags.changed()
    finally:
        kept.close()


async def test_a_new_link_hears_what_there_is(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, BagScheduler(bench).serving() as scheduler, bench.working():
        await bench.pool.joined()
        deal = scheduler.deal(8)
        await scheduler.give(deal, range(8))
        await scheduler.shows(deal, 8)
        await _paid(bench, deal, 8 * SHARE)
        await bench.pool.drop()
        await bench.pool.joined(2)
        await scheduler.until(lambda: {each.index for held in scheduler.held for each in held.contributed} == set(range(8)))
        assert {held.earned for held in scheduler.held} == {8 * SHARE}


async def _paid(bench: Bench, deal: DealId, amount: int) -> None:
    """Wait until a statement of so much [nRLC] is written down: the one of the last results is under way when they are shown."""
    kept = BagStore(bench.folder / "bags")
    try:
        with anyio.fail_after(120):
            while (statement := kept.statement(deal)) is None or statement.amount < amount:
                await a_moment()
    finally:
        kept.close()
