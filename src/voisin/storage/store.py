"""A folder of immutable blobs, each named by its own hash. Everything here blocks on the disk."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from voisin.errors import InputError, TrustError
from voisin.protocol.cid import Cid, cid_from_digest, digest_of, parse_cid
from voisin.storage.faults import ContentMissingError, ContentTooLargeError, StorageFullError

MAX_BLOB_BYTES = 1 << 30
CHUNK_BYTES = 1 << 18
_BLOBS, _INCOMING = "blobs", "incoming"
_ABANDONED_S = 3_600


class BlobStore:
    """
    Blobs in a folder. It belongs to one process; its methods may be called from several threads.

    A blob appears under its name only when all of it is safely on the disk, so a process that is killed leaves no half of one.

    Args:
        folder: Created when missing.
        quota_bytes: What all blobs may take together; None for as much as the disk has.
        max_blob_bytes: What one blob may take.
    """

    def __init__(self, folder: Path, *, quota_bytes: int | None = None, max_blob_bytes: int = MAX_BLOB_BYTES) -> None:
        self.quota_bytes = quota_bytes
        self.max_blob_bytes = max_blob_bytes
        self._blobs, self._incoming = folder / _BLOBS, folder / _INCOMING
        for part in (self._blobs, self._incoming):
            part.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(self._incoming)
        self._lock = threading.Lock()
        self._used = sum(path.stat().st_size for path in self._paths())

    @property
    def used_bytes(self) -> int:
        """What the blobs take, those that are being written included."""
        return self._used

    def cids(self) -> Iterator[Cid]:
        """
        List what is here.

        Yields:
            The identifiers, in no order that means anything.
        """
        for path in self._paths():
            yield Cid(path.name)

    def size(self, cid: Cid) -> int:
        """
        Look a blob up.

        Args:
            cid: Its identifier.

        Returns:
            Its size in bytes.

        Raises:
            ContentMissingError: It is not here.
            InputError: It is not an identifier.
        """
        try:
            return self._path(cid).stat().st_size
        except FileNotFoundError:
            raise _missing(cid) from None

    def has(self, cid: Cid) -> bool:
        """
        Tell whether a blob is here.

        Args:
            cid: Its identifier.

        Returns:
            Whether it is.

        Raises:
            InputError: It is not an identifier.
        """
        return self._path(cid).exists()

    def open(self, cid: Cid) -> BufferedReader:
        """
        Open a blob for reading. It stays readable when it is deleted meanwhile.

        Args:
            cid: Its identifier.

        Returns:
            The open file; the caller closes it.

        Raises:
            ContentMissingError: It is not here.
            InputError: It is not an identifier.
        """
        try:
            return self._path(cid).open("rb")
        except FileNotFoundError:
            raise _missing(cid) from None

    def read(self, cid: Cid, start: int = 0, stop: int | None = None) -> bytes:
        """
        Read a part of a blob; a whole one is checked against its hash.

        Args:
            cid: Its identifier.
            start: The first byte.
            stop: The byte after the last; None for the end.

        Returns:
            The bytes, fewer when the blob ends before.

        Raises:
            ContentMissingError: It is not here.
            TrustError: The disk has changed it.
            InputError: It is not an identifier, or the range is backwards.
        """
        if start < 0 or (stop is not None and stop < start):
            raise InputError(f"there are no bytes from {start} to {stop}", hint="give 0 <= start <= stop")
        with self.open(cid) as file:
            file.seek(start)
            data = file.read() if stop is None else file.read(stop - start)
        if start == 0 and stop is None and hashlib.sha256(data).digest() != digest_of(cid):
            raise _damaged(cid)
        return data

    def verify(self, cid: Cid) -> None:
        """
        Check a blob against its hash without holding it in memory.

        Args:
            cid: Its identifier.

        Raises:
            ContentMissingError: It is not here.
            TrustError: The disk has changed it.
            InputError: It is not an identifier.
        """
        with self.open(cid) as file:
            if hashlib.file_digest(file, "sha256").digest() != digest_of(cid):
                raise _damaged(cid)

    def put_bytes(self, data: bytes) -> Cid:
        """
        Store bytes; storing the same ones again changes nothing.

        Args:
            data: The bytes.

        Returns:
            Their identifier.

        Raises:
            ContentTooLargeError: They are more than one blob may be.
            StorageFullError: There is no room.
        """
        with self.writer() as writer:
            writer.write(data)
            return writer.commit()

    def put_file(self, path: Path) -> Cid:
        """
        Store a copy of a file.

        Args:
            path: The file.

        Returns:
            The identifier of its bytes.

        Raises:
            InputError: It cannot be read.
            ContentTooLargeError: It is more than one blob may be.
            StorageFullError: There is no room.
        """
        try:
            source = path.open("rb")
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}", hint="check the path") from error
        with source, self.writer() as writer:
            while chunk := source.read(CHUNK_BYTES):
                writer.write(chunk)
            return writer.commit()

    def writer(self) -> BlobWriter:
        """
        Start a blob whose bytes come piece by piece.

        Returns:
            A writer, to be used as a context manager: without a commit inside it, nothing is left.
        """
        return BlobWriter(self, self._incoming / secrets.token_hex(16))

    def delete(self, cid: Cid) -> None:
        """
        Remove a blob; one that is not here is no error.

        Args:
            cid: Its identifier.

        Raises:
            InputError: It is not an identifier.
        """
        path = self._path(cid)
        with self._lock:
            try:
                size = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                return
            self._used -= size

    def reserve(self, count: int) -> None:
        """
        Account for bytes about to be written or, with a negative count, given back. Writers call it.

        Args:
            count: How many bytes.

        Raises:
            StorageFullError: They do not fit.
        """
        with self._lock:
            if count > 0 and self.quota_bytes is not None and self._used + count > self.quota_bytes:
                raise StorageFullError(f"the storage is full: {self.quota_bytes} bytes", hint="delete blobs or raise the quota")
            self._used += count

    def adopt(self, temporary: Path, cid: Cid) -> None:
        """
        Give a finished file its name. Writers call it.

        Args:
            temporary: The file, complete and synchronised.
            cid: What it holds.
        """
        path = self._path(cid)
        path.parent.mkdir(exist_ok=True)
        with self._lock:
            replaced = path.stat().st_size if path.exists() else 0
            temporary.rename(path)
            self._used -= replaced
        _sync_folder(path.parent)

    def _path(self, cid: Cid) -> Path:
        name = parse_cid(cid)  # whatever came in, from here on it is 59 harmless characters
        return self._blobs / name[-3:-1] / name

    def _paths(self) -> Iterator[Path]:
        for folder in self._blobs.iterdir():
            yield from folder.iterdir()


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
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._store.adopt(self._temporary, cid)
        self._is_committed = True
        return cid


def _missing(cid: Cid) -> ContentMissingError:
    return ContentMissingError(f"{cid} is not stored here", hint="check the identifier, or store the bytes first")


def _damaged(cid: Cid) -> TrustError:
    return TrustError(f"the stored bytes of {cid} are damaged", hint="delete the blob and store it again")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes were writing; what somebody may still be writing is younger."""
    for path in folder.iterdir():
        if time.time() - path.stat().st_mtime > _ABANDONED_S:
            path.unlink(missing_ok=True)
