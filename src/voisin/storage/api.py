"""
The storage as an HTTP service: files, folders and blobs are put by anybody who may reach it, and got by their identifier.

| method and path | answer |
| --- | --- |
| GET, HEAD /ipfs/{cid}[/path] | a file, whole or a range; a folder as a page; with `?format=raw` the block itself |
| POST /v1/blobs | 201 and `StoredBlob`: the body is stored; `?cid=` says what it must be, `?keep=` why it is kept |
| POST /v1/blobs/batch | 201 and a list of `StoredBlob`: many small blobs at once, see `voisin.storage.batches` |
| GET /v1/health | `StorageHealth` |
| POST /api/v0/... | what clients of an IPFS node need, see `voisin.storage.kubo` |
| GET /schema/openapi.json | all but the last, for programs |

Errors are RFC 9457 problems; below /api/v0 they have the form of an IPFS node's.
"""

from __future__ import annotations

import html
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

import anyio
import anyio.to_thread
import msgspec
from litestar import HttpMethod, Litestar, Response, get, post, route
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.openapi import ResponseSpec
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Parameter, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from voisin.errors import InputError
from voisin.protocol.api import Problem
from voisin.protocol.cid import Cid, digest_of, parse_cid
from voisin.protocol.ipld import Codec, Name, parse_name
from voisin.service.problems import PROBLEM_TYPE, AnyRequest, Problems
from voisin.storage.batches import MAX_BATCH_BYTES, split_blobs
from voisin.storage.catalog import Keep
from voisin.storage.faults import STATUSES, ContentTooLargeError
from voisin.storage.kubo import (  # noqa: F401  (the routes of this service, for its page in docs/reference)
    add,
    block_get,
    block_put,
    block_rm,
    block_stat,
    cat,
    identity,
    kubo_routes,
    pin_add,
    pin_ls,
    pin_rm,
    refuse,
    version,
)
from voisin.storage.kubo_options import checked_path
from voisin.storage.library import Found, Library
from voisin.storage.ranges import RangeError, parse_range
from voisin.storage.sending import send
from voisin.storage.store import BlobStore
from voisin.storage.sweeper import RetentionRules, Sweeper
from voisin.storage.writing import BlobWriter

API_VERSION = "1.0.0"
BLOB_TYPE, BLOCK_TYPE, PAGE_TYPE = "application/octet-stream", "application/vnd.ipld.raw", "text/html; charset=utf-8"
_HEADERS = {
    "cache-control": "public, max-age=31536000, immutable",
    "accept-ranges": "bytes",
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox",
}
_PROBLEMS = Problems(
    "storage",
    "the routes are /ipfs/{cid}, /v1/blobs, /v1/health and those below /api/v0",
    {**STATUSES, RangeError: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE},
)


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


PROBLEMS = {
    status: ResponseSpec(data_container=Problem, media_type=PROBLEM_TYPE, description=meaning, generate_examples=False)
    for status, meaning in (
        (400, "What was given cannot be used"),
        (403, "The bytes are not what they were announced as"),
        (404, "Nothing of that name is here"),
        (413, "It is larger than what is taken"),
        (416, "There is no such range"),
        (503, "The place of the blobs does not answer"),
        (507, "The storage is full"),
    )
}


@dataclass
class ContentOperation(Operation):
    """Handing content out."""

    def __post_init__(self) -> None:
        content = {kind: OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING)) for kind in (BLOB_TYPE, BLOCK_TYPE, PAGE_TYPE)}
        found = {status: OpenAPIResponse(content=content, description=meaning) for status, meaning in _FOUND.items()}
        self.responses = {**(self.responses or {}), **found, "304": OpenAPIResponse(description="It is what the asker has")}
        raw = Schema(type=OpenAPIType.STRING, enum=["raw"])
        self.parameters = [
            *(self.parameters or ()),
            Parameter(name="format", param_in="query", schema=raw, description="`raw`: the block itself"),
        ]


@dataclass
class KeepOperation(Operation):
    """Storing a blob."""

    def __post_init__(self) -> None:
        content = {BLOB_TYPE: OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY))}
        self.request_body = RequestBody(content=content, required=True)


_FOUND = {"200": "The file, folder or block", "206": "The range that was asked for"}


@route("/ipfs/{cid:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD], operation_class=ContentOperation, responses=PROBLEMS)
async def fetch(request: AnyRequest, cid: FromPath[str]) -> Response[bytes] | Stream:
    """Hand a file or blob out, whole or in part; it never changes, so it may be kept for ever."""
    return await _answer(request, parse_name(cid), [])


@route("/ipfs/{cid:str}/{path:path}", http_method=[HttpMethod.GET, HttpMethod.HEAD], operation_class=ContentOperation, responses=PROBLEMS)
async def fetch_inside(request: AnyRequest, cid: FromPath[str], path: FromPath[str]) -> Response[bytes] | Stream:
    """Hand a file out that lies in a folder."""
    return await _answer(request, parse_name(cid), checked_path([part for part in path.split("/") if part]))


@post("/v1/blobs", request_max_body_size=None, operation_class=KeepOperation, responses=PROBLEMS)
async def keep(request: AnyRequest, cid: FromQuery[str | None] = None, keep: FromQuery[str | None] = None) -> StoredBlob:
    """Store the body of the request: for ever, or as `keep` says: `result` or `loose`."""
    library, expected, why = _library(request), parse_cid(cid) if cid is not None else None, _reason(keep)
    announced, most = request.headers.get("content-length", ""), library.store.max_blob_bytes
    if announced.isdecimal() and int(announced) > most:
        raise ContentTooLargeError(f"it is larger than {most} bytes", hint="split it, or compress it")
    with library.adding():
        writer = await anyio.to_thread.run_sync(library.store.writer)
        with writer:
            async for part in request.stream():
                await anyio.to_thread.run_sync(writer.write, part)
            stored = await anyio.to_thread.run_sync(_commit, writer, expected)
        await anyio.to_thread.run_sync(_keep, library, Name(digest_of(stored), Codec.RAW), writer.size, why)
    return StoredBlob(stored, writer.size)


@post("/v1/blobs/batch", request_max_body_size=None, operation_class=KeepOperation, responses=PROBLEMS)
async def keep_batch(request: AnyRequest, keep: FromQuery[str | None] = None) -> list[StoredBlob]:
    """Store several small blobs at once: of each its length, as four bytes with the highest first, and its bytes; `keep` as for one."""
    library, why = _library(request), _reason(keep)
    most = min(MAX_BATCH_BYTES, library.store.max_blob_bytes)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise ContentTooLargeError(f"the batch is larger than {most} bytes", hint="send several smaller ones")
    blobs = split_blobs(bytes(body))
    stored = await anyio.to_thread.run_sync(library.put_blobs, blobs, why)
    return [StoredBlob(cid, len(blob)) for cid, blob in zip(stored, blobs, strict=True)]


@get("/v1/health", responses=PROBLEMS)
async def health(request: AnyRequest) -> StorageHealth:
    """Say that the service is alive, and how full it is."""
    store = _library(request).store
    return StorageHealth("ok", store.used_bytes, store.quota_bytes, store.max_blob_bytes)


def create_storage_app(store: BlobStore, rules: RetentionRules | None = None, *, allow_removal: bool = False) -> Litestar:
    """
    Make the service.

    Args:
        store: Where the blobs are.
        rules: How long what is not pinned is kept; None for the defaults.
        allow_removal: Whether whoever reaches the service may unpin and remove what is stored.

    Returns:
        An ASGI application; while it runs, it sweeps.
    """
    library, found = Library(store), rules or RetentionRules()

    @asynccontextmanager
    async def running(_app: Litestar) -> AsyncIterator[None]:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_sweep, Sweeper(library, found), found.sweep_every_s)
                yield
                tasks.cancel_scope.cancel()
        finally:
            library.close()

    return Litestar(
        [fetch, fetch_inside, keep, keep_batch, health, kubo_routes()],
        state=State({"library": library, "allow_removal": allow_removal}),
        lifespan=[running],
        cors_config=CORSConfig(allow_origins=["*"], expose_headers=["etag", "content-range", "accept-ranges"]),
        exception_handlers={**_PROBLEMS.handlers(), RangeError: answer_range_error},
        openapi_config=OpenAPIConfig(
            title="Voisin storage",
            version=API_VERSION,
            description="Files and blobs by their identifier; errors are RFC 9457 problems.",
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
            use_handler_docstrings=True,
        ),
        logging_config=None,
    )


def answer_range_error(request: AnyRequest, error: RangeError) -> Response[bytes]:
    """Answer a range that the content does not have, and say how long it is (RFC 9110, 15.5.17)."""
    answer = _PROBLEMS.answer_error(request, error)
    answer.headers["content-range"] = f"bytes */{error.size}"
    return answer


async def _sweep(sweeper: Sweeper, every_s: float) -> None:
    while True:
        await anyio.to_thread.run_sync(sweeper.sweep_or_log)
        await anyio.sleep(every_s)


async def _answer(request: AnyRequest, name: Name, path: list[str]) -> Response[bytes] | Stream:
    library, is_block = _library(request), _wants_block(request)
    if is_block and not path:
        name = Name(name.digest, Codec.RAW)
    found = await anyio.to_thread.run_sync(library.find, name, path)
    if is_block:
        block = Name(found.name.digest, Codec.RAW)
        found = Found(block, await anyio.to_thread.run_sync(library.store.size, block.cid))
    tag = f'"{Name(found.name.digest, found.name.codec)}"'
    headers = {**_HEADERS, "etag": tag}
    if _names(request.headers.get("if-none-match", ""), tag):
        return Response(b"", status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if found.folder is not None:
        page = _page(f"/ipfs/{Name(found.name.digest, found.name.codec)}", [link.label for link in found.folder.links])
        body = b"" if request.method == HttpMethod.HEAD else page
        return Response(body, headers={**headers, "content-length": str(len(page))}, media_type=PAGE_TYPE)
    wanted = None
    if request.method == HttpMethod.GET and request.headers.get("if-range", tag) == tag:
        wanted = parse_range(request.headers.get("range", ""), found.size)
    start, stop = wanted or (0, found.size)
    headers["content-length"] = str(stop - start)
    if wanted:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{found.size}"
    status, kind = HTTPStatus.PARTIAL_CONTENT if wanted else HTTPStatus.OK, BLOCK_TYPE if is_block else BLOB_TYPE
    if request.method == HttpMethod.HEAD:
        return Response(b"", status_code=status, headers=headers, media_type=kind)
    return Stream(await send(library, found.name, start, stop), status_code=status, headers=headers, media_type=kind)


def _wants_block(request: AnyRequest) -> bool:
    """Whether the block itself is asked for, so that the asker can check its hash (IPFS, "Trustless Gateway")."""
    asked = request.query_params.get("format")
    if asked not in (None, "raw"):
        raise InputError(f"nothing is handed out as {asked[:40]!r}", hint="ask for format=raw, or without it")
    return asked == "raw" or BLOCK_TYPE in request.headers.get("accept", "")


def _page(where: str, labels: list[str]) -> bytes:
    """Lay a folder out as a page."""
    lines = [f'<li><a href="{quote(f"{where}/{label}")}">{html.escape(label)}</a></li>' for label in labels]
    return "\n".join(["<!doctype html>", f"<title>{where}</title>", "<ul>", *lines, "</ul>", ""]).encode()


def _reason(text: str | None) -> Keep:
    for reason in Keep:
        if reason.name.lower() == (text or "pinned"):
            return reason
    raise InputError(f"nothing is kept as {(text or '')[:40]!r}", hint="give keep=pinned, keep=result or keep=loose")


def _keep(library: Library, name: Name, size: int, why: Keep) -> None:
    library.note(name, size)
    library.keep(name, why)


def _library(request: AnyRequest) -> Library:
    library = request.app.state.library
    assert isinstance(library, Library)
    return library


def _names(header: str, tag: str) -> bool:
    """Whether an `If-None-Match` header names a tag (RFC 9110, 13.1.2)."""
    return header.strip() == "*" or tag in (part.strip().removeprefix("W/") for part in header.split(","))


def _commit(writer: BlobWriter, expected: Cid | None) -> Cid:
    return writer.commit(expected)
