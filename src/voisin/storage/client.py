"""Storing and fetching blobs over HTTP, without believing the server: every byte that comes is held against the hash in its name."""

from __future__ import annotations

import hashlib
import os
import random
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self, TypeVar

import anyio
import anyio.to_thread
import httpx
import msgspec

from voisin.errors import InputError, TrustError, UnavailableError
from voisin.protocol.cid import Cid, cid_from_digest, cid_of, digest_of, parse_cid
from voisin.protocol.codec import decode
from voisin.protocol.ipld import Name
from voisin.protocol.unixfs import CHUNK_BYTES, FileTree, Layout
from voisin.storage.answers import PassingError, fault_of
from voisin.storage.batches import join_blobs
from voisin.storage.faults import ContentTooLargeError

UPLOAD_CHUNK_BYTES = 1 << 18
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
SLOWEST_BYTES_PER_S = 32 << 10
_SILENCE_S = 30.0
_MAX_ANSWER_BYTES = 1 << 16
_MAX_BATCH_ANSWER_BYTES = 1 << 20
_ResultT = TypeVar("_ResultT")


class _Stored(msgspec.Struct, frozen=True):
    cid: str
    size: int


class _AddedFile(msgspec.Struct, frozen=True):
    name: str = msgspec.field(name="Name")
    hash: str = msgspec.field(name="Hash")
    size: str = msgspec.field(name="Size")


class _Sink(Protocol):
    def __call__(self, chunk: bytes, /) -> object: ...


class StorageClient:
    """
    A storage gateway at an address. Use it as an async context manager.

    What fails in passing is tried again, after pauses that grow and are spread at random, until the deadline.

    Args:
        base_url: For example `http://127.0.0.1:8090`.
        deadline_s: How long a call goes on trying [s]; a transfer may take longer, in proportion to its size.
        transport: What carries the requests, for tests without a network; None for the network.
        random_fraction: Draws a number between 0 and 1; spreads the pauses.

    Raises:
        InputError: The address is not an HTTP one.
    """

    def __init__(
        self,
        base_url: str,
        *,
        deadline_s: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
        random_fraction: Callable[[], float] = random.random,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise InputError(f"{base_url!r} is not the address of a storage", hint="give one that starts with http:// or https://")
        self.base_url = base_url.rstrip("/")
        self._deadline_s = deadline_s
        self._random_fraction = random_fraction
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(_SILENCE_S, connect=5.0),
            transport=transport,
            headers={"accept-encoding": "identity", "user-agent": "voisin"},
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def put_bytes(self, data: bytes) -> Cid:
        """
        Store bytes.

        Args:
            data: The bytes.

        Returns:
            Their identifier.

        Raises:
            InputError: They are more than the storage takes.
            TrustError: The storage claims to have stored something else.
            UnavailableError: It does not answer, or is full.
        """
        cid = cid_of(data)

        return await self._put(cid, len(data), lambda: _parts(data))

    async def put_file(self, path: Path) -> Cid:
        """
        Store a file, which must not change meanwhile. What the storage has already is not sent.

        Args:
            path: The file.

        Returns:
            The identifier of its bytes.

        Raises:
            InputError: It cannot be read, or is more than the storage takes.
            TrustError: It changed, or the storage claims to have stored something else.
            UnavailableError: The storage does not answer, or is full.
        """
        cid, size = await self._read(_hash_file, path)
        if await self.has(cid):
            return cid
        return await self._put(cid, size, lambda: _chunks(path))

    async def put_result(self, path: Path) -> Cid:
        """
        Store the result of a task, which the storage keeps for as long as its rules say; the file must not change meanwhile.

        Args:
            path: The file.

        Returns:
            The identifier of its bytes.

        Raises:
            InputError: It cannot be read, or is more than the storage takes.
            TrustError: It changed, or the storage claims to have stored something else.
            UnavailableError: The storage does not answer, or is full.
        """
        small = await self._read(_small_file, path)
        if small is not None:
            return await self._put(cid_of(small), len(small), lambda: _parts(small), keep="result")
        cid, size = await self._read(_hash_file, path)
        return await self._put(cid, size, lambda: _chunks(path), keep="result")

    async def put_results(self, blobs: Sequence[bytes]) -> None:
        """
        Store several small results at once, as `put_result` stores one.

        Args:
            blobs: The bytes of each; together at most `batches.MAX_BATCH_BYTES`.

        Raises:
            InputError: They are more than the storage takes.
            TrustError: The storage claims to have stored something else.
            UnavailableError: The storage does not answer, or is full.
        """
        body, wanted = join_blobs(blobs), [cid_of(blob) for blob in blobs]

        async def _attempt() -> None:
            url, headers = f"{self.base_url}/v1/blobs/batch", {"content-type": "application/octet-stream"}
            async with self._http.stream("POST", url, params={"keep": "result"}, content=body, headers=headers) as response:
                answer = await _start_of(response, _MAX_BATCH_ANSWER_BYTES)
            if response.status_code != HTTPStatus.CREATED:
                raise fault_of(response.status_code, answer)
            if [stored.cid for stored in decode(answer, list[_Stored], "the storage's answer")] != wanted:
                raise TrustError(f"the storage at {self.base_url} stored something else than it was sent", hint="use another storage")

        await self._retry(_attempt, size=len(body))

    async def add_file(self, path: Path) -> Name:
        """
        Store a file as a tree of blocks, under the name that `ipfs add --cid-version=1` gives it; it must not change meanwhile.

        Args:
            path: The file.

        Returns:
            Its name.

        Raises:
            InputError: It cannot be read, or is more than the storage takes.
            TrustError: It changed, or the storage claims to have stored something else.
            UnavailableError: The storage does not answer, or is full.
        """
        root, size = await self._read(_cut_file, path)
        boundary = secrets.token_hex(16)
        head = f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="file"\r\n\r\n'.encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        headers = {"content-type": f"multipart/form-data; boundary={boundary}", "content-length": str(len(head) + size + len(tail))}

        async def _body() -> AsyncIterator[bytes]:
            yield head
            async for chunk in _chunks(path):
                yield chunk
            yield tail

        async def _attempt() -> Name:
            url = f"{self.base_url}/api/v0/add"
            async with self._http.stream("POST", url, params={"cid-version": "1"}, content=_body(), headers=headers) as response:
                answer = await _start_of(response)
            if response.status_code != HTTPStatus.OK:
                raise fault_of(response.status_code, answer)
            added = decode(answer, _AddedFile, "the storage's answer")
            if added.hash != str(root):
                raise TrustError(
                    f"the storage at {self.base_url} stored {added.hash[:80]!r} in place of {root}", hint="use another storage"
                )
            return root

        return await self._retry(_attempt, size=size)

    async def has(self, cid: Cid) -> bool:
        """
        Ask whether a blob is stored.

        Args:
            cid: Its identifier.

        Returns:
            What the storage says.

        Raises:
            UnavailableError: It does not answer.
        """

        async def _attempt() -> bool:
            response = await self._http.head(self._url(cid))
            if response.status_code in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
                return response.status_code == HTTPStatus.OK
            raise fault_of(response.status_code, b"")

        return await self._retry(_attempt, size=0)

    async def get_bytes(self, cid: Cid, *, max_bytes: int) -> bytes:
        """
        Fetch a blob into memory.

        Args:
            cid: Its identifier.
            max_bytes: The most that is taken.

        Returns:
            The bytes, which are those of the identifier.

        Raises:
            InputError: They are more than `max_bytes`, or it is not an identifier.
            TrustError: The storage sent other bytes.
            UnavailableError: It does not answer, or does not have them (`ContentMissingError`).
        """
        parse_cid(cid)

        async def _attempt() -> bytes:
            data = bytearray()
            await self._fetch(cid, data.extend, max_bytes=max_bytes, blocks=False)
            return bytes(data)

        return await self._retry(_attempt, size=max_bytes)

    async def get_file(self, cid: Cid, path: Path, *, max_bytes: int) -> int:
        """
        Fetch a blob into a file, which appears only when all of it is there and right.

        Args:
            cid: Its identifier.
            path: Where it goes; a file that is there is replaced.
            max_bytes: The most that is taken.

        Returns:
            Its size in bytes.

        Raises:
            InputError: It is more than `max_bytes`, it is not an identifier, or the file cannot be written.
            TrustError: The storage sent other bytes.
            UnavailableError: It does not answer, or does not have them (`ContentMissingError`).
        """
        parse_cid(cid)
        temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}")

        async def _attempt() -> int:
            with temporary.open("wb") as file:
                size = await self._fetch(cid, file.write, max_bytes=max_bytes)
                await anyio.to_thread.run_sync(_settle, file)
                return size

        try:
            size = await self._retry(_attempt, size=max_bytes)
            os.replace(temporary, path)  # noqa: PTH105  one name for another, on the same disk
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}", hint="check the path and the room on the disk") from error
        finally:
            temporary.unlink(missing_ok=True)
        return size

    async def _fetch(self, cid: Cid, sink: _Sink, *, max_bytes: int, blocks: bool = True) -> int:
        """
        Stream a blob into a sink, which may block unless told otherwise; a wrong hash is found only at the end, so the sink's owner waits
        for the return.
        """
        hasher, size = hashlib.sha256(), 0
        async with self._http.stream("GET", self._url(cid)) as response:
            if response.status_code != HTTPStatus.OK:
                raise fault_of(response.status_code, await _start_of(response))
            async for chunk in response.aiter_raw(UPLOAD_CHUNK_BYTES):
                size += len(chunk)
                if size > max_bytes:
                    raise ContentTooLargeError(
                        f"{cid} is larger than {max_bytes} bytes", hint="allow more, if you trust where it comes from"
                    )
                hasher.update(chunk)
                if blocks:
                    await anyio.to_thread.run_sync(sink, chunk)
                else:
                    sink(chunk)
        if hasher.digest() != digest_of(cid):
            sent = cid_from_digest(hasher.digest())
            raise TrustError(f"the storage at {self.base_url} sent {sent} in place of {cid}", hint="use another storage")
        return size

    async def _read(self, read: Callable[[Path], _ResultT], path: Path) -> _ResultT:
        try:
            return await anyio.to_thread.run_sync(read, path)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}", hint="check the path") from error

    async def _put(self, cid: Cid, size: int, body: Callable[[], AsyncIterator[bytes]], *, keep: str | None = None) -> Cid:
        async def _attempt() -> Cid:
            headers = {"content-type": "application/octet-stream", "content-length": str(size)}
            url, query = f"{self.base_url}/v1/blobs", {"cid": cid, **({"keep": keep} if keep else {})}
            async with self._http.stream("POST", url, params=query, content=body(), headers=headers) as response:
                answer = await _start_of(response)
            if response.status_code != HTTPStatus.CREATED:
                raise fault_of(response.status_code, answer)
            stored = decode(answer, _Stored, "the storage's answer")
            if stored.cid != cid:
                raise TrustError(f"the storage at {self.base_url} stored {stored.cid[:80]!r} in place of {cid}", hint="use another storage")
            return cid

        return await self._retry(_attempt, size=size)

    def _url(self, cid: Cid) -> str:
        return f"{self.base_url}/ipfs/{parse_cid(cid)}"

    async def _retry(self, attempt: Callable[[], Awaitable[_ResultT]], *, size: int) -> _ResultT:
        """Try until it works, fails for good, or the deadline passes; `size` is what one attempt may transfer [bytes]."""
        give_up_at, pause_s = anyio.current_time() + self._deadline_s, FIRST_PAUSE_S
        while True:
            try:
                with anyio.fail_after(self._deadline_s + size / SLOWEST_BYTES_PER_S):
                    return await attempt()
            except (httpx.TransportError, PassingError, TimeoutError) as error:
                left_s = give_up_at - anyio.current_time()
                if left_s <= 0:
                    reason = str(error) or type(error).__name__
                    raise UnavailableError(
                        f"the storage at {self.base_url} does not answer ({reason})", hint="check that it runs and can be reached"
                    ) from error
            await anyio.sleep(min(left_s, pause_s * self._random_fraction()))
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)


async def _parts(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), UPLOAD_CHUNK_BYTES):
        yield data[start : start + UPLOAD_CHUNK_BYTES]


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := await anyio.to_thread.run_sync(file.read, UPLOAD_CHUNK_BYTES):
            yield chunk


async def _start_of(response: httpx.Response, max_bytes: int = _MAX_ANSWER_BYTES) -> bytes:
    data = bytearray()
    async for chunk in response.aiter_raw(max_bytes):
        data += chunk
        if len(data) >= max_bytes:
            break
    return bytes(data)


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _small_file(path: Path) -> bytes | None:
    """Read a file that fits into one chunk; None for a larger one."""
    with path.open("rb") as file:
        data = file.read(UPLOAD_CHUNK_BYTES + 1)
    return data if len(data) <= UPLOAD_CHUNK_BYTES else None


def _hash_file(path: Path) -> tuple[Cid, int]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        return cid_from_digest(digest), file.tell()


def _cut_file(path: Path) -> tuple[Name, int]:
    tree = FileTree(Layout())
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            deque(tree.add(chunk), maxlen=0)
        deque(tree.finish(), maxlen=0)
        return tree.root.name, file.tell()
