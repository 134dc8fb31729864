"""Doing many small things at once, a bounded number at a time, with their answers in order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio

from voisin.errors import VoisinError

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 8


async def both(one: Callable[[], Awaitable[T]], other: Callable[[], Awaitable[R]]) -> tuple[T, R]:
    """
    Do two things at once.

    Raises:
        VoisinError: The first that one of them raised; the other is cancelled.
    """
    first: list[T] = []
    second: list[R] = []

    async def do_one() -> None:
        first.append(await one())

    async def do_other() -> None:
        second.append(await other())

    await each((do_one, do_other), lambda act: act())
    return first[0], second[0]


async def each(items: Iterable[T], act: Callable[[T], Awaitable[R]], *, at_once: int = AT_ONCE) -> list[R]:
    """
    Do the same with every item.

    Args:
        items: The items.
        act: What to do with each.
        at_once: How many may be under way at a time.

    Returns:
        The answers, in the items' order.

    Raises:
        VoisinError: The first that any of them raised; the others are cancelled.
    """
    answers: dict[int, R] = {}
    errors: list[VoisinError] = []
    limiter = anyio.CapacityLimiter(at_once)

    async def one(place: int, item: T, scope: anyio.CancelScope) -> None:
        async with limiter:
            try:
                answers[place] = await act(item)
            except VoisinError as error:
                errors.append(error)
                scope.cancel()

    count = 0
    async with anyio.create_task_group() as tasks:
        for item in items:
            tasks.start_soon(one, count, item, tasks.cancel_scope)
            count += 1
    if errors:
        raise errors[0]
    return [answers[place] for place in range(count)]
