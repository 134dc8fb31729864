"""Content-addressed storage: a folder of blobs, a service in front of it, and a client that trusts neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voisin.storage.client import StorageClient
from voisin.storage.faults import ContentMissingError, ContentTooLargeError, StorageFullError
from voisin.storage.store import MAX_BLOB_BYTES, BlobStore

if TYPE_CHECKING:
    from voisin.storage.api import create_storage_app

__all__ = [
    "MAX_BLOB_BYTES",
    "BlobStore",
    "ContentMissingError",
    "ContentTooLargeError",
    "StorageClient",
    "StorageFullError",
    "create_storage_app",
]


def __getattr__(name: str) -> object:
    """Load the service only for those who run one: clients do without its web framework."""
    if name == "create_storage_app":
        from voisin.storage.api import create_storage_app

        return create_storage_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
