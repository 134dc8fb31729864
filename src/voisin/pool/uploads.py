"""
Looking at what a worker uploaded before the pool stakes its word on it: that it is there, not too large, and the agreed result.

Whoever agreed on a result can still upload something else; a pool that finalised that would leave the requester with a result
that fits no digest. Results up to a size are therefore read and held against the digest that the workers revealed.
"""

from __future__ import annotations

from typing import Protocol

import anyio
import httpx
from anyio import to_thread

from voisin.errors import InputError, TrustError, UnavailableError
from voisin.pool.commands import CheckUpload
from voisin.pool.settings import PoolSettings
from voisin.protocol.archive import open_archive
from voisin.protocol.cid import Cid, cid_of, parse_cid

ATTEMPTS = 4
PAUSE_S = 0.25


class ResultStore(Protocol):
    """Where results lie."""

    async def size(self, cid: Cid) -> int | None:
        """
        Tell how large a result is [bytes]; None when it is not there.

        Raises:
            UnavailableError: The storage does not answer.
        """
        ...

    async def read(self, cid: Cid) -> bytes:
        """
        Read a whole result.

        Raises:
            UnavailableError: The storage does not answer, or does not have it.
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
        cid = parse_cid(command.cid)
        size = await _patient_size(store, cid)
        if size is None:
            return "it is not in storage"
        if size > settings.max_upload_bytes:
            return f"it has {size} bytes, and {settings.max_upload_bytes} are allowed"
        if command.is_encrypted or size > settings.max_checked_bytes:
            return ""
        return await to_thread.run_sync(_compare, await store.read(cid), cid, command)
    except (InputError, UnavailableError) as error:
        return error.message


async def _patient_size(store: ResultStore, cid: Cid) -> int | None:
    """Ask for the size, a few times if the storage does not answer."""
    for attempt in range(ATTEMPTS - 1):
        try:
            return await store.size(cid)
        except UnavailableError:
            await anyio.sleep(PAUSE_S * 2**attempt)
    return await store.size(cid)


def _compare(data: bytes, cid: Cid, command: CheckUpload) -> str:
    if cid_of(data) != cid:
        return "the storage gave other bytes than those of this name"
    try:
        open_archive(data).require_digest(command.digest, has_callback=command.has_callback)
    except (InputError, TrustError) as error:
        return f"it is not the agreed result: {error.message}"
    return ""


class HttpResults:
    """Results in our storage service."""

    def __init__(self, http: httpx.AsyncClient, storage_url: str) -> None:
        """
        Args:
            http: The client; it stays the caller's.
            storage_url: The storage's address.
        """
        self._http = http
        self._url = storage_url.rstrip("/")

    async def size(self, cid: Cid) -> int | None:
        """Tell how large a result is [bytes]; None when it is not there."""
        answer = await self._ask("HEAD", cid)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        self._require_success(answer)
        length = answer.headers.get("content-length", "")
        if not length.isascii() or not length.isdigit():
            raise UnavailableError(f"the storage at {self._url} does not say how large {cid} is")
        return int(length)

    async def read(self, cid: Cid) -> bytes:
        """Read a whole result."""
        answer = await self._ask("GET", cid)
        self._require_success(answer)
        return answer.content

    async def _ask(self, method: str, cid: Cid) -> httpx.Response:
        try:
            return await self._http.request(method, f"{self._url}/ipfs/{cid}")
        except httpx.HTTPError as error:
            raise UnavailableError(f"the storage at {self._url} does not answer: {error or type(error).__name__}") from None

    def _require_success(self, answer: httpx.Response) -> None:
        if not answer.is_success:
            raise UnavailableError(f"the storage at {self._url} answers {answer.status_code}")


class TwinResults:
    """Results in memory, for tests and simulations."""

    def __init__(self) -> None:
        self.blobs: dict[Cid, bytes] = {}
        self.is_away = False

    def put(self, data: bytes) -> Cid:
        """Store bytes."""
        cid = cid_of(data)
        self.blobs[cid] = data
        return cid

    async def size(self, cid: Cid) -> int | None:
        """Tell how large a result is [bytes]; None when it is not there."""
        self._require_here()
        return len(self.blobs[cid]) if cid in self.blobs else None

    async def read(self, cid: Cid) -> bytes:
        """Read a whole result."""
        self._require_here()
        if cid not in self.blobs:
            raise UnavailableError("the storage has no such result")
        return self.blobs[cid]

    def _require_here(self) -> None:
        if self.is_away:
            raise UnavailableError("the storage does not answer")
