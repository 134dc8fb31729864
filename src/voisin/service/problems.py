"""Errors as our services answer them over HTTP: RFC 9457 problems, whatever went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from voisin.errors import InputError, UnavailableError, VoisinError
from voisin.protocol.api import problem_of
from voisin.protocol.codec import encode
from voisin.service.answers import Answer

PROBLEM_TYPE = "application/problem+json"

AnyRequest = Request[object, object, State]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Problems:
    """
    How a service answers errors.

    Attributes:
        service: What the service is called in answers: `market`.
        routes: The hint to whoever asked for a route that is not there, or with a wrong method.
        statuses: Errors whose status is another than their branch of the tree of errors has; they count for their subclasses too.
    """

    service: str
    routes: str
    statuses: Mapping[type[VoisinError], HTTPStatus] = field(default_factory=dict)

    def handlers(self) -> ExceptionHandlersMap:
        """Give what a Litestar application takes as `exception_handlers`."""
        return {VoisinError: self.answer_error, HTTPException: self.answer_http_error, Exception: self.answer_surprise}

    def answer(self, method: str, path: str, error: Exception) -> Answer:
        """Answer whatever went wrong with a request of some method and path."""
        if isinstance(error, VoisinError):
            return self._of(error, next((self.statuses[kind] for kind in type(error).__mro__ if kind in self.statuses), None))
        _log.error("request_failed", method=method, path=path, exc_info=error)
        return self._of(VoisinError(f"the {self.service} failed", hint="its log says why"), HTTPStatus.INTERNAL_SERVER_ERROR)

    def answer_error(self, request: AnyRequest, error: VoisinError) -> Response[bytes]:
        """Answer one of our errors."""
        return _response(self.answer(request.method, request.url.path, error))

    def answer_http_error(self, request: AnyRequest, error: HTTPException) -> Response[bytes]:
        """Answer what the web framework refused: unknown routes, wrong methods, too long bodies."""
        status = HTTPStatus(error.status_code)
        kind = UnavailableError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else InputError
        words = f"{request.method} {request.url.path}: {status.phrase.lower()}"
        answer = _response(self._of(kind(words, hint=self._hint(status)), status))
        answer.headers.update(error.headers or {})
        return answer

    def answer_surprise(self, request: AnyRequest, error: Exception) -> Response[bytes]:
        """Answer what nobody expected; the log has it, the answer does not."""
        return _response(self.answer(request.method, request.url.path, error))

    def _hint(self, status: HTTPStatus) -> str:
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
            return self.routes
        if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return "send less, for example by putting long inputs into storage and naming them by CID"
        return ""

    def _of(self, error: VoisinError, status: HTTPStatus | None) -> Answer:
        problem = problem_of(error, status)
        return Answer(encode(problem), problem.status, PROBLEM_TYPE.encode())


def _response(answer: Answer) -> Response[bytes]:
    return Response(answer.body, status_code=answer.status, media_type=answer.media_type.decode())
