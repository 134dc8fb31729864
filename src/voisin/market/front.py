"""
The market's doors for what comes a thousand times a second: publications by our route, and lists of orders by every route.

Litestar reads, routes and answers a request in several times the time that these take; everything else goes on to it: other routes,
pages of other web origins, whose answers need CORS headers, and bodies that are too long or come in pieces of unknown length. What is
answered here is what Litestar's handlers of the same routes answer, which describe them in the OpenAPI and share the code.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from voisin.market.metrics import MarketMetrics
from voisin.service.answers import Answer

Headers = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Asked:
    """
    A request.

    Attributes:
        path: Its path.
        query: Its query's names and values, in order.
        headers: Its headers, with names in lower case; of several the last.
        body: Its body.
    """

    path: str
    query: list[tuple[str, str]]
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Door:
    """
    A route that is answered without Litestar.

    Attributes:
        answer: Answers a request.
        refuse: Answers an error, of a request of some method and path.
    """

    answer: Callable[[Asked], Awaitable[Answer]]
    refuse: Callable[[str, str, Exception], Answer]


class Front:
    """An ASGI application that answers some routes itself, and lets another one answer the rest."""

    def __init__(self, app: ASGIApp, doors: dict[tuple[str, str], Door], metrics: MarketMetrics, *, max_body_bytes: int) -> None:
        """
        Args:
            app: Answers everything else.
            doors: What is answered here, by method and path.
            metrics: Where requests are counted.
            max_body_bytes: Longest body that is read here [bytes].
        """
        self._app = app
        self._doors = doors
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == ScopeType.HTTP:
            door = self._doors.get((scope["method"], scope["path"]))
            if door is not None:
                headers = dict(scope["headers"])
                if self._is_plain(scope["method"], headers):
                    await self._pass(door, scope, headers, receive, send)
                    return
        await self._app(scope, receive, send)

    def _is_plain(self, method: str, headers: Headers) -> bool:
        """Tell whether a request can be answered here."""
        if b"origin" in headers or b"transfer-encoding" in headers:
            return False
        length = headers.get(b"content-length", b"0" if method == "GET" else b"")
        return length.isdigit() and int(length) <= self._max_body_bytes

    async def _pass(self, door: Door, scope: HTTPScope, headers: Headers, receive: Receive, send: Send) -> None:
        started, method, path = time.perf_counter(), str(scope["method"]), scope["path"]
        body = await _read(receive)
        if body is None:
            return
        try:
            answer = await door.answer(Asked(path, _query(scope["query_string"]), headers, body))
        except Exception as error:  # noqa: BLE001  (the top of a request: whatever it is, its sender is answered)
            answer = door.refuse(method, path, error)
        fields = [(b"content-type", answer.media_type), (b"content-length", str(len(answer.body)).encode())]
        await send({"type": "http.response.start", "status": int(answer.status), "headers": fields})
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})
        self._metrics.note_request(method, path, answer.status, time.perf_counter() - started)


async def _read(receive: Receive) -> bytes | None:
    """Read a body; None when its sender hung up."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        return message["body"]
    parts: list[bytes] = []
    while message["type"] == "http.request":
        parts.append(message["body"])
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()
    return None


def _query(text: bytes) -> list[tuple[str, str]]:
    return parse_qsl(text.decode("latin-1"), keep_blank_values=True)


def several(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Collect the values of each name."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found
