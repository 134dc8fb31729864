"""
Knowing when to give up: deals that no known worker could do, tasks that all who could have tried.

It costs the pool nothing to give such a task back at once, and the requester nothing to ask elsewhere; later it costs both. Where the
hub does not let tasks be given back, they wait for a worker until their deadline, as ever.
"""

from __future__ import annotations

from collections import Counter

from voisin.policy import reachable_trust
from voisin.pool.heart.book import Book, DealState, Despair, TaskState, WorkerState
from voisin.pool.heart.course import fail
from voisin.pool.heart.facts import Instant
from voisin.pool.heart.fitting import why_not
from voisin.pool.heart.records import Outcome, Phase, ReplicaRecord
from voisin.protocol.ids import Address

REVIEW_S = 5.0
"""How often all deals are looked at again, though nobody came or went [s]."""
FAULTS_ENOUGH = 3
"""Workers that found the same fault in a task, after which no other is asked."""


def give_up_hopeless(book: Book, at: Instant) -> None:
    """Give up what nobody can do, once it has waited a moment for somebody who could."""
    if not book.gives_back:
        return
    if book.has_crew_changed or at.wall >= book.review_at:
        book.has_crew_changed, book.review_at = False, at.wall + REVIEW_S
        book.unjudged.update(dict.fromkeys(book.deals))
        book.suspects.update(dict.fromkeys(book.troubled))
    known = _known(book, at) if book.unjudged or book.suspects else []
    while book.unjudged:
        deal = book.deals.get(book.unjudged.popitem()[0])
        if deal is not None:
            _judge(book, deal, known, at)
    while book.suspects:
        task = book.tasks.get(book.suspects.popitem()[0])
        if task is not None and task.record.phase is Phase.RUNNING:
            _judge_task(book, task, known, at)
    for deal_id, despair in list(book.hopeless.items()):
        if at.wall >= despair.until and (deal := book.deals.get(deal_id)) is not None:
            for task in _waiting(deal):
                fail(book, task, at, despair.reason)


def _known(book: Book, at: Instant) -> list[WorkerState]:
    """List the workers that are here, or may come back soon."""
    return [
        worker
        for worker in book.workers.values()
        if not worker.record.ban and worker.record.slots
        if worker.is_online or worker.rejoin_by or at.wall - worker.record.last_seen <= book.settings.known_s
    ]


def _judge(book: Book, deal: DealState, known: list[WorkerState], at: Instant) -> None:
    reason, is_unfit = _nobody(book, deal, known, at)
    before = book.hopeless.pop(deal.record.deal_id, None)
    if reason:
        since = before.since if before else at.wall
        patience_s = book.settings.unfit_s if is_unfit else book.settings.known_s
        book.hopeless[deal.record.deal_id] = Despair(reason, since, since + patience_s, is_unfit)


def _nobody(book: Book, deal: DealState, known: list[WorkerState], at: Instant) -> tuple[str, bool]:
    """Say why nobody can do a deal, and whether that is because none of them fits; empty when somebody can."""
    if not known:
        return f"no worker has been connected for {book.settings.known_s:.0f} s", False
    trust, weights, reached, lacks = deal.record.deal.trust, dict[Address, int](), 0, list[str]()
    for worker in known:
        if lack := why_not(deal, worker, at):
            lacks.append(lack)
            continue
        owner = book.owner_of(worker.record.address)
        weights[owner] = max(weights.get(owner, 0), worker.weight)
        reached = reachable_trust(list(weights.values()))
        if reached >= trust:
            return "", False
    if not weights:
        return f"{_none_of(known)}: {Counter(lacks).most_common(1)[0][0]}", True
    return f"its trust of {trust} needs more workers: those that could do it reach {reached} together", False


def _judge_task(book: Book, task: TaskState, known: list[WorkerState], at: Instant) -> None:
    """Give a task up that everybody who could do it has tried, or in which enough of them found the same fault."""
    if any(replica.is_pending or replica.result_hash is not None for replica in task.replicas.values()):
        return
    able = [worker for worker in known if not why_not(task.deal, worker, at)]
    if len(task.faults) < FAULTS_ENOUGH and any(not _has_tried(book, task, worker) for worker in able):
        return
    causes = [replica.cause for replica in task.replicas.values() if replica.cause]
    if causes and able:
        who = "the only worker that could do it has tried" if len(able) == 1 else f"{len(causes)} workers have tried"
        fail(book, task, at, f"{who}, the last with {causes[-1]}")


def _has_tried(book: Book, task: TaskState, worker: WorkerState) -> bool:
    """Tell whether a worker has no further attempt at a task."""
    own = task.replicas.get(worker.record.address)
    if own is None or own.outcome is not Outcome.FAILED:
        return False
    return own.is_barred or own.worker in task.faults or own.attempts >= book.settings.attempts_max


def _waiting(deal: DealState) -> list[TaskState]:
    """List the tasks of a deal in which nobody has a part."""
    return [
        task
        for task in deal.tasks.values()
        if task.record.phase in (Phase.NEW, Phase.RUNNING) and not any(_takes_part(replica) for replica in task.replicas.values())
    ]


def _none_of(known: list[WorkerState]) -> str:
    return "the only known worker cannot do it" if len(known) == 1 else f"none of {len(known)} known workers can do it"


def _takes_part(replica: ReplicaRecord) -> bool:
    return replica.is_pending or replica.result_hash is not None
