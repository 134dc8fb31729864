"""A sandbox process that was taken over may answer anything, or nothing: its parent believes none of it and does not wait for ever."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from voisin.sandbox.process import Child, ChildDiedError
from voisin.sandbox.wire import Compiled, Done, Run, Started, encode

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def lying_child(folder: Path) -> AsyncIterator[tuple[Child, socket.socket]]:
    """A child whose process does nothing, and the socket that speaks in its place."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    process = await anyio.open_process(["sleep", "600"], stdin=None)
    child = Child(process, ours, folder)
    try:
        yield child, theirs
    finally:
        await child.discard()
        theirs.close()


def framed(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


NONSENSE = {
    "not-json": framed(b"\xff\xfe"),
    "empty": framed(b""),
    "a-list": framed(b"[]"),
    "no-kind": framed(b"{}"),
    "unknown-kind": framed(b'{"kind": "Run"}'),
    "missing-fields": framed(b'{"kind": "Done"}'),
    "text-for-number": framed(
        json.dumps({"kind": "Done", "cause": "", "detail": "", "exit_code": "0", "instructions": 0, "peak_memory_bytes": 0}).encode()
    ),
    "too-long": struct.pack("<I", 1 << 31),
    "deep": framed(b'{"kind":' * 5_000),
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE)
async def test_nonsense_is_not_believed(tmp_path: Path, data: bytes) -> None:
    async with lying_child(tmp_path / "home") as (child, theirs):
        theirs.sendall(data)
        with pytest.raises(ChildDiedError, match="answered nonsense"):
            await child.answer(60)


async def test_silence_and_dripping_end_at_the_deadline(tmp_path: Path) -> None:
    async with lying_child(tmp_path / "home") as (child, theirs):
        with pytest.raises(TimeoutError):
            await child.answer(0.05)
        theirs.sendall(encode(Started())[:-1])
        with pytest.raises(TimeoutError):
            await child.answer(0.05)


async def test_a_closed_socket_is_a_death_though_the_process_goes_on(tmp_path: Path) -> None:
    async with lying_child(tmp_path / "home") as (child, theirs):
        theirs.close()
        with pytest.raises(ChildDiedError, match="was killed by signal 9"):
            await child.answer(60)
        assert not child.is_alive


async def test_a_child_that_does_not_listen_blocks_nobody(tmp_path: Path) -> None:
    request = Run(
        **dict.fromkeys(Run.__annotations__, 0) | {"args": ("x" * (8 << 20),), "env": {}, "inputs": ()}  # type: ignore[arg-type]
    )
    async with lying_child(tmp_path / "home") as (child, _):
        with anyio.move_on_after(0.05) as scope:
            await child.ask(request)
        assert scope.cancelled_caught


async def test_stopping_wakes_whoever_waits(tmp_path: Path) -> None:
    async with lying_child(tmp_path / "home") as (child, _), anyio.create_task_group() as tasks:

        async def wait() -> None:
            with pytest.raises(ChildDiedError):
                await child.answer(600)

        tasks.start_soon(wait)
        await anyio.lowlevel.checkpoint()
        await child.stop()


@pytest.mark.parametrize("answer", [Compiled(), Started(), Done(cause="", detail="é\n", exit_code=0, instructions=5, peak_memory_bytes=-1)])
async def test_true_answers_arrive_in_pieces_too(tmp_path: Path, answer: Compiled | Started | Done) -> None:
    async with lying_child(tmp_path / "home") as (child, theirs), anyio.create_task_group() as tasks:
        data = encode(answer)

        async def drip(send: Callable[[bytes], Awaitable[None]]) -> None:
            for index in range(len(data)):
                await send(data[index : index + 1])

        async def send(part: bytes) -> None:
            theirs.sendall(part)
            await anyio.lowlevel.checkpoint()

        tasks.start_soon(drip, send)
        assert await child.answer(60) == answer
