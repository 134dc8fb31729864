"""
Who gets which task: in the order of deals and indexes, to workers with a free slot, different ones for each task.

How many, `voisin.policy.more_replicas` says; which, the least busy first, then the one whose last turn is longest ago.
"""

from __future__ import annotations

from dataclasses import replace

from voisin.policy import more_replicas
from voisin.pool.book import Book, TaskState, WorkerState
from voisin.pool.facts import Instant
from voisin.pool.fitting import has_room, why_not
from voisin.pool.records import Outcome, ReplicaRecord
from voisin.protocol.ids import Address
from voisin.protocol.wire_words import EnclaveKind, ReplicaStage


def place_all(book: Book, at: Instant) -> None:
    """Give waiting tasks to free workers."""
    free = {address: worker for address, worker in book.present.items() if worker.is_free}
    if not free or not book.hungry:
        return
    for task_id in book.hungry.first(book.settings.lookahead):
        task = book.tasks[task_id]
        _place(book, task, free, at)
        if not free:
            return


def _place(book: Book, task: TaskState, free: dict[Address, WorkerState], at: Instant) -> None:
    """Give one task to as many free workers as it needs, and strike those out that are free no more."""
    able = _one_for_each_owner(book, [worker for worker in free.values() if _may_take(book, task, worker, at)])
    if not able:
        return
    count = more_replicas(task.deal.record.deal.trust, task.groups(), book.pending_weights(task), [worker.weight for worker in able])
    if task.is_doubted and not count:
        count = 1
    for worker in able[:count]:
        _assign(book, task, worker, at)
        if not worker.is_free:
            del free[worker.record.address]
    if count:
        book.feed(task)


def _one_for_each_owner(book: Book, workers: list[WorkerState]) -> list[WorkerState]:
    """Order workers by whose turn it is, and keep the first of each owner."""
    ordered = sorted(workers, key=lambda worker: (len(worker.computing) / worker.slots, worker.turn, worker.record.address))
    chosen: dict[Address, WorkerState] = {}
    for worker in ordered:
        chosen.setdefault(book.owner_of(worker.record.address), worker)
    return list(chosen.values())


def _may_take(book: Book, task: TaskState, worker: WorkerState, at: Instant) -> bool:
    """Tell whether a worker may be given a task: it has no part in it, or its last attempt ended without a contribution."""
    address = worker.record.address
    if task.record.enclave is not EnclaveKind.NONE and worker.record.enclave is not task.record.enclave:
        return False
    if why_not(task.deal, worker, at) or not has_room(book, task.deal, worker, at):
        return False
    own = task.replicas.get(address)
    if own is not None and not _may_retry(book, own, at):
        return False
    owner = book.owner_of(address)
    return not any(
        other.worker != address and book.owner_of(other.worker) == owner and (other.is_pending or other.result_hash is not None)
        for other in task.replicas.values()
    )


def _may_retry(book: Book, replica: ReplicaRecord, at: Instant) -> bool:
    is_over = replica.outcome in (Outcome.FAILED, Outcome.LOST, Outcome.ABORTED) and replica.result_hash is None
    is_allowed = not replica.is_barred and replica.attempts < book.settings.attempts_max
    return is_over and is_allowed and at.wall >= replica.not_before


def _assign(book: Book, task: TaskState, worker: WorkerState, at: Instant) -> None:
    address, task_id = worker.record.address, task.record.task_id
    known = task.replicas.get(address)
    due = at.wall + task.deal.allowance_s + book.settings.grace_s
    if known is None:
        replica = ReplicaRecord(task_id=task_id, worker=address, due_at=due)
    else:
        replica = replace(
            known, stage=ReplicaStage.ASSIGNED, outcome=Outcome.RUNNING, cause="", attempts=known.attempts + 1, due_at=due, not_before=0
        )
    task.is_doubted = False
    book.turns += 1
    worker.turn = book.turns
    book.write_replica(task, replica)
    book.note(task, at, "assigned", f"attempt {replica.attempts}" if replica.attempts > 1 else "", worker=address)
    book.wake(task, wall=due)
    book.out.append(task.assignment(address))
