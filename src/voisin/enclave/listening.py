"""
Enclaves for a worker outside: a confidential machine listens on a socket, and each connection is an enclave, a process of its own.

A process for each task is what forgets best: what it knew goes with it.
"""

from __future__ import annotations

import contextlib
import re
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from voisin.errors import InputError, StateError

_VSOCK: Final = re.compile(r"vsock:(\d{1,10})", re.ASCII)
_TCP: Final = re.compile(r"tcp:([^:\s]+|\[[0-9a-fA-F:]+\]):(\d{1,5})", re.ASCII)
_ANY_CID: Final = 0xFFFFFFFF


def open_listener(address: str) -> socket.socket:
    """
    Open a socket.

    Args:
        address: `unix:PATH`; `vsock:PORT` for a worker on the machine that this one is a guest of; or `tcp:HOST:PORT`, in a network
            that nobody else reaches: whoever connects is served, and what needs no seal crosses it in clear.

    Raises:
        InputError: The address is none.
        StateError: It cannot be listened on.
    """
    kind, _, place = address.partition(":")
    vsock = _VSOCK.fullmatch(address)
    try:
        if vsock and hasattr(socket, "AF_VSOCK"):
            listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
            listener.bind((_ANY_CID, int(vsock[1])))
        elif tcp := _TCP.fullmatch(address):
            listener = socket.create_server((tcp[1].strip("[]"), int(tcp[2])), family=socket.AF_INET6 if ":" in tcp[1] else socket.AF_INET)
        elif kind == "unix" and place:
            _remove_old(Path(place))
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(place)
            Path(place).chmod(stat.S_IRUSR | stat.S_IWUSR)
        else:
            raise InputError(f"{address!r} is no address to listen on", hint="give unix:PATH, tcp:HOST:PORT, or vsock:PORT on Linux")
        listener.listen()
    except (OSError, OverflowError) as error:
        raise StateError(f"{address} cannot be listened on: {error}", hint="choose another address") from None
    return listener


def where_it_listens(listener: socket.socket, address: str) -> str:
    """Give the address of a listener with the port that the system chose, where it was to choose one."""
    if not _TCP.fullmatch(address):
        return address
    return f"{address.rpartition(':')[0]}:{listener.getsockname()[1]}"


def serve(listener: socket.socket, command: tuple[str, ...], *, slots: int, stopped: Callable[[], bool] = lambda: False) -> None:
    """
    Start an enclave for each connection, a few at a time, until the listener is closed.

    Args:
        listener: Where workers connect.
        command: What starts an enclave, which talks over its standard input and output.
        slots: How many there may be at a time; further workers wait. One more is started for a worker that only asks what this is.
        stopped: Whether no more are wanted.
    """
    free = threading.BoundedSemaphore(slots + 1)
    with _ended(list[subprocess.Popen[bytes]]()) as running:
        while not stopped():
            free.acquire()
            try:
                connection, _ = listener.accept()
            except OSError:  # closed: that is how it is told to stop
                return
            with connection:
                process = subprocess.Popen(command, stdin=connection.fileno(), stdout=connection.fileno(), stderr=sys.stderr, env={})
            running.append(process)
            threading.Thread(target=_await, args=(process, running, free), daemon=True).start()


def _await(process: subprocess.Popen[bytes], running: list[subprocess.Popen[bytes]], free: threading.BoundedSemaphore) -> None:
    process.wait()
    running.remove(process)
    free.release()


@contextlib.contextmanager
def _ended(running: list[subprocess.Popen[bytes]]) -> Iterator[list[subprocess.Popen[bytes]]]:
    try:
        yield running
    finally:
        for process in list(running):
            process.kill()
            process.wait()


def _remove_old(path: Path) -> None:
    """Remove the socket of a former run; anything else in its place stays, and is complained of."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
