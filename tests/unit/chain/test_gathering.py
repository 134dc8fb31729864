"""Pauses of those who follow a chain: as long as said, shorter for who is in a hurry."""

from __future__ import annotations

import anyio
import pytest

from voisin.chain import Gathering

pytestmark = pytest.mark.anyio
LONG_S = 3600.0


async def test_nobody_waits_by_default() -> None:
    with anyio.fail_after(60):
        await Gathering().wait()


async def test_a_pause_ends_by_itself() -> None:
    begun = anyio.current_time()
    await Gathering(0.05).wait()
    assert anyio.current_time() - begun >= 0.05


async def test_who_is_in_a_hurry_ends_the_pause() -> None:
    gathering = Gathering(LONG_S)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(gathering.wait)
            await anyio.wait_all_tasks_blocked()
            gathering.hurry()


async def test_a_hurry_before_the_pause_leaves_that_one_out_and_no_other() -> None:
    gathering = Gathering(LONG_S)
    gathering.hurry()
    with anyio.fail_after(60):
        await gathering.wait()
    with anyio.move_on_after(0.05) as scope:
        await gathering.wait()
    assert scope.cancelled_caught


async def test_a_pause_that_was_given_up_takes_nothing_from_the_next() -> None:
    gathering = Gathering(LONG_S)
    with anyio.move_on_after(0.05):
        await gathering.wait()
    with anyio.move_on_after(0.05) as scope:
        await gathering.wait()
    assert scope.cancelled_caught
