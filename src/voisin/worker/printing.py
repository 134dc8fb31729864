"""From the bytes that an app prints to the pieces of text that the pool is told, each small enough for one message."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Final

from voisin.protocol.ids import TaskId
from voisin.protocol.wire import Printed
from voisin.protocol.wire_words import Stream

PIECE_CHARS: Final = 8_000
"""Longest piece: six times this, as JSON may need, still fits into a message of the pool's."""


class Printer:
    """
    Tells the pool what one app prints, in order and once.

    Args:
        task_id: The task.
        say: Takes messages for the pool.
    """

    def __init__(self, task_id: TaskId, say: Callable[[Printed], None]) -> None:
        self._task_id = task_id
        self._say = say
        self._bytes = dict.fromkeys(Stream, 0)
        self._chars = dict.fromkeys(Stream, 0)
        self._decoders = {stream: codecs.getincrementaldecoder("utf-8")(errors="replace") for stream in Stream}

    def take(self, stream: Stream, data: bytes) -> None:
        """Take the next bytes of a stream."""
        self._bytes[stream] += len(data)
        self._tell(stream, self._decoders[stream].decode(data))

    def finish(self, stdout: bytes, stderr: bytes) -> None:
        """Take all that was kept of both streams at the end; what was told already is not told again."""
        for stream, data in ((Stream.STDOUT, stdout), (Stream.STDERR, stderr)):
            self._tell(stream, self._decoders[stream].decode(data[self._bytes[stream] :], final=True))

    def _tell(self, stream: Stream, text: str) -> None:
        for start in range(0, len(text), PIECE_CHARS):
            piece = text[start : start + PIECE_CHARS]
            self._say(Printed(task_id=self._task_id, stream=stream, start=self._chars[stream], text=piece))
            self._chars[stream] += len(piece)
