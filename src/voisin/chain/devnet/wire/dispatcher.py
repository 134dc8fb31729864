"""
JSON-RPC 2.0: one request or a batch in, one answer or a list of answers out. Whatever comes in, what goes out is JSON-RPC.

Source: https://www.jsonrpc.org/specification
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import cast

import msgspec
import structlog

from voisin.chain.devnet.wire.errors import (
    INTERNAL_CODE,
    REVERT_CODE,
    BadParamsError,
    BadRequestError,
    LimitError,
    RpcError,
    UnknownMethodError,
    UnreadableError,
)
from voisin.chain.devnet.wire.params import Json, Params, shown
from voisin.errors import RevertError, VoisinError

_MAX_DEPTH = 64
_MAX_BRACKETS = 200_000
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_TOGETHER = "eth_sendRawTransaction"
"""The method whose requests in a row of one batch are carried out together: they then share one write to the disk."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Method:
    """
    One method of the node.

    Attributes:
        run: Carries it out.
        most: Most parameters it takes.
        run_together: Carries out several in order, when a batch holds them in a row; None carries them out one by one.
    """

    run: Callable[[Params], Awaitable[Json]]
    most: int
    run_together: Callable[[list[Params]], Awaitable[list[Json | VoisinError]]] | None = None


class Dispatcher:
    """
    Answers requests with a table of methods.

    Args:
        methods: The methods by name.
        max_batch: Most requests in one batch.
    """

    def __init__(self, methods: Mapping[str, Method], *, max_batch: int) -> None:
        self._methods = methods
        self._max_batch = max_batch

    async def call(self, method: str, params: list[Json]) -> Json:
        """
        Carry out one method.

        Args:
            method: Its name.
            params: Its parameters.

        Returns:
            Its result.

        Raises:
            VoisinError: It cannot be carried out; see `rpc_errors`.
        """
        found = self._methods.get(method)
        if found is None:
            raise UnknownMethodError(f"the method {shown(method)} does not exist or is not available")
        return await found.run(Params(params, most=found.most))

    async def answer(self, body: bytes | str) -> bytes | None:
        """
        Answer what a client has sent.

        Args:
            body: A JSON-RPC request or batch, as received.

        Returns:
            The JSON to send back; None when nothing is to be sent (notifications only).
        """
        try:
            request = _decode(body)
        except RpcError as error:
            return _encode(_failure(None, error))
        if not isinstance(request, list):
            answer = await self._answer_one(request)
            return None if answer is None else _encode(answer)
        if not request:
            return _encode(_failure(None, BadRequestError("the batch is empty")))
        if len(request) > self._max_batch:
            return _encode(_failure(None, LimitError(f"the batch holds {len(request)} requests, the limit is {self._max_batch}")))
        answers = await self._answer_batch(request)
        return _encode(answers) if answers else None

    async def _answer_batch(self, batch: list[Json]) -> list[Json]:
        """Answer in order; what may be carried out together is."""
        answers: list[Json] = []
        place = 0
        while place < len(batch):
            row = cast("list[dict[str, Json]]", list(takewhile(self._may_be_together, islice(batch, place, None))))
            if len(row) > 1:
                answers += await self._answer_row(row)
            elif (answer := await self._answer_one(batch[place])) is not None:
                answers.append(answer)
            place += max(1, len(row))
        return answers

    def _may_be_together(self, request: Json) -> bool:
        """Whether a request is sound, wants an answer, and is for a method that carries several out together."""
        if not isinstance(request, dict) or "id" not in request:
            return False
        try:
            _read_id(request)
            name, params = _read_request(request)
        except RpcError:
            return False
        method = self._methods.get(name) if name == _TOGETHER else None
        return method is not None and method.run_together is not None and len(params) <= method.most

    async def _answer_row(self, row: list[dict[str, Json]]) -> list[Json]:
        """Answer requests that `_may_be_together`."""
        ids = [_read_id(request) for request in row]
        method = self._methods[_TOGETHER]
        assert method.run_together is not None
        try:
            results = await method.run_together([Params(_read_request(request)[1], most=method.most) for request in row])
        except Exception as error:  # noqa: BLE001 (the top of the service's loop: one bad request must not end the node)
            _log.exception("request_failed", method=_TOGETHER)
            return [_internal(request_id, error) for request_id in ids]
        return [
            _failure(request_id, result) if isinstance(result, VoisinError) else {"jsonrpc": "2.0", "id": request_id, "result": result}
            for request_id, result in zip(ids, results, strict=True)
        ]

    async def _answer_one(self, request: Json) -> dict[str, Json] | None:
        """Answer one request; None for a notification, which asks for no answer."""
        request_id: Json = None
        try:
            if not isinstance(request, dict):
                raise BadRequestError("a request is an object")
            request_id = _read_id(request)
            method, params = _read_request(request)
            result = await self.call(method, params)
        except VoisinError as error:
            answer = _failure(request_id, error)
        except Exception as error:  # noqa: BLE001 (the top of the service's loop: one bad request must not end the node)
            _log.exception("request_failed", method=shown(request.get("method")) if isinstance(request, dict) else None)
            answer = _internal(request_id, error)
        else:
            answer = {"jsonrpc": "2.0", "id": request_id, "result": result}
        is_notification = isinstance(request, dict) and "id" not in request and isinstance(request.get("method"), str)
        return None if is_notification else answer


def _decode(body: bytes | str) -> Json:
    data = body.encode(errors="surrogatepass") if isinstance(body, str) else body
    _require_shallow(data)
    try:
        return msgspec.json.decode(data)  # type: ignore[no-any-return]  # any JSON
    except (msgspec.DecodeError, UnicodeError) as error:
        raise UnreadableError(f"the request is not JSON: {error}") from error


def _require_shallow(data: bytes) -> None:
    """
    Refuse JSON that is nested deeper than any request.

    py-evm lets Python recurse 12,000 deep, and a JSON decoder written in C ends the process before it gets there.
    """
    if data.count(b"[") + data.count(b"{") <= _MAX_DEPTH:
        return
    structure = _STRING.sub(b"", data).translate(None, _NOT_BRACKETS)
    if len(structure) > _MAX_BRACKETS:
        raise LimitError("the request holds too many arrays and objects", hint="send fewer requests at once")
    depth = 0
    for byte in structure:
        depth += 1 if byte in b"[{" else -1
        if depth > _MAX_DEPTH:
            raise BadRequestError(f"the request is nested deeper than {_MAX_DEPTH}")


def _read_id(request: dict[str, Json]) -> Json:
    request_id = request.get("id")
    if isinstance(request_id, (dict, list, bool)):
        raise BadRequestError("the id of a request is a string, a number or null")
    return request_id


def _read_request(request: dict[str, Json]) -> tuple[str, list[Json]]:
    if request.get("jsonrpc") != "2.0":
        raise BadRequestError('a request has the member "jsonrpc" with the value "2.0"')
    method, params = request.get("method"), request.get("params")
    if not isinstance(method, str):
        raise BadRequestError('a request has the member "method", a string')
    if params is None:
        params = []
    if not isinstance(params, list):
        raise BadParamsError("parameters are passed as an array, in order")
    return method, params


def _failure(request_id: Json, error: VoisinError) -> dict[str, Json]:
    body: dict[str, Json] = {"code": error.rpc_code if isinstance(error, RpcError) else RpcError.rpc_code, "message": str(error)}
    if isinstance(error, RevertError):
        body |= {"code": REVERT_CODE, "data": "0x" + error.data.hex()}
    return {"jsonrpc": "2.0", "id": request_id, "error": body}


def _internal(request_id: Json, error: Exception) -> dict[str, Json]:
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": INTERNAL_CODE, "message": f"internal error: {type(error).__name__}"}}


def _encode(answer: Json) -> bytes:
    return msgspec.json.encode(answer)
