"""
What a guest prints: the start and the end of each standard stream are kept, and a line between them says how much is left out.

The start goes into a file that grows, so that others can read it while the guest runs. The end goes round in circles in a second file,
so that it is there, too, when the guest has to be killed: eight bytes that count what came after the start, then the circle.
"""

from __future__ import annotations

import os
from typing import Final

NOTE_BYTES: Final = 64
"""Room for the line that says how much is left out [bytes]."""
COUNT_BYTES: Final = 8
END_SUFFIX: Final = ".end"
"""What the name of the second file adds to the first one's."""


def parts(max_bytes: int) -> tuple[int, int]:
    """
    Divide what is kept of a stream among its start and its end, with room for the line in between.

    Args:
        max_bytes: What is kept in all; of little all is start [bytes].
    """
    end = max_bytes // 2 - NOTE_BYTES
    return (max_bytes - max_bytes // 2, end) if end > 0 else (max_bytes, 0)


def join(start: bytes, circle: bytes, count: int, max_bytes: int) -> bytes:
    """
    Put a stream together.

    Args:
        start: Its start.
        circle: The last bytes after that, going round.
        count: How many bytes came after the start.
        max_bytes: What is kept in all [bytes].
    """
    first, last = parts(max_bytes)
    if count <= 0 or not last:
        return start[:first]
    if count <= last:
        return start[:first] + circle[:count]
    seam = count % last
    return start[:first] + f"\n[... {count - last} bytes left out ...]\n".encode() + circle[seam:last] + circle[:seam]


class Stream:
    """
    Where a standard stream of a short run goes: into memory.

    Args:
        max_bytes: What is kept [bytes].
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._left, self._last = parts(max_bytes)
        self._count = 0
        self._start = bytearray()
        self._circle = bytearray()

    @property
    def kept(self) -> bytes:
        """What is kept of what came so far."""
        return join(bytes(self._start), bytes(self._circle), self._count, self._max_bytes)

    def write(self, view: memoryview) -> None:
        """
        Keep what belongs to the start, and the end of the rest.

        Args:
            view: The guest's bytes.
        """
        first, rest = view[: self._left], view[self._left :]
        if len(first):
            self._left -= len(first)
            self._begin(first)
        if len(rest) and self._last:
            at = self._count + max(0, len(rest) - self._last)
            rest = rest[-self._last :]
            while len(rest):
                place = at % self._last
                piece = rest[: self._last - place]
                self._turn(piece, place)
                at, rest = at + len(piece), rest[len(piece) :]
            self._count = at
            self._note(at)

    def _begin(self, data: memoryview) -> None:
        """Add to the start."""
        self._start += data

    def _turn(self, data: memoryview, place: int) -> None:
        """Write into the circle."""
        if not self._circle:
            self._circle = bytearray(self._last)
        self._circle[place : place + len(data)] = data

    def _note(self, count: int) -> None:
        """Write down how much came after the start."""


class FileStream(Stream):
    """
    Where a standard stream of a long run goes: into two host files.

    Args:
        start: Host file for its start, open for writing.
        end: Host file for its end, open for writing.
        max_bytes: What is kept [bytes].
    """

    def __init__(self, start: int, end: int, max_bytes: int) -> None:
        super().__init__(max_bytes)
        self._start_file = start
        self._end_file = end

    def _begin(self, data: memoryview) -> None:
        while len(data):
            data = data[os.write(self._start_file, data) :]

    def _turn(self, data: memoryview, place: int) -> None:
        while len(data):
            written = os.pwrite(self._end_file, data, COUNT_BYTES + place)
            data, place = data[written:], place + written

    def _note(self, count: int) -> None:
        os.pwrite(self._end_file, count.to_bytes(COUNT_BYTES, "little"), 0)
