"""
Reading HTTP with a parser written in C, which costs a fraction of the usual one in Python.

uvicorn's protocol for that parser collects a head without end; here a head that does not come to its end ends the connection.
"""

from __future__ import annotations

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from voisin.service.patience import Request, Watched

MAX_HEAD_BYTES: Final = 64 * 1024


class FastHttpProtocol(Watched, HttpToolsProtocol):
    """One connection."""

    _unfinished_head_bytes = 0
    _is_in_head = True
    _has_got_on = False

    def request(self) -> Request | None:
        """Give the last request whose head has come."""
        return self.cycle

    def is_in_body(self) -> bool:
        """Tell whether a request's head has come and its body has not ended."""
        return not self._is_in_head

    def data_received(self, data: bytes) -> None:
        """Take what has come; hang up when it is too much for a head that has not ended."""
        self._has_got_on = False
        super().data_received(data)
        if self._is_in_head and not self._has_got_on:
            self._unfinished_head_bytes += len(data)
            if self._unfinished_head_bytes > MAX_HEAD_BYTES:
                self.transport.close()

    def on_headers_complete(self) -> None:
        """The head has ended."""
        self._is_in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next bytes are the head of the next request; those that came with the end of this one are not counted as such."""
        self._is_in_head = self._has_got_on = True
        self._unfinished_head_bytes = 0
        super().on_message_complete()
