"""A thread with a queue in front: what may block runs there, in order, never on the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from voisin.chain.devnet.rpc_errors import LimitError
from voisin.errors import UnavailableError

T = TypeVar("T")

_STACK_BYTES = 64 * 2**20
"""Stack of a lane's thread: contract calls nest up to 1,024 deep, each several Python frames. Only touched pages cost memory."""
_CLOSING = "the node is shutting down"


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
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._max_waiting = max_waiting
        self._waiting = 0
        self.is_closed = False
        usual = threading.stack_size(_STACK_BYTES)
        try:
            self._executor.submit(int).result()  # the executor starts its thread with the first job
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
        future = self._executor.submit(job)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self.is_closed and future.cancelled() and task is not None and not task.cancelling():
                raise UnavailableError(_CLOSING) from None  # the job was dropped, not the caller
            raise
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Drop the jobs that have not begun, finish the one that has, and end the thread."""
        self.is_closed = True
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)
