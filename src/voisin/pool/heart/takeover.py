"""
How deals and news of workers come from another scheduler of the pool, or from a former life of this one, and how deals go.

What was written down is believed, and what the chain told since is told after it. Who assigns last before it dies may not have written
it down: the workers that are here are asked what they hold before anybody else is given a task of such a deal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from voisin.pool.heart.book import Book, DealState, TaskState
from voisin.pool.heart.commands import Tell
from voisin.pool.heart.course import is_unbearable, make_tasks, params_of
from voisin.pool.heart.crew import lose, resume
from voisin.pool.heart.facts import DealsLost, DealsTaken, HoldingTold, Instant, WorkersCaught
from voisin.pool.heart.records import DealRecord, Phase, TaskFile
from voisin.protocol.ids import Address
from voisin.protocol.wire import AskHolding

SETTLE_S = 2.0
"""How long workers may take to say what they hold [s]."""


def deals_taken(book: Book, fact: DealsTaken, at: Instant) -> None:
    """Go on with deals."""
    book.lose_deals([taken.deal.deal_id for taken in fact.deals])
    online = [address for address, worker in book.present.items() if worker.is_online]
    for taken in fact.deals:
        deal = restore_deal(book, taken.deal, taken.tasks)
        make_tasks(book, deal, at, [index for index in taken.deal.indexes if index not in deal.tasks and index not in taken.ended])
        if not deal.tasks:
            book.lose_deals([taken.deal.deal_id])
            book.changes.over.add(taken.deal.deal_id)
        deal.unsettled, deal.settle_by = set(online), at.wall + SETTLE_S
        if online and deal.tasks:
            book.unsettled[taken.deal.deal_id] = deal
        for task in deal.tasks.values() if book.is_live else ():
            book.note(task, at, "taken over", "by another scheduler of the pool")
            book.touch(task)
    if book.unsettled:
        book.out += [Tell(address, AskHolding()) for address in online]
    await_workers(book, at)


def workers_caught(book: Book, fact: WorkersCaught) -> None:
    """Learn of what other schedulers have seen workers do; faults that each of them found few may be too many together."""
    for told in fact.workers:
        is_new = told.address not in book.workers
        worker = book.worker(told.address)
        own = told if is_new else worker.record
        record = replace(own, faulty=max(own.faulty, told.faulty), ban=own.ban or told.ban)
        if is_unbearable(book, record):
            record = replace(record, ban=f"{record.faulty} wrong or unrevealed contributions to this pool, seen by several schedulers")
            book.write_worker(worker, record)
        book.has_crew_changed |= bool(record.ban and not own.ban)
        worker.record = record


def restore_deal(book: Book, record: DealRecord, files: Iterable[TaskFile]) -> DealState:
    """Take a deal in, with the tasks that were written down."""
    deal = DealState(record, params_of(record))
    book.deals[record.deal_id] = book.unopened[record.deal_id] = deal
    book.unjudged[record.deal_id] = None
    for file in sorted(files, key=lambda file: file.task.index):
        _restore_task(book, deal, file)
    return deal


def _restore_task(book: Book, deal: DealState, file: TaskFile) -> None:
    replicas = {replica.worker: replica for replica in file.replicas}
    task = TaskState(file.task, deal, replicas, list(file.story))
    book.add_task(task)
    if file.task.phase is Phase.NEW:
        deal.fresh.append(file.task.index)


def await_workers(book: Book, at: Instant) -> None:
    """Give the workers of restored replicas a moment to come."""
    for address, worker in book.workers.items():
        if worker.open and not worker.is_online:
            worker.rejoin_by = at.wall + book.settings.reconnect_s
            book.present[address] = worker


def deals_lost(book: Book, fact: DealsLost) -> None:
    """Let deals go: another scheduler has them."""
    book.lose_deals(fact.deals)


def holding_told(book: Book, fact: HoldingTold, at: Instant) -> None:
    """Compare what a worker holds with what was written down of deals that were taken over."""
    worker = book.worker(fact.worker)
    worker.heard_at = at.wall
    held = {item.task_id: item for item in fact.holding}
    for task_id in sorted(worker.open):
        task = book.tasks[task_id]
        if fact.worker in task.deal.unsettled and task_id not in held:
            lose(book, task, task.replicas[fact.worker], at, "the worker does not hold it")
    for item in held.values():
        held_task = book.tasks.get(item.task_id)
        if held_task is not None and fact.worker in held_task.deal.unsettled:
            resume(book, worker, item, at)
    settle(book, fact.worker)


def settle(book: Book, worker: Address) -> None:
    """Wait for a worker's word no more."""
    for deal in list(book.unsettled.values()):
        deal.unsettled.discard(worker)
        if not deal.unsettled:
            _settled(book, deal)


def settle_late(book: Book, at: Instant) -> None:
    """Wait no more for workers that do not say what they hold."""
    for deal in list(book.unsettled.values()):
        if at.wall >= deal.settle_by:
            deal.unsettled.clear()
            _settled(book, deal)


def _settled(book: Book, deal: DealState) -> None:
    del book.unsettled[deal.record.deal_id]
    for task in deal.tasks.values():
        book.touch(task)
