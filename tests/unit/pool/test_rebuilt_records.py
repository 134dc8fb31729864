"""What the chain alone gives back is what the pool had written down: deals, tasks, contributions, results, scores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import pytest

from tests.unit.pool.test_service_with_twins import POOL, SCHEDULER, World, completed, join, until
from voisin.errors import InputError
from voisin.pool import PoolSettings
from voisin.pool.bags.twin import TwinBagLedger
from voisin.pool.chain.twin import TWIN_DOMAIN
from voisin.pool.database.memory import MemoryStore
from voisin.pool.database.store import PoolStore, open_store
from voisin.pool.heart.records import Outcome, TaskFile
from voisin.pool.rebuilding import Rebuilt, Sources, rebuild
from voisin.protocol.ids import TaskId

pytestmark = pytest.mark.anyio


def told_by_the_chain(file: TaskFile) -> dict[str, Any]:
    """A task's records without what only the pool knew."""
    task = replace(file.task, reason="", reveal_deadline=0, failures=0, callback_data="0x")
    replicas = {
        replica.worker: (replica.result_hash, replica.weight, replica.outcome)
        for replica in file.replicas
        if replica.result_hash is not None
    }
    return {"task": task, "replicas": replicas}


async def remembered(store: PoolStore, tasks: list[TaskId]) -> dict[TaskId, dict[str, Any] | None]:
    found = [await store.task(task) for task in tasks]
    return {task: None if file is None else told_by_the_chain(file) for task, file in zip(tasks, found, strict=True)}


async def lived(world: World) -> list[TaskId]:
    """A pool that completes some tasks, outvotes a liar, and leaves others in the middle of things."""
    done = world.deal(2, trust=3)
    async with world.pool() as pool, anyio.create_task_group() as tasks:
        world.worker("liar", answer="wrong", slots=4)
        for name in ("liar", "alice", "bob", "carol"):
            join(tasks, pool, world.worker(name, slots=4) if name != "liar" else world.workers[name])
        await completed(world, *done)
        waiting = world.deal(1, trust=10_000)
        untouched = world.deal(1, trust=100_000)

        async def are_contributed() -> bool:
            (found,) = await world.ledger.tasks(waiting)
            return found is not None and len(found.contributors) == 4

        await until(are_contributed)

        async def is_saved() -> bool:
            file = await world.store.task(waiting[0])
            return file is not None and sum(1 for replica in file.replicas if replica.result_hash) == 4

        await until(is_saved)
        tasks.cancel_scope.cancel()
    return [*done, *waiting, *untouched]


async def rebuilt(world: World, store: PoolStore) -> Rebuilt:
    sources = Sources(ledger=world.ledger, bags=TwinBagLedger(lambda: world.now), results=world.results)
    return await rebuild(PoolSettings(workerpool=POOL), SCHEDULER.address, sources, store)


async def test_the_same_state_comes_back() -> None:
    world, again = World(), MemoryStore()
    tasks = await lived(world)
    report = await rebuilt(world, again)
    assert await remembered(again, tasks) == await remembered(world.store, tasks)
    before, after = await world.store.load(), await again.load()
    assert after.deals == before.deals
    assert {worker.address: worker.score for worker in after.workers} == {worker.address: worker.score for worker in before.workers}
    assert (report.deals, report.bags, report.tasks["completed"]) == (3, {}, 2)
    assert {file.outcome for task in tasks for file in (await again.task(task)).replicas} >= {Outcome.PROVED, Outcome.FAULTY}  # type: ignore[union-attr]


async def test_the_same_state_comes_back_into_a_database(database_url: str) -> None:
    world = World()
    tasks = await lived(world)
    async with open_store(database_url, TWIN_DOMAIN, POOL, 0) as again:
        await rebuilt(world, again)
        assert await remembered(again, tasks) == await remembered(world.store, tasks)
        taken = await again.claims.take(await again.claims.join("main", 10.0))
        assert {each.from_block for each in taken} == {(await again.load()).position.next_block}, "nothing is told a second time"
        assert len(taken) == 2


async def test_a_pool_goes_on_from_rebuilt_records() -> None:
    world = World()
    world.deal(1, trust=3)
    again = MemoryStore()
    await rebuilt(world, again)
    world.store = again
    (more,) = world.deal(1)
    async with world.pool() as pool, anyio.create_task_group() as tasks:
        for name in ("alice", "bob"):
            join(tasks, pool, world.worker(name, slots=4))
        await completed(world, more)
        tasks.cancel_scope.cancel()


async def test_records_that_are_there_are_not_written_over() -> None:
    world = World()
    world.deal()
    await rebuilt(world, world.store)
    with pytest.raises(InputError, match="not empty"):
        await rebuilt(world, world.store)
