"""The cache keeps to its size, never throws out what is in use, and notices files that the disk damaged."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from voisin.protocol.cid import Cid
from voisin.worker.cache import ContentCache
from voisin.worker.content import blob
from voisin.worker.memory_world import MemoryStorage

pytestmark = pytest.mark.anyio


def aged(cache: ContentCache, cid: Cid, age: int) -> None:
    os.utime(cache.path(cid), ns=(age, age))


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_the_least_used_goes_first(tmp_path: Path) -> None:
    storage, cache = MemoryStorage(), ContentCache(tmp_path, 250)
    one, two, three = [storage.add(bytes([number]) * 100) for number in range(3)]
    for age, cid in enumerate((one, two)):
        await cache.fetch(blob(cid), storage, max_bytes=1_000)
        aged(cache, cid, age)
    await cache.fetch(blob(one), storage, max_bytes=1_000)
    await cache.fetch(blob(three), storage, max_bytes=1_000)
    assert [cache.path(cid).exists() for cid in (one, two, three)] == [True, False, True]
    assert storage.asked == [one, two, three]


async def test_what_is_in_use_stays(tmp_path: Path) -> None:
    storage, cache = MemoryStorage(), ContentCache(tmp_path, 150)
    one, two, three = [storage.add(bytes([number]) * 100) for number in range(3)]
    with cache.use(one), cache.use(one):
        await cache.fetch(blob(one), storage, max_bytes=1_000)
        aged(cache, one, 0)
        with cache.use(two):
            await cache.fetch(blob(two), storage, max_bytes=1_000)
            assert cache.path(one).exists()
            assert cache.path(two).exists()
    await cache.fetch(blob(three), storage, max_bytes=1_000)
    assert not cache.path(one).exists()


async def test_many_who_want_the_same_fetch_it_once(tmp_path: Path) -> None:
    storage, cache = MemoryStorage(), ContentCache(tmp_path, 1_000)
    cid = storage.add(b"wanted")
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(lambda: cache.fetch(blob(cid), storage, max_bytes=100))
    assert storage.asked == [cid]
    assert cache.path(cid).read_bytes() == b"wanted"


async def test_a_damaged_file_is_fetched_again_when_asked_to_look(tmp_path: Path) -> None:
    storage, cache = MemoryStorage(), ContentCache(tmp_path, 1_000)
    cid = storage.add(b"module")
    await cache.fetch(blob(cid), storage, max_bytes=100, verify=True)
    cache.path(cid).write_bytes(b"m0dule")
    await cache.fetch(blob(cid), storage, max_bytes=100, verify=True)
    assert cache.path(cid).read_bytes() == b"module"
    await cache.fetch(blob(cid), storage, max_bytes=100, verify=True)
    assert storage.asked == [cid, cid]


async def test_a_failed_fetch_leaves_nothing(tmp_path: Path) -> None:
    storage, cache = MemoryStorage(), ContentCache(tmp_path, 1_000)
    cid = storage.add(b"x" * 100)
    with pytest.raises(Exception, match="larger"):
        await cache.fetch(blob(cid), storage, max_bytes=10)
    assert _names(tmp_path) == []
