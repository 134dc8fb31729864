"""Storage and a sandbox in memory: twins for tests of workers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from voisin.errors import StateError, TrustError, UnavailableError
from voisin.protocol.cid import Cid, cid_of
from voisin.sandbox import Job, Outcome
from voisin.storage import ContentTooLargeError


@dataclass
class MemoryStorage:
    """
    Storage in memory.

    Attributes:
        blobs: What it holds.
        is_silent: Whether it does not answer.
        asked: Every address that was asked for.
    """

    blobs: dict[Cid, bytes] = field(default_factory=dict)
    is_silent: bool = False
    asked: list[Cid] = field(default_factory=list)

    def add(self, data: bytes) -> Cid:
        """Hold some bytes; answers their address."""
        cid = cid_of(data)
        self.blobs[cid] = data
        return cid

    @asynccontextmanager
    async def open(self, _url: str) -> AsyncIterator[MemoryStorage]:
        """Open it, whatever its address is said to be."""
        yield self

    async def get_bytes(self, cid: Cid, *, max_bytes: int) -> bytes:
        """Fetch a blob into memory."""
        await anyio.lowlevel.checkpoint()
        self.asked.append(cid)
        if self.is_silent:
            raise UnavailableError("the storage does not answer")
        if cid not in self.blobs:
            raise StateError(f"the storage has no {cid}")
        data = self.blobs[cid]
        if len(data) > max_bytes:
            raise ContentTooLargeError(f"{cid} is larger than {max_bytes} bytes")
        if cid_of(data) != cid:
            raise TrustError(f"the storage sent something else than {cid}")
        return data

    async def get_file(self, cid: Cid, path: Path, *, max_bytes: int) -> int:
        """Fetch a blob into a file; answers its size [bytes]."""
        data = await self.get_bytes(cid, max_bytes=max_bytes)
        return await anyio.to_thread.run_sync(path.write_bytes, data)

    async def put_result(self, path: Path) -> Cid:
        """Store a result; answers its address."""
        if self.is_silent:
            raise UnavailableError("the storage does not answer")
        return self.add(await anyio.to_thread.run_sync(path.read_bytes))


Guest = Callable[[Job], Awaitable[Outcome | Mapping[str, bytes]]]
"""An app in Python: answers the files it leaves behind, or how it failed."""


@dataclass
class ScriptedRunner:
    """
    A sandbox that runs a Python function instead of a module.

    Attributes:
        guest: The function.
        jobs: Every job it was given.
        running: How many run now.
        most_running: How many ran at the same time at most.
    """

    guest: Guest
    jobs: list[Job] = field(default_factory=list)
    running: int = 0
    most_running: int = 0

    async def run(self, job: Job) -> Outcome:
        """Run the function and lay its files out."""
        self.jobs.append(job)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            answer = await self.guest(job)
        finally:
            self.running -= 1
        if isinstance(answer, Outcome):
            return answer
        for name, data in answer.items():
            path = job.output_dir / name
            await anyio.to_thread.run_sync(lambda path=path: path.parent.mkdir(parents=True, exist_ok=True))  # type: ignore[misc]
            await anyio.to_thread.run_sync(path.write_bytes, data)
        return Outcome(cause=None, instructions=1)
