"""What apps print is kept in order, cut at its beginning, told live, and forgotten in time."""

from __future__ import annotations

import anyio
import pytest

from voisin.pool.database.logs import LogBook, Piece
from voisin.pool.database.memory import MemoryStore
from voisin.protocol.ids import Hash32, TaskId, as_address
from voisin.protocol.wire import Printed
from voisin.protocol.wire_words import Stream
from voisin.units import UnixSeconds

pytestmark = pytest.mark.anyio

TASK, OTHER = TaskId(Hash32("0x" + "01" * 32)), TaskId(Hash32("0x" + "02" * 32))
ALICE, BOB = as_address("0x" + "a1" * 20), as_address("0x" + "b2" * 20)
OUT, ERR = Stream.STDOUT, Stream.STDERR


def said(start: int, text: str, stream: Stream = OUT) -> Printed:
    return Printed(task_id=TASK, stream=stream, start=start, text=text)


def book(log_chars: int = 100) -> LogBook:
    return LogBook(MemoryStore(), log_chars=log_chars)


async def text_of(logs: LogBook, stream: Stream = OUT) -> str:
    (log,) = await logs.read(TASK)
    return log.stdout if stream is OUT else log.stderr


@pytest.mark.parametrize(
    ("pieces", "kept"),
    [
        ([said(0, "one "), said(4, "two")], "one two"),
        ([said(0, "one "), said(0, "one "), said(4, "two")], "one two"),
        ([said(0, "one "), said(4, "two"), said(4, "two")], "one two"),
        ([said(0, "one "), said(2, "e two")], "one two"),
        ([said(0, "one "), said(9, "after a gap")], "one after a gap"),
        ([said(0, "first try"), said(0, "second")], "second"),
        ([said(0, "x" * 90), said(90, "y" * 20)], "x" * 80 + "y" * 20),
        ([said(0, "z" * 250)], "z" * 100),
        ([said(0, "a\0b")], "a␀b"),
    ],
)
async def test_a_stream_is_put_together(pieces: list[Printed], kept: str) -> None:
    logs = book()
    for piece in pieces:
        logs.take(ALICE, piece, UnixSeconds(10))
    assert await text_of(logs) == kept


async def test_streams_and_workers_are_told_apart() -> None:
    logs = book()
    logs.take(ALICE, said(0, "out"), UnixSeconds(10))
    logs.take(ALICE, said(0, "err", ERR), UnixSeconds(10))
    logs.take(BOB, said(0, "bob"), UnixSeconds(10))
    assert [(log.worker, log.stdout, log.stderr) for log in await logs.read(TASK)] == [(ALICE, "out", "err"), (BOB, "bob", "")]
    assert await logs.read(OTHER) == []


async def test_what_is_saved_is_found_after_a_restart_and_forgotten_in_time() -> None:
    store = MemoryStore()
    before = LogBook(store, log_chars=100)
    before.take(ALICE, said(0, "kept"), UnixSeconds(10))
    await before.save(lambda _task: False)
    after = LogBook(store, log_chars=100)
    assert await text_of(after) == "kept"
    await store.forget_logs(UnixSeconds(9))
    assert await text_of(after) == "kept"
    await store.forget_logs(UnixSeconds(10))
    assert await after.read(TASK) == []


async def test_a_follower_hears_all_from_the_beginning_to_the_end() -> None:
    logs, is_open, heard = book(), True, list[Piece | None]()
    logs.take(ALICE, said(0, "before "), UnixSeconds(10))
    async with anyio.create_task_group() as tasks:

        async def follow() -> None:
            async for piece in logs.follow(TASK, lambda _task: is_open):
                heard.append(piece)

        tasks.start_soon(follow)
        with anyio.fail_after(120):
            while not heard:
                await anyio.lowlevel.checkpoint()
        logs.take(ALICE, said(7, "after"), UnixSeconds(10))
        logs.take(BOB, said(0, "too"), UnixSeconds(10))
        is_open = False
    assert [piece for piece in heard if piece] == [
        Piece(ALICE, OUT, 0, "before "),
        Piece(ALICE, OUT, 7, "after"),
        Piece(BOB, OUT, 0, "too"),
    ]


async def test_a_follower_that_does_not_read_is_cut_off() -> None:
    logs = book(log_chars=10)
    following = logs.follow(TASK, lambda _task: True)
    async with anyio.create_task_group() as tasks:
        first: list[Piece | None] = []

        async def listen() -> None:
            first.append(await anext(following))

        tasks.start_soon(listen)
        await anyio.wait_all_tasks_blocked()
        for start in range(3_000):
            logs.take(ALICE, said(start, "x"), UnixSeconds(10))
    assert first == [Piece(ALICE, OUT, 0, "x")]
    rest = [piece async for piece in following]
    assert len(rest) < 1_100, "and those who print were not held up"
