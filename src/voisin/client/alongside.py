"""What goes on beside a wait for results: reports, and looking after bags and late tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import anyio

from voisin.client.bags.guard import Guard
from voisin.client.job import AsyncJob
from voisin.client.requester import Requester
from voisin.errors import UnavailableError, VoisinError

T = TypeVar("T")
_RETRY_S: Final = 5.0


async def do_beside(aside: Callable[[], Awaitable[None]], main: Callable[[], Awaitable[T]]) -> T:
    """Do one thing while another goes on beside it; errors come out as they are."""
    errors: list[Exception] = []
    answers: list[T] = []
    async with anyio.create_task_group() as tasks:

        async def guarded() -> None:
            try:
                await aside()
            except Exception as error:  # noqa: BLE001  the caller's own callback may raise anything, and the caller gets it
                errors.append(error)
                tasks.cancel_scope.cancel()

        tasks.start_soon(guarded)
        try:
            answers.append(await main())
        except VoisinError as error:
            errors.append(error)
        if errors:
            tasks.cancel_scope.cancel()
    if errors:
        raise errors[0]
    return answers[0]


async def guard_job(job: AsyncJob, requester: Requester) -> None:
    """Guard the bags and claim what is late; while the chain is out of reach, wait. What cannot be had is told to those who wait."""

    async def guarded(work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await work()
            except UnavailableError:
                await anyio.sleep(_RETRY_S)
            except VoisinError as error:
                for watched in job.watched.values():
                    watched.give_up(error)
                return None

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(guarded, lambda: job.claim_late(requester.sender))
        for part in job.deals:
            if part.bag is not None:
                tasks.start_soon(guarded, Guard(part.bag, requester, part.deadline).keep)
