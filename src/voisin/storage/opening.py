"""Putting a storage together from its settings, and serving it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from voisin.errors import InputError
from voisin.service.serving import serve_app, until_stopped
from voisin.storage.api import create_storage_app
from voisin.storage.backends import Backend
from voisin.storage.ipfs_node import IpfsNodeBackend
from voisin.storage.settings import StorageSettings
from voisin.storage.store import BlobStore

_log = structlog.get_logger()


@contextmanager
def open_store(settings: StorageSettings) -> Iterator[BlobStore]:
    """
    Open the store that the settings name.

    Raises:
        InputError: Its back end needs a package that is not installed, or has a malformed address.
        UnavailableError: It does not answer.
    """
    with _backend(settings) as backend:
        yield BlobStore(settings.folder, backend=backend, quota_bytes=settings.quota_bytes, max_blob_bytes=settings.max_blob_bytes)


async def serve_storage(settings: StorageSettings, *, ready: Callable[[str], None] = lambda _url: None) -> None:
    """
    Serve a storage on its port until it is cancelled, interrupted or terminated; requests under way are finished.

    Args:
        settings: How it is set up.
        ready: Told the storage's address once it answers.

    Raises:
        InputError: The port is taken, or the back end cannot be used.
        UnavailableError: The back end does not answer.
    """
    with open_store(settings) as store:
        app = create_storage_app(store, settings.rules, allow_removal=settings.allow_removal)
        async with serve_app(app, host=settings.host, port=settings.port) as url:
            _log.info("storage_open", url=url, backend=settings.backend)
            await until_stopped("storage", url, ready)


@contextmanager
def _backend(settings: StorageSettings) -> Iterator[Backend | None]:
    if settings.backend == "s3":
        try:
            from voisin.storage.s3 import S3Backend
        except ModuleNotFoundError as error:
            raise InputError(f"the back end s3 needs the package {error.name}", hint="install voisin[s3]") from None
        yield S3Backend(settings.s3_bucket, prefix=settings.s3_prefix, endpoint=settings.s3_endpoint, region=settings.s3_region)
    elif settings.backend == "ipfs":
        node = IpfsNodeBackend(settings.ipfs_api_url, settings.folder / "ipfs.db")
        try:
            yield node
        finally:
            node.close()
    else:
        yield None
