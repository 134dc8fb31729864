"""What a storage's refusals mean to its client: ours are problems, those of an IPFS node's calls have its form."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from voisin.errors import VoisinError
from voisin.protocol.api import Problem, error_of
from voisin.storage.faults import ContentMissingError, ContentTooLargeError, StorageFullError

RETRIED = {408, 425, 429, 500, 502, 503, 504}
"""Statuses of what may pass by itself."""


class _NodeFailure(msgspec.Struct, frozen=True):
    message: str = msgspec.field(name="Message")


class PassingError(Exception):
    """An attempt failed in a way that the next may not."""


def fault_of(status: int, body: bytes) -> VoisinError | PassingError:
    """What an answer other than the wanted one means."""
    if status in RETRIED:
        return PassingError(f"status {status}")
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except msgspec.MsgspecError:
        problem = Problem(type="", title="", status=status, detail=_words(status, body), code="")
    kinds: dict[int, type[VoisinError]] = {
        HTTPStatus.NOT_FOUND: ContentMissingError,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ContentTooLargeError,
        HTTPStatus.INSUFFICIENT_STORAGE: StorageFullError,
    }
    if status in kinds:
        return kinds[status](problem.detail, hint=problem.hint)
    return error_of(problem)


def _words(status: int, body: bytes) -> str:
    """What a storage says that answers as an IPFS node does."""
    try:
        return msgspec.json.decode(body, type=_NodeFailure).message[:500]
    except msgspec.MsgspecError:
        return f"the storage answered with status {status}"
