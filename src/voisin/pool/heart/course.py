"""
How chain facts change the book: the course of deals and tasks as the hub's events tell it.

Each reaction may meet its fact a second time, or for a task that is not this pool's, and then does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from voisin.errors import InputError
from voisin.policy.placement import speed_after, usual_time
from voisin.pool.heart.book import Book, DealState, TaskState, UploadState
from voisin.pool.heart.commands import Tell
from voisin.pool.heart.facts import DealFound, Instant
from voisin.pool.heart.records import ENDS, DealRecord, Outcome, Phase, ReplicaRecord, TaskRecord, WorkerRecord
from voisin.protocol.events import (
    AccurateContribution,
    ConsensusReached,
    FaultyContribution,
    TaskClaimed,
    TaskContributed,
    TaskFinalized,
    TaskInitialized,
    TaskReopened,
    TaskRevealed,
)
from voisin.protocol.ids import Address, TaskId, task_id
from voisin.protocol.params import DealParams, parse_params
from voisin.protocol.results import decode_link
from voisin.protocol.rules import REVEAL_DEADLINE_RATIO
from voisin.protocol.tags import needs_enclave
from voisin.protocol.trust import accurate_score, faulty_score
from voisin.protocol.wire import Abort, Release
from voisin.protocol.wire_words import EnclaveKind, ReplicaStage
from voisin.units import UnixSeconds


def deal_found(book: Book, fact: DealFound, at: Instant) -> None:
    """Turn a deal into tasks; those of one that is settled as a bag are `voisin.pool.bags`' own."""
    if fact.deal_id in book.deals or fact.record.is_bag:
        return
    record = fact.record
    deal = DealState(record, params_of(record), is_certain=book.is_live)
    book.deals[fact.deal_id] = book.unopened[fact.deal_id] = deal
    book.changes.deals[fact.deal_id] = record
    book.unjudged[fact.deal_id] = None
    make_tasks(book, deal, at, record.indexes)


def make_tasks(book: Book, deal: DealState, at: Instant, indexes: Iterable[int]) -> None:
    """Begin tasks of a deal of which nothing is known yet."""
    refusal, terms = _refusal(book, deal.record), deal.record.deal
    enclave = _enclave(book) if deal.needs_enclave else EnclaveKind.NONE
    for index in indexes:
        record = TaskRecord(task_id=task_id(deal.record.deal_id, index), deal_id=deal.record.deal_id, index=index, enclave=enclave)
        task = TaskState(record, deal)
        book.add_task(task)
        book.write_task(task, task.record)
        book.note(task, at, "the deal was made", f"trust {terms.trust}, category {terms.category}")
        if refusal:
            fail(book, task, at, refusal)
        else:
            deal.fresh.append(index)


def _enclave(book: Book) -> EnclaveKind:
    """Say what enclaves tasks get that ask for one; of records of before, by a pool that has none now, nothing better is claimed."""
    return EnclaveKind.HARDWARE if book.settings.enclave is EnclaveKind.HARDWARE else EnclaveKind.SIMULATED


def params_of(record: DealRecord) -> DealParams:
    """Read what a deal's parameters ask of the pool; malformed ones ask nothing, and the workers say what is wrong with them."""
    try:
        return parse_params(record.deal.params)
    except InputError:
        return DealParams()


def _refusal(book: Book, record: DealRecord) -> str:
    deal = record.deal
    if deal.workerpool.owner != book.scheduler:
        return f"the deal belongs to the workerpool's owner of that time, {deal.workerpool.owner}, and only that wallet may finalise it"
    if needs_enclave(deal.tag) and book.settings.enclave is EnclaveKind.NONE:
        return "the deal asks for an enclave, and this pool has none (settings enclave_policy_file and allow_simulated)"
    if needs_enclave(deal.tag) and not book.settings.vault_url:
        return "the deal asks for an enclave, and this pool has no vault for its secrets (setting vault_url)"
    return ""


def fail(book: Book, task: TaskState, at: Instant, reason: str) -> None:
    """Give a task up; its workers are told to stop, and the requester is refunded: at once if the hub can, else at the deadline."""
    book.move(task, Phase.FAILED, at, "given up", reason)
    book.write_task(task, replace(task.record, reason=reason))
    abort_pending(book, task, at, reason)


def abort_pending(book: Book, task: TaskState, at: Instant, reason: str) -> None:
    """Stop the workers that have not contributed."""
    for replica in list(task.replicas.values()):
        _abort(book, task, replica, at, reason)


def _abort(book: Book, task: TaskState, replica: ReplicaRecord, at: Instant, reason: str) -> None:
    if replica.is_pending:
        book.write_replica(task, replace(replica, outcome=Outcome.ABORTED, cause=reason))
        book.note(task, at, "stopped", reason, worker=replica.worker)
        tell_online(book, replica.worker, Abort(task.record.task_id, reason))


def tell_online(book: Book, worker: Address, message: Abort | Release) -> None:
    """Send a message to a worker if it is connected."""
    if book.worker(worker).is_online:
        book.out.append(Tell(worker, message))


def task_initialized(book: Book, fact: TaskInitialized, at: Instant) -> None:
    """Open a task for contributions."""
    task = _open_task(book, fact.task_id)
    if task is None:
        return
    task.deal.opening.pop(task.record.index, None)
    if task.record.phase is Phase.NEW:
        book.move(task, Phase.RUNNING, at, "opened on the chain")


def task_contributed(book: Book, fact: TaskContributed, at: Instant) -> None:
    """Record a contribution, whatever the pool thought of the worker before."""
    task = _open_task(book, fact.task_id)
    if task is None:
        return
    known = task.replicas.get(fact.worker) or ReplicaRecord(task_id=fact.task_id, worker=fact.worker)
    if known.result_hash is not None:
        return
    weight = book.worker(fact.worker).weight
    stage = ReplicaStage.CONTRIBUTED
    replica = replace(known, stage=stage, outcome=Outcome.RUNNING, cause="", result_hash=fact.result_hash, weight=weight)
    task.contributed_at, task.is_doubted = at.wall, False
    if fact.worker in task.assigned_at:
        _note_time(book, task, fact.worker, at.wall - task.assigned_at.pop(fact.worker))
    book.write_replica(task, replica)
    book.note(task, at, "contributed", f"weight {weight}", worker=fact.worker)
    for other in list(task.replicas.values()):
        if other.worker != fact.worker and book.owner_of(other.worker) == book.owner_of(fact.worker):
            _abort(book, task, other, at, "another worker of the same owner contributed")


def _note_time(book: Book, task: TaskState, worker: Address, took_s: float) -> None:
    """Remember how long a replica took, and what that says of its machine."""
    usual = usual_time(task.deal.took_s)
    task.deal.took_s.append(took_s)
    if usual is not None:
        state = book.worker(worker)
        state.speed = speed_after(state.speed, usual, took_s)


def consensus_reached(book: Book, fact: ConsensusReached, at: Instant) -> None:
    """
    Let the winners reveal.

    The event does not say until when: the deadline counts from the block's time, which a pool that follows live knows
    to within a moment; the hub has the last word.
    """
    task = _open_task(book, fact.task_id)
    if task is None:
        return
    if task.record.phase is Phase.NEW:
        book.move(task, Phase.RUNNING, at, "opened on the chain")
    if task.record.phase is Phase.REVEALING:
        return
    deadline = UnixSeconds(at.chain + REVEAL_DEADLINE_RATIO * task.deal.record.time_ref_s if book.is_live else 0)
    book.move(task, Phase.REVEALING, at, "agreed", f"result {fact.result_hash[:10]}")
    book.write_task(task, replace(task.record, consensus=fact.result_hash, reveal_deadline=deadline, reason=""))
    task.upload = UploadState()
    task.asked_reveal.clear()
    abort_pending(book, task, at, "the result was agreed without this worker")


def task_revealed(book: Book, fact: TaskRevealed, at: Instant) -> None:
    """Record a reveal."""
    task = _open_task(book, fact.task_id)
    replica = task.replicas.get(fact.worker) if task else None
    if task is None or replica is None or replica.is_revealed:
        return
    book.write_replica(task, replace(replica, stage=ReplicaStage.REVEALED, outcome=Outcome.RUNNING))
    book.write_task(task, replace(task.record, digest=fact.digest))
    book.note(task, at, "revealed", worker=fact.worker)


def task_reopened(book: Book, fact: TaskReopened, at: Instant) -> None:
    """Take contributions again; those that agreed and never revealed count no more."""
    task = _open_task(book, fact.task_id)
    if task is None or task.record.phase is not Phase.REVEALING:
        return
    for replica in task.winners():
        cause = "did not reveal in time"
        book.write_replica(task, replace(replica, outcome=Outcome.FAULTY, cause=cause))
        book.note(task, at, "rejected", cause, worker=replica.worker)
    book.move(task, Phase.RUNNING, at, "reopened", "nobody revealed in time")
    book.write_task(task, replace(task.record, consensus=None, digest=None, reveal_deadline=UnixSeconds(0)))
    task.upload = UploadState()


def task_finalized(book: Book, fact: TaskFinalized, at: Instant) -> None:
    """Bring a task to its good end."""
    task = _open_task(book, fact.task_id)
    if task is None:
        return
    _pass_through(book, task, at)
    book.move(task, Phase.COMPLETED, at, "completed and paid")
    book.write_task(task, replace(task.record, cid=_cid_of(fact.results), reason=""))
    for replica in list(task.replicas.values()):
        if replica.is_revealed:
            book.write_replica(task, replace(replica, outcome=Outcome.PROVED))
        elif replica.result_hash is not None and replica.outcome is not Outcome.FAULTY:
            cause = "did not reveal" if replica.result_hash == task.record.consensus else "gave another result than the agreed one"
            book.write_replica(task, replace(replica, outcome=Outcome.FAULTY, cause=cause))
    _end(book, task, at, "the task is completed")


def task_claimed(book: Book, fact: TaskClaimed, at: Instant) -> None:
    """Bring a task to its bad end."""
    task = _open_task(book, fact.task_id)
    if task is None:
        return
    reason = task.record.reason or "it was not finished before its final deadline"
    is_early = book.is_live and at.chain < task.deal.final_deadline
    book.move(task, Phase.CLAIMED, at, "given back" if is_early else "claimed", "the requester has the money back")
    book.write_task(task, replace(task.record, reason=reason))
    for replica in list(task.replicas.values()):
        if replica.result_hash is not None and replica.outcome is Outcome.RUNNING:
            cause = "the task failed; the worker's stake is free again"
            book.write_replica(task, replace(replica, outcome=Outcome.ABORTED, cause=cause))
    _end(book, task, at, "the task has failed")


def accurate_contribution(book: Book, fact: AccurateContribution) -> None:
    """Raise a worker's score."""
    worker = book.worker(fact.worker)
    book.write_worker(worker, replace(worker.record, score=accurate_score(worker.record.score)))


def faulty_contribution(book: Book, fact: FaultyContribution, at: Instant) -> None:
    """Lower a worker's score, and remember a fault in this pool until it is one too many."""
    worker = book.worker(fact.worker)
    record = replace(worker.record, score=faulty_score(worker.record.score))
    task = _open_task(book, fact.task_id)
    if task is not None:
        record = replace(record, faulty=record.faulty + 1)
        book.changes.faults[fact.worker] += 1
        book.note(task, at, "fined", "a wrong or unrevealed contribution: the stake is lost", worker=fact.worker)
        if is_unbearable(book, record):
            book.has_crew_changed = True
            record = replace(record, ban=f"{record.faulty} wrong or unrevealed contributions to this pool, the last to task {fact.task_id}")
    book.write_worker(worker, record)


def is_unbearable(book: Book, record: WorkerRecord) -> bool:
    """Tell whether a worker that still gets tasks has made one fault too many."""
    return record.faulty >= book.settings.faulty_max and not record.ban


def _open_task(book: Book, task: TaskId) -> TaskState | None:
    """Find a task that is this pool's and not at an end; what the chain says of it now is up to date if the book is live."""
    found = book.tasks.get(task)
    if found is None or found.record.phase in ENDS:
        return None
    found.is_certain = book.is_live
    return found


def _pass_through(book: Book, task: TaskState, at: Instant) -> None:
    """Bring a task that was finalised in one go, or against the pool's verdict, into the phase before completion."""
    if task.record.phase is Phase.NEW:
        book.move(task, Phase.RUNNING, at, "opened on the chain")
    if task.record.phase is Phase.RUNNING:
        book.move(task, Phase.REVEALING, at, "agreed")


def _cid_of(results: bytes) -> str:
    try:
        return decode_link(results)
    except InputError:
        return ""


def _end(book: Book, task: TaskState, at: Instant, reason: str) -> None:
    abort_pending(book, task, at, reason)
    for address in _informed(task.replicas.values()):
        tell_online(book, address, Release(task.record.task_id))
    book.drop_task(task)


def _informed(replicas: Iterable[ReplicaRecord]) -> list[Address]:
    """List the workers that still hold something of a task."""
    return [replica.worker for replica in replicas if replica.result_hash is not None]
