"""Bags from deal to settlement among twins: honest and lying workers, lost messages, a hub that refuses, a pool that is killed."""

from __future__ import annotations

import anyio
import pytest

from tests.support.bag_stage import PRICE, BagStage, join, until
from voisin.errors import RevertError
from voisin.pool.wire.views import bag_view, deal_views, task_file, task_view
from voisin.protocol.bag_api import BagView, decode_leaves
from voisin.protocol.bag_settlement import is_trusted
from voisin.protocol.cid import cid_from_digest
from voisin.protocol.ids import from_hex, task_id

pytestmark = pytest.mark.anyio


async def test_a_bag_is_done_posted_settled_and_paid() -> None:
    stage = BagStage()
    async with stage.pool() as pool, anyio.create_task_group() as tasks:
        alice, bob = stage.worker("alice"), stage.worker("bob")
        join(tasks, pool, alice, bob)
        deal = stage.deal(20)
        await until(lambda: stage.hub.is_posted(deal))
        bag = stage.hub.posted(deal)
        assert bag.done == 20
        file = stage.results.blobs[cid_from_digest(from_hex(bag.leaves))]
        leaves = decode_leaves(file, deal, bag.root)
        assert [leaf.done for leaf in leaves] == list(range(1, 21))
        assert all(is_trusted(leaf, 1) for leaf in leaves)
        stage.now += 6
        await until(lambda: stage.hub.is_settled(deal))
        await alice.over(deal)
        told = {worker.wallet.address: worker.parts[deal].earned for worker in (alice, bob) if deal in worker.parts}
        assert stage.hub.paid == told
        assert sum(told.values()) == 20 * PRICE * 99 // 100
        tasks.cancel_scope.cancel()


async def test_results_are_seen_as_they_come() -> None:
    stage = BagStage()
    async with stage.pool() as pool, anyio.create_task_group() as tasks:
        deal = stage.deal(3)
        service = pool.service
        await until(lambda: service.bags.is_run(deal))
        early = await task_view(service, task_id(deal, 1))
        assert (early.phase, early.why) == ("new", "it waits for a worker; tasks are served in order")
        views: list[BagView] = []

        async def look() -> None:
            seen = 0
            while seen < 3:
                views.append(await bag_view(service, deal, after=seen, wait_s=10))
                seen = views[-1].next

        tasks.start_soon(look)
        alice = stage.worker("alice")
        join(tasks, pool, alice)
        await until(lambda: bool(views) and views[-1].next == 3)
        assert sorted(result.index for view in views for result in view.results) == [0, 1, 2]
        done = await task_view(service, task_id(deal, 1))
        assert done.phase == "completed"
        assert done.why.startswith("done: 1 worker agreed; the bag is")
        assert [view.index for view in await deal_views(service, deal)] == [0, 1, 2]
        file, terms = await task_file(service, task_id(deal, 2))
        assert (file.task.digest, terms.deal_id) == (alice.result(deal, 2)[0], deal)
        tasks.cancel_scope.cancel()


async def test_a_deal_that_no_hub_can_settle_says_so() -> None:
    stage = BagStage()
    async with stage.pool() as pool:
        deal = stage.deal(1, params='{"voisin_window":"a while"}')
        await until(lambda: pool.service.bags.is_run(deal))
        view = await bag_view(pool.service, deal, after=0, wait_s=0)
        assert view.why.startswith("it cannot be done: the deal's window 'a whil' is no number")


async def test_an_answer_that_was_lost_and_a_refusal_do_no_harm() -> None:
    stage = BagStage()
    stage.hub.lost_answers = 1
    stage.hub.failures = [RevertError("the chain is busy")]
    async with stage.pool() as pool, anyio.create_task_group() as tasks:
        join(tasks, pool, stage.worker("alice"))
        deal = stage.deal(2)

        def is_posted_in_time() -> bool:
            stage.now += 0.01  # refused steps wait for a while
            return stage.hub.is_posted(deal)

        await until(is_posted_in_time)
        tasks.cancel_scope.cancel()
    stage.now += 6
    async with stage.pool():
        await until(lambda: stage.hub.is_settled(deal))
    assert stage.hub.sent == ["post", "settle"]


async def test_a_bag_that_was_punished_pays_nobody() -> None:
    stage = BagStage()
    async with stage.pool() as pool, anyio.create_task_group() as tasks:
        alice = stage.worker("alice")
        join(tasks, pool, alice)
        deal = stage.deal(2)
        await until(lambda: stage.hub.is_posted(deal))
        pool.service.bags.hear([stage.hub.slash(deal)])
        await alice.over(deal)
        view = await bag_view(pool.service, deal, after=0, wait_s=0)
        assert (view.stage, view.why) == ("punished", "a fraud was proven; the requester has the money back")
        tasks.cancel_scope.cancel()
