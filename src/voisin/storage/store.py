"""Immutable blobs, each named by its own hash, in a folder or another back end. Everything here blocks on the disk or the network."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path

from voisin.errors import InputError, TrustError
from voisin.protocol.cid import Cid, digest_of, parse_cid
from voisin.storage.backends import Backend, FolderBackend
from voisin.storage.faults import ContentMissingError, StorageFullError
from voisin.storage.writing import BlobWriter

MAX_BLOB_BYTES = 1 << 30
CHUNK_BYTES = 1 << 18
_BLOBS, _INCOMING = "blobs", "incoming"
_SYNCS_AT_A_TIME = 8
_ABANDONED_S = 3_600


class BlobStore:
    """
    Blobs under their hashes, within a quota. It belongs to one process; its methods may be called from several threads.

    A blob appears under its name only when all of it is safely kept, so a process that is killed leaves no half of one. Where the back
    end is on the network, all methods may raise `UnavailableError`.

    Args:
        folder: For what is being written, and for the blobs themselves unless there is another back end; created when missing.
        backend: Where the blobs lie; None for the folder.
        quota_bytes: What all blobs may take together; None for as much as the disk has.
        max_blob_bytes: What one blob may take.
    """

    def __init__(
        self, folder: Path, *, backend: Backend | None = None, quota_bytes: int | None = None, max_blob_bytes: int = MAX_BLOB_BYTES
    ) -> None:
        self.folder = folder
        self.quota_bytes = quota_bytes
        self.max_blob_bytes = max_blob_bytes
        self._backend = backend or FolderBackend(folder / _BLOBS)
        self._incoming = folder / _INCOMING
        self._incoming.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(self._incoming)
        self._lock = threading.Condition()
        self._busy: set[Cid] = set()
        self._used = sum(size for _, size in self._backend.sizes())

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
        for cid, _ in self._backend.sizes():
            yield cid

    def sizes(self) -> Iterator[tuple[Cid, int]]:
        """
        List what is here with its sizes.

        Yields:
            Identifiers and sizes [bytes], in no order that means anything.
        """
        yield from self._backend.sizes()

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
        size = self._backend.size(parse_cid(cid))
        if size is None:
            raise _missing(cid)
        return size

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
        return self._backend.size(parse_cid(cid)) is not None

    def open(self, cid: Cid) -> BufferedReader:
        """
        Open a blob for reading. In a folder it stays readable when it is deleted meanwhile.

        Args:
            cid: Its identifier.

        Returns:
            The open file; the caller closes it.

        Raises:
            ContentMissingError: It is not here.
            InputError: It is not an identifier.
        """
        try:
            return self._backend.open(parse_cid(cid))
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

    def put_many(self, blobs: Sequence[bytes]) -> list[Cid]:
        """
        Store several small blobs; the disk is waited for once, not once for each.

        Args:
            blobs: The bytes of each.

        Returns:
            Their identifiers.

        Raises:
            ContentTooLargeError: One is more than one blob may be.
            StorageFullError: There is no room for all; then some may be stored.
        """
        with ExitStack() as stack:
            writers = [stack.enter_context(self.writer()) for _ in blobs]
            for writer, blob in zip(writers, blobs, strict=True):
                writer.write(blob)
            with ThreadPoolExecutor(_SYNCS_AT_A_TIME) as pool:  # what is synchronised at the same time shares a write of the journal
                list(pool.map(BlobWriter.sync, writers))
            return [writer.commit() for writer in writers]

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
        name = parse_cid(cid)
        with self._alone(name):
            size = self._backend.size(name)
            if size is not None:
                self._backend.delete(name)
                self.reserve(-size)

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
        with self._alone(cid):
            replaced = self._backend.size(cid) or 0
            self._backend.keep(temporary, cid)
            self.reserve(-replaced)
        temporary.unlink(missing_ok=True)

    @contextmanager
    def _alone(self, cid: Cid) -> Iterator[None]:
        """Wait until nobody else changes this blob, and let nobody meanwhile; other blobs do not wait for it."""
        with self._lock:
            while cid in self._busy:
                self._lock.wait()
            self._busy.add(cid)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(cid)
                self._lock.notify_all()


def _missing(cid: Cid) -> ContentMissingError:
    return ContentMissingError(f"{cid} is not stored here", hint="check the identifier, or store the bytes first")


def _damaged(cid: Cid) -> TrustError:
    return TrustError(f"the stored bytes of {cid} are damaged", hint="delete the blob and store it again")


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes were writing; what somebody may still be writing is younger."""
    for path in folder.iterdir():
        if time.time() - path.stat().st_mtime > _ABANDONED_S:
            path.unlink(missing_ok=True)
