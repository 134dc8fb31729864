"""Whoever runs a pool sees how far its bags are, who works on them, and which of them stand still and why."""

from __future__ import annotations

import anyio
import pytest

from tests.support.bag_stage import BagStage, join, until
from voisin.pool.wire.operator import status_of
from voisin.protocol.bag_wire import GiveTasks

pytestmark = pytest.mark.anyio


async def test_a_bag_that_nobody_works_on_is_counted_and_after_a_while_stuck() -> None:
    stage = BagStage()
    async with stage.pool() as pool:
        deal = stage.deal(5, trust=3)
        await until(lambda: bool(pool.service.bags.machine.book.bags))
        found = status_of(pool.service)
        assert (found.bags, found.tasks, found.bag_tasks, found.stuck_bags) == (1, {}, {"waiting": 5}, ())
        pool.service.bags.machine.book.bags[deal].moved_at -= 24 * 3600
        (stuck,) = status_of(pool.service).stuck_bags
        assert (stuck.deal_id, stuck.left, stuck.why) == (deal, 5, "no worker is connected that could do it")


async def test_what_workers_of_a_bag_compute_and_have_done_is_counted() -> None:
    stage = BagStage()
    async with stage.pool() as pool, anyio.create_task_group() as tasks:
        bags = pool.service.bags.machine.book.bags
        join(tasks, pool, stage.worker("alice", stops_at=(GiveTasks,)))
        deal = stage.deal(5, trust=3)
        await until(lambda: deal in bags and any(member.held for member in bags[deal].members.values()))
        found = status_of(pool.service)
        assert (found.bag_tasks, found.busy, found.slots) == ({"waiting": 4, "computing": 1}, 1, 1)
        tasks.cancel_scope.cancel()


async def test_what_has_ended_is_counted_until_the_bag_is_settled() -> None:
    stage = BagStage()
    async with stage.pool() as pool, anyio.create_task_group() as tasks:
        join(tasks, pool, *[stage.worker(name) for name in ("alice", "bob")])
        deal = stage.deal(5, trust=3)
        await until(lambda: stage.hub.is_posted(deal))
        assert status_of(pool.service).bag_tasks == {"with a result": 5}
        tasks.cancel_scope.cancel()
