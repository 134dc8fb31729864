"""
What is to be protected, read piece by piece: a file as it is, or a folder as a ZIP archive that never lies on a disk.

The archive holds the files in the order of their paths, without compression and without times, so the same folder makes the same bytes.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from voisin.errors import InputError, StateError
from voisin.protocol.archive import check_path
from voisin.protocol.data_schema import FileEntry

_PIECE: Final = 1 << 20
_FIRST_DATE: Final = (1980, 1, 1, 0, 0, 0)
MAX_FILES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Source:
    """
    What is to be protected.

    Attributes:
        path: The file or folder.
        files: The files of a folder, by their paths in it, in order; empty for a file.
        state: What shows a change of it: size and time of each file.
    """

    path: Path
    files: tuple[FileEntry, ...]
    state: str

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return bool(self.files)

    @property
    def size_bytes(self) -> int:
        """What it holds, without what the archive adds [bytes]."""
        return sum(entry.size_bytes for entry in self.files) if self.files else self.path.stat().st_size

    def require_same(self) -> None:
        """
        See that nothing has changed since it was looked at.

        Raises:
            StateError: Something has.
        """
        if look_at(self.path).state != self.state:
            raise StateError(f"{self.path} changed while it was read", hint="protect it again once nobody writes to it")


def look_at(path: Path) -> Source:
    """
    Look at what is to be protected.

    Raises:
        InputError: There is no such file or folder, it cannot be read, the folder is empty, or has a path that is not safe.
    """
    try:
        path = path.absolute()
        if not path.is_dir():
            return Source(path, (), _state(path))
        found = sorted(_files(path), key=lambda each: each[0])
        states = [_state(file) for _, file in found]
        entries = tuple(FileEntry(check_path(name), file.stat().st_size) for name, file in found)
    except OSError as error:
        raise InputError(f"{error.filename or path} cannot be read: {error.strerror}", hint="check the path") from None
    if not entries:
        raise InputError(f"the folder {path} holds no file", hint="give a file, or a folder with files")
    if len(entries) > MAX_FILES:
        raise InputError(f"the folder {path} holds {len(entries)} files", hint=f"at most {MAX_FILES}; make an archive of it")
    return Source(path, entries, "\n".join(states))


def open_source(source: Source) -> BinaryIO:
    """
    Read it from its beginning: the file, or the archive that the folder makes.

    Raises:
        OSError: It cannot be read.
    """
    if not source.is_folder:
        return source.path.open("rb", buffering=0)
    return cast(BinaryIO, io.BufferedReader(_Pulled(_zipped(source)), _PIECE))


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    def fail(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder, onerror=fail):
        folders.sort()
        for name in names:
            path = Path(place) / name
            if not path.is_symlink() and path.is_file():
                yield path.relative_to(folder).as_posix(), path


def _state(path: Path) -> str:
    found = path.stat()
    return f"{path}:{found.st_size}:{found.st_mtime_ns}"


class _Sink(io.RawIOBase):
    """Takes what the archive's writer writes; cannot go back, so the archive is one that is written in one go."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        piece = bytes(cast(bytes, data))
        self.pieces.append(piece)
        return len(piece)

    def taken(self) -> bytes:
        """Give what was written since the last time."""
        pieces, self.pieces = self.pieces, []
        return b"".join(pieces)


def _zipped(source: Source) -> Iterator[bytes]:
    """Write the archive, piece by piece."""
    sink = _Sink()
    with zipfile.ZipFile(cast(BinaryIO, sink), "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for entry in source.files:
            info = zipfile.ZipInfo(entry.path, date_time=_FIRST_DATE)
            info.external_attr = 0o100644 << 16
            info.file_size = entry.size_bytes
            with (source.path / entry.path).open("rb", buffering=0) as file, archive.open(info, "w", force_zip64=_is_huge(entry)) as member:
                while piece := file.read(_PIECE):
                    member.write(piece)
                    yield sink.taken()
    yield sink.taken()


def _is_huge(entry: FileEntry) -> bool:
    return entry.size_bytes >= zipfile.ZIP64_LIMIT


class _Pulled(io.RawIOBase):
    """Reads from what is made piece by piece."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        room = memoryview(cast(bytearray, buffer))
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        size = min(len(room), len(self._left))
        room[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


Measure = Callable[[int], None]
"""Is told how many bytes more were read."""


class Measured(io.RawIOBase):
    """Reads from a file object, counts what is read, and tells."""

    def __init__(self, inner: BinaryIO, tell: Measure) -> None:
        """
        Args:
            inner: What is read.
            tell: Is told of each piece.
        """
        super().__init__()
        self._inner = inner
        self._tell = tell
        self.size_bytes = 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Read that many bytes, or fewer."""
        piece = self._inner.read(size)
        self.size_bytes += len(piece)
        self._tell(len(piece))
        return piece

    def close(self) -> None:
        """Close what is read."""
        self._inner.close()
        super().close()
