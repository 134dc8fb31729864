"""Equal results of a bag are fetched once, and no other is handed out in their place."""

from __future__ import annotations

import random

import anyio
import pytest

from voisin.client.shelf import MAX_BYTES, MAX_KEPT, Opened, Shelf, Wanted
from voisin.errors import UnavailableError
from voisin.protocol.archive import open_archive, pack_files
from voisin.protocol.cid import cid_of
from voisin.protocol.ids import ZERO_ADDRESS, Hash32

pytestmark = pytest.mark.anyio


class Source:
    """Where results are fetched, and how often that is done."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked = 0

    async def fetch(self) -> Opened:
        """Fetch it."""
        self.asked += 1
        await anyio.lowlevel.checkpoint()
        return Opened(self.data, open_archive(self.data))


def wanted(number: int = 0, *, has_callback: bool = False) -> Wanted:
    """A result."""
    return Wanted(cid_of(str(number).encode()), Hash32(f"0x{number:064x}"), has_callback, ZERO_ADDRESS)


async def test_many_at_once_are_fetched_once() -> None:
    shelf, source = Shelf(), Source(pack_files({"a": b"1"}))
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(shelf.get, wanted(), source.fetch)
    assert (await shelf.get(wanted(), source.fetch)).data == source.data
    assert source.asked == 1


async def test_another_digest_is_another_result() -> None:
    shelf, source = Shelf(), Source(pack_files({}))
    for each in (wanted(1), wanted(2), wanted(1, has_callback=True)):
        await shelf.get(each, source.fetch)
    assert source.asked == 3


async def test_a_failure_is_not_kept() -> None:
    shelf, source = Shelf(), Source(pack_files({}))

    async def fail() -> Opened:
        raise UnavailableError("away")

    with pytest.raises(UnavailableError):
        await shelf.get(wanted(), fail)
    await shelf.get(wanted(), source.fetch)
    assert source.asked == 1


async def test_only_the_last_small_ones_are_kept() -> None:
    shelf, small = Shelf(), Source(pack_files({}))
    for number in range(MAX_KEPT + 1):
        await shelf.get(wanted(number), small.fetch)
    await shelf.get(wanted(0), small.fetch)
    assert small.asked == MAX_KEPT + 2


async def test_large_ones_are_not_kept() -> None:
    shelf, large = Shelf(), Source(pack_files({"noise": random.Random(1).randbytes(MAX_BYTES)}))
    for _ in range(2):
        await shelf.get(wanted(), large.fetch)
    assert large.asked == 2
