"""
Looking at what a worker uploaded before the pool stakes its word on it: that it is there, not too large, and the agreed result.

Whoever agreed on a result can still upload something else; a pool that finalised that would leave the requester with a result
that fits no digest. Results up to a size are therefore read and held against the digest that the workers revealed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import anyio
import httpx
from anyio import to_thread

from voisin.errors import InputError, TrustError, UnavailableError
from voisin.pool.heart.commands import CheckUpload
from voisin.pool.settings import PoolSettings
from voisin.protocol.archive import open_archive
from voisin.protocol.cid import Cid, cid_of, parse_cid
from voisin.storage import StorageClient

ATTEMPTS = 4
PAUSE_S = 0.25
INLINE_BYTES = 1 << 18
"""Largest result that is compared on the loop itself; a thread costs more than that [bytes]."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A result as the storage has it; `data` is None when it is larger than asked for."""

    size_bytes: int
    data: bytes | None


class ResultStore(Protocol):
    """Where results lie."""

    async def fetch(self, cid: Cid, *, max_bytes: int) -> Stored | None:
        """
        Fetch a result; None when it is not there.

        Args:
            cid: Its name.
            max_bytes: Up to which size its bytes are wanted [bytes].

        Raises:
            UnavailableError: The storage does not answer.
        """
        ...

    async def store(self, data: bytes) -> Cid:
        """
        Store bytes.

        Raises:
            UnavailableError: The storage does not answer, or is full.
        """
        ...


async def check_upload(store: ResultStore, settings: PoolSettings, command: CheckUpload) -> str:
    """
    Look at an upload.

    Args:
        store: Where results lie.
        settings: How large a result may be, and up to which size it is read.
        command: What was uploaded, and what was agreed.

    Returns:
        What is wrong with it, in words; empty when it is good.
    """
    try:
        return await look_at_upload(store, settings, command)
    except UnavailableError as error:
        return error.message


async def look_at_upload(store: ResultStore, settings: PoolSettings, command: CheckUpload) -> str:
    """
    Look at an upload as `check_upload` does, and do not blame it for a storage that does not answer.

    Raises:
        UnavailableError: The storage does not answer, several times.
    """
    try:
        cid = parse_cid(command.cid)
    except InputError as error:
        return error.message
    found = await _fetch(store, cid, 0 if command.is_encrypted else settings.max_checked_bytes)
    if found is None:
        return "it is not in storage"
    if found.size_bytes > settings.max_upload_bytes:
        return f"it has {found.size_bytes} bytes, and {settings.max_upload_bytes} are allowed"
    if found.data is None:
        return ""
    if len(found.data) <= INLINE_BYTES:
        return _compare(found.data, cid, command)
    return await to_thread.run_sync(_compare, found.data, cid, command)


async def _fetch(store: ResultStore, cid: Cid, max_bytes: int) -> Stored | None:
    """Fetch, a few times if the storage does not answer."""
    for attempt in range(ATTEMPTS - 1):
        try:
            return await store.fetch(cid, max_bytes=max_bytes)
        except UnavailableError:
            await anyio.sleep(PAUSE_S * 2**attempt * random.uniform(0.5, 1))  # noqa: S311  (jitter, not a secret)
    return await store.fetch(cid, max_bytes=max_bytes)


def _compare(data: bytes, cid: Cid, command: CheckUpload) -> str:
    if cid_of(data) != cid:
        return "the storage gave other bytes than those of this name"
    try:
        open_archive(data).require_digest(command.digest, has_callback=command.has_callback)
    except (InputError, TrustError) as error:
        return f"it is not the agreed result: {error.message}"
    return ""


class HttpResults:
    """Results in our storage service. Close it, or use it as an async context manager."""

    def __init__(self, http: httpx.AsyncClient, storage_url: str) -> None:
        """
        Args:
            http: The client; it stays the caller's.
            storage_url: The storage's address.
        """
        self._http = http
        self._url = storage_url.rstrip("/")
        self._storage: StorageClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what was opened to store."""
        if self._storage is not None:
            await self._storage.aclose()

    async def fetch(self, cid: Cid, *, max_bytes: int) -> Stored | None:
        """Fetch a result in one request, and read its bytes only if they are few enough."""
        try:
            async with self._http.stream("GET", f"{self._url}/ipfs/{cid}", headers={"accept-encoding": "identity"}) as answer:
                if answer.status_code == httpx.codes.NOT_FOUND:
                    return None
                size = self._size(answer, cid)
                if size > max_bytes:
                    return Stored(size, None)
                data = await answer.aread()
        except httpx.HTTPError as error:
            raise UnavailableError(f"the storage at {self._url} does not answer: {error or type(error).__name__}") from None
        return Stored(len(data), data)

    async def store(self, data: bytes) -> Cid:
        """Store bytes; the client is made once, as that takes a while."""
        self._storage = self._storage or StorageClient(self._url)
        return await self._storage.put_bytes(data)

    def _size(self, answer: httpx.Response, cid: Cid) -> int:
        if not answer.is_success:
            raise UnavailableError(f"the storage at {self._url} answers {answer.status_code}")
        length = answer.headers.get("content-length", "")
        if not length.isascii() or not length.isdigit():
            raise UnavailableError(f"the storage at {self._url} does not say how large {cid} is")
        return int(length)


class TwinResults:
    """
    Results in memory, for tests and simulations.

    Attributes:
        blobs: What is stored.
        is_away: Whether it does not answer.
    """

    def __init__(self) -> None:
        self.blobs: dict[Cid, bytes] = {}
        self.is_away = False

    def put(self, data: bytes) -> Cid:
        """Store bytes."""
        cid = cid_of(data)
        self.blobs[cid] = data
        return cid

    async def store(self, data: bytes) -> Cid:
        """Store bytes."""
        if self.is_away:
            raise UnavailableError("the storage does not answer")
        return self.put(data)

    async def fetch(self, cid: Cid, *, max_bytes: int) -> Stored | None:
        """Fetch a result."""
        if self.is_away:
            raise UnavailableError("the storage does not answer")
        data = self.blobs.get(cid)
        if data is None:
            return None
        return Stored(len(data), data if len(data) <= max_bytes else None)
