"""
Who gets which task: in the order of deals and indexes, to workers with a free slot, different ones for each task.

How many, `voisin.policy.more_replicas` says; which may have it and which should, `voisin.policy.placement`.
The first worker of a task is one that the pool knows, if such a one is free, and so is every further one where results differ.
"""

from __future__ import annotations

from dataclasses import replace

from voisin.policy import more_replicas
from voisin.policy.placement import eagerness, straggles_after
from voisin.pool.heart.book import Book, TaskState, WorkerState
from voisin.pool.heart.facts import Instant
from voisin.pool.heart.fitting import has_room, machine_of, needs_of, steady, why_not
from voisin.pool.heart.records import Outcome, Phase, ReplicaRecord
from voisin.pool.heart.standing import known_first
from voisin.protocol.ids import Address
from voisin.protocol.introduction import suffices
from voisin.protocol.wire_words import ReplicaStage

STRAGGLES_AT_LEAST_S = 2.0
"""No task is copied that takes less, however quick the others were [s]."""


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


def copy_stragglers(book: Book, at: Instant) -> None:
    """Once nothing waits, give tasks that take much longer than others of their deal to one more worker, which verifies them, too."""
    free = {address: worker for address, worker in book.present.items() if worker.is_free}
    if not free or book.hungry:
        return
    for deal in book.deals.values():
        limit_s = straggles_after(deal.took_s)
        if limit_s is None or deal.fresh or deal.opening:
            continue
        for task in deal.tasks.values():
            if task.record.phase is Phase.RUNNING and not task.copies and _straggles(task, max(limit_s, STRAGGLES_AT_LEAST_S), at):
                _copy(book, task, free, at)


def _straggles(task: TaskState, limit_s: float, at: Instant) -> bool:
    pending = [replica.worker for replica in task.replicas.values() if replica.is_pending]
    return any(at.wall - task.assigned_at.get(worker, at.wall) > limit_s for worker in pending)


def _copy(book: Book, task: TaskState, free: dict[Address, WorkerState], at: Instant) -> None:
    able = _one_for_each_owner(book, task, [worker for worker in free.values() if _may_take(book, task, worker, at)], at)
    if able:
        task.copies += 1
        book.note(task, at, "takes long", "another worker gets a copy")
        _assign(book, task, able[0], at)
        if not able[0].is_free:
            del free[able[0].record.address]


def _place(book: Book, task: TaskState, free: dict[Address, WorkerState], at: Instant) -> None:
    """Give one task to as many free workers as it needs, and strike those out that are free no more."""
    able = steady(book, task.deal, [worker for worker in free.values() if _may_take(book, task, worker, at)], at)
    able = _one_for_each_owner(book, task, able, at)
    if not able:
        return
    able = _led_by_known(book, task, able)
    count = _count(book, task, able)
    if task.is_doubted and not count:
        count = 1
    for worker in able[:count]:
        _assign(book, task, worker, at)
        if not worker.is_free:
            del free[worker.record.address]
    if count:
        book.feed(task)


def _led_by_known(book: Book, task: TaskState, able: list[WorkerState]) -> list[WorkerState]:
    """Put a known worker first, so that new ones do not decide a task among themselves; all known ones first where results differ."""
    known = known_first(book.settings, able)
    if len(task.groups()) > 1:
        return known
    is_led = any(each.is_pending or each.is_counted for each in task.replicas.values())
    return able if is_led else [known[0], *(worker for worker in able if worker is not known[0])]


def _count(book: Book, task: TaskState, able: list[WorkerState]) -> int:
    weights = [worker.weight for worker in able]
    return more_replicas(task.deal.record.deal.trust, task.groups(), book.pending_weights(task), weights)


def _one_for_each_owner(book: Book, task: TaskState, workers: list[WorkerState], at: Instant) -> list[WorkerState]:
    """
    Order workers by how good they are for a task, and keep the first of each owner.

    The least busy first, then those that hold most of what the task needs, the fastest, the one whose last turn is longest ago.
    """
    needs = needs_of(task.deal)

    def rank(worker: WorkerState) -> tuple[float, int, float, int, Address]:
        load = len(worker.computing) / worker.slots
        return load, *eagerness(needs, machine_of(worker, at)), worker.turn, worker.record.address

    ordered = sorted(workers, key=rank)
    chosen: dict[Address, WorkerState] = {}
    for worker in ordered:
        chosen.setdefault(book.owner_of(worker.record.address), worker)
    return list(chosen.values())


def _may_take(book: Book, task: TaskState, worker: WorkerState, at: Instant) -> bool:
    """Tell whether a worker may be given a task: it has no part in it, or its last attempt ended without a contribution."""
    address = worker.record.address
    if not suffices(worker.record.enclave, task.record.enclave, task.deal.record.deal.tag):
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
    task.assigned_at[address] = at.wall
    book.turns += 1
    worker.turn = book.turns
    book.write_replica(task, replica)
    book.note(task, at, "assigned", f"attempt {replica.attempts}" if replica.attempts > 1 else "", worker=address)
    book.wake(task, wall=due)
    book.out.append(task.assignment(address))
