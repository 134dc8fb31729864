"""Memory that all running apps share, whoever has them run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from voisin.sandbox import Job, OnOutput, Outcome, Series, ShortRun
from voisin.worker.ports import Runner


class SharedRunner:
    """
    A runner that lets an app wait until there is memory for it.

    Args:
        runner: What runs apps.
        memory_bytes: Memory that all of them may use together.

    Attributes:
        memory_bytes: The same; may change at any time, for apps that are not running yet.
    """

    def __init__(self, runner: Runner, memory_bytes: int) -> None:
        self._runner = runner
        self.memory_bytes = memory_bytes
        self._used_bytes = 0
        self._freed = anyio.Event()

    async def run(self, job: Job, *, on_output: OnOutput | None = None) -> Outcome:
        """Run an app to its end."""
        async with self._memory(job.limits.memory_bytes):
            return await self._runner.run(job, on_output=on_output)

    async def run_series(self, series: Series) -> list[ShortRun]:
        """Run the first runs of a series."""
        async with self._memory(series.job.limits.memory_bytes):
            return await self._runner.run_series(series)

    @asynccontextmanager
    async def _memory(self, size_bytes: int) -> AsyncIterator[None]:
        while self._used_bytes and self._used_bytes + size_bytes > self.memory_bytes:
            await self._freed.wait()
        self._used_bytes += size_bytes
        try:
            yield
        finally:
            self._used_bytes -= size_bytes
            self._freed.set()
            self._freed = anyio.Event()
