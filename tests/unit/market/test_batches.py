"""Batches: who waits together is served together, in order, and nobody is refused for another's fault."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest

from voisin.errors import InputError, UnavailableError
from voisin.market.batches import Batches

pytestmark = pytest.mark.anyio


class Mill:
    """Doubles numbers; remembers the batches. It refuses 13, breaks on 66, and is away for 99."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = anyio.Event()

    async def work(self, items: Sequence[int]) -> list[int | Exception]:
        """Work a batch off, once the gate is open."""
        self.batches.append(list(items))
        await self.gate.wait()
        if 66 in items:
            raise ValueError("broken")
        if 99 in items:
            raise UnavailableError("away")
        return [InputError("13 is refused") if item == 13 else 2 * item for item in items]


async def served(mill: Mill, items: Sequence[int], *, most: int = 10, at_once: int = 1) -> dict[int, int | Exception]:
    """Submit items at the same time, the first a moment before the others; answers what came of each."""
    batches: Batches[int, int] = Batches(mill.work, most=most, at_once=at_once)
    outcomes: dict[int, int | Exception] = {}

    async def submit(item: int) -> None:
        try:
            outcomes[item] = await batches.submit(item)
        except (InputError, UnavailableError, ValueError) as error:
            outcomes[item] = error

    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            for item in items:
                tasks.start_soon(submit, item)
                await anyio.lowlevel.checkpoint()
            mill.gate.set()
    return outcomes


async def test_who_comes_meanwhile_goes_into_the_next() -> None:
    mill = Mill()
    assert await served(mill, [1, 2, 3, 4]) == {1: 2, 2: 4, 3: 6, 4: 8}
    assert mill.batches == [[1], [2, 3, 4]]


async def test_a_batch_has_its_greatest_size() -> None:
    mill = Mill()
    await served(mill, [1, 2, 3, 4, 5, 6], most=2)
    assert mill.batches == [[1], [2, 3], [4, 5], [6]]


async def test_one_is_refused_and_the_others_are_not() -> None:
    outcomes = await served(Mill(), [1, 2, 13, 4])
    assert isinstance(outcomes.pop(13), InputError)
    assert outcomes == {1: 2, 2: 4, 4: 8}


async def test_only_the_one_to_blame_fails() -> None:
    mill = Mill()
    outcomes = await served(mill, [1, 2, 66, 4])
    assert isinstance(outcomes.pop(66), ValueError)
    assert outcomes == {1: 2, 2: 4, 4: 8}
    assert mill.batches == [[1], [2, 66, 4], [2], [66], [4]]


async def test_when_the_world_fails_all_fail_at_once() -> None:
    mill = Mill()
    outcomes = await served(mill, [1, 2, 99])
    assert {item for item, outcome in outcomes.items() if isinstance(outcome, UnavailableError)} == {2, 99}
    assert mill.batches == [[1], [2, 99]]


async def test_who_leaves_takes_nobody_along() -> None:
    mill = Mill()
    batches: Batches[int, int] = Batches(mill.work, most=10)
    outcomes: list[int] = []

    async def stay() -> None:
        outcomes.append(await batches.submit(2))

    async def leave(scope: anyio.CancelScope) -> None:
        with scope:
            await batches.submit(1)

    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            scope = anyio.CancelScope()
            tasks.start_soon(leave, scope)
            await anyio.lowlevel.checkpoint()
            tasks.start_soon(stay)
            await anyio.lowlevel.checkpoint()
            scope.cancel()
            mill.gate.set()
    assert outcomes == [4]


async def test_two_batches_may_be_under_way() -> None:
    mill = Mill()
    outcomes = await served(mill, [1, 2, 3, 4, 5], at_once=2)
    assert outcomes == {1: 2, 2: 4, 3: 6, 4: 8, 5: 10}
    assert mill.batches[:2] == [[1], [2]], "the second did not wait for the first"
    assert sorted(item for batch in mill.batches[2:] for item in batch) == [3, 4, 5]


async def test_every_place_is_given_back() -> None:
    mill = Mill()
    mill.gate.set()
    batches: Batches[int, int] = Batches(mill.work, most=2, at_once=2)
    for _ in range(3):
        async with anyio.create_task_group() as tasks:
            for item in (1, 13, 66, 99, 2, 3):
                tasks.start_soon(swallow, batches, item)
    mill.batches.clear()
    mill.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        for item in (1, 2, 3):
            tasks.start_soon(swallow, batches, item)
            await anyio.lowlevel.checkpoint()
        assert mill.batches == [[1], [2]]
        mill.gate.set()


async def swallow(batches: Batches[int, int], item: int) -> None:
    """Submit an item, whatever comes of it."""
    with suppress(InputError, UnavailableError, ValueError):
        await batches.submit(item)


async def test_who_is_cancelled_while_waiting_is_served_before_it_leaves() -> None:
    mill = Mill()
    batches: Batches[int, int] = Batches(mill.work, most=10)
    left: list[int] = []

    async def leave(item: int, scope: anyio.CancelScope) -> None:
        with scope:
            await batches.submit(item)
        left.append(len(mill.batches))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(swallow, batches, 1)
            await anyio.lowlevel.checkpoint()
            scopes = [anyio.CancelScope() for _ in range(2)]
            for item, scope in enumerate(scopes, 2):
                tasks.start_soon(leave, item, scope)
                await anyio.lowlevel.checkpoint()
            for scope in scopes:
                scope.cancel()
            await anyio.lowlevel.checkpoint()
            mill.gate.set()
    assert mill.batches == [[1], [2, 3]], "the first of them led the second batch, cancelled or not"
    assert left == [2, 2]
    assert await batches.submit(4) == 8
