"""A blob on its way into a store: hashed and counted as it comes, and nothing until it is finished."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from voisin.errors import TrustError
from voisin.protocol.cid import Cid, cid_from_digest
from voisin.storage.faults import ContentTooLargeError

if TYPE_CHECKING:
    from voisin.storage.store import BlobStore


class BlobWriter:
    """
    A blob on its way into a store.

    Args:
        store: Where it goes.
        temporary: The file that holds it until then.
    """

    def __init__(self, store: BlobStore, temporary: Path) -> None:
        self._store = store
        self._temporary = temporary
        self._hash = hashlib.sha256()
        self._file: BinaryIO = temporary.open("xb")
        self._is_committed = False
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
        if not self._is_committed:
            self._store.reserve(-self.size)
            self._temporary.unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        """
        Add bytes.

        Args:
            chunk: The bytes.

        Raises:
            ContentTooLargeError: The blob is now more than one may be.
            StorageFullError: There is no room.
        """
        if self.size + len(chunk) > self._store.max_blob_bytes:
            raise ContentTooLargeError(f"it is larger than {self._store.max_blob_bytes} bytes", hint="split it, or compress it")
        self._store.reserve(len(chunk))
        self.size += len(chunk)
        self._hash.update(chunk)
        self._file.write(chunk)

    def commit(self, expected: Cid | None = None) -> Cid:
        """
        Finish the blob: from now on it is in the store.

        Args:
            expected: What the identifier must be; None for any.

        Returns:
            The identifier.

        Raises:
            TrustError: It is another one than expected; nothing is stored.
        """
        cid = cid_from_digest(self._hash.digest())
        if expected is not None and cid != expected:
            raise TrustError(f"the bytes are {cid}, not {expected}", hint="send the bytes unchanged and completely")
        self.sync()
        self._store.adopt(self._temporary, cid)
        self._is_committed = True
        return cid

    def sync(self) -> None:
        """Make sure that the bytes are on the disk; `commit` does it, unless many blobs do it together before."""
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
