"""Most workers are new and tell the same lie: where the pool knows others it is not served, else trust says how many it takes."""

from __future__ import annotations

import anyio
import pytest

from tests.support.bag_stage import BagStage, join, until
from voisin.pool.opening import Pool
from voisin.protocol.bag_api import decode_leaves
from voisin.protocol.bag_settlement import Leaf
from voisin.protocol.cid import cid_from_digest
from voisin.protocol.ids import DealId, from_hex

pytestmark = pytest.mark.anyio

KNOWN = 12
"""A score of somebody who is not new."""
LIARS = ("mallory", "mike", "mary", "mona", "max")


async def leaves_of(stage: BagStage, deal: DealId) -> list[Leaf]:
    """Wait until a bag is posted, and read what is posted."""
    await until(lambda: stage.hub.is_posted(deal))
    bag = stage.hub.posted(deal)
    return decode_leaves(stage.results.blobs[cid_from_digest(from_hex(bag.leaves))], deal, bag.root)


def is_banned(pool: Pool, stage: BagStage, name: str) -> bool:
    """Whether a worker gets no more tasks."""
    return bool(pool.service.machine.book.worker(stage.worker(name).wallet.address).record.ban)


@pytest.mark.parametrize("trust", [1, 3])
async def test_new_workers_do_not_vouch_for_each_other_where_known_ones_are(trust: int) -> None:
    stage = BagStage()
    async with stage.pool() as pool, anyio.create_task_group() as tasks:
        honest = [stage.worker(name) for name in ("alice", "bob", "carol")]
        for worker in honest:
            stage.ledger.scores[worker.wallet.address] = KNOWN
        join(tasks, pool, *[stage.worker(name, answer="wrong") for name in LIARS], *honest)
        await until(lambda: len(pool.service.machine.book.present) == len(LIARS) + len(honest))
        deal = stage.deal(60, trust=trust)
        leaves = await leaves_of(stage, deal)
        assert [leaf.digest for leaf in leaves] == [honest[0].result(deal, leaf.index)[0] for leaf in leaves], "no lie was served"
        assert any(is_banned(pool, stage, name) for name in LIARS)
        assert not any(is_banned(pool, stage, worker.name) for worker in honest)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(("trust", "together"), [(1, 2), (3, 2), (5, 3)])
async def test_where_all_are_new_a_lie_needs_as_many_as_the_trust_asks(trust: int, together: int) -> None:
    """Nobody can do better who knows nobody; `together` is from poco-protocol.md 11: 2^n x trust > (1 + 2^n) x (trust - 1)."""
    stage = BagStage()
    async with stage.pool() as pool, anyio.create_task_group() as tasks:
        honest = stage.worker("alice")
        join(tasks, pool, honest, stage.worker("bob"), *[stage.worker(name, answer="wrong") for name in LIARS])
        deal = stage.deal(20, trust=trust)
        leaves = await leaves_of(stage, deal)
        assert all(len(leaf.agreed) >= together for leaf in leaves if leaf.agreed), "the rest is refunded"
        tasks.cancel_scope.cancel()


async def test_one_liar_fewer_than_the_trust_asks_gets_nothing_past_new_workers() -> None:
    stage = BagStage()
    async with stage.pool() as pool, anyio.create_task_group() as tasks:
        honest = [stage.worker(name) for name in ("alice", "bob", "carol", "dora", "eve")]
        join(tasks, pool, *[stage.worker(name, answer="wrong") for name in LIARS[:2]], *honest)
        deal = stage.deal(20, trust=5)
        leaves = await leaves_of(stage, deal)
        assert [leaf.digest for leaf in leaves] == [honest[0].result(deal, leaf.index)[0] for leaf in leaves]
        tasks.cancel_scope.cancel()
