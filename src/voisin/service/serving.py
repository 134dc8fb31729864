"""
Serving an ASGI application on a port, inside a loop that is already running and may serve others too.

The server has a task of its own: an error of whoever uses the service stays the error that it is, and the server ends gracefully.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Generator

import anyio
import structlog
import uvicorn

from voisin.errors import InputError, UnavailableError
from voisin.service.patience import HttpConnection, Patience, Watched, allow_many_files

ASGIApp = Callable[..., Awaitable[None]]
"""An ASGI application; frameworks spell the types of its three arguments each in their own way."""

SHUTDOWN_S = 3
START_S = 30
PATIENCE = Patience()
BACKLOG = 2048
"""Connections that the system keeps until they are accepted."""
ACCEPTED_AT_ONCE = 16
"""Before anything else has its turn; few, since a loop that runs out of open files in between tries again for all of them."""

_log = structlog.get_logger()


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to whoever owns the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture nothing."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """
    Take a TCP port.

    Args:
        host: The address to listen on.
        port: The port; 0 takes any free one.

    Raises:
        InputError: The port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, so that the loop sets TCP_NODELAY
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise InputError(f"cannot listen on {host}:{port} ({error.strerror})", hint="choose another port, or stop what uses it") from None
    return listener


@contextlib.asynccontextmanager
async def serve_app(
    app: ASGIApp,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    max_message_bytes: int = 1 << 20,
    http: type[Watched] = HttpConnection,
    patience: Patience = PATIENCE,
) -> AsyncIterator[str]:
    """
    Serve an application for as long as the context lasts.

    Args:
        app: The ASGI application; its lifespan is run.
        host: The address to listen on.
        port: The port; 0 takes any free one.
        max_message_bytes: The longest WebSocket message that is accepted [bytes].
        http: What reads requests.
        patience: How long clients are waited for.

    Yields:
        The base URL, for example `http://127.0.0.1:8545`.

    Raises:
        InputError: The port cannot be taken.
        UnavailableError: The application did not start.
    """
    listener = bind(host, port)
    shown = f"[{host}]" if ":" in host else host
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        http=type(http.__name__, (http,), {"patience": patience, "most_files": allow_many_files()}),
        ws="websockets-sansio",
        ws_max_size=max_message_bytes,
        backlog=ACCEPTED_AT_ONCE,
        timeout_graceful_shutdown=SHUTDOWN_S,
        timeout_keep_alive=math.ceil(patience.idle_s),
    )
    server = _Server(config)
    with listener:
        task = asyncio.create_task(server.serve([listener]), name=f"serve {shown}")
        look = asyncio.create_task(_look_after(server, patience.look_every_s), name=f"look after {shown}")
        try:
            await _started(server, task)
            listener.listen(BACKLOG)  # once more: asyncio takes one number for how many wait and for how many it accepts at once
            yield f"http://{shown}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            look.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([task, look])
        task.result()


async def until_stopped(service: str, url: str, ready: Callable[[str], None]) -> None:
    """
    Return when the process is interrupted or terminated.

    Args:
        service: Whose log this is about.
        url: Where the service answers.
        ready: Told that, once signals are heard.
    """
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        ready(url)
        async for number in signals:
            _log.info(f"{service}_closing", signal=number.name)
            return


async def _look_after(server: uvicorn.Server, every_s: float) -> None:
    """Hang up on clients that are too slow."""
    while True:
        await asyncio.sleep(every_s)
        now = asyncio.get_running_loop().time()
        for connection in list(server.server_state.connections):
            if isinstance(connection, Watched):
                connection.look(now)


async def _started(server: uvicorn.Server, task: asyncio.Task[None]) -> None:
    with anyio.move_on_after(START_S):
        while not server.started:
            if task.done():
                break
            await anyio.sleep(0.005)
    if not server.started:
        raise UnavailableError("a service did not start", hint="its log says why")
