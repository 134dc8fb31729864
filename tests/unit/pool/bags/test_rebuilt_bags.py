"""Bags come back from chain and storage, and a pool that has nothing else goes on with them: answers demands, and settles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import anyio
import pytest

from tests.support.bag_stage import POOL, SCHEDULER, BagStage, join, until
from voisin.pool import PoolSettings
from voisin.pool.chain.twin import TWIN_DOMAIN
from voisin.pool.database.memory import MemoryStore
from voisin.pool.database.store import PoolStore, open_store
from voisin.pool.rebuilding import Rebuilt, Sources, rebuild
from voisin.protocol.bag_api import BagStage as Stage
from voisin.protocol.cid import cid_from_digest
from voisin.protocol.ids import DealId, from_hex

pytestmark = pytest.mark.anyio
WINDOW_S = 5


@pytest.fixture
async def empty(database_url: str) -> AsyncIterator[PoolStore]:
    """A database without anything."""
    async with open_store(database_url, TWIN_DOMAIN, POOL, 0) as store:
        yield store


async def posted(stage: BagStage, volume: int = 5, *, is_settled: bool = False) -> DealId:
    """Have a bag done and posted; the liar among its workers is outvoted."""
    async with stage.pool(probation=0) as pool, anyio.create_task_group() as tasks:
        join(tasks, pool, stage.worker("liar", answer="wrong"), *(stage.worker(name) for name in ("alice", "bob", "carol")))
        deal = stage.deal(volume, trust=3)
        await until(lambda: stage.hub.is_posted(deal))
        if is_settled:
            stage.now += WINDOW_S + 1
            await until(lambda: stage.hub.is_settled(deal))
        tasks.cancel_scope.cancel()
    return deal


async def rebuilt(stage: BagStage, store: PoolStore) -> Rebuilt:
    sources = Sources(ledger=stage.ledger, bags=stage.hub, results=stage.results)
    return await rebuild(PoolSettings(workerpool=POOL), SCHEDULER.address, sources, store)


async def test_a_posted_bag_comes_back_as_it_was(empty: PoolStore) -> None:
    stage = BagStage()
    deal = await posted(stage)
    report = await rebuilt(stage, empty)
    assert (report.bags, report.without_leaves) == ({"posted": 1}, ())
    before, after = await stage.store.bags.record(deal), await empty.bags.record(deal)
    assert after == before
    known = [replace(task, place=0, exit_code=None) for task in await stage.store.bags.ended(deal)]
    assert [replace(task, place=0) for task in await empty.bags.ended(deal)] == known
    assert await empty.bags.earned(deal) == await stage.store.bags.earned(deal)
    (taken,) = await empty.claims.take(await empty.claims.join("main", 10.0))
    assert taken.deal.deal_id == deal


async def test_a_pool_without_records_answers_demands_and_settles(empty: PoolStore) -> None:
    stage = BagStage()
    deal = await posted(stage)
    await rebuilt(stage, empty)
    stage.store = empty
    stage.hub.demand(deal, 2)
    async with stage.pool() as pool, anyio.create_task_group() as tasks:
        join(tasks, pool, *stage.workers.values())

        def is_answered() -> bool:
            stage.now += 0.001  # a step that is refused waits for a moment
            return not stage.hub.is_asked(deal)

        await until(is_answered)
        stage.now += WINDOW_S + 1
        await until(lambda: stage.hub.is_settled(deal))
        tasks.cancel_scope.cancel()


async def test_what_is_over_stays_over() -> None:
    stage, again = BagStage(), MemoryStore()
    settled = await posted(stage, is_settled=True)
    report = await rebuilt(stage, again)
    assert report.bags == {"settled": 1}
    found = await again.bags.record(settled)
    assert found is not None
    assert (found.stage, found.is_over) == (Stage.SETTLED, True)


async def test_a_storage_that_lost_the_leaves_is_named() -> None:
    stage, again = BagStage(), MemoryStore()
    deal = await posted(stage)
    del stage.results.blobs[cid_from_digest(from_hex(stage.hub.posted(deal).leaves))]
    assert (await rebuilt(stage, again)).without_leaves == (deal,)


async def test_a_bag_that_is_under_way_is_done_again_by_what_its_workers_hold() -> None:
    stage, again = BagStage(), MemoryStore()
    deal = stage.deal(2)
    assert (await rebuilt(stage, again)).bags == {"running": 1}
    stage.store = again
    async with stage.pool() as pool, anyio.create_task_group() as tasks:
        join(tasks, pool, stage.worker("alice"))

        def is_posted() -> bool:
            stage.now += 0.01  # workers have a moment to tell what they hold
            return stage.hub.is_posted(deal)

        await until(is_posted)
        tasks.cancel_scope.cancel()
