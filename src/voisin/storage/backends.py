"""
Where blobs lie: one small interface, and the folder that is the default.

A back end only moves finished blobs; names, hashes, sizes and the quota are looked after by `BlobStore`, whichever it is. Everything
here blocks.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Protocol

from voisin.protocol.cid import Cid

READ_AHEAD_BYTES = 1 << 20
"""How much is fetched at a time from a back end on the network [bytes]."""


class Backend(Protocol):
    """Something that keeps blobs under their identifiers; several threads may call it."""

    def sizes(self) -> Iterator[tuple[Cid, int]]:
        """
        List what is here that this storage put here.

        Yields:
            Identifiers and sizes [bytes].

        Raises:
            UnavailableError: It does not answer.
        """
        ...

    def size(self, cid: Cid) -> int | None:
        """
        Look a blob up.

        Returns:
            Its size [bytes]; None when it is not here.

        Raises:
            UnavailableError: It does not answer.
        """
        ...

    def open(self, cid: Cid) -> BufferedReader:
        """
        Open a blob for reading.

        Raises:
            FileNotFoundError: It is not here.
            UnavailableError: It does not answer.
        """
        ...

    def keep(self, file: Path, cid: Cid) -> None:
        """
        Keep a finished, synchronised file; afterwards all of it is here, or nothing. The file may be moved away.

        Raises:
            UnavailableError: It does not answer.
        """
        ...

    def delete(self, cid: Cid) -> None:
        """
        Remove a blob; one that is not here is no error.

        Raises:
            UnavailableError: It does not answer.
        """
        ...


class FolderBackend:
    """
    Blobs as files.

    Args:
        folder: Created when missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def sizes(self) -> Iterator[tuple[Cid, int]]:
        """List the files."""
        for part in self._folder.iterdir():
            for path in part.iterdir():
                yield Cid(path.name), path.stat().st_size

    def size(self, cid: Cid) -> int | None:
        """Look a file up."""
        try:
            return self._path(cid).stat().st_size
        except FileNotFoundError:
            return None

    def open(self, cid: Cid) -> BufferedReader:
        """Open a file; it stays readable when it is deleted meanwhile."""
        return self._path(cid).open("rb")

    def keep(self, file: Path, cid: Cid) -> None:
        """Give a file its name, and make sure that the name is on the disk too."""
        path = self._path(cid)
        path.parent.mkdir(exist_ok=True)
        file.rename(path)
        _sync_folder(path.parent)

    def delete(self, cid: Cid) -> None:
        """Remove a file."""
        self._path(cid).unlink(missing_ok=True)

    def _path(self, cid: Cid) -> Path:
        return self._folder / cid[-3:-1] / cid


class RangeFile(io.RawIOBase):
    """
    A blob on the network as a file that is open for reading.

    Args:
        size: How long it is [bytes].
        fetch: Fetches the bytes from a first one to one after the last.
    """

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self._size, self._fetch, self._at = size, fetch, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte."""
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the stub's type of a buffer has no name before 3.12
        """Read what fits."""
        stop = min(self._size, self._at + len(buffer))
        if stop <= self._at:
            return 0
        data = self._fetch(self._at, stop)[: stop - self._at]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def readall(self) -> bytes:
        """Read the rest, in few requests."""
        parts = []
        while part := self.read(READ_AHEAD_BYTES):
            parts.append(part)
        return b"".join(parts)

    def buffered(self) -> BufferedReader:
        """Read ahead, so that small reads cost no request each."""
        return BufferedReader(self, READ_AHEAD_BYTES)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
