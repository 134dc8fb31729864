"""Short ways to say what the tests of the worker's heart say over and over."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from eth_utils import keccak

from voisin.protocol.ids import ZERO_ADDRESS, ZERO_HASH, DealId, Hash32, TaskId
from voisin.protocol.records import ContributionStatus, TaskStatus
from voisin.protocol.wire import Assign
from voisin.units import UnixSeconds
from voisin.worker.machine import State, step
from voisin.worker.vocabulary import EARLY, Assigned, Command, Event, Observed, Phase, Replica

DEAL = DealId(Hash32("0x" + "dd" * 32))
DIGEST = Hash32("0x" + "ab" * 32)


def task(number: int = 0) -> TaskId:
    """The id of a task."""
    return TaskId(Hash32(f"0x{number:064x}"))


def committed(task_id: TaskId, digest: Hash32 = DIGEST) -> Hash32:
    """The commitment of a digest, spelled out: keccak(task, digest)."""
    return Hash32("0x" + keccak(bytes.fromhex(task_id[2:]) + bytes.fromhex(digest[2:])).hex())


def assign(number: int = 0, *, is_direct: bool = False) -> Assigned:
    """The pool gives a task, perhaps to be finished at once."""
    message = Assign(
        deal_id=DEAL,
        index=number,
        task_id=task(number),
        enclave_challenge=ZERO_ADDRESS,
        authorization="0x01",
        contribution_deadline=UnixSeconds(2_000),
        is_direct=is_direct,
    )
    return Assigned(message)


def replica(phase: Phase, number: int = 0, **changes: Any) -> Replica:
    """A replica in a phase, with what it has by then."""
    late: dict[str, Any] = {} if phase in EARLY else {"digest": DIGEST, "final_deadline": UnixSeconds(4_000)}
    late |= {"cid": "bafy"} if phase is Phase.UPLOADED else {}
    late |= {"is_committed": True} if late and phase is not Phase.CONTRIBUTING else {}
    return Replica(
        **{"task_id": task(number), "deal_id": DEAL, "index": number, "authorization": "0x01", "phase": phase, **late, **changes}
    )


def state(*replicas: Replica, slots: int = 2, memory_bytes: int = 1_000) -> State:
    """A worker that has some replicas."""
    return State(slots, memory_bytes, MappingProxyType({each.task_id: each for each in replicas}))


def seen(number: int = 0, **changes: Any) -> Observed:
    """What the chain says: agreed on our result, which is not revealed yet."""
    facts: dict[str, Any] = {
        "task_id": task(number),
        "status": TaskStatus.REVEALING,
        "consensus": committed(task(number)),
        "winners": 2,
        "own": ContributionStatus.CONTRIBUTED,
        "own_hash": committed(task(number)),
        "reveal_deadline": UnixSeconds(3_000),
        "final_deadline": UnixSeconds(4_000),
        "now": UnixSeconds(1_000),
    }
    return Observed(**{**facts, **changes})


ACTIVE = {"status": TaskStatus.ACTIVE, "consensus": ZERO_HASH}


def after(start: State, *events: Event) -> tuple[State, list[Command]]:
    """Take in events one after another; gives the last state and all commands."""
    commands: list[Command] = []
    for event in events:
        start, more = step(start, event)
        commands += more
    return start, commands


def kinds(commands: list[Command]) -> list[str]:
    """The names of commands, for short expectations."""
    return [type(command).__name__ for command in commands]
