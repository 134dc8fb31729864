"""What can go wrong with stored bytes, beyond the branches that everybody shares."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from voisin.errors import InputError, UnavailableError, VoisinError


class ContentMissingError(UnavailableError):
    """Nobody here holds the bytes of that identifier; somebody may store them later."""

    code = "content-missing"


class ContentTooLargeError(InputError):
    """The bytes are more than whoever takes them allows."""

    code = "content-too-large"


class StorageFullError(UnavailableError):
    """There is no room left until something is deleted."""

    code = "storage-full"


STATUSES: Final[dict[type[VoisinError], HTTPStatus]] = {
    ContentMissingError: HTTPStatus.NOT_FOUND,
    ContentTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    StorageFullError: HTTPStatus.INSUFFICIENT_STORAGE,
}
"""Statuses of answers where they are others than those of the errors' branches."""
