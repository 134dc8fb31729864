"""Running something beside something else."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import anyio


@asynccontextmanager
async def beside(run: Callable[[], Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """
    Run something beside the context's body, and cancel it at the end; the body's own error leaves as it is, not in a group.

    Args:
        run: What is run; it deals with its own failures.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as running:
        running.start_soon(run)
        try:
            yield
        except Exception as error:  # noqa: BLE001  (raised again below)
            failure = error
        finally:
            running.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def stop_on_signal(scope: anyio.CancelScope) -> None:
    """Cancel a scope when the process is interrupted or terminated."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
            return
