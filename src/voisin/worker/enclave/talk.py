"""What a worker says to one enclave and hears of it, over pipes or a socket."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO, Final

import anyio
import anyio.to_thread
from anyio.abc import ByteReceiveStream, ByteSendStream
from anyio.streams.buffered import BufferedByteReceiveStream

from voisin.enclave.words import (
    LENGTH,
    MAX_MESSAGE_BYTES,
    Begun,
    Finished,
    FromEnclave,
    Introduce,
    Introduced,
    Output,
    Refused,
    Shown,
    ToEnclave,
    decode_from_enclave,
)
from voisin.errors import InputError, StateError, UnavailableError
from voisin.protocol.codec import encode
from voisin.protocol.ids import Hash32, as_hash32
from voisin.protocol.introduction import Introduction
from voisin.sandbox import OnOutput
from voisin.sandbox.packing import sync_folder
from voisin.worker.enclave.errand import Errand

START_S: Final = 60.0
PIECE: Final = 1 << 20


class EnclaveDiedError(UnavailableError):
    """An enclave ended when it should not have, or answered nonsense."""

    code = "enclave-failed"


class Talk:
    """The talk with one enclave."""

    def __init__(self, source: ByteReceiveStream, sink: ByteSendStream, *, death: Callable[[], Awaitable[str]]) -> None:
        """
        Args:
            source: What the enclave says.
            sink: What it hears.
            death: Says in a sentence how it ended, once it has.
        """
        self._source = BufferedByteReceiveStream(source)
        self._sink = sink
        self._how = death

    async def run(self, errand: Errand, on_output: OnOutput) -> Finished | Refused:
        """Have a task done; see `voisin.worker.ports.Enclaves`."""
        session_key = await self._begin()
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

    async def introduce(self, wanted: Introduce) -> Introduction:
        """
        Have the enclave show what it is.

        Raises:
            StateError: It cannot; says why.
            UnavailableError: It ended early, or answered nonsense.
        """
        await self._begin()
        await self._say(wanted)
        match await self._hear():
            case Introduced(introduction):
                return introduction
            case Refused(detail=detail):
                raise StateError(f"the enclave shows no evidence: {detail}", hint="run `voisin enclave check` where it runs")
            case _:
                raise EnclaveDiedError("the enclave answered out of turn")

    async def _begin(self) -> Hash32:
        with anyio.move_on_after(START_S) as starting:
            begun = await self._hear()
        if starting.cancelled_caught or not isinstance(begun, Begun):
            raise EnclaveDiedError("the enclave did not start properly", hint="run the task again; if it fails each time, report it")
        return as_hash32(begun.session_key)

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
                case Begun() | Shown() | Introduced():
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
        except (anyio.IncompleteRead, anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            raise await self._death() from None

    async def _death(self) -> EnclaveDiedError:
        return EnclaveDiedError(await self._how(), hint="run the task again; if it fails each time, report it")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
