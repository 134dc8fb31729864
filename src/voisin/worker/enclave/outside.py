"""An enclave as its worker sees it: a process that is started, given an order, and never asked for what it knows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from voisin.errors import InputError, UnavailableError
from voisin.protocol.codec import encode
from voisin.protocol.ids import as_hash32
from voisin.sandbox import OnOutput
from voisin.worker.enclave.words import LENGTH, MAX_MESSAGE_BYTES, Begun, Finished, FromEnclave, Output, Refused, decode_from_enclave
from voisin.worker.ports import MakeOrder

START_S: Final = 60.0
LAST_WORDS_S: Final = 1.0
_COMMAND: Final = (sys.executable, "-I", "-m", "voisin.worker.enclave")


class EnclaveDiedError(UnavailableError):
    """An enclave's process ended when it should not have, or answered nonsense."""

    code = "enclave-failed"


class ProcessEnclaves:
    """Simulated enclaves: a process of this machine for each task."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: Where they work; created when missing.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._processes: set[int] = set()

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The processes that are there now."""
        return tuple(sorted(self._processes))

    async def run(self, make_order: MakeOrder, on_output: OnOutput) -> Finished | Refused:
        """Do a task in a fresh enclave; see `voisin.worker.ports.Enclaves`."""
        async with self._started() as process:
            assert process.stdin is not None
            assert process.stdout is not None
            source = BufferedByteReceiveStream(process.stdout)
            with anyio.move_on_after(START_S) as starting:
                begun = await _hear(process, source)
            if starting.cancelled_caught or not isinstance(begun, Begun):
                raise EnclaveDiedError("the enclave did not start properly", hint="run the task again; if it fails each time, report it")
            order = await make_order(as_hash32(begun.session_key))
            body = encode(order)
            try:
                await process.stdin.send(LENGTH.pack(len(body)) + body)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                raise await _death(process) from None
            while True:
                match await _hear(process, source):
                    case Output(stream, data):
                        on_output(stream, data)
                    case Finished() | Refused() as answer:
                        return answer
                    case Begun():
                        raise EnclaveDiedError("the enclave answered out of turn")

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[Process]:
        process = await anyio.open_process(
            _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=self._folder, env={}
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


async def _hear(process: Process, source: BufferedByteReceiveStream) -> FromEnclave:
    try:
        (size,) = LENGTH.unpack(await source.receive_exactly(LENGTH.size))
        if size > MAX_MESSAGE_BYTES:
            raise EnclaveDiedError("the enclave answered nonsense")
        return decode_from_enclave(await source.receive_exactly(size))
    except (anyio.IncompleteRead, anyio.ClosedResourceError, anyio.BrokenResourceError):
        raise await _death(process) from None
    except InputError:
        raise EnclaveDiedError("the enclave answered nonsense") from None


async def _death(process: Process) -> EnclaveDiedError:
    with anyio.move_on_after(LAST_WORDS_S):
        await process.wait()
    code = process.returncode
    how = "closed its pipe" if code is None else f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    return EnclaveDiedError(f"the enclave's process {how}", hint="run the task again; if it fails each time, report it")
