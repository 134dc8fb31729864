"""
The worker's heart: what happens goes in, what is to be done comes out. It reads no clock, no disk and no chain.

    CHECKING -> FETCHING -> QUEUED -> RUNNING -> CONTRIBUTING -> CONTRIBUTED -> REVEALING -> REVEALED -> UPLOADING -> UPLOADED
    '------ may be dropped at any time ------'   '-- kept until the chain says that the task is over (or CLAIMING) --'

A task that one worker contributes and finalises at once is STORING between RUNNING and CONTRIBUTING, and over when it is CONTRIBUTED.

Pool and chain have different powers over a replica. The pool can start one and, as long as nothing is on the chain, end it. Once
the worker has contributed, only what it sees on the chain counts: the pool's messages are then no more than hints to look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from types import MappingProxyType

from msgspec.structs import replace as with_changes

from voisin.protocol.ids import TaskId
from voisin.protocol.records import ContributionStatus, TaskStatus
from voisin.protocol.results import result_hash
from voisin.protocol.wire import Failed as SaidFailed
from voisin.protocol.wire import Progress, Uploaded
from voisin.protocol.wire_words import MachineFailure, ReplicaStage
from voisin.worker.vocabulary import (
    EARLY,
    STAGES,
    Aborted,
    Approved,
    Assigned,
    Check,
    Claim,
    Claimed,
    ClaimFailed,
    Command,
    Computed,
    Contribute,
    Contributed,
    Drop,
    Event,
    Failed,
    Fetch,
    Fetched,
    GaveUp,
    Joined,
    Limited,
    Look,
    Moved,
    Observed,
    Phase,
    Released,
    Replica,
    Restored,
    Reveal,
    RevealAsked,
    Revealed,
    RevealMissed,
    Run,
    Save,
    Say,
    Settled,
    Stopping,
    Stored,
    TaskEvent,
    Tell,
    Upload,
    UploadAsked,
    UploadFailed,
    Vanished,
)

WAITING_PER_SLOT = 2
"""Replicas that a worker takes for each slot, so that the next one is fetched while one runs."""

UNDER_WAY = frozenset({Phase.RUNNING, Phase.STORING})
"""What a worker that closes brings to its end."""

Outcome = tuple[Replica | None, list[Command]]
"""What becomes of one replica (None: it is gone), and what is to be done."""


@dataclass(frozen=True)
class State:
    """
    Everything the worker decides by.

    Attributes:
        slots: Apps that run at a time.
        memory_bytes: Memory that all running apps may use together.
        replicas: Every replica it has, oldest first.
        closed: Why nothing new is taken; empty when it is.
    """

    slots: int
    memory_bytes: int
    replicas: Mapping[TaskId, Replica] = field(default_factory=lambda: MappingProxyType({}))
    closed: str = ""

    def in_phase(self, *phases: Phase) -> list[Replica]:
        """List the replicas in any of some phases, oldest first."""
        return [replica for replica in self.replicas.values() if replica.phase in phases]


def step(state: State, event: Event) -> tuple[State, list[Command]]:
    """
    Take in one event.

    Args:
        state: What is known so far.
        event: What happened. One that does not fit the replica's phase changes nothing.

    Returns:
        What is known now, and what is to be done, in order.
    """
    match event:
        case Restored(replicas):
            state, commands = _restore(state, replicas)
        case Joined():
            commands = [command for replica in state.replicas.values() for command in _report(replica)]
        case Stopping():
            state, commands = _hand_back(state, EARLY, MachineFailure.SHUTTING_DOWN, "the worker was stopped")
        case Limited():
            state, commands = _limit(state, event)
        case _:
            state, commands = _step_replica(state, event)
    state, runs = _fill_slots(state)
    return state, [*commands, *runs]


def _step_replica(state: State, event: TaskEvent) -> tuple[State, list[Command]]:
    replica = state.replicas.get(event.task_id)
    if replica is None:
        outcome = _admit(state, event) if isinstance(event, Assigned) else (None, [])
    else:
        outcome = _TABLE.get((replica.phase, type(event)), _ignore)(replica, event)
    return _put(state, event.task_id, outcome[0]), outcome[1]


def _put(state: State, task_id: TaskId, replica: Replica | None) -> State:
    others = {known: kept for known, kept in state.replicas.items() if replica is not None or known != task_id}
    return replace(state, replicas=MappingProxyType(others if replica is None else {**others, task_id: replica}))


def _fill_slots(state: State) -> tuple[State, list[Command]]:
    """Start what waits, oldest first, as long as slots and memory last."""
    commands: list[Command] = []
    for replica in state.in_phase(Phase.QUEUED):
        running = state.in_phase(Phase.RUNNING)
        memory_bytes = sum(each.memory_bytes for each in running) + replica.memory_bytes
        if len(running) >= state.slots or memory_bytes > state.memory_bytes:
            break
        moved, more = _move(replica, Phase.RUNNING, Run)
        state = _put(state, replica.task_id, moved)
        commands += more
    return state, commands


def _restore(state: State, replicas: tuple[Replica, ...]) -> tuple[State, list[Command]]:
    commands: list[Command] = []
    for replica in replicas:
        phase, next_command = _RESTARTS[replica.phase]
        known = with_changes(replica, phase=phase, is_committed=replica.is_committed or phase not in EARLY)
        state = _put(state, replica.task_id, known)
        commands.append(Look(replica.task_id) if next_command is None else next_command(known))
    return state, commands


def _limit(state: State, event: Limited) -> tuple[State, list[Command]]:
    """Go by new limits. A worker that closes keeps what runs, unless it is urgent, and what is on the chain in any case."""
    state = replace(state, slots=event.slots, memory_bytes=event.memory_bytes, closed=event.closed)
    if not event.closed:
        return state, []
    return _hand_back(state, EARLY if event.is_urgent else EARLY - UNDER_WAY, MachineFailure.PAUSED, event.closed)


def _hand_back(state: State, phases: frozenset[Phase], failure: MachineFailure, detail: str) -> tuple[State, list[Command]]:
    commands: list[Command] = []
    for replica in state.in_phase(*phases):
        message = SaidFailed(task_id=replica.task_id, failure=failure, detail=detail)
        commands += [Say(message), Drop(replica.task_id)]
        state = _put(state, replica.task_id, None)
    return state, commands


def _admit(state: State, event: Assigned) -> Outcome:
    assign = event.assign
    if state.closed:
        return None, [Say(SaidFailed(task_id=assign.task_id, failure=MachineFailure.PAUSED, detail=state.closed))]
    if len(state.in_phase(*EARLY)) >= WAITING_PER_SLOT * state.slots:
        detail = f"all {state.slots} slots are taken"
        return None, [Say(SaidFailed(task_id=assign.task_id, failure=MachineFailure.NO_RESOURCES, detail=detail))]
    replica = Replica(
        task_id=assign.task_id,
        deal_id=assign.deal_id,
        index=assign.index,
        authorization=assign.authorization,
        enclave_challenge=assign.enclave_challenge,
        is_direct=assign.is_direct,
    )
    return replica, [Save(replica), Tell(Moved(replica.task_id, replica.phase)), Check(replica)]


# --- one replica -----------------------------------------------------------------------------------------------------


def _move(replica: Replica, phase: Phase, *next_commands: Callable[[Replica], Command]) -> Outcome:
    """Go to a phase: on disk first, then to the pool, then on to what comes next."""
    moved = with_changes(replica, phase=phase)
    commands: list[Command] = [] if phase in EARLY else [Save(moved)]
    commands.append(Tell(Moved(moved.task_id, phase)))
    if STAGES[phase] != STAGES[replica.phase]:
        commands += _report(moved)
    return moved, [*commands, *(command(moved) for command in next_commands)]


def _through(phase: Phase, outcome: Outcome, replica: Replica) -> Outcome:
    """Tell of a phase that is over as it begins: what comes after it is on disk anyway."""
    passing = with_changes(replica, phase=phase)
    told: list[Command] = [Tell(Moved(passing.task_id, phase))]
    if STAGES[phase] != STAGES[replica.phase]:
        told += _report(passing)
    return outcome[0], [*told, *outcome[1]]


def _report(replica: Replica) -> list[Command]:
    if replica.phase is Phase.UPLOADED:
        return [Say(Uploaded(task_id=replica.task_id, cid=replica.cid, callback_data=replica.callback_data))]
    stage = STAGES[replica.phase]
    exit_code = replica.exit_code if stage is ReplicaStage.COMPUTED else None
    return [Say(Progress(task_id=replica.task_id, stage=stage, exit_code=exit_code))]


def _ignore(replica: Replica, _event: TaskEvent) -> Outcome:
    return replica, []


def _repeat(replica: Replica, _event: TaskEvent) -> Outcome:
    return replica, _report(replica)


def _look(replica: Replica, _event: TaskEvent) -> Outcome:
    return replica, [Look(replica.task_id)]


def _drop(replica: Replica, _event: TaskEvent) -> Outcome:
    return None, [Drop(replica.task_id)]


def _give_up(replica: Replica, event: TaskEvent) -> Outcome:
    assert isinstance(event, GaveUp)
    if replica.is_committed:
        return _move(replica, Phase.CONTRIBUTED)  # the transaction may still arrive: keep looking
    message = SaidFailed(task_id=event.task_id, failure=event.failure, detail=event.detail)
    return None, [Say(message), Drop(replica.task_id), Tell(Failed(event.task_id, event.failure, event.detail))]


def _approved(replica: Replica, event: TaskEvent) -> Outcome:
    assert isinstance(event, Approved)
    terms = with_changes(
        replica,
        memory_bytes=event.memory_bytes,
        worker_stake=event.worker_stake,
        final_deadline=event.final_deadline,
        is_alone=event.is_alone,
    )
    return _move(terms, Phase.FETCHING, Fetch)


def _fetched(replica: Replica, _event: TaskEvent) -> Outcome:
    return _move(replica, Phase.QUEUED)


def _computed(replica: Replica, event: TaskEvent) -> Outcome:
    assert isinstance(event, Computed)
    done = with_changes(
        replica,
        digest=event.digest,
        callback_data=event.callback_data,
        enclave_signature=event.enclave_signature,
        exit_code=event.exit_code,
    )
    return _move(done, Phase.STORING, Upload) if done.is_direct else _move(done, Phase.CONTRIBUTING, Contribute)


def _stored_first(replica: Replica, event: TaskEvent) -> Outcome:
    assert isinstance(event, Stored)
    return _move(with_changes(replica, cid=event.cid), Phase.CONTRIBUTING, Contribute)


def _not_stored(replica: Replica, event: TaskEvent) -> Outcome:
    assert isinstance(event, UploadFailed)
    return _give_up(replica, GaveUp(event.task_id, MachineFailure.STORAGE_UNREACHABLE, event.detail))


def _contributed(replica: Replica, event: TaskEvent) -> Outcome:
    assert isinstance(event, Contributed)
    committed = with_changes(replica, is_committed=True)
    if event.is_agreed and not replica.is_direct:
        agreed = with_changes(committed, phase=Phase.CONTRIBUTED)
        return _through(Phase.CONTRIBUTED, _reveal(agreed, is_alone=replica.is_alone), committed)
    return _move(committed, Phase.CONTRIBUTED, lambda moved: Look(moved.task_id))


def _reveal(replica: Replica, *, is_alone: bool) -> Outcome:
    """Show the digest of the agreed result, and the result, if nobody else can be asked for it: that need not be waited for."""
    return _move(with_changes(replica, is_upload_wanted=replica.is_upload_wanted or is_alone), Phase.REVEALING, Reveal)


def _revealed(replica: Replica, event: TaskEvent) -> Outcome:
    if isinstance(event, Revealed) and event.cid:
        shown = with_changes(replica, phase=Phase.REVEALED, cid=event.cid)
        return _through(Phase.REVEALED, _move(shown, Phase.UPLOADED), replica)
    moved, commands = _move(replica, Phase.REVEALED)
    if moved is None or not moved.is_upload_wanted:
        return moved, commands
    uploading, more = _move(moved, Phase.UPLOADING, Upload)
    return uploading, [*commands, *more]


def _reveal_missed(replica: Replica, _event: TaskEvent) -> Outcome:
    return _move(replica, Phase.CONTRIBUTED)


def _want_upload(replica: Replica, _event: TaskEvent) -> Outcome:
    """Remember it: a result that is shown before it is revealed could be copied by somebody who did not compute it."""
    wanted = with_changes(replica, is_upload_wanted=True)
    return wanted, [Save(wanted), Look(replica.task_id)]


def _upload(replica: Replica, _event: TaskEvent) -> Outcome:
    return _move(with_changes(replica, is_upload_wanted=True), Phase.UPLOADING, Upload)


def _stored(replica: Replica, event: TaskEvent) -> Outcome:
    assert isinstance(event, Stored)
    return _move(with_changes(replica, cid=event.cid), Phase.UPLOADED)


def _upload_failed(replica: Replica, event: TaskEvent) -> Outcome:
    assert isinstance(event, UploadFailed)
    failure = MachineFailure.STORAGE_UNREACHABLE
    moved, commands = _move(with_changes(replica, is_upload_wanted=False), Phase.REVEALED)
    message = SaidFailed(task_id=event.task_id, failure=failure, detail=event.detail)
    return moved, [*commands, Say(message), Tell(Failed(event.task_id, failure, event.detail))]


def _claimed(replica: Replica, _event: TaskEvent) -> Outcome:
    return None, [Drop(replica.task_id), Tell(Settled(replica.task_id, "refunded"))]


def _claim_failed(replica: Replica, _event: TaskEvent) -> Outcome:
    return _move(replica, Phase.CONTRIBUTED)


# --- what the chain says ---------------------------------------------------------------------------------------------


def _observed(replica: Replica, event: TaskEvent) -> Outcome:
    assert isinstance(event, Observed)
    if event.status in (TaskStatus.COMPLETED, TaskStatus.FAILED):
        return None, [Drop(replica.task_id), Tell(Settled(replica.task_id, _settlement(event)))]
    if event.now >= event.final_deadline:
        return _move(replica, Phase.CLAIMING, Claim) if replica.phase is not Phase.UPLOADING else (replica, [])
    if event.own is ContributionStatus.UNSET and event.status is TaskStatus.ACTIVE and replica.phase is Phase.CONTRIBUTED:
        return _move(replica, Phase.CONTRIBUTING, Contribute)  # the chain forgot the transaction
    if event.own is ContributionStatus.PROVED and replica.phase is Phase.CONTRIBUTED:
        return _revealed(replica, event)
    if replica.phase is not Phase.UPLOADING and _may_reveal(replica, event):
        return _reveal(replica, is_alone=event.winners == 1)
    return replica, []


def _vanished(replica: Replica, event: TaskEvent) -> Outcome:
    """Believe that a task is gone, with its chain, only when nothing could have been done for it any more."""
    assert isinstance(event, Vanished)
    if event.now < replica.final_deadline:
        return replica, []
    return None, [Drop(replica.task_id), Tell(Settled(replica.task_id, "refunded"))]


def _may_reveal(replica: Replica, seen: Observed) -> bool:
    assert replica.digest is not None
    mine = result_hash(replica.task_id, replica.digest)
    is_open = seen.status is TaskStatus.REVEALING and seen.now < seen.reveal_deadline
    return is_open and seen.own is ContributionStatus.CONTRIBUTED and seen.consensus == seen.own_hash == mine


def _settlement(seen: Observed) -> str:
    if seen.status is TaskStatus.FAILED or seen.own is ContributionStatus.UNSET:
        return "refunded"
    return "paid" if seen.own is ContributionStatus.PROVED else "slashed"


# --- the tables ------------------------------------------------------------------------------------------------------

Handler = Callable[[Replica, TaskEvent], Outcome]
_COMMITTED = (Phase.CONTRIBUTED, Phase.REVEALED, Phase.UPLOADING, Phase.UPLOADED)

_TABLE: dict[tuple[Phase, type[TaskEvent]], Handler] = {
    **{(phase, Assigned): _repeat for phase in Phase},
    **dict.fromkeys(product(EARLY, (Aborted, Released)), _drop),
    **{(phase, GaveUp): _give_up for phase in (Phase.CHECKING, Phase.FETCHING, Phase.RUNNING, Phase.CONTRIBUTING)},
    (Phase.CHECKING, Approved): _approved,
    (Phase.FETCHING, Fetched): _fetched,
    (Phase.RUNNING, Computed): _computed,
    (Phase.STORING, Stored): _stored_first,
    (Phase.STORING, UploadFailed): _not_stored,
    (Phase.CONTRIBUTING, Contributed): _contributed,
    **{(phase, Observed): _observed for phase in _COMMITTED},
    **{(phase, Vanished): _vanished for phase in _COMMITTED},
    **dict.fromkeys(product(_COMMITTED, (RevealAsked, Aborted, Released)), _look),
    (Phase.REVEALING, Revealed): _revealed,
    (Phase.REVEALING, RevealMissed): _reveal_missed,
    (Phase.CONTRIBUTED, UploadAsked): _want_upload,
    (Phase.REVEALING, UploadAsked): _want_upload,
    (Phase.REVEALED, UploadAsked): _upload,
    (Phase.UPLOADED, UploadAsked): _repeat,
    (Phase.UPLOADING, Stored): _stored,
    (Phase.UPLOADING, UploadFailed): _upload_failed,
    (Phase.CLAIMING, Claimed): _claimed,
    (Phase.CLAIMING, ClaimFailed): _claim_failed,
}
"""What each event does in each phase; a pair that is missing does nothing."""

_RESTARTS: dict[Phase, tuple[Phase, Callable[[Replica], Command] | None]] = {
    **dict.fromkeys(EARLY, (Phase.CHECKING, Check)),
    Phase.CONTRIBUTING: (Phase.CONTRIBUTING, Contribute),
    Phase.CONTRIBUTED: (Phase.CONTRIBUTED, None),
    Phase.REVEALING: (Phase.CONTRIBUTED, None),
    Phase.REVEALED: (Phase.REVEALED, None),
    Phase.UPLOADING: (Phase.UPLOADING, Upload),
    Phase.UPLOADED: (Phase.UPLOADED, None),
    Phase.CLAIMING: (Phase.CONTRIBUTED, None),
}
"""In which phase a replica goes on after a restart, and with what; None: with a look at the chain."""
