"""Reaching an enclave that listens: over a socket of this machine, of a guest of it, or of a private network."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Final

import anyio
import anyio.lowlevel
import anyio.to_thread
from anyio.abc import ByteReceiveStream, ByteSendStream

from voisin.errors import InputError, UnavailableError

CONNECT_S: Final = 10.0
_VSOCK: Final = re.compile(r"vsock:(\d{1,10}):(\d{1,10})", re.ASCII)
_TCP: Final = re.compile(r"tcp:([^:\s]+|\[[0-9a-fA-F:]+\]):(\d{1,5})", re.ASCII)
_HINT: Final = "give unix:PATH, vsock:CID:PORT, or tcp:HOST:PORT, as `voisin enclave run --listen` was told"


@dataclass(frozen=True)
class Place:
    """
    Where an enclave listens.

    Attributes:
        text: As it was written.
        family: Kind of the socket.
        address: What the system connects it to.
    """

    text: str
    family: int
    address: str | tuple[object, ...]


def read_place(text: str) -> Place:
    """
    Read the address of an enclave: `unix:PATH`, `vsock:CID:PORT` or `tcp:HOST:PORT`.

    Raises:
        InputError: It is none, or this system has no such sockets.
    """
    if text.startswith("unix:") and len(text) > len("unix:"):
        return Place(text, socket.AF_UNIX, text.removeprefix("unix:"))
    if (vsock := _VSOCK.fullmatch(text)) and hasattr(socket, "AF_VSOCK"):
        return Place(text, socket.AF_VSOCK, (int(vsock[1]), int(vsock[2])))
    if tcp := _TCP.fullmatch(text):
        host, port = tcp[1].strip("[]"), int(tcp[2])
        return Place(text, socket.AF_INET6 if ":" in host else socket.AF_INET, (host, port))
    raise InputError(f"{text!r} is no address of an enclave", hint=_HINT)


class Pipe(ByteReceiveStream, ByteSendStream):
    """A connected socket of any kind, as a stream of bytes both ways; to be used as a context."""

    def __init__(self, connected: socket.socket) -> None:
        """
        Args:
            connected: The socket; it is closed with the pipe.
        """
        connected.setblocking(False)
        self._socket = connected

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """Wait for bytes."""
        await anyio.lowlevel.checkpoint()
        while True:
            try:
                data = self._socket.recv(max_bytes)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
                continue
            except OSError:
                raise anyio.BrokenResourceError from None
            if not data:
                raise anyio.EndOfStream
            return data

    async def send(self, item: bytes) -> None:
        """Send bytes, all of them."""
        rest = memoryview(item)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)
            except OSError:
                raise anyio.BrokenResourceError from None

    async def aclose(self) -> None:
        """Close it: the enclave at the other end ends with that."""
        self._socket.close()


async def reach(place: Place) -> Pipe:
    """
    Connect to an enclave.

    Raises:
        UnavailableError: Nothing listens there, or this worker may not go there.
    """

    def connect() -> socket.socket:
        connected = socket.socket(place.family, socket.SOCK_STREAM)
        connected.settimeout(CONNECT_S)
        try:
            connected.connect(place.address)
        except BaseException:
            connected.close()
            raise
        return connected

    try:
        return Pipe(await anyio.to_thread.run_sync(connect))
    except (OSError, OverflowError, ValueError) as error:
        hint = "start it with `voisin enclave run --listen`, and see that this account may reach it"
        raise UnavailableError(f"no enclave answers at {place.text}: {error}", hint=hint) from None
