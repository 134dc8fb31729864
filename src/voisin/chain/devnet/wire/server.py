"""
The node's port: JSON-RPC over HTTP POST and over WebSocket, as one raw ASGI application.

Source: the ASGI specification 3.0, "HTTP & WebSocket ASGI message format".
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio
import msgspec
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream

from voisin.chain.devnet.settings import DevnetSettings
from voisin.chain.devnet.wire.dispatcher import Dispatcher, Method
from voisin.chain.devnet.wire.errors import BadParamsError
from voisin.chain.devnet.wire.params import Json, Params
from voisin.chain.devnet.wire.receipt_hold import ReceiptHold, remembers_nothing, with_hold
from voisin.chain.devnet.wire.subscriptions import Push, Subscriptions

_MAX_QUEUED = 4096
"""Messages that may wait for a slow WebSocket client before it is cut off."""
_MAX_CONCURRENT = 64
"""Requests of one WebSocket client that are worked on at once."""
_CLOSE_TOO_SLOW = 1013
_JSON_HEADER = (b"content-type", b"application/json")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class RpcApp:
    """
    The ASGI application.

    Args:
        methods: The methods by name.
        subscriptions: Who is told of new blocks.
        settings: Limits, and which web pages may call.
    """

    def __init__(self, methods: dict[str, Method], subscriptions: Subscriptions, *, settings: DevnetSettings) -> None:
        hold = ReceiptHold(settings.nonce_settle_ms / 1000, now=time.monotonic)
        self._methods = with_hold(methods, hold) if settings.nonce_settle_ms else methods
        self._subscriptions = subscriptions
        self._max_batch = settings.max_batch
        self._max_request_bytes = settings.max_request_bytes
        self._dispatcher = Dispatcher(self._methods, max_batch=settings.max_batch)
        self._without_hold = Dispatcher(methods, max_batch=settings.max_batch)
        self._cors = _cors_headers(settings.cors_origin)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one HTTP request or one WebSocket connection."""
        if scope["type"] == "http":
            await self._serve_http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._serve_websocket(receive, send)
        elif scope["type"] == "lifespan":
            await _live(receive, send)

    # HTTP.

    async def _serve_http(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS":
            await self._respond(send, 204, b"")
            return
        if scope["method"] != "POST":
            await self._respond(send, 405, b'{"error":"send JSON-RPC requests with POST"}', extra=[(b"allow", b"POST, OPTIONS")])
            return
        body = await self._read_body(receive)
        if body is None:
            text = f"the request is larger than {self._max_request_bytes} bytes"
            error: Json = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": text}}
            await self._respond(send, 413, msgspec.json.encode(error), extra=[(b"connection", b"close")])
            return
        dispatcher = self._without_hold if remembers_nothing(scope["headers"]) else self._dispatcher
        answer = await dispatcher.answer(body)
        await self._respond(send, 204 if answer is None else 200, answer or b"")

    async def _read_body(self, receive: Receive) -> bytes | None:
        """Read the whole body; None when it is too large."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            part = message.get("body", b"")
            assert isinstance(part, bytes)
            size += len(part)
            if size > self._max_request_bytes:
                return None
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts)

    async def _respond(self, send: Send, status: int, body: bytes, *, extra: list[tuple[bytes, bytes]] | None = None) -> None:
        headers = [_JSON_HEADER, (b"content-length", str(len(body)).encode()), *self._cors, *(extra or [])]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    # WebSocket.

    async def _serve_websocket(self, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        await send({"type": "websocket.accept"})
        outbox, queued = anyio.create_memory_object_stream[bytes](_MAX_QUEUED)
        is_too_slow = False
        async with anyio.create_task_group() as tasks:

            def push(message: bytes) -> None:
                nonlocal is_too_slow
                try:
                    outbox.send_nowait(message)
                except anyio.WouldBlock:
                    is_too_slow = True
                    tasks.cancel_scope.cancel()

            try:
                tasks.start_soon(_write, queued, send)
                await self._read_requests(receive, push, tasks=tasks)
                tasks.cancel_scope.cancel()
            finally:
                self._subscriptions.drop_client(push)
        outbox.close()
        queued.close()
        if is_too_slow:
            await send({"type": "websocket.close", "code": _CLOSE_TOO_SLOW, "reason": "too slow"})

    async def _read_requests(self, receive: Receive, push: Push, *, tasks: TaskGroup) -> None:
        """Work on requests as they come, several at once, until the client is gone."""
        dispatcher = Dispatcher(self._methods | self._subscription_methods(push), max_batch=self._max_batch)
        slots = anyio.Semaphore(_MAX_CONCURRENT)

        async def answer(body: str | bytes) -> None:
            try:
                reply = await dispatcher.answer(body)
                if reply is not None:
                    push(reply)
            finally:
                slots.release()

        while (message := await receive())["type"] == "websocket.receive":
            body = message.get("text") or message.get("bytes") or b""  # web3.py sends binary frames
            assert isinstance(body, (str, bytes))
            await slots.acquire()
            tasks.start_soon(answer, body)

    def _subscription_methods(self, push: Push) -> dict[str, Method]:
        async def subscribe(params: Params) -> Json:
            return self._subscriptions.add(params, push)

        async def unsubscribe(params: Params) -> Json:
            return self._subscriptions.remove(params.read(0, _subscription_id), push)

        return {"eth_subscribe": Method(subscribe, 2), "eth_unsubscribe": Method(unsubscribe, 1)}


async def _live(receive: Receive, send: Send) -> None:
    """Nothing starts or ends with the application: the node owns all that it uses."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


async def _write(queued: MemoryObjectReceiveStream[bytes], send: Send) -> None:
    async for message in queued:
        await send({"type": "websocket.send", "text": message.decode()})


def _subscription_id(value: Json, name: str) -> str:
    if not isinstance(value, str):
        raise BadParamsError(f"invalid argument {name}: a subscription id is a string")
    return value


def _cors_headers(origin: str) -> list[tuple[bytes, bytes]]:
    if not origin:
        return []
    allowed = {"origin": origin, "methods": "POST, OPTIONS", "headers": "*"}
    return [(f"access-control-allow-{what}".encode(), value.encode()) for what, value in allowed.items()]
