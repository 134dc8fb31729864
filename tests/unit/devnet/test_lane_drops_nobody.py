"""The thread behind the loop: in order, bounded, and nobody waits for ever when it closes."""

from __future__ import annotations

import asyncio
import threading

import pytest

from voisin.chain.devnet.lanes import Lane
from voisin.chain.devnet.wire.errors import LimitError
from voisin.errors import UnavailableError

pytestmark = pytest.mark.anyio


async def test_jobs_run_in_order_on_one_thread() -> None:
    lane = Lane("lane", max_waiting=100)
    done: list[int] = []
    threads = await asyncio.gather(
        *(lane.run(lambda number=number: (done.append(number), threading.get_ident())[1]) for number in range(50))
    )  # type: ignore[misc]
    assert done == list(range(50))
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()
    await lane.close()


async def test_error_reaches_the_caller_and_the_lane_goes_on() -> None:
    lane = Lane("lane", max_waiting=100)
    with pytest.raises(ZeroDivisionError):
        await lane.run(lambda: 1 // 0)
    assert await lane.run(lambda: 7) == 7
    await lane.close()


async def test_deep_recursion_ends_in_an_error_and_not_in_a_crash() -> None:
    lane = Lane("lane", max_waiting=100)

    def recurse(depth: int) -> int:
        return depth if depth == 0 else max(map(recurse, [depth - 1]))  # through C, as opcodes call each other

    assert await lane.run(lambda: recurse(5_000)) == 0
    with pytest.raises(RecursionError):
        await lane.run(lambda: recurse(1_000_000))
    await lane.close()


async def test_cancelled_caller_frees_its_place_and_what_has_begun_is_done() -> None:
    lane = Lane("lane", max_waiting=1)
    has_begun, may_go, done = threading.Event(), threading.Event(), threading.Event()
    waiting = asyncio.create_task(lane.run(lambda: (has_begun.set(), may_go.wait(20), done.set())))  # type: ignore[func-returns-value]
    await asyncio.to_thread(has_begun.wait, 20)
    with pytest.raises(LimitError, match="too many requests wait"):
        await lane.run(lambda: 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    may_go.set()
    assert await lane.run(done.is_set)
    await lane.close()


async def test_closing_finishes_what_has_begun_and_tells_the_others() -> None:
    lane = Lane("lane", max_waiting=10)
    may_go, has_begun = threading.Event(), threading.Event()
    first = asyncio.create_task(lane.run(lambda: has_begun.set() or may_go.wait(20)))  # type: ignore[func-returns-value]
    second = asyncio.create_task(lane.run(lambda: 2))
    await asyncio.to_thread(has_begun.wait, 20)
    closing = asyncio.create_task(lane.close())
    with pytest.raises(UnavailableError, match="shutting down"):
        await second
    may_go.set()
    assert await first is True
    await closing
    with pytest.raises(UnavailableError, match="shutting down"):
        await lane.run(lambda: 3)
