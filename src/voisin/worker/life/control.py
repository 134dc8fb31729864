"""
The worker's end of the socket in its folder, by which its owner pauses it, sees how it is, or has it leave.

Only the user that runs the worker is heard (and root, who could do anything anyway): the folder and the socket are closed to others,
and the kernel is asked who is at the other end.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Protocol, assert_never

import anyio
import structlog
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from voisin.errors import TrustError, VoisinError
from voisin.protocol.codec import encode
from voisin.units import NRLC
from voisin.worker.life.steward import Steward
from voisin.worker.life.words import Answer, AskStatus, Declined, Leave, Pause, Resume, Withdraw, Withdrawn, WorkerStatus, decode_ask

SOCKET = "control.sock"
MAX_ASK_BYTES = 4096
ASK_S = 10.0
"""How long somebody who connected may take to say what it wants [s]."""
LOOK_S = 0.3
GOODBYE_S = 2.0
_MAX_PATH_BYTES = 100
_PEER = struct.Struct("3i")

log = structlog.get_logger(__name__)


class Owned(Protocol):
    """A worker, as its owner has hold of it."""

    @property
    def steward(self) -> Steward:
        """Keeps to what the owner wants."""
        ...

    @property
    def left(self) -> anyio.Event:
        """Set when it has left."""
        ...

    def status(self) -> WorkerStatus:
        """Tell how it is."""
        ...

    async def withdraw(self, amount: NRLC | None) -> NRLC:
        """Move free money into the wallet; answers how much [nRLC]."""
        ...


@contextmanager
def socket_path(folder: Path) -> Iterator[str]:
    """Name the socket of a worker's folder, in few enough bytes for the system, for as long as the context lasts."""
    path = folder / SOCKET
    if len(os.fsencode(path)) <= _MAX_PATH_BYTES or not sys.platform.startswith("linux"):
        yield str(path)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)


def require_own(peer: socket.socket) -> None:
    """
    Make sure that the other end of a socket is this user, or root.

    Raises:
        TrustError: It is somebody else.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        return  # the permissions of folder and socket alone have to do
    _, user, _ = _PEER.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    if user not in (os.getuid(), 0):
        raise TrustError(f"user {user} is not the owner of this worker", hint="ask whoever runs it")


@asynccontextmanager
async def controlled(worker: Owned, folder: Path) -> AsyncIterator[None]:
    """
    Hear a worker's owner for as long as the context lasts. The folder must be held.

    Args:
        worker: The worker.
        folder: Its folder.
    """
    (folder / SOCKET).unlink(missing_ok=True)
    with socket_path(folder) as path:
        async with await anyio.create_unix_listener(path, mode=0o600) as listener, anyio.create_task_group() as tasks:
            goodbyes = _Goodbyes()

            async def serve(stream: SocketStream) -> None:
                async with stream:
                    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
                        await _serve(worker, stream, goodbyes)

            tasks.start_soon(listener.serve, serve)
            try:
                yield
            finally:
                with anyio.move_on_after(GOODBYE_S, shield=True):
                    await goodbyes.all_said()
                tasks.cancel_scope.cancel()
                (folder / SOCKET).unlink(missing_ok=True)


class _Goodbyes:
    """Who waits to hear that the worker has left."""

    def __init__(self) -> None:
        self._waiting = 0
        self._none = anyio.Event()
        self._none.set()

    @contextmanager
    def one(self) -> Iterator[None]:
        self._waiting += 1
        if self._waiting == 1:
            self._none = anyio.Event()
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._none.set()

    async def all_said(self) -> None:
        await self._none.wait()


async def _serve(worker: Owned, stream: SocketStream, goodbyes: _Goodbyes) -> None:
    try:
        require_own(stream.extra(SocketAttribute.raw_socket))  # noqa: S610  (of sockets, not of a database)
        with anyio.fail_after(ASK_S):
            line = await BufferedByteReceiveStream(stream).receive_until(b"\n", MAX_ASK_BYTES)
        ask = decode_ask(line)
        log.info("owner_asks", ask=type(ask).__name__)
        match ask:
            case AskStatus():
                await _answer(stream, worker.status())
            case Pause(is_urgent):
                worker.steward.pause(is_urgent=is_urgent)
                await _answer(stream, worker.status())
            case Resume():
                worker.steward.resume()
                await _answer(stream, worker.status())
            case Withdraw(amount):
                await _answer(stream, Withdrawn(await worker.withdraw(amount)))
            case Leave(is_urgent):
                with goodbyes.one():
                    await _leave(worker, stream, is_urgent=is_urgent)
            case _:
                assert_never(ask)
    except VoisinError as error:
        await _answer(stream, Declined(error.code, error.message, error.hint))
    except (TimeoutError, anyio.DelimiterNotFound, anyio.IncompleteRead):
        await _answer(stream, Declined("bad-input", "no order came"))


async def _leave(worker: Owned, stream: SocketStream, *, is_urgent: bool) -> None:
    """Tell how the worker is, whenever that changes, until it has left."""
    worker.steward.leave(is_urgent=is_urgent)
    said: WorkerStatus | None = None
    while not worker.left.is_set():
        if (now := worker.status()) != said:
            said = now
            await _answer(stream, now)
        with anyio.move_on_after(LOOK_S):
            await worker.left.wait()
    await _answer(stream, worker.status())


async def _answer(stream: SocketStream, answer: Answer) -> None:
    await stream.send(encode(answer) + b"\n")
