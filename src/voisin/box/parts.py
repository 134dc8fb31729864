"""
Services of a box that are a process of their own: started again when they die, gone with the box.

The process learns what to serve on its standard input, a pipe that the box holds open, and says on its standard output where it serves.
Whatever it was told first about ports, a process that follows a dead one answers where that one did.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
import msgspec
import structlog
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from pydantic_settings import BaseSettings

from voisin.box.children import FIRST_PAUSE_S, pause_after, stop_child
from voisin.errors import InputError, UnavailableError
from voisin.protocol.codec import decode, encode
from voisin.service.background import beside

START_S: Final = 60.0
_MAX_LINE_BYTES: Final = 16_384

_log = structlog.get_logger()


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a process serves: settings of services by the services' names; paths of keys, never keys."""

    services: dict[str, msgspec.Raw]


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where each of its services answers, or why it does not start."""

    urls: dict[str, str] = {}
    refused: str = ""
    hint: str = ""


class Part:
    """
    A process with some of a box's services.

    Attributes:
        names: The services.
        log_file: Where the process's log goes.
    """

    def __init__(self, names: Sequence[str], log_file: Path, process: Process) -> None:
        """
        Args:
            names: The services.
            log_file: Where the process's log goes.
            process: It, waiting to be told what to serve.
        """
        self.names = tuple(names)
        self.log_file = log_file
        self._process = process
        self._settings: dict[str, BaseSettings] = {}

    @asynccontextmanager
    async def serving(self, settings: dict[str, BaseSettings]) -> AsyncIterator[dict[str, str]]:
        """
        Have it serve for as long as the context lasts.

        Args:
            settings: How each service is set up, by name.

        Yields:
            Their addresses, by name.

        Raises:
            InputError: They cannot be set up so, or a port is taken.
            UnavailableError: They do not start.
        """
        self._settings = settings
        urls = await self._tell()
        async with beside(self._keep):
            yield urls

    async def stop(self) -> None:
        """End the process; it gets some seconds to end by itself."""
        await stop_child(self._process)

    async def _keep(self) -> None:
        """Start a process after a dead one, with longer pauses while they keep dying."""
        pause = FIRST_PAUSE_S
        while True:
            began = anyio.current_time()
            code = await self._process.wait()
            pause = pause_after(pause, began)
            _log.warning("part_died", services=self.names, exit_code=code, restart_in_s=pause, log_file=str(self.log_file))
            await anyio.sleep(pause)
            try:
                await self.stop()
                self._process = await _start(self.names, self.log_file)
                await self._tell()
            except (OSError, InputError, UnavailableError) as error:
                _log.warning("part_does_not_start", services=self.names, reason=str(error))

    async def _tell(self) -> dict[str, str]:
        """Say what to serve, and wait until it is served; the next process is told to serve it at the same addresses."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = Order({name: msgspec.Raw(each.model_dump_json().encode()) for name, each in self._settings.items()})
        try:
            with anyio.fail_after(START_S):
                await self._process.stdin.send(encode(order) + b"\n")
                line = await BufferedByteReceiveStream(self._process.stdout).receive_until(b"\n", _MAX_LINE_BYTES)
        except (TimeoutError, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.DelimiterNotFound):
            raise UnavailableError(f"{' and '.join(self.names)} did not start", hint=f"see {self.log_file}") from None
        answer = decode(line, Answer, "the answer of a box's part")
        if answer.refused:
            raise InputError(answer.refused, hint=answer.hint)
        ports = {name: int(url.rpartition(":")[2]) for name, url in answer.urls.items()}
        self._settings = {name: each.model_copy(update={"port": ports[name]}) for name, each in self._settings.items()}
        return answer.urls


@asynccontextmanager
async def apart(*names: str, log_file: Path) -> AsyncIterator[Part]:
    """
    Start a process for services, which loads their code and waits until it is told how to serve them; it ends with the context.

    Args:
        names: The services.
        log_file: Where the process's log goes.
    """
    part = Part(names, log_file, await _start(names, log_file))
    try:
        yield part
    finally:
        with anyio.CancelScope(shield=True):
            await part.stop()


async def _start(names: Sequence[str], log_file: Path) -> Process:
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as log:
        command = [sys.executable, "-m", "voisin.box.part_process", *names]
        return await anyio.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
