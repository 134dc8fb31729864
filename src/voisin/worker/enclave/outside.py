"""An enclave as its worker sees it: a process that is started, given an order, and never asked for what it knows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, Final

import anyio
import anyio.to_thread
from anyio.abc import ByteSendStream, Process
from anyio.streams.buffered import BufferedByteReceiveStream

from voisin.enclave.words import (
    LENGTH,
    MAX_MESSAGE_BYTES,
    Begun,
    Finished,
    FromEnclave,
    Output,
    Refused,
    Shown,
    ToEnclave,
    decode_from_enclave,
)
from voisin.errors import InputError, UnavailableError
from voisin.protocol.codec import encode
from voisin.protocol.ids import as_hash32
from voisin.sandbox import OnOutput
from voisin.sandbox.packing import sync_folder
from voisin.worker.enclave.errand import Errand

START_S: Final = 60.0
LAST_WORDS_S: Final = 1.0
PIECE: Final = 1 << 20
_COMMAND: Final = (sys.executable, "-I", "-m", "voisin.enclave", "--simulated")


class EnclaveDiedError(UnavailableError):
    """An enclave ended when it should not have, or answered nonsense."""

    code = "enclave-failed"


class ProcessEnclaves:
    """Simulated enclaves: a process of this machine for each task."""

    def __init__(self, folder: Path, cache: Path) -> None:
        """
        Args:
            folder: Where they start; created when missing, and nothing is written there.
            cache: Where they keep compiled modules.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._cache = cache
        self._processes: set[int] = set()

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The processes that are there now."""
        return tuple(sorted(self._processes))

    async def run(self, errand: Errand, on_output: OnOutput) -> Finished | Refused:
        """Do a task in a fresh enclave; see `voisin.worker.ports.Enclaves`."""
        async with self._started() as process:
            assert process.stdin is not None
            assert process.stdout is not None
            return await _Talk(process, BufferedByteReceiveStream(process.stdout), process.stdin).run(errand, on_output)

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[Process]:
        command = (*_COMMAND, "--cache", str(self._cache))
        process = await anyio.open_process(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=self._folder, env={}
        )
        self._processes.add(process.pid)
        try:
            yield process
        finally:
            with anyio.CancelScope(shield=True):
                if process.returncode is None:
                    process.kill()
                await process.aclose()
            self._processes.discard(process.pid)


class _Talk:
    """What is said to one enclave and heard of it."""

    def __init__(self, process: Process, source: BufferedByteReceiveStream, sink: ByteSendStream) -> None:
        self._process = process
        self._source = source
        self._sink = sink

    async def run(self, errand: Errand, on_output: OnOutput) -> Finished | Refused:
        with anyio.move_on_after(START_S) as starting:
            begun = await self._hear()
        if starting.cancelled_caught or not isinstance(begun, Begun):
            raise EnclaveDiedError("the enclave did not start properly", hint="run the task again; if it fails each time, report it")
        session_key = as_hash32(begun.session_key)
        evidence = []
        for wanted in await errand.show():
            await self._say(wanted)
            shown = await self._hear()
            if isinstance(shown, Refused):
                return shown
            if not isinstance(shown, Shown):
                raise EnclaveDiedError("the enclave answered out of turn")
            evidence.append(shown.evidence)
        order, files = await errand.order(session_key, evidence)
        await self._say(order)
        for path in files:
            await self._give(path)
        return await self._end(errand, on_output)

    async def _end(self, errand: Errand, on_output: OnOutput) -> Finished | Refused:
        while True:
            match await self._hear():
                case Output(stream, data):
                    on_output(stream, data)
                case Refused() as refused:
                    return refused
                case Finished() as finished:
                    await self._take(errand.target, finished.size, errand.max_result_bytes)
                    return finished
                case Begun() | Shown():
                    raise EnclaveDiedError("the enclave answered out of turn")

    async def _say(self, message: ToEnclave) -> None:
        body = encode(message)
        await self._send(LENGTH.pack(len(body)) + body)

    async def _send(self, data: bytes) -> None:
        try:
            await self._sink.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise await self._death() from None

    async def _give(self, path: Path) -> None:
        with path.open("rb") as file:
            while piece := await anyio.to_thread.run_sync(file.read, PIECE):
                await self._send(piece)

    async def _take(self, target: Path, size: int, most: int) -> None:
        """Write the result to this disk; once this returns, a power cut does not lose it."""
        if not 0 <= size <= most:
            raise EnclaveDiedError(f"the enclave's result has {size} bytes")
        partial = target.with_suffix(".part")
        try:
            with partial.open("wb") as file:
                while size:
                    piece = await self._receive(min(size, PIECE))
                    await anyio.to_thread.run_sync(file.write, piece)
                    size -= len(piece)
                await anyio.to_thread.run_sync(_sync, file)
            partial.replace(target)
            await anyio.to_thread.run_sync(sync_folder, target.parent)
        finally:
            partial.unlink(missing_ok=True)

    async def _hear(self) -> FromEnclave:
        (size,) = LENGTH.unpack(await self._receive(LENGTH.size))
        if size > MAX_MESSAGE_BYTES:
            raise EnclaveDiedError("the enclave answered nonsense")
        try:
            return decode_from_enclave(await self._receive(size))
        except InputError:
            raise EnclaveDiedError("the enclave answered nonsense") from None

    async def _receive(self, size: int) -> bytes:
        try:
            return await self._source.receive_exactly(size)
        except (anyio.IncompleteRead, anyio.ClosedResourceError, anyio.BrokenResourceError):
            raise await self._death() from None

    async def _death(self) -> EnclaveDiedError:
        with anyio.move_on_after(LAST_WORDS_S):
            await self._process.wait()
        code = self._process.returncode
        how = "closed its pipe" if code is None else f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return EnclaveDiedError(f"the enclave's process {how}", hint="run the task again; if it fails each time, report it")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
