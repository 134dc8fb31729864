"""
The live feed on the wire: Server-Sent Events for whoever asks by HTTP, messages for whoever opens a WebSocket.

    GET /v1/feed?topic=orders&topic=trades
    Last-Event-ID: 41

Each message is one event of `voisin.protocol.feed` as JSON; as a Server-Sent Event it has the event's id and its topic as
name. A reader that takes nothing for `SEND_S` is dropped; it may come back and go on after the last event that it has seen.

Source: the HTML standard, section 9.2 (server-sent events).
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio
from litestar import WebSocket, get, websocket
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from litestar.params import SkipValidation
from litestar.types import ASGIApp, Receive, Scope, Send

from voisin.errors import InputError, UnavailableError
from voisin.market.book import Told
from voisin.market.feed import Feed, Reader
from voisin.market.openapi import PROBLEMS, FeedOperation
from voisin.market.query import FeedQuery, read_query
from voisin.market.service import MarketService
from voisin.protocol.feed import Topic
from voisin.service.problems import AnyRequest

SEND_S = 10.0
"""How long a reader may take nothing before it is dropped [s]."""
HEARTBEAT_S = 15.0
"""After how much silence a Server-Sent comment shows that the feed lives [s]."""
LAST_EVENT = "Last-Event-ID"

_BAD_QUESTION, _COME_LATER = 1008, 1013
_REASON_BYTES = 120
EVENTS_TYPE = "text/event-stream"
_HEADERS = [(b"content-type", EVENTS_TYPE.encode()), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]

Desk = NamedDependency[SkipValidation[MarketService]]
AnySocket = WebSocket[object, object, State]


@get("/v1/feed", operation_class=FeedOperation, responses=PROBLEMS, media_type=EVENTS_TYPE)
async def stream_feed(desk: Desk, request: AnyRequest) -> ASGIApp:
    """Tell what changes as Server-Sent Events: orders, trades, deals, or the topics that are named, after `Last-Event-ID` where given."""
    query = read_query(request.query_params.dict(), FeedQuery)
    last = request.headers.get(LAST_EVENT)
    if last is not None:
        query = read_query({"topic": query.topic, "after": (last,)}, FeedQuery)
    return _EventStream(desk.feed, _reader(desk, query))


@websocket("/v1/feed")
async def socket_feed(desk: Desk, socket: AnySocket) -> None:
    """Tell what changes over a WebSocket, one event a message: orders, trades, deals, or the topics that are named."""
    await socket.accept()
    try:
        reader = _reader(desk, read_query(socket.query_params.dict(), FeedQuery))
        with desk.feed.reading():
            await _talk(socket, reader)
    except InputError as error:
        await socket.close(_BAD_QUESTION, _reason(str(error)))
    except UnavailableError as error:
        await socket.close(_COME_LATER, _reason(str(error)))


class _EventStream:
    """An answer that never ends by itself."""

    def __init__(self, feed: Feed, reader: Reader) -> None:
        self._feed = feed
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        with self._feed.reading():
            first = await self._reader.begin()
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_until_gone, receive, tasks.cancel_scope)
                await self._write(send, [first])
                tasks.cancel_scope.cancel()

    async def _write(self, send: Send, told: Sequence[Told]) -> None:
        """Send events for ever; return when the reader does not take them."""
        while True:
            parts = [f"id: {each.id}\nevent: {each.topic}\ndata: {each.content}\n\n" for each in told] or [": still here\n\n"]
            try:
                for part in parts:
                    with anyio.fail_after(SEND_S):
                        await send({"type": "http.response.body", "body": part.encode(), "more_body": True})
            except TimeoutError:
                return
            told = await self._reader.next(within_s=HEARTBEAT_S)


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    """Wait until the reader hangs up, and stop what it does not read any more."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _talk(socket: AnySocket, reader: Reader) -> None:
    """Send events until the reader hangs up, or does not take them."""
    async with anyio.create_task_group() as tasks:

        async def listen() -> None:
            try:
                while True:
                    await socket.receive_data(mode="text")  # what a reader says is not listened to
            except WebSocketDisconnect:
                tasks.cancel_scope.cancel()

        tasks.start_soon(listen)
        told = [await reader.begin()]
        while await _send_all(socket, told):
            told = await reader.next(within_s=HEARTBEAT_S)
        tasks.cancel_scope.cancel()


async def _send_all(socket: AnySocket, told: Sequence[Told]) -> bool:
    try:
        for each in told:
            with anyio.fail_after(SEND_S):
                await socket.send_text(each.content)
    except TimeoutError:
        return False
    return True


def _reader(desk: MarketService, query: FeedQuery) -> Reader:
    topics = [Topic(name) for name in query.topic] or list(Topic)
    return Reader(desk.feed, topics, query.after, now=desk.clock())


def _reason(text: str) -> str:
    return text.encode()[:_REASON_BYTES].decode(errors="ignore")
