"""
What a pool says about itself, its workers and its tasks, in words a person understands.

`why` of a task answers, at every phase, the question "why is it not done yet, and what would help?".
"""

from __future__ import annotations

from collections.abc import Iterable

from voisin.pool.heart.book import Book, TaskState, WorkerState
from voisin.pool.heart.records import ENDS, Outcome, Phase, ReplicaRecord, StoryLine, TaskFile, TaskRecord
from voisin.pool.heart.refunds import may_give_back
from voisin.protocol.api import Moment, PoolTaskView, ReplicaView, WorkerView
from voisin.protocol.ids import Address
from voisin.protocol.introduction import suffices
from voisin.protocol.trust import LOWEST_WEIGHT, group_weight, is_agreed
from voisin.units import UnixSeconds


class PoolWorkerView(WorkerView, frozen=True, kw_only=True):
    """
    A worker as its own pool tells of it.

    Attributes:
        faulty: Wrong or unrevealed contributions to this pool.
        note: Why it gets no tasks, or what will stop it; empty when all is well.
    """

    faulty: int = 0
    note: str = ""


def open_task_view(book: Book, task: TaskState, now_chain: int) -> PoolTaskView:
    """Describe a task that is not at an end."""
    return _view(book, task.record, task.replicas.values(), task.story, why=why_open(book, task, now_chain))


def closed_task_view(book: Book, file: TaskFile) -> PoolTaskView:
    """Describe a task that is at an end."""
    return _view(book, file.task, file.replicas, file.story, why=why_closed(file.task, file.replicas))


def saved_task_view(book: Book, file: TaskFile) -> PoolTaskView:
    """Describe a task that is written down: at an end, or another scheduler's."""
    if file.task.phase in ENDS:
        return closed_task_view(book, file)
    why = file.task.reason or "another scheduler of the pool works on it, or takes it over in a moment"
    return _view(book, file.task, file.replicas, file.story, why=why)


def worker_view(book: Book, address: Address, note: str) -> PoolWorkerView:
    """Describe a worker; `note` is what was seen of its account when it joined."""
    worker = book.workers[address]
    record = worker.record
    return PoolWorkerView(
        worker=address,
        name=record.name,
        online=worker.is_online,
        slots=record.slots,
        busy=len(worker.computing),
        score=record.score,
        last_seen=UnixSeconds(int(worker.heard_at)) if worker.is_online else record.last_seen,
        enclave=record.enclave,
        faulty=record.faulty,
        note=_note(worker, note),
    )


def _note(worker: WorkerState, note: str) -> str:
    if worker.record.ban:
        return f"gets no more tasks: {worker.record.ban}"
    why = worker.takes.why if worker.is_online and worker.takes is not None else ""
    return "; ".join(words for words in (f"takes nothing for now: {why}" if why else "", note) if words)


def why_closed(task: TaskRecord, replicas: Iterable[ReplicaRecord]) -> str:
    """Say how a task ended."""
    if task.phase is Phase.CLAIMED:
        return f"the requester has the money back: {task.reason}"
    proved = sum(1 for replica in replicas if replica.outcome is Outcome.PROVED)
    faulty = sum(1 for replica in replicas if replica.outcome is Outcome.FAULTY)
    fined = f", {_count(faulty, 'worker')} fined" if faulty else ""
    return f"completed: {_count(proved, 'worker')} agreed and {'was' if proved == 1 else 'were'} paid{fined}"


def why_open(book: Book, task: TaskState, now_chain: int) -> str:
    """Say why a task stands where it stands."""
    match task.record.phase:
        case Phase.NEW:
            return _why_new(book, task)
        case Phase.RUNNING:
            return _why_running(book, task)
        case Phase.REVEALING:
            return _why_revealing(book, task, now_chain)
    left = task.deal.final_deadline - now_chain
    if left > 0 and may_give_back(book, task):
        refused = f"; the hub refused it: {task.step.reason}" if task.step and task.step.reason else ""
        return f"{task.record.reason}; it is being given back, so that the requester is refunded{refused}"
    when = f"in {_duration(left)}" if left > 0 else "now, as soon as the claim is on the chain"
    return f"{task.record.reason}; the requester is refunded {when}"


def _why_new(book: Book, task: TaskState) -> str:
    if not book.is_live:
        return "the pool is still reading the chain"
    if task.deal.opening_step.reason and task.deal.opening_step.retry_at:
        return f"it could not be opened on the chain yet: {task.deal.opening_step.reason}"
    if task.record.index in task.deal.opening:
        return "it is being opened on the chain"
    return f"waits its turn: {_count(len(book.hungry), 'task')} before it {'waits' if len(book.hungry) == 1 else 'wait'} for a worker"


def _why_running(book: Book, task: TaskState) -> str:
    if task.lacks_challenge:
        reason = f" ({task.challenge_trouble})" if task.challenge_trouble else ""
        return f"waits for the vault to make the key of its {task.record.enclave} enclave{reason}"
    pending = [replica for replica in task.replicas.values() if replica.is_pending]
    groups = task.groups()
    counted = sum(len(group) for group in groups.values())
    state = f"{_count(counted, 'worker')} contributed" if counted else ""
    if len(groups) > 1:
        state += f" {len(groups)} different results"
    if pending:
        names = ", ".join(f"{_name(book, replica.worker)} ({replica.stage})" for replica in pending[:5])
        state = f"{state + ', ' if state else ''}{_count(len(pending), 'worker')} at work: {names}"
    if not book.needs_worker(task):
        return state or "waits for a worker"
    return f"{state + '; ' if state else ''}{_why_hungry(book, task, counted + len(pending))}"


def _why_hungry(book: Book, task: TaskState, taken: int) -> str:
    """Say what is missing for a task that needs a worker."""
    wanted_enclave = task.record.enclave
    here = [worker for worker in book.present.values() if worker.is_online and not worker.record.ban]
    online = [worker for worker in here if suffices(worker.record.enclave, wanted_enclave, task.deal.record.deal.tag)]
    rank = _ORDINALS[taken] if taken < len(_ORDINALS) else "further"
    if here and not online:
        return f"waits for a {rank} worker: none that is connected has a {wanted_enclave} enclave (`voisin worker join --enclave`)"
    if not online:
        return f"waits for a {rank} worker: none is connected (`voisin worker join` adds one)"
    others = [worker for worker in online if worker.record.address not in task.replicas]
    wanted = _workers_for(task)
    if not others:
        if taken == len(online):
            return f"waits for a {rank} worker: {taken} of {wanted} connected"
        causes = [replica.cause for replica in task.replicas.values() if replica.cause]
        last = f", the last with {causes[-1]}" if causes else ""
        tried = "the only one that is connected has tried" if len(online) == 1 else f"all {len(online)} that are connected have tried"
        return f"waits for a {rank} worker: {tried}{last}"
    if all(not worker.is_free for worker in others):
        return f"waits for a {rank} worker: {_count(len(others), 'other')} connected, all busy"
    return f"waits for a {rank} worker: it is being chosen"


def _workers_for(task: TaskState) -> int:
    """Count the workers of lowest weight that must agree for a task's trust, against those that gave other results."""
    totals = sorted((group_weight(group) for group in task.groups().values()), reverse=True)
    others, count = sum(totals[1:]), 1
    while not is_agreed(LOWEST_WEIGHT**count, others, task.deal.record.deal.trust):
        count += 1
    return count


def _why_revealing(book: Book, task: TaskState, now_chain: int) -> str:
    winners = task.winners()
    revealed = sum(1 for winner in winners if winner.is_revealed)
    agreed = f"agreed by {_count(len(winners), 'worker')}"
    waiting = [_name(book, winner.worker) for winner in winners if not winner.is_revealed]
    upload = _upload_state(book, task)
    if revealed < len(winners):
        left = task.record.reveal_deadline - now_chain
        until = f", {_duration(left)} left" if task.record.reveal_deadline and left > 0 else ""
        progress = f"waits for reveals: {revealed} of {len(winners)} revealed, {', '.join(waiting[:5])} not yet{until}"
        return f"{agreed}, {progress}" + (f"; {upload}" if revealed and not task.record.cid else "")
    if not task.record.cid:
        return f"{agreed} and revealed; {upload}"
    reason = f": {task.step.reason}" if task.step and task.step.reason else ""
    return f"{agreed}, revealed and uploaded; {'could not be finalised yet' + reason if reason else 'is being finalised'}"


def _upload_state(book: Book, task: TaskState) -> str:
    upload = task.upload
    if upload.checking:
        return "the upload is being looked at"
    problem = f" (before: {upload.problem})" if upload.problem else ""
    if upload.uploader is not None:
        return f"waits for {_name(book, upload.uploader)} to upload the result{problem}"
    return f"waits for a worker that revealed to come back and upload the result{problem}"


def _view(book: Book, task: TaskRecord, replicas: Iterable[ReplicaRecord], story: Iterable[StoryLine], *, why: str) -> PoolTaskView:
    lines = list(story)
    by_worker: dict[str, list[Moment]] = {}
    for line in lines:
        by_worker.setdefault(line.worker, []).append(line.moment)
    views = [
        ReplicaView(
            worker=replica.worker,
            worker_name=_name(book, replica.worker),
            stage=replica.stage,
            outcome=replica.outcome.value,
            cause=replica.cause,
            story=tuple(by_worker.get(replica.worker, ())),
        )
        for replica in replicas
    ]
    return PoolTaskView(
        task_id=task.task_id,
        deal_id=task.deal_id,
        index=task.index,
        phase=task.phase.value,
        why=why,
        result=task.cid,
        enclave=task.enclave,
        replicas=tuple(views),
        story=tuple(by_worker.get("", ())),
    )


def _name(book: Book, address: Address) -> str:
    known = book.workers.get(address)
    return known.record.name if known and known.record.name else address


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
