"""What can go wrong with stored bytes, beyond the branches that everybody shares."""

from __future__ import annotations

from voisin.errors import InputError, UnavailableError


class ContentMissingError(UnavailableError):
    """Nobody here holds the bytes of that identifier; somebody may store them later."""

    code = "content-missing"


class ContentTooLargeError(InputError):
    """The bytes are more than whoever takes them allows."""

    code = "content-too-large"


class StorageFullError(UnavailableError):
    """There is no room left until something is deleted."""

    code = "storage-full"
