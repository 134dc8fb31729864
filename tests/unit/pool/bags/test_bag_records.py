"""Bags are given back as they were saved, in every database; nobody writes about a bag that another scheduler has taken over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.bag_stage import POOL
from tests.unit.pool.bags.conftest import DEAL, Scene, wallet
from voisin.pool.bags.records import BagChanges, BagRecord
from voisin.pool.chain.twin import TWIN_DOMAIN
from voisin.pool.database.claims import Lease
from voisin.pool.database.memory import MemoryStore
from voisin.pool.database.store import PoolStore, open_store
from voisin.protocol.ids import task_id

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PoolStore]:
    if request.param == "memory":
        yield MemoryStore(5)
        return
    url = f"sqlite:///{tmp_path}/pool.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    async with open_store(url, TWIN_DOMAIN, POOL, 5) as opened:
        yield opened


class Recorded(Scene):
    """A pool whose every change is also saved in a store, one by one."""

    def __init__(self, **settings: object) -> None:
        self.saves: list[BagChanges] = []
        super().__init__(6, trust=3, **settings)

    def tell(self, *facts: object) -> list[object]:
        before = self.machine.book.take_changes
        self.machine.book.take_changes = lambda: self._keep(before())  # type: ignore[method-assign]
        commands = super().tell(*facts)
        self.machine.book.take_changes = before  # type: ignore[method-assign]
        return commands

    def _keep(self, changes: BagChanges) -> BagChanges:
        self.saves.append(changes)
        return changes


def busy() -> Recorded:
    """A bag in the middle: one task done against a liar, one failed, one with votes, the rest untouched."""
    scene = Recorded(failures_max=1)
    for name in ("alice", "bob", "carol", "dave"):
        scene.join(name, slots=6)
    scene.say("alice", 0, answer="wrong")
    for name in ("bob", "carol", "dave"):
        scene.say(name, 0)
    for name in ("bob", "carol", "dave"):
        scene.show(name, 0)
    scene.good()
    scene.give_up("alice", 1)
    scene.say("alice", 2)
    return scene


async def held(store: PoolStore, scene: Scene) -> Lease:
    """Have a scheduler hold the deal."""
    session = await store.claims.join("one", 60)
    return Lease(session, await store.claims.find(session, [scene.terms], [DEAL]))


async def test_a_bag_comes_back_as_it_was(store: PoolStore) -> None:
    scene = busy()
    lease = await held(store, scene)
    for changes in scene.saves:
        assert await store.bags.save(changes, lease) == set()
        assert await store.bags.save(changes, lease) == set(), "twice does no harm"
    wanted = scene.kept.snapshot()
    found = await store.bags.load(DEAL)
    assert found is not None
    assert (found.record, found.ended, found.earned) == (wanted.record, wanted.ended, wanted.earned)
    assert set(found.votes) == set(wanted.votes)
    assert await store.bags.ended(DEAL) == [scene.kept.ended[index] for index in sorted(scene.kept.ended)]
    assert [task.place for task in await store.bags.ended_after(DEAL, 1, 9)] == [2]
    assert await store.bags.count(DEAL) == (1, 1)
    assert await store.bags.ended_task(task_id(DEAL, 0)) == (DEAL, scene.kept.ended[0])
    assert {vote.worker for vote in await store.bags.votes(DEAL, 0)} == {wallet(name) for name in ("alice", "bob", "carol", "dave")}


async def test_a_bag_that_is_over_is_held_by_nobody(store: PoolStore) -> None:
    scene = busy()
    lease = await held(store, scene)
    record = BagRecord(terms=scene.terms, is_over=True)
    await store.bags.save(BagChanges(bags={DEAL: record}), lease)
    assert await store.claims.take(await store.claims.join("one", 60)) == []


@pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)  # in memory there is one scheduler
async def test_who_holds_a_bag_no_more_writes_nothing_of_it(store: PoolStore) -> None:
    scene = busy()
    lease = await held(store, scene)
    lease.epochs[DEAL] -= 1
    for changes in scene.saves:
        if changes:
            assert await store.bags.save(changes, lease) == {DEAL}
    assert await store.bags.load(DEAL) is None
