"""
How workers' facts change the book: who comes and goes, how far replicas are, what was uploaded, what failed.

The pool believes a worker about its own machine, and the chain about everything else.
"""

from __future__ import annotations

from dataclasses import replace

from voisin.errors import InputError
from voisin.pool.heart.book import Book, TaskState, WorkerState
from voisin.pool.heart.commands import CheckUpload, Drop, Retire, Tell
from voisin.pool.heart.course import fail
from voisin.pool.heart.facts import (
    Instant,
    ReplicaFailed,
    StageReached,
    TakesChanged,
    UploadChecked,
    UploadReported,
    WorkerHeard,
    WorkerJoined,
    WorkerLeft,
)
from voisin.pool.heart.fitting import needs_of
from voisin.pool.heart.records import Outcome, Phase, ReplicaRecord
from voisin.protocol.events import TaskRevealed
from voisin.protocol.ids import Address, Hash32, TaskId, from_hex, hash32_of
from voisin.protocol.introduction import suffices
from voisin.protocol.wire import Abort, Held, Release
from voisin.protocol.wire_words import EnclaveKind, MachineFailure, ReplicaStage
from voisin.units import UnixSeconds

STAGES = tuple(ReplicaStage)
FOR_GOOD = frozenset({MachineFailure.WRONG_HASH, MachineFailure.CHAIN_REFUSED, MachineFailure.NOT_WANTED})
"""Failures after which it is no use giving the same worker the same task again."""
BLAMELESS = frozenset({MachineFailure.SHUTTING_DOWN, MachineFailure.TASK_NOT_ACTIVE, MachineFailure.PAUSED, MachineFailure.NOT_WANTED})
"""Failures that say nothing about the task, and do not count against it."""


WORLDLY = frozenset({MachineFailure.CHAIN_UNREACHABLE, MachineFailure.STORAGE_UNREACHABLE, MachineFailure.VAULT_UNREACHABLE})
"""Failures of what all workers stand on: it may be back in a minute."""
FAULTS = frozenset({MachineFailure.WRONG_HASH, MachineFailure.APP_UNAVAILABLE, MachineFailure.INPUT_UNAVAILABLE})
"""Failures that other workers are likely to meet as well: something is wrong with the task itself."""
SHORT_BREAK_S = 60.0
"""A worker that was away for no longer counts as having been there all the time [s]."""


def worker_joined(book: Book, fact: WorkerJoined, at: Instant) -> None:
    """Take a worker in, and go on where it stopped: the chain and its disk say where that is."""
    worker = book.worker(fact.worker)
    if not worker.since or at.wall - worker.record.last_seen > SHORT_BREAK_S:
        worker.since = at.wall
    worker.is_online, worker.heard_at, worker.rejoin_by, worker.takes, worker.elsewhere = True, at.wall, 0, None, 0
    worker.resources = fact.resources
    worker.content = frozenset(fact.resources.content) if fact.resources is not None else worker.content
    book.has_crew_changed = True
    worker.stake = fact.stake
    book.present[fact.worker] = worker
    seen = UnixSeconds(int(at.wall))
    sold = book.settings.enclave
    enclave = fact.enclave if sold is not EnclaveKind.NONE and suffices(fact.enclave, sold) else EnclaveKind.NONE
    record = replace(worker.record, name=fact.name, slots=fact.slots, score=fact.score, last_seen=seen, enclave=enclave)
    book.write_worker(worker, record)
    held = {item.task_id: item for item in fact.holding}
    for task_id in sorted(worker.open):
        task = book.tasks[task_id]
        task.asked_reveal.discard(fact.worker)
        book.touch(task)
        if task_id not in held:
            lose(book, task, task.replicas[fact.worker], at, "the worker came back without it")
    for item in held.values():
        resume(book, worker, item, at)


def resume(book: Book, worker: WorkerState, held: Held, at: Instant) -> None:
    """Tell a worker what becomes of a replica that it still holds."""
    address, task = worker.record.address, book.tasks.get(held.task_id)
    if task is None:
        dismiss(book, address, held.task_id)
        return
    replica = task.replicas.get(address)
    if replica is not None and replica.result_hash is not None:
        return
    if replica is not None and replica.is_pending:
        _reassign(book, task, replace(replica, stage=_computed_at_most(held.stage)), at)
    elif _is_contributing(held.stage):
        book.note(task, at, "came back with a contribution that the chain does not show yet", worker=address)
    elif _may_take_back(book, worker, task):
        known = replica or ReplicaRecord(task_id=held.task_id, worker=address)
        due = at.wall + task.deal.allowance_s + book.settings.grace_s
        again = replace(known, stage=_computed_at_most(held.stage), outcome=Outcome.RUNNING, cause="", due_at=due)
        _reassign(book, task, again, at)
    else:
        book.out.append(Tell(address, Abort(held.task_id, "other workers do this task by now")))


def _reassign(book: Book, task: TaskState, replica: ReplicaRecord, at: Instant) -> None:
    book.write_replica(task, replica)
    book.feed(task)
    book.note(task, at, "came back with it", f"it was {replica.stage}", worker=replica.worker)
    book.out.append(task.assignment(replica.worker))


def _may_take_back(book: Book, worker: WorkerState, task: TaskState) -> bool:
    """Tell whether a worker may go on with a replica that was given up: it is wanted, and nobody of the same owner has one."""
    owner = book.owner_of(worker.record.address)
    others = [replica for replica in task.replicas.values() if replica.worker != worker.record.address]
    is_shared = any(book.owner_of(other.worker) == owner and (other.is_pending or other.result_hash is not None) for other in others)
    return not worker.record.ban and not is_shared and book.lacks_worker(task)


def _computed_at_most(stage: ReplicaStage) -> ReplicaStage:
    return ReplicaStage.COMPUTED if _is_contributing(stage) else stage


def _is_contributing(stage: ReplicaStage) -> bool:
    return STAGES.index(stage) > STAGES.index(ReplicaStage.COMPUTED)


def worker_left(book: Book, fact: WorkerLeft, at: Instant) -> None:
    """Let a worker go: what it had not contributed is lost, what it had stays."""
    worker = book.worker(fact.worker)
    if not worker.is_online and not worker.rejoin_by:
        return
    worker.is_online, worker.rejoin_by = False, 0
    book.has_crew_changed = True
    book.present.pop(fact.worker, None)
    book.write_worker(worker, replace(worker.record, last_seen=UnixSeconds(int(worker.heard_at or worker.record.last_seen))))
    for task_id in sorted(worker.open):
        task = book.tasks[task_id]
        lose(book, task, task.replicas[fact.worker], at, fact.why)
        if task.upload.uploader == fact.worker and not task.upload.checking:
            task.upload.release(at, fact.why)
        book.touch(task)


def lose(book: Book, task: TaskState, replica: ReplicaRecord, at: Instant, why: str) -> None:
    """Give a replica up that has not been contributed, without blame."""
    if replica.is_pending:
        book.write_replica(task, replace(replica, outcome=Outcome.LOST, cause=why))
        book.note(task, at, "lost", why, worker=replica.worker)


def dismiss(book: Book, worker: Address, task_id: TaskId) -> None:
    """Let a worker forget a task that is not worked on here: at once if it has just ended, else if nobody else works on it."""
    is_over = task_id in book.closed
    book.out.append(Tell(worker, Release(task_id)) if is_over else Retire(worker, task_id))


def worker_heard(book: Book, fact: WorkerHeard, at: Instant) -> None:
    """Note a sign of life."""
    worker = book.worker(fact.worker)
    worker.heard_at = at.wall
    if fact.elsewhere is not None:
        worker.elsewhere = fact.elsewhere


def takes_changed(book: Book, fact: TakesChanged, at: Instant) -> None:
    """Note what a worker's owner wants it to take."""
    worker_heard(book, WorkerHeard(fact.worker), at)
    book.worker(fact.worker).takes = fact.takes
    book.has_crew_changed = True


def silent_workers(book: Book, at: Instant) -> None:
    """Let the workers go that were not heard for too long, and those that did not come back after a restart of the pool."""
    for address, worker in list(book.present.items()):
        if worker.is_online and at.wall - worker.heard_at > book.settings.silence_s:
            why = f"not heard for {at.wall - worker.heard_at:.0f} s"
            book.out.append(Drop(address, why))
            worker_left(book, WorkerLeft(address, why), at)
        elif worker.rejoin_by and at.wall >= worker.rejoin_by:
            worker_left(book, WorkerLeft(address, "did not come back after a restart of the pool"), at)


def stage_reached(book: Book, fact: StageReached, at: Instant) -> None:
    """Note how far a replica is."""
    worker_heard(book, WorkerHeard(fact.worker), at)
    task = book.tasks.get(fact.task_id)
    replica = task.replicas.get(fact.worker) if task else None
    if task is None:
        dismiss(book, fact.worker, fact.task_id)
        return
    if replica is None:
        book.out.append(Tell(fact.worker, Release(fact.task_id)))
        return
    if replica.is_pending and not _is_contributing(fact.stage) and STAGES.index(fact.stage) > STAGES.index(replica.stage):
        book.write_replica(task, replace(replica, stage=fact.stage, exit_code=fact.exit_code))
        book.note(task, at, fact.stage, fact.detail[:500], worker=fact.worker)
        if fact.stage is ReplicaStage.COMPUTED:
            book.worker(fact.worker).content |= needs_of(task.deal).content


def upload_reported(book: Book, fact: UploadReported, at: Instant) -> None:
    """Have an upload of a winner looked at; the first good one counts."""
    worker_heard(book, WorkerHeard(fact.worker), at)
    task = book.tasks.get(fact.task_id)
    if task is None or task.record.phase is not Phase.REVEALING or task.record.cid or task.upload.checking:
        return
    if fact.worker not in {winner.worker for winner in task.winners()}:
        return
    if task.record.digest is None:
        task.upload.early[fact.worker] = fact
        return
    callback = fact.callback_data if task.deal.has_callback else "0x"
    if task.deal.has_callback and not _is_callback(callback, task.record.digest):
        problem = "the callback data are not those that were agreed"
        _upload_refused(book, task, UploadChecked(fact.worker, fact.task_id, fact.cid, callback, problem), at)
        return
    task.upload.checking = fact.cid
    check = CheckUpload(
        worker=fact.worker,
        task_id=fact.task_id,
        cid=fact.cid,
        callback_data=callback,
        digest=task.record.digest,
        has_callback=task.deal.has_callback,
        is_encrypted=task.deal.params.iexec_result_encryption,
    )
    book.out.append(check)


def upload_revealed(book: Book, fact: TaskRevealed, at: Instant) -> None:
    """Have an upload looked at that was told before the pool read of its worker's reveal."""
    task = book.tasks.get(fact.task_id)
    told = task.upload.early.pop(fact.worker, None) if task else None
    if told is not None:
        upload_reported(book, told, at)


def _is_callback(data: str, digest: Hash32) -> bool:
    try:
        return hash32_of(from_hex(data)) == digest
    except InputError:
        return False


def upload_checked(book: Book, fact: UploadChecked, at: Instant) -> None:
    """Take an upload, or ask the next worker."""
    task = book.tasks.get(fact.task_id)
    if task is None or task.record.phase is not Phase.REVEALING or task.record.cid:
        return
    task.upload.checking = ""
    replica = task.replicas.get(fact.worker)
    if fact.problem or replica is None:
        _upload_refused(book, task, fact, at)
        return
    if replica.is_revealed:
        book.write_replica(task, replace(replica, stage=ReplicaStage.UPLOADED))
    book.write_task(task, replace(task.record, cid=fact.cid, callback_data=fact.callback_data))
    book.note(task, at, "uploaded", fact.cid, worker=fact.worker)


def _upload_refused(book: Book, task: TaskState, fact: UploadChecked, at: Instant) -> None:
    if task.upload.uploader == fact.worker:
        task.upload.release(at, fact.problem)
    book.note(task, at, "its upload was refused", fact.problem, worker=fact.worker)
    book.touch(task)


def replica_failed(book: Book, fact: ReplicaFailed, at: Instant) -> None:
    """Take a replica back from a worker that cannot do it, or let another upload."""
    worker_heard(book, WorkerHeard(fact.worker), at)
    task = book.tasks.get(fact.task_id)
    replica = task.replicas.get(fact.worker) if task else None
    if task is None or replica is None:
        return
    cause = f"{fact.failure}: {fact.detail[:500]}" if fact.detail else str(fact.failure)
    if replica.is_pending:
        give_up(book, task, replica, at, cause, failure=fact.failure)
        return
    book.note(task, at, "failed after contributing", cause, worker=fact.worker)
    if task.upload.uploader == fact.worker:
        task.upload.release(at, cause)
        book.touch(task)


def give_up(book: Book, task: TaskState, replica: ReplicaRecord, at: Instant, cause: str, *, failure: MachineFailure | None) -> None:
    """
    End a worker's attempt that failed; the task goes to another worker, until too many attempts failed.

    Args:
        book: The book.
        task: The task.
        replica: The worker's replica, not contributed.
        at: Now.
        cause: Why, for a person.
        failure: What the worker reported; None when it stalled.
    """
    pause = book.settings.retry_pause_s * 2 ** (replica.attempts - 1)
    failed = replace(replica, outcome=Outcome.FAILED, cause=cause, not_before=at.wall + pause, is_barred=failure in FOR_GOOD)
    book.write_replica(task, failed)
    book.note(task, at, "failed", cause, worker=replica.worker)
    if failure in FAULTS:
        task.faults.add(replica.worker)
    book.suspects[task.record.task_id] = None
    book.troubled.add(task.record.task_id)
    if failure in BLAMELESS:
        return
    book.write_task(task, replace(task.record, failures=task.record.failures + 1))
    if task.record.failures >= book.settings.failures_max and task.record.phase is Phase.RUNNING:
        fail(book, task, at, f"{task.record.failures} attempts failed, the last with {cause}")
