"""
One enclave, from its first word to its end: shows its key, gets evidence, takes one order, carries it out, and ends.

When its worker is gone it ends at once, and with it the app and all that it knew.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import anyio

from voisin.enclave.desk import Desk
from voisin.enclave.inside import carry_out
from voisin.enclave.memory import Place, close_doors, open_place, require_memory
from voisin.enclave.tsm import REPORT_FOLDER, KernelEntries, kernel_evidence, require_reports
from voisin.enclave.words import (
    LENGTH,
    MAX_MESSAGE_BYTES,
    Begun,
    Finished,
    FromEnclave,
    Introduce,
    Introduced,
    Order,
    Output,
    Refused,
    Show,
    Shown,
    ToEnclave,
    decode_to_enclave,
)
from voisin.errors import InputError, VoisinError
from voisin.protocol.codec import encode
from voisin.protocol.data_terms import MAX_KEEPERS, EnclaveLevel
from voisin.protocol.evidence import Evidence, SimulatedEvidence
from voisin.protocol.ids import Hash32, from_hex
from voisin.protocol.introduction import Introduction, introduction_binding
from voisin.protocol.sessions import SessionKey, SessionWish, evidence_binding
from voisin.protocol.wire_words import MachineFailure, Stream
from voisin.sandbox import Sandbox
from voisin.sandbox.folders import Scratch

ORPHANED: Final = 3
PIECE: Final = 1 << 20

Attest = Callable[[Hash32], Evidence]
"""Gets evidence over 32 bytes."""


@dataclass(frozen=True, kw_only=True)
class EnclaveSettings:
    """
    What an enclave is told when it starts.

    Attributes:
        is_simulated: Whether it only plays one: its evidence says so, and it hides nothing from who runs it.
        report_folder: The kernel's folder of reports.
        cache: Where compiled modules are kept for the next enclave; simulated ones only, since what lies there is run unseen.
        slots: How many enclaves this machine runs at a time, as workers are told.
    """

    is_simulated: bool = False
    report_folder: Path = REPORT_FOLDER
    cache: Path | None = None
    slots: int = 1

    def __post_init__(self) -> None:
        if self.cache is not None and not self.is_simulated:
            raise InputError("a real enclave takes no compiled code from outside", hint="leave the cache out, or add --simulated")

    @property
    def level(self) -> EnclaveLevel:
        """What enclave it is."""
        return EnclaveLevel.SIMULATED if self.is_simulated else EnclaveLevel.HARDWARE

    def arguments(self) -> tuple[str, ...]:
        """Spell them for `python -m voisin.enclave`."""
        cache = () if self.cache is None else ("--cache", str(self.cache))
        simulated = ("--simulated",) if self.is_simulated else ()
        return (*simulated, "--report-folder", str(self.report_folder), "--slots", str(self.slots), *cache)

    def attest(self, binding: Hash32) -> Evidence:
        """Get evidence over a binding; raises as `kernel_evidence`."""
        if self.is_simulated:
            return SimulatedEvidence()
        return kernel_evidence(from_hex(binding), KernelEntries(self.report_folder))


class Worker:
    """The worker, on the other end of the pipes. What it sends is not believed, and its end is ours."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        """
        Args:
            source: What it says.
            sink: What it hears.
        """
        self._source = source
        self._sink = sink

    def hear(self) -> ToEnclave | None:
        """
        Wait for a message; None when the worker is gone.

        Raises:
            InputError: It is malformed.
        """
        head = self._source.read(LENGTH.size)
        if len(head) < LENGTH.size:
            return None
        (size,) = LENGTH.unpack(head)
        if size > MAX_MESSAGE_BYTES:
            raise InputError(f"the worker's message has {size} bytes")
        return decode_to_enclave(self._source.read(size))

    def say(self, message: FromEnclave) -> None:
        """Send a message."""
        body = encode(message)
        self._sink.write(LENGTH.pack(len(body)) + body)
        self._sink.flush()

    def take(self, path: Path, size: int) -> None:
        """
        Take a file.

        Raises:
            InputError: The worker is gone before its end.
        """
        with path.open("xb") as file:
            while size:
                piece = self._source.read(min(size, PIECE))
                if not piece:
                    raise InputError("the worker is gone")
                file.write(piece)
                size -= len(piece)

    def give(self, path: Path) -> None:
        """Send a file."""
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                self._sink.write(piece)
        self._sink.flush()

    def end_with_it(self) -> None:
        """End this process as soon as the worker is gone."""

        def watch() -> None:
            self._source.read(1)
            os._exit(ORPHANED)

        threading.Thread(target=watch, daemon=True).start()


def be_enclave(settings: EnclaveSettings, source: BinaryIO, sink: BinaryIO) -> None:
    """
    Be an enclave for one task; to be called before the process has a second thread.

    Args:
        settings: What it is told.
        source: What the worker says.
        sink: What the worker hears.

    Raises:
        StateError: What it knows could reach a disk, or there is no hardware that gives evidence.
    """
    place = open_place()
    if not settings.is_simulated:
        require_memory(place)
        require_reports(settings.report_folder)
    close_doors()
    scratch = Scratch(place.folder / "tasks")
    scratch.open()
    try:
        _do_one(settings, Worker(source, sink), Desk(scratch.folder), place)
    finally:
        scratch.close()


def _do_one(settings: EnclaveSettings, worker: Worker, desk: Desk, place: Place) -> None:
    key = SessionKey(secrets.token_bytes)
    worker.say(Begun(key.public))
    try:
        order = _ordered(settings, worker, key)
        if order is None:
            return
        desk.inputs.mkdir()
        for path, file in desk.places(order):
            worker.take(path, file.size)
    except OSError as error:
        worker.say(Refused(MachineFailure.NO_RESOURCES, f"the enclave's memory does not suffice: {error.strerror}"))
        return
    except VoisinError as error:
        worker.say(Refused(MachineFailure.ENCLAVE_BROKEN, error.message))
        return
    worker.end_with_it()
    answer = anyio.run(_carry_out, settings, order, key, worker, desk, place)
    worker.say(answer)
    if isinstance(answer, Finished):
        worker.give(desk.result)


def _ordered(settings: EnclaveSettings, worker: Worker, key: SessionKey) -> Order | None:
    """Show evidence to the pool, or for each vault that is asked for a part, until the order comes; None when the worker is gone."""
    for _ in range(MAX_KEEPERS + 2):
        match worker.hear():
            case Show() as asked:
                worker.say(Shown(settings.attest(_binding(asked, key))))
            case Introduce() as asked:
                binding = introduction_binding(asked.nonce, asked.workerpool, asked.chain_id, asked.worker)
                worker.say(Introduced(Introduction(settings.attest(binding), settings.slots)))
            case order:
                return order
    raise InputError("the worker asks for too much evidence")


def _binding(asked: Show, key: SessionKey) -> Hash32:
    wish = SessionWish(task_id=asked.task_id, enclave=asked.challenge, session_key=key.public, authorization="0x")
    return evidence_binding(wish, asked.vault, asked.worker)


async def _carry_out(
    settings: EnclaveSettings, order: Order, key: SessionKey, worker: Worker, desk: Desk, place: Place
) -> Finished | Refused:
    def tell(stream: Stream, data: bytes) -> None:
        worker.say(Output(stream, data))

    cache = settings.cache or place.folder / "apps"
    async with Sandbox(cache, slots=1, scratch_dir=desk.folder / "scratch") as sandbox:
        return await carry_out(order, key, desk, lambda: sandbox, level=settings.level, on_output=tell)
