"""Apps and inputs that were needed before, by content address; what was not used for longest goes first."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio

from voisin.protocol.cid import Cid, digest_of
from voisin.worker.content import Content, fetch_content
from voisin.worker.ports import Storage


class ContentCache:
    """
    A folder of files named by their content address. Only files that storage has verified come in.

    Args:
        folder: Where they are; created when missing, and cleaned of half-fetched files.
        max_bytes: Size up to which files are kept that nobody uses.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._max_bytes = max_bytes
        self._users: dict[Cid, int] = {}
        self._fetching: dict[Cid, anyio.Lock] = {}
        for leftover in folder.glob("*.part"):
            leftover.unlink()

    @contextmanager
    def use(self, cid: Cid) -> Iterator[None]:
        """Keep a file from being thrown out."""
        self._users[cid] = self._users.get(cid, 0) + 1
        try:
            yield
        finally:
            self._users[cid] -= 1
            if not self._users[cid]:
                del self._users[cid]

    def path(self, cid: Cid) -> Path:
        """Say where a file is, if it is there."""
        return self._folder / cid

    def held(self, most: int) -> tuple[str, ...]:
        """Name some of the files that are there, the last used first."""
        found = sorted(self._list(), key=lambda each: each[1].st_mtime_ns, reverse=True)
        return tuple(path.name for path, _ in found[:most] if path.is_file())

    async def fetch(self, content: Content, storage: Storage, *, max_bytes: int, verify: bool = False) -> Path:
        """
        Get a file, from storage if it is not here yet. Hold it with `use` meanwhile.

        Args:
            content: What it is.
            storage: Where it comes from.
            max_bytes: The largest that is taken.
            verify: Whether a file that is here already is hashed again, if its hash is known: disks damage files, too.

        Returns:
            The file; never change it.

        Raises:
            VoisinError: As storage does.
        """
        cid, path = content.cid, self.path(content.cid)
        async with self._one_at_a_time(cid):
            if await anyio.to_thread.run_sync(self._touch, path, cid if verify and content.sha256 is not None else None):
                return path
            partial = path.with_name(f"{cid}.{secrets.token_hex(8)}.part")
            try:
                await fetch_content(content, storage, partial, max_bytes=max_bytes)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
            self._shrink(await anyio.to_thread.run_sync(self._list))
        return path

    @asynccontextmanager
    async def _one_at_a_time(self, cid: Cid) -> AsyncIterator[None]:
        lock = self._fetching.setdefault(cid, anyio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.statistics().tasks_waiting:
                self._fetching.pop(cid, None)

    def _touch(self, path: Path, cid: Cid | None) -> bool:
        """Mark a file as used now; False when it is not there, or is not what it should be (`cid`, unless that is not asked)."""
        try:
            os.utime(path)
        except FileNotFoundError:
            return False
        if cid is None:
            return True
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest() == digest_of(cid)

    def _list(self) -> list[tuple[Path, os.stat_result]]:
        return [(path, path.stat()) for path in self._folder.iterdir() if path.suffix != ".part"]

    def _shrink(self, found: list[tuple[Path, os.stat_result]]) -> None:
        total = sum(status.st_size for _, status in found)
        for path, status in sorted(found, key=lambda each: each[1].st_mtime_ns):
            if total <= self._max_bytes:
                break
            if path.name not in self._users:
                path.unlink(missing_ok=True)
                total -= status.st_size
