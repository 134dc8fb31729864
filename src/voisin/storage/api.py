"""
The storage as an HTTP service: blobs are put by anybody who may reach it, and got by their identifier.

| method and path | answer |
| --- | --- |
| GET, HEAD /ipfs/{cid} | the bytes, whole or a range |
| POST /v1/blobs | 201 and `StoredBlob`: the body is stored; `?cid=` says what it must be |
| GET /v1/health | `StorageHealth` |

Errors are RFC 9457 problems.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus

import anyio.to_thread
import msgspec
from litestar import HttpMethod, Litestar, Response, get, post, route
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from voisin.problems import AnyRequest, Problems
from voisin.protocol.cid import Cid, parse_cid
from voisin.storage.faults import ContentMissingError, ContentTooLargeError, StorageFullError
from voisin.storage.ranges import RangeError, parse_range
from voisin.storage.store import CHUNK_BYTES, BlobStore, BlobWriter

BLOB_TYPE = "application/octet-stream"
_STATUSES = {
    ContentMissingError: HTTPStatus.NOT_FOUND,
    ContentTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    StorageFullError: HTTPStatus.INSUFFICIENT_STORAGE,
    RangeError: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
}
_PROBLEMS = Problems("storage", "the routes are /ipfs/{cid}, /v1/blobs and /v1/health", _STATUSES)


class StoredBlob(msgspec.Struct, frozen=True):
    """A blob that is now in the store."""

    cid: Cid
    size: int


class StorageHealth(msgspec.Struct, frozen=True):
    """That the service is alive; `quota_bytes` is null where the disk is the only limit."""

    status: str
    used_bytes: int
    quota_bytes: int | None
    max_blob_bytes: int


@route("/ipfs/{cid:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def fetch(request: AnyRequest, cid: FromPath[str]) -> Response[bytes] | Stream:
    """Hand a blob out, whole or in part; it never changes, so it may be kept for ever."""
    name, store = parse_cid(cid), _store(request)
    size = await anyio.to_thread.run_sync(store.size, name)
    tag = f'"{name}"'
    headers = {
        "etag": tag,
        "cache-control": "public, max-age=31536000, immutable",
        "accept-ranges": "bytes",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox",
    }
    if _names(request.headers.get("if-none-match", ""), tag):
        return Response(b"", status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    wanted = None
    if request.method == HttpMethod.GET and request.headers.get("if-range", tag) == tag:
        wanted = parse_range(request.headers.get("range", ""), size)
    start, stop = wanted or (0, size)
    headers["content-length"] = str(stop - start)
    if wanted:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    status = HTTPStatus.PARTIAL_CONTENT if wanted else HTTPStatus.OK
    if request.method == HttpMethod.HEAD:
        return Response(b"", status_code=status, headers=headers, media_type=BLOB_TYPE)
    return Stream(_chunks(store, name, start, stop), status_code=status, headers=headers, media_type=BLOB_TYPE)


@post("/v1/blobs", request_max_body_size=None)
async def keep(request: AnyRequest, cid: FromQuery[str | None] = None) -> StoredBlob:
    """Store the body of the request."""
    store, expected = _store(request), parse_cid(cid) if cid is not None else None
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > store.max_blob_bytes:
        raise ContentTooLargeError(f"it is larger than {store.max_blob_bytes} bytes", hint="split it, or compress it")
    writer = await anyio.to_thread.run_sync(store.writer)
    with writer:
        async for part in request.stream():
            await anyio.to_thread.run_sync(writer.write, part)
        stored = await anyio.to_thread.run_sync(_commit, writer, expected)
    return StoredBlob(stored, writer.size)


@get("/v1/health")
async def health(request: AnyRequest) -> StorageHealth:
    """Say that the service is alive, and how full it is."""
    store = _store(request)
    return StorageHealth("ok", store.used_bytes, store.quota_bytes, store.max_blob_bytes)


def create_storage_app(store: BlobStore) -> Litestar:
    """
    Make the service.

    Args:
        store: Where the blobs are.

    Returns:
        An ASGI application.
    """
    return Litestar(
        [fetch, keep, health],
        state=State({"store": store}),
        cors_config=CORSConfig(allow_origins=["*"], expose_headers=["etag", "content-range", "accept-ranges"]),
        exception_handlers={**_PROBLEMS.handlers(), RangeError: answer_range_error},
        openapi_config=None,
        logging_config=None,
    )


def answer_range_error(request: AnyRequest, error: RangeError) -> Response[bytes]:
    """Answer a range that the content does not have, and say how long it is (RFC 9110, 15.5.17)."""
    answer = _PROBLEMS.answer_error(request, error)
    answer.headers["content-range"] = f"bytes */{error.size}"
    return answer


def _store(request: AnyRequest) -> BlobStore:
    store = request.app.state.store
    assert isinstance(store, BlobStore)
    return store


def _names(header: str, tag: str) -> bool:
    """Whether an `If-None-Match` header names a tag (RFC 9110, 13.1.2)."""
    return header.strip() == "*" or tag in (part.strip().removeprefix("W/") for part in header.split(","))


def _commit(writer: BlobWriter, expected: Cid | None) -> Cid:
    return writer.commit(expected)


async def _chunks(store: BlobStore, cid: Cid, start: int, stop: int) -> AsyncIterator[bytes]:
    file = await anyio.to_thread.run_sync(store.open, cid)
    with file:
        await anyio.to_thread.run_sync(file.seek, start)
        while start < stop:
            chunk = await anyio.to_thread.run_sync(file.read, min(CHUNK_BYTES, stop - start))
            if not chunk:  # the file is shorter than it was: end early, so that the length tells
                return
            start += len(chunk)
            yield chunk
