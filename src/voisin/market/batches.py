"""
Doing together what is asked for at the same time: one batch of questions to the chain, one transaction, for many who wait.

Nobody waits for others to come: who finds a free place begins a batch, and who comes meanwhile goes into the next. The thousands who wait
in a second cost little: each has one future, and only who does the work has a scope that shields it.
"""

from __future__ import annotations

from asyncio import CancelledError, Future, get_running_loop
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio

from voisin.errors import UnavailableError

ItemT = TypeVar("ItemT")
DoneT = TypeVar("DoneT")


@dataclass(eq=False, slots=True)
class _Seat(Generic[ItemT, DoneT]):
    """Somebody who waits, and what became of their item: the one thing done, or the error, or neither yet."""

    item: ItemT
    bell: Future[None]
    is_called: bool = False
    done: tuple[DoneT] | None = None
    error: Exception | None = None

    @property
    def is_settled(self) -> bool:
        """Whether it is known what became of the item."""
        return self.done is not None or self.error is not None

    def call(self) -> None:
        """Wake who sits here: the item is settled, or it is their turn to lead."""
        self.is_called = True
        if not self.bell.done():
            self.bell.set_result(None)


class Batches(Generic[ItemT, DoneT]):
    """
    Works batches off; the first of each does the work for all of it.

    Args:
        work: Does all items of a batch; answers, for each, what came of it or why it was refused. What it raises undoes the batch, and
            each item is done alone, so that only the one to blame is refused; unless it is the world that failed, which fails all.
        most: Most items of a batch.
        at_once: How many batches may be under way; `work` sees to it what of them happens one after another.
    """

    def __init__(self, work: Callable[[Sequence[ItemT]], Awaitable[Sequence[DoneT | Exception]]], *, most: int, at_once: int = 1) -> None:
        self._work = work
        self._most = most
        self._places = at_once
        self._waiting: deque[_Seat[ItemT, DoneT]] = deque()

    async def submit(self, item: ItemT) -> DoneT:
        """
        Have an item done, with those of others; never cancelled half-way, for others depend on it.

        Raises:
            Exception: Why the item was refused, or its whole batch failed.
        """
        seat: _Seat[ItemT, DoneT] = _Seat(item, get_running_loop().create_future())
        if self._places:
            self._places -= 1
            await self._lead(seat)
        else:
            self._waiting.append(seat)
            await self._follow(seat)
        if seat.error is not None:
            raise seat.error
        assert seat.done is not None
        return seat.done[0]

    async def _follow(self, seat: _Seat[ItemT, DoneT]) -> None:
        """Wait until the item is done, by others or by oneself; who is cancelled meanwhile leaves only then."""
        try:
            await seat.bell
        except CancelledError:
            with anyio.CancelScope(shield=True):
                if not seat.is_called:
                    seat.bell = get_running_loop().create_future()
                    await seat.bell
                if not seat.is_settled:
                    await self._lead(seat)
            raise
        if not seat.is_settled:
            await self._lead(seat)

    async def _lead(self, seat: _Seat[ItemT, DoneT]) -> None:
        """Work off a batch from those who wait longest, oneself the first, and pass the lead on."""
        batch = [seat]
        while self._waiting and len(batch) < self._most:
            batch.append(self._waiting.popleft())
        try:
            with anyio.CancelScope(shield=True):
                if not await self._is_done(batch):
                    for each in batch:
                        await self._is_done([each])
        except BaseException:  # a loop that ends
            for each in batch:
                each.error = UnavailableError("the service ends", hint="try again")
            raise
        finally:
            if self._waiting:
                self._waiting.popleft().call()
            else:
                self._places += 1
            for each in batch[1:]:
                each.call()

    async def _is_done(self, batch: Sequence[_Seat[ItemT, DoneT]]) -> bool:
        """Work a batch off; tells whether that came to an end, be it refusals."""
        try:
            outcomes = await self._work([seat.item for seat in batch])
        except Exception as error:  # noqa: BLE001  (raised where the items wait)
            if len(batch) > 1 and not isinstance(error, UnavailableError):
                return False
            outcomes = [error] * len(batch)
        for seat, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Exception):
                seat.error = outcome
            else:
                seat.done = (outcome,)
        return True
