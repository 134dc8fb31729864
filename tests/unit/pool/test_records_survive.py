"""What is saved is given back as it was, in the database as in memory; nothing is half saved; a database belongs to one pool."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from tests.unit.pool.conftest import SCHEDULER, Scene
from voisin.errors import InputError
from voisin.pool.database.memory import MemoryStore
from voisin.pool.database.opening import open_database
from voisin.pool.database.schema import metadata
from voisin.pool.database.store import PoolStore, open_store
from voisin.pool.heart.records import Changes, Position, TaskFile
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import as_address, as_hash32

pytestmark = pytest.mark.anyio

DOMAIN = Domain(chain_id=31337, hub=as_address("0x" + "b0" * 20))
POOL = as_address("0x" + "a1" * 20)
HASH = as_hash32("0x" + "77" * 32)


@asynccontextmanager
async def in_database(url: str) -> AsyncIterator[PoolStore]:
    async with open_store(url, DOMAIN, POOL, 5) as store:
        yield store


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PoolStore]:
    if request.param == "memory":
        yield MemoryStore(5)
        return
    url = f"sqlite:///{tmp_path}/pool.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    async with in_database(url) as opened:
        yield opened


def busy_pool() -> Scene:
    """A pool in the middle of things: one task done, one failed, one agreed, one waiting, one not opened."""
    scene = Scene(failures_max=1)
    scene.join("alice", slots=9, score=4)
    scene.join("bob", slots=9)
    done, failed, agreed, _waiting = scene.deal(4, trust=3, params='{"iexec_args": "--frame 3"}')
    scene.found(1)
    for name in ("alice", "bob"):
        scene.contribute(name, done)
        scene.contribute(name, agreed)
    scene.agree(done)
    scene.agree(agreed)
    for name in ("alice", "bob"):
        scene.reveal(name, done)
    scene.upload("alice", done)
    scene.checked("alice", done)
    scene.finalized(done)
    scene.fail("alice", failed, "app-unavailable", "404")
    return scene


def files_of(scene: Scene) -> dict[str, TaskFile]:
    """What a scene's machine remembers of its open tasks."""
    return {
        task_id: TaskFile(task=task.record, replicas=tuple(task.replicas.values()), story=tuple(task.story))
        for task_id, task in scene.machine.book.tasks.items()
    }


def by_worker(file: TaskFile) -> TaskFile:
    return replace(file, replicas=tuple(sorted(file.replicas, key=lambda replica: replica.worker)))


async def test_an_empty_store_starts_where_the_hub_does(store: PoolStore) -> None:
    snapshot = await store.load()
    assert (snapshot.position, snapshot.deals, snapshot.tasks) == (Position(5), (), ())


async def test_what_is_open_comes_back_as_it_was(store: PoolStore) -> None:
    scene = busy_pool()
    await store.save(scene.machine.take_changes(), Position(9, HASH))
    snapshot = await store.load()
    assert snapshot.position == Position(9, HASH)
    assert {file.task.task_id: by_worker(file) for file in snapshot.tasks} == {k: by_worker(v) for k, v in files_of(scene).items()}
    assert set(snapshot.workers) == {worker.record for worker in scene.machine.book.workers.values()}
    assert [deal.block for deal in snapshot.deals] == [1, 2]
    assert snapshot.deals == tuple(deal.record for deal in scene.machine.book.deals.values())


async def test_what_is_over_is_kept_too(store: PoolStore) -> None:
    scene = busy_pool()
    changes = scene.machine.take_changes()
    done = next(task_id for task_id, task in changes.tasks.items() if task.phase == "completed")
    await store.save(changes, None)
    file = await store.task(done)
    assert file is not None
    assert (file.task.phase, len(file.replicas), file.story[-1].moment.what) == ("completed", 2, "completed and paid")
    assert [each.task.index for each in await store.deal(file.task.deal_id)] == [0, 1, 2, 3]
    assert await store.task(HASH) is None
    assert await store.deal(HASH) == []
    assert (await store.load()).position == Position(5), "a save without position leaves it"


async def test_later_changes_replace_earlier_ones_and_stories_grow(store: PoolStore) -> None:
    scene = Scene()
    scene.join("alice")
    (task,) = scene.deal()
    await store.save(scene.machine.take_changes(), None)
    scene.contribute("alice", task)
    await store.save(scene.machine.take_changes(), None)
    await store.save(Changes(), Position(6))
    snapshot = await store.load()
    assert snapshot.position == Position(6)
    assert {file.task.task_id: file for file in snapshot.tasks} == files_of(scene)


async def test_closed_and_opened_again_it_is_all_there(database_url: str) -> None:
    scene = busy_pool()
    async with in_database(database_url) as store:
        await store.save(scene.machine.take_changes(), Position(9, HASH))
        before = await store.load()
    async with in_database(database_url) as store:
        assert await store.load() == before


async def test_a_save_that_fails_leaves_nothing_behind(database_url: str) -> None:
    scene = busy_pool()
    changes = scene.machine.take_changes()
    orphan = replace(next(iter(changes.replicas.values())), task_id=HASH)
    changes.replicas[HASH, orphan.worker] = orphan
    async with in_database(database_url) as store:
        with pytest.raises(IntegrityError):  # our own fault, which no waiting mends
            await store.save(changes, Position(9, HASH))
        snapshot = await store.load()
        assert (snapshot.position, snapshot.tasks) == (Position(5), ())


@pytest.mark.parametrize(
    ("domain", "workerpool"),
    [
        (DOMAIN, SCHEDULER),
        (Domain(chain_id=1, hub=DOMAIN.hub), POOL),
        (Domain(chain_id=31337, hub=POOL), POOL),
    ],
)
async def test_a_database_of_another_pool_is_refused(database_url: str, domain: Domain, workerpool: str) -> None:
    async with in_database(database_url):
        pass
    with pytest.raises(InputError, match="own database"):
        async with open_store(database_url, domain, workerpool, 5):
            pass


@pytest.mark.parametrize("url", ["sqlite://", "nonsense", "oracle://x/y", "sqlite:///:memory:"])
async def test_an_address_that_is_no_database_is_refused(url: str) -> None:
    with pytest.raises(InputError):
        async with open_store(url, DOMAIN, POOL, 0):
            pass


async def test_the_migrations_make_the_tables_that_the_code_uses(database_url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"version_table": "pool_version"})
        return list(compare_metadata(context, metadata))

    async with open_database(database_url, DOMAIN, POOL, 5) as engine, engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_database_is_in_wal_mode(tmp_path: Path) -> None:
    async with in_database(f"sqlite:///{tmp_path}/pool.sqlite"):
        pass
    with sqlite3.connect(tmp_path / "pool.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


async def test_a_task_that_ends_while_its_middle_is_saved_stays_known(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene()
    scene.join("alice")
    (task,) = scene.deal()
    scene.contribute("alice", task)
    scene.agree(task)
    middle = scene.machine.take_changes()
    scene.reveal("alice", task)
    scene.finalized(task)
    scene.machine.forget(middle)
    assert task in scene.machine.book.closed
    scene.machine.forget(scene.machine.take_changes())
    assert task not in scene.machine.book.closed
