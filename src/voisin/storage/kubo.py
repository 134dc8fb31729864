"""
The calls of an IPFS node's own interface (kubo's RPC) that its clients need of a storage: adding, reading, blocks, pins.

Errors have kubo's form: `{"Message", "Code", "Type"}`. What this storage does not do is refused by name, never half done. Everything
is stored and read here; no other node is asked.

Source: kubo, "RPC API v0"; npm `kubo-rpc-client` 5, for the parameters that clients send.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator
from http import HTTPStatus

import anyio.to_thread
from litestar import Response, Router, post
from litestar.params import FromPath
from litestar.response import Stream

from voisin.errors import InputError, StateError, VoisinError
from voisin.protocol.api import problem_of
from voisin.protocol.codec import encode
from voisin.protocol.dagpb import MAX_NODE_BYTES
from voisin.protocol.ipld import Codec, Name, name_of, parse_name
from voisin.service.problems import AnyRequest
from voisin.storage.adding import Adder
from voisin.storage.catalog import Keep
from voisin.storage.faults import STATUSES, ContentMissingError
from voisin.storage.kubo_options import Options, read_path
from voisin.storage.library import Library, missing
from voisin.storage.multipart import Intake
from voisin.storage.putting import BlockPut
from voisin.storage.sending import send

JSON, BYTES = "application/json", "application/octet-stream"
CLIENT_FAULT, OTHER_FAULT = 1, 0
_NOT_A_PEER = name_of(b"a storage of voisin is no peer of others", Codec.DAG_PB, 0)
_VERSION = importlib.metadata.version("voisin")


@post("/api/v0/add", status_code=HTTPStatus.OK, request_max_body_size=None)
async def add(request: AnyRequest) -> Response[bytes]:
    """Add files and folders; answers one line of JSON for each, the last is the root."""
    options = Options(request.query_params)
    how = options.how_to_add()
    with Adder(_library(request), how) as adder:
        await _take_in(request, Intake(request.headers.get("content-type", ""), adder))
        added = await anyio.to_thread.run_sync(adder.finish)
    lines: list[dict[str, str | int]] = []
    for path, name, total, content in added:
        if options.flag("progress") and content:
            lines.append({"Name": path, "Bytes": content})
        lines.append({"Name": path, "Hash": str(name), "Size": str(total)})
    return _lines(lines)


@post("/api/v0/cat", status_code=HTTPStatus.OK)
async def cat(request: AnyRequest) -> Stream:
    """Give a file's bytes, from `offset` on and at most `length` of them."""
    options = Options(request.query_params)
    name, path = read_path(options.argument())
    offset, length = options.number("offset", 0), options.number("length", 1 << 62)
    found = await anyio.to_thread.run_sync(_library(request).find, name, path)
    if found.folder is not None:
        raise InputError(f"{found.name} is a folder", hint="name a file inside it")
    start = min(found.size, offset)
    stop = min(found.size, start + length)
    return Stream(await send(_library(request), found.name, start, stop), media_type=BYTES, headers={"x-stream-output": "1"})


@post("/api/v0/block/get", status_code=HTTPStatus.OK)
async def block_get(request: AnyRequest) -> Stream:
    """Give the bytes of a block."""
    library, name = _library(request), parse_name(Options(request.query_params).argument())
    size = await anyio.to_thread.run_sync(library.store.size, name.cid)
    headers = {"x-stream-output": "1", "content-length": str(size)}
    return Stream(await send(library, Name(name.digest, Codec.RAW), 0, size), media_type=BYTES, headers=headers)


@post("/api/v0/block/stat", status_code=HTTPStatus.OK)
async def block_stat(request: AnyRequest) -> Response[bytes]:
    """Give the size of a block."""
    name = parse_name(Options(request.query_params).argument())
    size = await anyio.to_thread.run_sync(_library(request).store.size, name.cid)
    return _json({"Key": str(name), "Size": size})


@post("/api/v0/block/put", status_code=HTTPStatus.OK, request_max_body_size=None)
async def block_put(request: AnyRequest) -> Response[bytes]:
    """Store a block: raw bytes unless `cid-codec` or `format` says that it is a node."""
    options = Options(request.query_params)
    codec, version = options.block_codec()
    limit = None if options.flag("allow-big-block") and codec is Codec.RAW else MAX_NODE_BYTES
    keep = Keep.PINNED if options.flag("pin") else Keep.LOOSE
    with BlockPut(_library(request), codec, version, max_bytes=limit) as putting:
        await _take_in(request, Intake(request.headers.get("content-type", ""), putting))
        name, size = await anyio.to_thread.run_sync(putting.finish, keep)
    return _json({"Key": str(name), "Size": size})


@post("/api/v0/block/rm", status_code=HTTPStatus.OK)
async def block_rm(request: AnyRequest) -> Response[bytes]:
    """Let blocks go that are not pinned, where the storage's settings allow it."""
    _require_removal(request)
    library = _library(request)
    options = Options(request.query_params)
    lines: list[dict[str, str | int]] = []
    for name in map(parse_name, options.arguments()):
        reason = await anyio.to_thread.run_sync(_remove, library, name)
        lines.append({"Hash": str(name), "Error": reason} if reason and not options.flag("force") else {"Hash": str(name)})
    return _lines(lines)


@post("/api/v0/pin/add", status_code=HTTPStatus.OK)
async def pin_add(request: AnyRequest) -> Response[bytes]:
    """Keep what is stored here already, all of it, for ever."""
    names = [(await anyio.to_thread.run_sync(_find, _library(request), argument)) for argument in Options(request.query_params).arguments()]
    for name in names:
        await anyio.to_thread.run_sync(_pin, _library(request), name)
    return _json({"Pins": [str(name) for name in names]})


@post("/api/v0/pin/rm", status_code=HTTPStatus.OK)
async def pin_rm(request: AnyRequest) -> Response[bytes]:
    """Keep something no longer for ever, where the storage's settings allow it."""
    _require_removal(request)
    library = _library(request)
    names = [(await anyio.to_thread.run_sync(_find, library, argument)) for argument in Options(request.query_params).arguments()]
    for name in names:
        if not await anyio.to_thread.run_sync(library.catalog.loosen, name.digest, library.now()):
            raise InputError("not pinned or pinned indirectly", hint=f"{name} is not pinned here")
    return _json({"Pins": [str(name) for name in names]})


@post("/api/v0/pin/ls", status_code=HTTPStatus.OK)
async def pin_ls(request: AnyRequest) -> Response[bytes] | Stream:
    """List what is pinned; everything below a pinned root is pinned with it."""
    options, library = Options(request.query_params), _library(request)
    if options.arguments(allow_none=True):
        lines = [await anyio.to_thread.run_sync(_pinned, library, argument) for argument in options.arguments()]
        found: Iterator[str] = iter(lines)
    else:
        found = (str(root.name) for root in library.catalog.roots(Keep.PINNED))
    if options.flag("stream"):
        return Stream((encode({"Cid": name, "Type": "recursive"}) + b"\n" for name in found), media_type=JSON)
    return Stream(_keys(found), media_type=JSON)


@post("/api/v0/version", status_code=HTTPStatus.OK)
async def version() -> Response[bytes]:
    """Say what this is."""
    return _json({"Version": _VERSION, "Commit": "", "Repo": "voisin", "System": "voisin", "Golang": ""})


@post("/api/v0/id", status_code=HTTPStatus.OK)
async def identity() -> Response[bytes]:
    """Say who this is: no node that others could dial, so it has no addresses and a name that is no key's."""
    return _json({"ID": str(_NOT_A_PEER), "PublicKey": "", "Addresses": [], "AgentVersion": f"voisin/{_VERSION}", "Protocols": []})


@post("/api/v0/{command:path}", status_code=HTTPStatus.OK)
async def refuse(command: FromPath[str]) -> Response[bytes]:
    """Refuse every other command by name."""
    raise InputError(f"command not found: {command.strip('/')[:80]}", hint="this storage has add, cat, block, pin, version and id")


def kubo_routes() -> Router:
    """Give the routes; the application's state holds the `library`, and `allow_removal`: whether anybody may unpin and remove."""
    handlers = [add, cat, block_get, block_stat, block_put, block_rm, pin_add, pin_rm, pin_ls, version, identity, refuse]
    return Router("/", route_handlers=handlers, exception_handlers={VoisinError: answer_error}, include_in_schema=False)


def answer_error(_request: AnyRequest, error: VoisinError) -> Response[bytes]:
    """Answer an error in kubo's form."""
    status = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), None)
    problem = problem_of(error, status)
    code = OTHER_FAULT if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR else CLIENT_FAULT
    return _json({"Message": str(error), "Code": code, "Type": "error"}, status=problem.status)


async def _take_in(request: AnyRequest, intake: Intake) -> None:
    async for data in request.stream():
        if data:
            await anyio.to_thread.run_sync(intake.feed, data)
    await anyio.to_thread.run_sync(intake.feed, b"")


def _find(library: Library, argument: str) -> Name:
    name, path = read_path(argument)
    found = library.find(name, path).name
    return Name(found.digest, found.codec, name.version if found.codec is Codec.DAG_PB else 1)


def _pin(library: Library, name: Name) -> None:
    if lacking := library.catalog.missing_below(name.digest):
        raise (
            missing(name) if lacking == 1 else ContentMissingError(f"{lacking} blocks below {name} are not stored here", hint="add it here")
        )
    library.keep(name, Keep.PINNED)


def _pinned(library: Library, argument: str) -> str:
    name = _find(library, argument)
    root = library.catalog.root(name.digest)
    if root is None or root.keep is not Keep.PINNED:
        raise ContentMissingError(f"path '{argument[:80]}' is not pinned", hint="what hangs below a pinned root is pinned with it")
    return str(name)


def _remove(library: Library, name: Name) -> str:
    """Remove a block; gives the reason why not, if there is one."""
    root = library.catalog.root(name.digest)
    if root is not None and root.keep is Keep.PINNED:
        return "pinned: recursive"
    if not library.let_go(name.digest) or library.delete_orphan(name.digest, library.horizon()) is None:
        return "it is in use"
    return ""


def _require_removal(request: AnyRequest) -> None:
    if not request.app.state.allow_removal:
        raise StateError("this storage lets nobody unpin or remove", hint="its owner may set VOISIN_STORAGE_ALLOW_REMOVAL=true")


def _library(request: AnyRequest) -> Library:
    library = request.app.state.library
    assert isinstance(library, Library)
    return library


def _json(answer: dict[str, object], *, status: int = HTTPStatus.OK) -> Response[bytes]:
    return Response(encode(answer), status_code=status, media_type=JSON)


def _lines(lines: Iterable[dict[str, str | int]]) -> Response[bytes]:
    headers = {"x-chunked-output": "1"}
    return Response(b"".join(encode(line) + b"\n" for line in lines), status_code=HTTPStatus.OK, media_type=JSON, headers=headers)


def _keys(names: Iterable[str]) -> Iterator[bytes]:
    """Spell pins as one document, piece by piece: there may be many."""
    yield b'{"Keys":{'
    for number, name in enumerate(names):
        yield (b"," if number else b"") + encode(name) + b':{"Type":"recursive"}'
    yield b"}}\n"
