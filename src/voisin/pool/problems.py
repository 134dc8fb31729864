"""Errors as the pool answers them: RFC 9457 problems, whatever went wrong."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from voisin.errors import InputError, UnavailableError, VoisinError
from voisin.pool.views import UnknownError
from voisin.protocol.api import problem_of
from voisin.protocol.codec import encode

PROBLEM_TYPE = "application/problem+json"

AnyRequest = Request[object, object, State]

_HINT = "GET /schema/openapi.json lists the routes and their methods"

_log = structlog.get_logger()


def answer_error(_request: AnyRequest, error: VoisinError) -> Response[bytes]:
    """Answer one of our errors."""
    return _answer(error, HTTPStatus.NOT_FOUND if isinstance(error, UnknownError) else None)


def answer_http_error(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Answer what the web framework refused: unknown routes, wrong methods."""
    status = HTTPStatus(error.status_code)
    kind = UnavailableError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else InputError
    answer = _answer(kind(f"{request.method} {request.url.path}: {status.phrase.lower()}", hint=_HINT), status)
    answer.headers.update(error.headers or {})
    return answer


def answer_surprise(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer what nobody expected; the log has it, the answer does not."""
    _log.error("request_failed", path=request.url.path, exc_info=error)
    return _answer(VoisinError("the pool failed", hint="its log says why"), HTTPStatus.INTERNAL_SERVER_ERROR)


def _answer(error: VoisinError, status: HTTPStatus | None) -> Response[bytes]:
    problem = problem_of(error, status)
    return Response(encode(problem), status_code=problem.status, media_type=PROBLEM_TYPE)
