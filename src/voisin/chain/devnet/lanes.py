"""A thread with a queue in front: what may block runs there, in order, never on the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from voisin.chain.devnet.wire.errors import LimitError
from voisin.errors import UnavailableError

T = TypeVar("T")

_STACK_BYTES = 64 * 2**20
"""Stack of a lane's thread: py-evm nests contract calls up to 1,024 deep, each several Python frames. Only touched pages cost memory."""
_CLOSING = "the node is shutting down"


class _Job(Generic[T]):
    """One job: what to run, and who waits for it on which loop."""

    __slots__ = ("_answer", "_loop", "_run")

    def __init__(self, run: Callable[[], T], answer: asyncio.Future[T]) -> None:
        self._run = run
        self._answer = answer
        self._loop = answer.get_loop()

    def run(self) -> None:
        """Run it on the lane's thread, unless nobody waits any more. Whatever it raises is for the caller."""
        if self._answer.cancelled():
            return
        try:
            result = self._run()
        except BaseException as error:  # noqa: BLE001 (raised again where somebody waits for it)
            self._tell(self._answer.set_exception, error)
        else:
            self._tell(self._answer.set_result, result)

    def drop(self) -> None:
        """Tell the caller that it will not be run."""
        self._tell(self._answer.set_exception, UnavailableError(_CLOSING))

    def _tell(self, tell: Callable[[Any], None], what: object) -> None:
        def deliver() -> None:
            if not self._answer.done():  # the caller may have been cancelled
                tell(what)

        try:
            self._loop.call_soon_threadsafe(deliver)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return


class Lane:
    """
    One thread that runs jobs one after another.

    Args:
        name: Name of the thread.
        max_waiting: Most jobs that may wait or run at once.

    Attributes:
        is_closed: Whether the lane takes no more jobs; may be asked from any thread.
    """

    def __init__(self, name: str, *, max_waiting: int) -> None:
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._max_waiting = max_waiting
        self._waiting = 0
        self.is_closed = False
        usual = threading.stack_size(_STACK_BYTES)
        try:
            self._thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._thread.start()
        finally:
            threading.stack_size(usual)

    async def run(self, job: Callable[[], T]) -> T:
        """
        Run a job on the thread and wait for it. When the caller is cancelled, a job that has begun is still done, whole.

        Args:
            job: What to run.

        Returns:
            What it returns.

        Raises:
            LimitError: Too many jobs wait.
            UnavailableError: The lane is closed.
        """
        if self.is_closed:
            raise UnavailableError(_CLOSING)
        if self._waiting >= self._max_waiting:
            raise LimitError("too many requests wait", hint="send fewer at once")
        self._waiting += 1
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(job, answer))
        try:
            return await answer
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Drop the jobs that have not begun, finish the one that has, and end the thread."""
        self.is_closed = True
        with suppress(Empty):
            while (job := self._jobs.get_nowait()) is not None:
                job.drop()
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self.is_closed:
                job.drop()
            else:
                job.run()
            del job  # what it holds must not live until the next one comes
