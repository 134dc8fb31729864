"""Bags from deal to settlement among twins: honest and lying workers, lost messages, a hub that refuses, a pool that is killed."""

from __future__ import annotations

import anyio
import pytest

from tests.support.bag_stage import PRICE, BagStage, join, until
from voisin.protocol.bag_api import decode_leaves
from voisin.protocol.bag_settlement import is_trusted
from voisin.protocol.cid import cid_from_digest
from voisin.protocol.ids import from_hex

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
