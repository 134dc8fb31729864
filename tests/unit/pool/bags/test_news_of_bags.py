"""What was saved of bags is told from memory as the records would tell it, whatever a reader asks for and however far back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.pool.bags.conftest import DEAL, Scene
from voisin.pool.bags.memory import MemoryBagStore
from voisin.pool.bags.news import MAX_RECENT, BagNews
from voisin.pool.bags.records import BagChanges, BagRecord, EndedTask
from voisin.pool.database.claims import Lease
from voisin.protocol.bag_api import BagStage
from voisin.protocol.bag_settlement import NO_RESULT
from voisin.protocol.ids import DealId, Hash32

DIGEST = Hash32("0x" + "aa" * 32)
VOLUME = MAX_RECENT + 300


def _ended(places: range) -> BagChanges:
    """Every third task has no result."""
    tasks = [EndedTask(index=place - 1, place=place, digest=NO_RESULT if place % 3 == 0 else DIGEST) for place in places]
    return BagChanges(ended=[(DEAL, task) for task in tasks])


class Records:
    """A store and the news of it, which are told the same."""

    def __init__(self) -> None:
        self.record = BagRecord(terms=Scene(VOLUME).terms)
        self.store = MemoryBagStore(lambda _: None)
        self.store.begin([self.record.terms])
        self.news = BagNews(self.store)

    async def save(self, changes: BagChanges) -> None:
        await self.store.save(changes, Lease(1))
        self.news.take(changes)


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.mark.anyio
async def test_what_is_at_hand_is_what_the_records_say(records: Records) -> None:
    records.news.begin(records.record, 0, 0)
    for first in range(1, VOLUME + 1, 100):
        await records.save(_ended(range(first, min(first + 100, VOLUME + 1))))
    for after, limit in [(0, 5), (1, 1), (299, 10), (300, 10), (301, 1_000), (VOLUME - 1, 5), (VOLUME, 5), (VOLUME + 7, 5)]:
        assert await records.news.ended_after(DEAL, after, limit) == await records.store.ended_after(DEAL, after, limit), after
    found = await records.news.standing(DEAL)
    assert found is not None
    assert (found.done, found.undone) == (VOLUME - VOLUME // 3, VOLUME // 3)


@pytest.mark.anyio
async def test_a_bag_that_was_begun_by_another_is_told_from_its_first_task(records: Records) -> None:
    await records.store.save(_ended(range(1, 8)), Lease(1))
    records.news.begin(records.record, 5, 2)
    await records.save(_ended(range(8, 10)))
    assert [task.place for task in await records.news.ended_after(DEAL, 0, 9)] == list(range(1, 10))
    assert [task.place for task in await records.news.ended_after(DEAL, 7, 9)] == [8, 9]


@pytest.mark.anyio
async def test_a_bag_that_is_not_run_here_is_read(records: Records) -> None:
    records.news.begin(records.record, 0, 0)
    await records.save(_ended(range(1, 4)))
    records.news.end(DEAL)
    await records.store.save(BagChanges(bags={DEAL: replace(records.record, stage=BagStage.POSTED)}), Lease(1))
    found = await records.news.standing(DEAL)
    assert found is not None
    assert (found.record.stage, found.done, found.undone) == (BagStage.POSTED, 2, 1)
    assert await records.news.standing(DealId(DIGEST)) is None
