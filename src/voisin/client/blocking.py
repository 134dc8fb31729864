"""
The generic part of the blocking face: an asynchronous object in an event loop's thread, used from ordinary code.

`cloud_blocking.py`, the typed classes on top of it, is generated from the asynchronous ones by `facegen.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from typing import Generic, ParamSpec, TypeVar

from anyio.from_thread import BlockingPortal

InnerT = TypeVar("InnerT")
P = ParamSpec("P")
T = TypeVar("T")


class Face(Generic[InnerT]):
    """The blocking face of one asynchronous object."""

    def __init__(self, portal: BlockingPortal, inner: InnerT) -> None:
        self._portal = portal
        self._inner = inner

    def __repr__(self) -> str:
        return f"blocking {self._inner!r}"

    def _wait(self, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Carry a call out in the loop's thread and wait for its answer; an interrupt cancels it."""
        future = self._later(call, *args, **kwargs)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _later(self, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin a call in the loop's thread."""
        return self._portal.start_task_soon(partial(call, *args, **kwargs))
