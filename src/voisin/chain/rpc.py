"""
The dialogue with an EVM node: JSON-RPC 2.0 over HTTP, single calls and batches.

A question that can be asked twice without harm is asked again, a bounded number of times with growing random pauses, when
the node or the network fails; afterwards it is `UnavailableError`. A refusal is an answer and is not repeated.

Sources: JSON-RPC 2.0; EIP-1474 for the error codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import SystemRandom
from types import TracebackType
from typing import TypeVar, cast
from urllib.parse import urlsplit

import anyio
import httpx
import msgspec
from anyio.lowlevel import checkpoint

from voisin.chain.local_http import BrokenTalkError, LocalHttp
from voisin.chain.near import near_node
from voisin.chain.reverts import revert_error
from voisin.errors import InputError, UnavailableError, VoisinError
from voisin.protocol.ids import from_hex

T = TypeVar("T")
Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
Request = tuple[str, Sequence["Json"]]
"""A method and its parameters."""

_BATCH = 100
_CONNECTIONS = 16
_REVERTED = 3
_LIMIT_EXCEEDED = -32005
_TEXT = 500
_BUSY_STATUS = (408, 425, 429, 500, 502, 503, 504)
_FIRST_PAUSE_S = 0.1
_LAST_PAUSE_S = 5.0
_REPEATABLE = ("eth_", "net_", "web3_")
_HEADERS = {"content-type": "application/json", "cache-control": "no-store"}
"""Nothing is remembered: a chain that holds receipts back for clients that do (`nonce_settle_ms`) need not for this one."""
_NEVER_REPEATED = ("eth_sendTransaction", "eth_newFilter", "eth_newBlockFilter", "eth_getFilterChanges")


class NodeError(VoisinError):
    """
    The node refused a request.

    Attributes:
        rpc_code: The JSON-RPC error number.
        reason: The node's own words.
    """

    code = "node-refused"

    def __init__(self, message: str, *, rpc_code: int = 0, reason: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rpc_code = rpc_code
        self.reason = reason


class Backoff:
    """
    Pauses that double each time, each shortened at random so that many clients do not knock together.

    Args:
        first_s: Upper bound of the first pause [s].
        last_s: Upper bound of every pause [s].
        draw: Draws from [0, 1).
    """

    def __init__(self, first_s: float = _FIRST_PAUSE_S, last_s: float = _LAST_PAUSE_S, draw: Callable[[], float] | None = None) -> None:
        self._first_s, self._bound_s, self._last_s = first_s, first_s, last_s
        self._draw = draw or SystemRandom().random

    def next_s(self) -> float:
        """Answer how long to pause now [s]."""
        bound = self._bound_s
        self._bound_s = min(bound * 2, self._last_s)
        return bound * (0.5 + self._draw() / 2)

    def reset(self) -> None:
        """Start with short pauses again, after a success."""
        self._bound_s = self._first_s


class _Failure(msgspec.Struct):
    code: int
    message: str = ""
    data: msgspec.Raw = msgspec.Raw()


class _Response(msgspec.Struct):
    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: _Failure | None = None


_SINGLE = msgspec.json.Decoder(_Response)
_MANY = msgspec.json.Decoder(list[_Response])


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request: its result as JSON text, or the error that it raises when read."""

    method: str
    result: msgspec.Raw
    error: VoisinError | None = None

    def read(self, kind: type[T]) -> T:
        """
        Read the result.

        Args:
            kind: Its type.

        Raises:
            RevertError: A contract refused the call.
            NodeError: The node refused the request.
            UnavailableError: The answer is not of this type.
        """
        if self.error is not None:
            raise self.error
        try:
            return msgspec.json.decode(self.result, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UnavailableError(f"the node's answer to {self.method} is malformed: {error}") from None

    def read_optional(self, kind: type[T]) -> T | None:
        """Read the result as `read` does; `null`, for what the node does not know, is None."""
        return None if self.error is None and bytes(self.result) == b"null" else self.read(kind)


class Rpc:
    """
    A node's JSON-RPC port; an async context manager.

    Args:
        url: Its address, `http://` or `https://`; what follows the host is never shown, for it often holds a key.
        timeout_s: Longest wait for one answer [s].
        attempts: How often a harmless question is asked before the node counts as unavailable.
        first_pause_s: Pause before the second attempt; the pauses double [s].
        transport: Another way to reach the node than the network.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 30,
        attempts: int = 5,
        first_pause_s: float = _FIRST_PAUSE_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError("this is not the address of a node", hint="write for example http://127.0.0.1:8545")
        self.url = url
        self.has_network = transport is None
        self.shown_url = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
        self._client = httpx.AsyncClient(
            timeout=timeout_s,
            transport=transport,
            verify=parts.scheme == "https",
            trust_env=not is_local(url),
            limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
        )
        is_plain = transport is None and parts.scheme == "http" and is_local(url) and parts.username is None
        self._local = LocalHttp(url, _HEADERS) if is_plain else None
        self._lanes = anyio.Semaphore(_CONNECTIONS)
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._first_pause_s = first_pause_s
        self._last_id = 0

    def __repr__(self) -> str:
        return f"Rpc({self.shown_url!r})"

    async def __aenter__(self) -> Rpc:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._local is not None:
            self._local.close()
        await self._client.__aexit__(kind, error, trace)

    async def call(self, method: str, *params: Json) -> Json:
        """
        Ask one question.

        Args:
            method: The method.
            params: Its parameters.

        Returns:
            The result, as JSON.

        Raises:
            RevertError: A contract refused the call.
            NodeError: The node refused the request.
            UnavailableError: The node does not answer.
        """
        return cast(Json, (await self._exchange([(method, params)], self._attempts))[0].read(object))

    async def fetch(self, kind: type[T], method: str, *params: Json) -> T:
        """Ask one question as `call` does, and read the result as `kind`."""
        return (await self._exchange([(method, params)], self._attempts))[0].read(kind)

    async def batch(self, requests: Sequence[Request]) -> list[Json]:
        """
        Ask several questions in one go.

        Args:
            requests: Methods with their parameters.

        Returns:
            The results, in the same order.

        Raises:
            VoisinError: As `call`, for the first request that fails.
        """
        return [cast(Json, answer.read(object)) for answer in await self.ask(requests)]

    async def ask(self, requests: Sequence[Request], *, attempts: int | None = None) -> list[Answer]:
        """
        Ask several questions in one go, each with its own outcome.

        Args:
            requests: Methods with their parameters.
            attempts: How often harmless questions are asked; None for the usual number.

        Raises:
            UnavailableError: The node does not answer.
        """
        answers: list[Answer] = []
        for start in range(0, len(requests), _BATCH):
            answers += await self._exchange(requests[start : start + _BATCH], attempts or self._attempts)
        return answers

    async def _exchange(self, requests: Sequence[Request], attempts: int) -> list[Answer]:
        """One HTTP request, repeated where that is harmless."""
        if not all(_is_repeatable(method) for method, _ in requests):
            attempts = 1
        backoff = Backoff(self._first_pause_s)
        for attempt in range(attempts):
            try:
                return await self._post(requests)
            except UnavailableError:
                if attempt == attempts - 1:
                    raise
                await anyio.sleep(backoff.next_s())
        raise AssertionError("attempts is at least 1")

    async def _post(self, requests: Sequence[Request]) -> list[Answer]:
        first_id = self._last_id + 1
        self._last_id += len(requests)
        messages = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, (method, params) in enumerate(requests, start=first_id)
        ]
        body = msgspec.json.encode(messages[0] if len(messages) == 1 else messages)
        async with self._lanes:
            status, content = await self._exchange_bytes(body)
        if status in _BUSY_STATUS:
            raise self._silent(f"HTTP status {status}")
        answers = self._sort(status, content, requests, first_id)
        if any(isinstance(answer.error, UnavailableError) for answer in answers):
            raise next(answer.error for answer in answers if isinstance(answer.error, UnavailableError))
        return answers

    async def _exchange_bytes(self, body: bytes) -> tuple[int, bytes]:
        """Send a request's bytes; answers status and bytes of what came back. The nearer the node, the simpler the way."""
        node = near_node(self.url) if self.has_network else None
        if node is not None:
            await checkpoint()  # a node that has the answer at hand must not keep its asker from being cancelled
            with anyio.move_on_after(self._timeout_s):
                return 200, await node.answer(body) or b""
            raise self._silent("it takes too long")
        if self._local is not None:
            return await self._exchange_locally(self._local, body)
        try:
            response = await self._client.post(self.url, content=body, headers=_HEADERS)
        except httpx.HTTPError as error:
            raise self._silent(type(error).__name__) from None
        return response.status_code, response.content

    async def _exchange_locally(self, line: LocalHttp, body: bytes) -> tuple[int, bytes]:
        with anyio.move_on_after(self._timeout_s):
            try:
                return await line.post(body)
            except BrokenTalkError as error:
                raise self._silent(str(error)) from None
        raise self._silent("it takes too long")

    def _sort(self, status: int, content: bytes, requests: Sequence[Request], first_id: int) -> list[Answer]:
        """Match responses to requests by their ids; a server may send them in any order."""
        try:
            is_batch = content.lstrip()[:1] == b"["
            found = _MANY.decode(content) if is_batch else [_SINGLE.decode(content)]
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise self._silent(f"HTTP status {status}, and no JSON-RPC") from None
        if len(found) == 1 and found[0].error is not None and found[0].id is None:
            # the node refused the request as a whole
            found = [msgspec.structs.replace(found[0], id=first_id + place) for place in range(len(requests))]
        by_id = {response.id: response for response in found}
        return [self._answer(method, by_id.get(first_id + place)) for place, (method, _) in enumerate(requests)]

    def _answer(self, method: str, response: _Response | None) -> Answer:
        if response is None:
            raise self._silent(f"no answer to {method}")
        if response.error is not None:
            return Answer(method, msgspec.Raw(), _refusal(method, response.error))
        if not bytes(response.result):
            raise self._silent(f"neither result nor error for {method}")
        return Answer(method, response.result)

    def _silent(self, why: str) -> UnavailableError:
        return UnavailableError(
            f"the node at {self.shown_url} does not answer ({why})", hint="check that it runs and that its address is right"
        )


def is_local(url: str) -> bool:
    """Tell whether a server is on this machine; no proxy stands in between then."""
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def _is_repeatable(method: str) -> bool:
    return method.startswith(_REPEATABLE) and method not in _NEVER_REPEATED


def _refusal(method: str, failure: _Failure) -> VoisinError:
    """Tell a revert, a node that asks for patience, and a refusal apart."""
    text = failure.message[:_TEXT]
    if method.startswith("eth_") and (failure.code == _REVERTED or "revert" in text.lower()):
        return revert_error(_revert_data(failure.data), said=text)
    if failure.code == _LIMIT_EXCEEDED and "rate" in text.lower():
        return UnavailableError(f"the node asks for fewer requests: {text}", hint="wait, or use another node")
    return NodeError(f"the node refuses {method}: {text}", rpc_code=failure.code, reason=text)


def _revert_data(raw: msgspec.Raw) -> bytes:
    """Find revert data where the different nodes put it: the error's data, or a `data` or `result` inside it."""
    if not bytes(raw):
        return b""
    data: object = msgspec.json.decode(raw)
    if isinstance(data, dict):
        data = data.get("data", data.get("result"))
    if not isinstance(data, str):
        return b""
    try:
        return from_hex(data.removeprefix("Reverted "))
    except InputError:
        return b""
