"""
How long a server waits for a client, and what it does with one that is too slow.

A client that sends its request a byte at a time, sends nothing at all, or does not read its answer, costs its owner nearly nothing and
would keep a connection for ever: uvicorn knows one deadline only, between two requests. Here every stage of a connection has one. The
stages are looked at now and then, not with a timer for each: ten thousand connections that wait then cost little more than their memory.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Protocol

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from uvicorn.protocols.http.flow_control import FlowControl
    from uvicorn.server import ServerState

TIMED_OUT: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
MANY_FILES: Final = 65_536
"""As many open files as a server asks for, where it is allowed."""
RESERVE: Final = 4
"""One in so many of the open files that a process may have is kept for databases and the like."""
BATCH: Final = 16
"""At the limit, one in so many of the waiting connections is closed at once, so that it is not looked for each time."""


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How long a server waits.

    Attributes:
        idle_s: For the first byte of a request [s].
        head_s: For the end of a request's head, from its first byte [s].
        body_s: For another part of a body: so long a time must bring `body_s * body_rate` bytes [s].
        body_rate: The slowest upload that is waited for [bytes/s].
        rest_s: For the end of a body that is not wanted any more, because its answer was sent [s].
        rest_bytes: How much of such a body is read and thrown away, so that its sender comes to read the answer [bytes].
        send_s: For a client to take 48 kB of its answer, or the last of it [s].
    """

    idle_s: float = 60.0
    head_s: float = 20.0
    body_s: float = 20.0
    body_rate: float = 500.0
    rest_s: float = 5.0
    rest_bytes: int = 1 << 20
    send_s: float = 60.0

    @property
    def look_every_s(self) -> float:
        """How often to look at the connections [s]: a deadline is missed by no more than that."""
        return min(1.0, min(self.idle_s, self.head_s, self.body_s, self.rest_s, self.send_s) / 4)


class Stage(Enum):
    """What a connection waits for."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    REST = auto()
    ANSWER = auto()
    CLOSING = auto()


class Request(Protocol):
    """What is read of uvicorn's record of a request."""

    response_started: bool
    response_complete: bool
    waiting_for_100_continue: bool


class Watched(asyncio.Protocol):
    """
    A connection whose client is not waited for without end: goes before one of uvicorn's protocols in a class's bases.

    Whoever serves calls `look` now and then.

    Attributes:
        patience: How long to wait.
        most_files: From this file descriptor on, a new connection is one too many for the process.
    """

    transport: asyncio.Transport
    flow: FlowControl
    server_state: ServerState
    patience = Patience()
    most_files = MANY_FILES

    _received = 0
    _rest = 0
    _resumed = 0
    _has_begun = False
    _mark: tuple[object, ...] = ()
    _since = 0.0
    _received_then = 0

    # --- what uvicorn tells
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait; where the process has no room for more, those go that have kept it waiting longest."""
        super().connection_made(transport)
        self._since = asyncio.get_running_loop().time()
        if transport.get_extra_info("socket").fileno() >= self.most_files:
            make_room(self.server_state.connections, but=self)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._received += len(data)
        self._has_begun = True
        super().data_received(data)
        request = self.request()
        if request is not None and request.response_complete and self.is_in_body():
            self._rest += len(data)
            if self._rest > self.patience.rest_bytes:
                self.transport.close()

    def resume_writing(self) -> None:
        """The client has taken something."""
        self._resumed += 1
        super().resume_writing()

    def on_response_complete(self) -> None:
        """An answer is on its way; what comes now belongs to another request."""
        self._has_begun, self._rest = False, 0
        super().on_response_complete()  # type: ignore[misc]

    def request(self) -> Request | None:
        """Give the last request whose head has come."""
        raise NotImplementedError

    def is_in_body(self) -> bool:
        """Tell whether a request's head has come and its body has not ended."""
        raise NotImplementedError

    # --- what the server asks
    @property
    def stage(self) -> Stage:
        """What is waited for."""
        if self.transport.is_closing():
            return Stage.CLOSING
        request = self.request()
        if request is not None and not request.response_complete:  # who waits to be told to go on owes nothing
            return Stage.BODY if self.is_in_body() and not request.waiting_for_100_continue else Stage.ANSWER
        if self.is_in_body():
            return Stage.REST
        return Stage.HEAD if self._has_begun else Stage.IDLE

    @property
    def since(self) -> float:
        """Since when, as far as was looked [loop's s]."""
        return self._since

    def look(self, now: float) -> None:
        """
        Hang up when it is time.

        Args:
            now: The loop's time [s].
        """
        stage, flow = self.stage, self.flow
        mark = (stage, self.request(), self._resumed if flow.write_paused else None)
        if mark != self._mark or (stage is Stage.BODY and flow.read_paused):
            self._mark, self._since, self._received_then = mark, now, self._received
            return
        waited, received, patience = now - self._since, self._received - self._received_then, self.patience
        if stage is Stage.BODY and waited >= patience.body_s and received >= patience.body_s * patience.body_rate:
            self._since, self._received_then = now, self._received
        elif (stage is Stage.HEAD and waited >= patience.head_s) or (stage is Stage.BODY and waited >= patience.body_s):
            self.refuse()
        elif (stage is Stage.IDLE and waited >= patience.idle_s) or (stage is Stage.REST and waited >= patience.rest_s):
            self.transport.close()
        elif waited >= patience.send_s and (stage is Stage.CLOSING or (stage is Stage.ANSWER and flow.write_paused)):
            self.transport.abort()

    def refuse(self) -> None:
        """Tell a client that it was too slow, and hang up."""
        request = self.request()
        if request is None or request.response_complete or not request.response_started:
            self.transport.write(TIMED_OUT)
        self.transport.close()


class HttpConnection(Watched, H11Protocol):
    """A connection of uvicorn's careful reader of HTTP."""

    def request(self) -> Request | None:
        """Give the last request whose head has come."""
        return self.cycle

    def is_in_body(self) -> bool:
        """Tell whether a request's head has come and its body has not ended."""
        return self.conn.their_state is h11.SEND_BODY


def make_room(connections: Iterable[object], *, but: Watched) -> None:
    """
    Close the connections that have owed a request longest; with none of them there is no room for a new one.

    Args:
        connections: Those of a server.
        but: The one that is new.
    """
    owing = [found for found in connections if isinstance(found, Watched) and found is not but and found.stage in (Stage.IDLE, Stage.HEAD)]
    owing.sort(key=lambda found: found.since)
    for found in owing[: 1 + len(owing) // BATCH] or [but]:
        found.transport.abort()


def allow_many_files() -> int:
    """
    Let this process have as many open files as it may.

    Returns:
        From which file descriptor on connections are too many for it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, MANY_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # some systems do not tell the true limit; what there is will do
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    files = wanted if soft == resource.RLIM_INFINITY else soft
    return files - files // RESERVE
