"""Batches: who waits together is served together, in order, and nobody is refused for another's fault."""

from __future__ import annotations

from collections.abc import Sequence

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


async def served(mill: Mill, items: Sequence[int], *, most: int = 10) -> dict[int, int | Exception]:
    """Submit items at the same time, the first a moment before the others; answers what came of each."""
    batches: Batches[int, int] = Batches(mill.work, most=most)
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
