"""Hashing beside other work: a hash of a stream in a thread of its own, which takes as long as the slower of the two."""

from __future__ import annotations

import hashlib
import queue
import threading
from types import TracebackType
from typing import Final, Protocol, Self

_WAITING: Final = 8
"""Most pieces that wait to be hashed; bounds the memory."""


class Digest(Protocol):
    """A hash that is fed piece by piece, as those of `hashlib`."""

    def update(self, data: bytes, /) -> None:
        """Take the next piece."""
        ...

    def digest(self) -> bytes:
        """Give the hash of all pieces."""
        ...


class BackgroundSha256:
    """
    SHA-256 in a thread of its own; `with` ends the thread, whatever happens inside.

    The pieces that it was given must not change afterwards.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._pieces: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._work, name="sha256", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def update(self, data: bytes) -> None:
        """Take the next piece."""
        self._pieces.put(data)

    def digest(self) -> bytes:
        """Wait for the hash of all pieces; no more may come."""
        self._end()
        return self._hash.digest()

    def _end(self) -> None:
        if self._thread.is_alive():
            self._pieces.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._hash.update(piece)
