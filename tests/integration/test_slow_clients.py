"""Clients that drip, stall or do not read are hung up on; those that only wait for their answer are not, and nobody else notices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from anyio.abc import SocketStream

from voisin.service.fast_http import FastHttpProtocol
from voisin.service.patience import HttpConnection, Patience, Watched
from voisin.service.serving import serve_app

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", [HttpConnection, FastHttpProtocol])]

SHORT = 0.2
DEADLINE_S = 120.0
HASTY = Patience(idle_s=SHORT, head_s=SHORT, body_s=SHORT, body_rate=100_000, rest_s=SHORT, rest_bytes=100_000, send_s=SHORT)
PART = bytes(1 << 16)
Scope = dict[str, Any]


class SlowWork:
    """An application: `/upload` reads all of a body, `/refuse` none, `/download` has no end, `/wait` answers when the test wants it."""

    def __init__(self) -> None:
        self.go = anyio.Event()
        self.waits = anyio.Event()
        self.broken_off = anyio.Event()

    async def __call__(self, scope: Scope, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        """Answer one request, or start and end."""
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        if scope["path"] == "/upload":
            while (message := await receive())["type"] == "http.request" and message["more_body"]:
                pass
            if message["type"] == "http.disconnect":
                self.broken_off.set()
                return
        if scope["path"] == "/wait":
            self.waits.set()
            await self.go.wait()
        await send({"type": "http.response.start", "status": 413 if scope["path"] == "/refuse" else 200, "headers": []})
        while scope["path"] == "/download" and (await self._sent(send)):
            pass
        await send({"type": "http.response.body", "body": b"done"})

    async def _sent(self, send: Callable[..., Any]) -> bool:
        await send({"type": "http.response.body", "body": PART, "more_body": True})
        await anyio.lowlevel.checkpoint()
        return not self.broken_off.is_set()


@asynccontextmanager
async def serving(kind: type[Watched]) -> AsyncIterator[tuple[SlowWork, str]]:
    """Serve it to impatient effect."""
    app = SlowWork()
    with anyio.fail_after(DEADLINE_S):
        async with serve_app(app, http=kind, patience=HASTY) as url:
            yield app, url
            await is_served(url)


async def connected(url: str, text: bytes = b"") -> SocketStream:
    """Connect, and say something."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    stream = await anyio.connect_tcp(parts.hostname, parts.port)
    await stream.send(text)
    return stream


async def heard(stream: SocketStream) -> bytes:
    """Read until the other side hangs up."""
    found = b""
    try:
        while True:
            found += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return found


async def drip(stream: SocketStream, part: bytes = b"x", every_s: float = 0.01) -> int:
    """Send a little now and then, until that fails; tells how much was sent."""
    sent = 0
    try:
        while True:
            await stream.send(part)
            sent += len(part)
            await anyio.sleep(every_s)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return sent


async def is_served(url: str) -> None:
    """See that others are answered."""
    async with httpx.AsyncClient(timeout=DEADLINE_S) as http:
        assert (await http.post(f"{url}/upload", content=PART)).text == "done"


@pytest.mark.parametrize("text", [b"", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"], ids=["new", "used"])
async def test_silence(kind: type[Watched], text: bytes) -> None:
    async with serving(kind) as (_, url), await connected(url, text) as stream:
        found = await heard(stream)
        assert found.count(b"HTTP/1.1 200") == (1 if text else 0)
        assert b"408" not in found


@pytest.mark.parametrize(
    ("text", "is_app_told"),
    [
        (b"GET /upl", False),
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nx: ", False),
        (b"POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n", True),
        (b"POST /upload HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nfffff\r\n", True),
    ],
    ids=["head", "second head", "body", "chunks"],
)
async def test_dripped_request(kind: type[Watched], text: bytes, is_app_told: bool) -> None:
    async with serving(kind) as (app, url), await connected(url, text) as stream, anyio.create_task_group() as tasks:
        tasks.start_soon(drip, stream)
        found = await heard(stream)
        assert b"HTTP/1.1 408 Request Timeout" in found
        if is_app_told:
            await app.broken_off.wait()
        tasks.cancel_scope.cancel()


async def test_body_that_nobody_wants(kind: type[Watched]) -> None:
    text = b"POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000000\r\n\r\n"
    async with serving(kind) as (_, url), await connected(url, text) as stream:
        assert (await stream.receive()).startswith(b"HTTP/1.1 413")
        sent = await drip(stream, PART, every_s=0)
        assert sent < 20_000_000  # what is under way in the buffers of both sides, too


async def test_answer_that_nobody_reads(kind: type[Watched]) -> None:
    async with serving(kind) as (_, url), await connected(url, b"GET /download HTTP/1.1\r\nhost: x\r\n\r\n") as stream:
        await drip(stream)  # a writer hears that the other side has hung up, without reading


async def test_work_takes_as_long_as_it_takes(kind: type[Watched]) -> None:
    async with serving(kind) as (app, url), await connected(url, b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n") as stream:
        await app.waits.wait()
        async with await connected(url) as other:  # a whole deadline passes beside it
            assert await heard(other) == b""
        app.go.set()
        assert (await stream.receive()).startswith(b"HTTP/1.1 200")
