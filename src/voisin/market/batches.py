"""
Doing together what is asked for at the same time: one batch of questions to the chain, one transaction, for many who wait.

Nobody waits for others to come: who finds no batch under way begins one, and who comes meanwhile goes into the next.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import anyio

from voisin.errors import UnavailableError

ItemT = TypeVar("ItemT")
DoneT = TypeVar("DoneT")


@dataclass(eq=False, slots=True)
class _Seat(Generic[ItemT, DoneT]):
    """Somebody who waits, and what became of their item: the one thing done, or the error, or neither yet."""

    item: ItemT
    called: anyio.Event = field(default_factory=anyio.Event)
    done: tuple[DoneT] | None = None
    error: Exception | None = None


class Batches(Generic[ItemT, DoneT]):
    """
    Works batches off, one after another; the first of each does the work for all of it.

    Args:
        work: Does all items of a batch; answers, for each, what came of it or why it was refused. What it raises undoes the batch, and
            each item is done alone, so that only the one to blame is refused; unless it is the world that failed, which fails all.
        most: Most items of a batch.
    """

    def __init__(self, work: Callable[[Sequence[ItemT]], Awaitable[Sequence[DoneT | Exception]]], *, most: int) -> None:
        self._work = work
        self._most = most
        self._waiting: list[_Seat[ItemT, DoneT]] = []
        self._is_busy = False

    async def submit(self, item: ItemT) -> DoneT:
        """
        Have an item done, with those of others; never cancelled half-way, for others depend on it.

        Raises:
            Exception: Why the item was refused, or its whole batch failed.
        """
        seat: _Seat[ItemT, DoneT] = _Seat(item)
        self._waiting.append(seat)
        with anyio.CancelScope(shield=True):
            if self._is_busy:
                await seat.called.wait()
            if seat.done is None and seat.error is None:
                await self._lead()
        if seat.error is not None:
            raise seat.error
        assert seat.done is not None
        return seat.done[0]

    async def _lead(self) -> None:
        """Work off a batch from those who wait longest, oneself the first, and pass the lead on."""
        self._is_busy = True
        batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        try:
            if not await self._is_done(batch):
                for seat in batch:
                    await self._is_done([seat])
        except BaseException:  # a loop that ends
            for seat in batch:
                seat.error = UnavailableError("the service ends", hint="try again")
            raise
        finally:
            self._is_busy = bool(self._waiting)
            for seat in (*batch[1:], *self._waiting[:1]):
                seat.called.set()

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
