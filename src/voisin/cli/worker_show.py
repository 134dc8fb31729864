"""How a worker looks on a screen."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from voisin.cli.session import Session
from voisin.cli.show import SIMULATED_WORDS, counted, moment, pairs
from voisin.protocol.wire_words import EnclaveKind
from voisin.units import NRLC, format_amount
from voisin.worker.life.words import Stance, WorkerStatus

if TYPE_CHECKING:
    from rich.console import Console

MIB = 1 << 20


def show_status(out: Console, status: WorkerStatus) -> None:
    """Show how a worker is."""
    link = "connected" if status.is_connected else f"not connected: {status.trouble or 'it is trying'}"
    takes = f"nothing new: {status.why}" if status.why else f"{counted(status.slots, 'task')} at a time"
    rows = [
        ("worker", f"{status.name} ({status.worker}), process {status.pid}"),
        ("pool", f"{status.pool_url}, workerpool {status.workerpool}"),
        ("link", link),
        ("is", str(status.stance)),
        ("takes", f"{takes}, {status.memory_bytes // MIB} MiB of memory"),
        ("enclave", _enclave(status.enclave)),
        ("tasks", _tasks(status) or "none"),
        ("rules", f"{status.rules_file}{': NOT FOLLOWED: ' + status.rules_trouble if status.rules_trouble else ''}"),
    ]
    out.print(pairs(rows))


def say_waiting(session: Session, status: WorkerStatus, before: WorkerStatus | None) -> None:
    """Say what a leaving worker still waits for, whenever that changes."""
    tasks = _tasks(status)
    if status.stance is Stance.LEAVING and tasks and (before is None or tasks != _tasks(before)):
        latest = max(held.final_deadline for held in status.tasks)
        until = f"; at the latest they end at {moment(latest)}" if latest else ""
        session.err.print(f"leaving: {tasks}{until}", soft_wrap=True)


def show_left(session: Session, status: WorkerStatus, taken: NRLC) -> None:
    """Say that a worker has left, and what was withdrawn."""
    document = {"worker": status.worker, "name": status.name, "stance": status.stance, "withdrawn": taken}
    words = f"left: {status.name} has nothing at stake any more, and has stopped"
    session.answer(document, lambda out: out.print(f"{words}; {format_amount(taken)} withdrawn" if taken else words, soft_wrap=True))


def _enclave(kind: EnclaveKind) -> str:
    return SIMULATED_WORDS if kind is EnclaveKind.SIMULATED else str(kind)


def _tasks(status: WorkerStatus) -> str:
    phases = Counter(held.phase for held in status.tasks)
    return ", ".join(f"{number} {phase}" for phase, number in sorted(phases.items()))
