"""
Answers in the ecosystem's shape: `{"ok": true, ...}`, or `{"ok": false, "error": ...}` whatever went wrong.

Source: client-surface.md 3.
"""

from __future__ import annotations

from http import HTTPStatus

import structlog
from litestar import Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from voisin.errors import FundsError, InputError, StateError, TrustError, UnavailableError, VoisinError
from voisin.market.service import UnknownError
from voisin.protocol.codec import encode
from voisin.service.answers import Answer
from voisin.service.limits import TooOftenError
from voisin.service.problems import AnyRequest

JSON_TYPE = "application/json"
AWAY = "Something went wrong, you should retry later."
TOO_OFTEN = "Rate limit exceeded"
BROKEN = "Internal error"
STATUSES: dict[type[VoisinError], HTTPStatus] = {
    UnknownError: HTTPStatus.NOT_FOUND,
    TooOftenError: HTTPStatus.TOO_MANY_REQUESTS,
    FundsError: HTTPStatus.FORBIDDEN,
    InputError: HTTPStatus.BAD_REQUEST,
    StateError: HTTPStatus.FORBIDDEN,
    TrustError: HTTPStatus.FORBIDDEN,
    VoisinError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The status of each branch of the tree of errors; the nearest ancestor counts."""

_log = structlog.get_logger()


def accept(**fields: object) -> Response[bytes]:
    """Answer that all is well, with more fields."""
    return Response(encode({"ok": True, **fields}), media_type=JSON_TYPE)


def refuse(status: HTTPStatus, words: str) -> Response[bytes]:
    """Answer that something is wrong."""
    return Response(_refusal(status, words).body, status_code=status, media_type=JSON_TYPE)


def answer_any(method: str, path: str, error: Exception) -> Answer:
    """Answer whatever went wrong with a request of some method and path; what nobody expected is in the log, and not in the answer."""
    if not isinstance(error, VoisinError):
        _log.error("request_failed", method=method, path=path, exc_info=error)
        return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR, BROKEN)
    status = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    words = TOO_OFTEN if isinstance(error, TooOftenError) else AWAY if isinstance(error, UnavailableError) else error.message
    return _refusal(status, words)


def answer_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer an error."""
    answer = answer_any(request.method, request.url.path, error)
    return Response(answer.body, status_code=answer.status, media_type=JSON_TYPE)


def answer_http_error(_request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Answer what the web framework refused."""
    status = HTTPStatus(error.status_code)
    answer = refuse(status, status.phrase if status < HTTPStatus.INTERNAL_SERVER_ERROR else BROKEN)
    answer.headers.update(error.headers or {})
    return answer


def _refusal(status: HTTPStatus, words: str) -> Answer:
    return Answer(encode({"ok": False, "error": words}), status)


HANDLERS: ExceptionHandlersMap = {VoisinError: answer_error, HTTPException: answer_http_error, Exception: answer_error}
"""What the routes take as `exception_handlers`."""
