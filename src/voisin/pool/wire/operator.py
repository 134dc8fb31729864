"""What whoever runs a pool wants to know of one of its schedulers: the load, what is stuck and why, the money, its place among others."""

from __future__ import annotations

from collections import Counter

import msgspec

from voisin.pool.bags.book import BagBook
from voisin.pool.bags.service import BagService
from voisin.pool.bags.views import why_bag
from voisin.pool.heart.book import Book, TaskState
from voisin.pool.heart.facts import Instant
from voisin.pool.heart.records import Phase
from voisin.pool.running.metrics import Figures
from voisin.pool.running.service import PoolService
from voisin.pool.settings import PoolSettings
from voisin.pool.wire.words import open_task_view
from voisin.protocol.ids import Address, DealId, TaskId
from voisin.units import NRLC, UnixSeconds

MOST_STUCK = 20
"""Tasks that are named, those first that have not moved for the longest."""


class StuckTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task that has not moved for longer than it should take, since when [Unix s], and why."""

    task_id: TaskId
    deal_id: DealId
    index: int
    phase: str
    since: UnixSeconds
    why: str


class StuckBag(msgspec.Struct, frozen=True, kw_only=True):
    """A bag in which nothing has moved for longer than a task should take, since when [Unix s], how many tasks are left, and why."""

    deal_id: DealId
    left: int
    since: UnixSeconds
    why: str


class SchedulerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    How one scheduler of a pool is.

    Attributes:
        scheduler: Its name.
        url: Where it answers.
        workerpool: The pool.
        schedulers: Where all living schedulers of the pool answer.
        leads: Whether it keeps the offers and announces the pool.
        lease_left_s: How long it keeps its deals if it stops now [s].
        is_live: Whether it has caught up with the chain.
        is_draining: Whether the pool takes no new deals.
        is_drained: Whether it drains, and has nothing left to do here.
        deals: Deals that it works on.
        bags: Of these, those that are settled as a bag.
        tasks: Its open tasks by phase, without those of bags.
        bag_tasks: Tasks of its bags: waiting, computing, with a result, without one; until their bag is settled.
        stuck: Tasks that have not moved for longer than they should take.
        stuck_bags: Bags that have not.
        workers_online: Connected workers.
        slots: Their slots.
        busy: Their slots that work for this scheduler.
        offers: Its offers that stand in the market.
        free: Money of the pool in the hub that nothing locks [nRLC].
        locked: Money of the pool that open tasks lock [nRLC].
        earned: What the hub has paid the pool since this process started [nRLC].
        fees: What this process has paid for its transactions [wei].
        troubles: What stands in its way, in words.
    """

    scheduler: str
    url: str
    workerpool: Address
    schedulers: tuple[str, ...]
    leads: bool
    lease_left_s: float
    is_live: bool
    is_draining: bool
    is_drained: bool
    deals: int
    bags: int
    tasks: dict[str, int]
    stuck: tuple[StuckTask, ...]
    workers_online: int
    slots: int
    busy: int
    offers: int
    free: NRLC
    locked: NRLC
    earned: NRLC
    fees: str
    troubles: tuple[str, ...]
    bag_tasks: dict[str, int] = {}
    stuck_bags: tuple[StuckBag, ...] = ()


def status_of(service: PoolService) -> SchedulerStatus:
    """Tell how a scheduler is."""
    book, company, purse = service.machine.book, service.tenure.company, service.purse
    bags = service.bags.machine.book
    online = [worker for worker in book.present.values() if worker.is_online]
    offers = service.keeper.standing if service.keeper is not None else 0
    deals = len(service.tenure.lease.epochs)
    return SchedulerStatus(
        scheduler=service.settings.scheduler,
        url=service.tenure.url,
        workerpool=service.settings.workerpool,
        schedulers=tuple(peer.url for peer in company.peers if peer.url),
        leads=company.leads,
        lease_left_s=round(max(0.0, service.tenure.left_s), 3),
        is_live=service.condition.is_live,
        is_draining=company.is_draining,
        is_drained=company.is_draining and not deals and not offers,
        deals=deals,
        bags=len(bags.bags),
        tasks={phase.value: count for phase, count in phases(book).items() if count},
        stuck=tuple(stuck_tasks(book, service.clock.now())),
        workers_online=len(online),
        slots=sum(worker.slots for worker in online),
        busy=sum(min(worker.slots, len(worker.computing) + bags.held_by(worker.record.address)) for worker in online),
        offers=offers,
        free=purse.free,
        locked=purse.locked,
        earned=purse.earned,
        fees=str(service.ledger.fees_paid),
        troubles=tuple(service.troubles()),
        bag_tasks=bag_tasks(bags),
        stuck_bags=tuple(stuck_bags(service.bags, service.settings, service.clock.now())),
    )


def figures_of(service: PoolService) -> Figures:
    """Give the figures that are shown to Prometheus beside what the pool counts."""
    company, purse = service.tenure.company, service.purse
    return Figures(
        deals=len(service.tenure.lease.epochs),
        bags=len(service.bags.machine.book.bags),
        lease_left_s=max(0.0, service.tenure.left_s),
        schedulers=len(company.peers),
        states={
            "live": service.condition.is_live,
            "holds a lease": service.tenure.is_valid,
            "leads": company.leads,
            "draining": company.is_draining,
        },
        money={"free": purse.free, "locked": purse.locked, "earned": purse.earned},
        fees=service.ledger.fees_paid,
    )


def why_not_ready(service: PoolService) -> str:
    """Say why a scheduler can do nothing now; empty when it can."""
    if not service.condition.is_live:
        return "the scheduler is still reading the chain"
    if not service.tenure.is_valid:
        return "the scheduler's lease is over: the database does not answer, or the process stood still"
    return ""


def phases(book: Book) -> dict[Phase, int]:
    """Count open tasks by phase."""
    counts = dict.fromkeys(Phase, 0)
    for task in book.tasks.values():
        counts[task.record.phase] += 1
    return counts


def stuck_tasks(book: Book, at: Instant) -> list[StuckTask]:
    """List tasks that have not moved for longer than a run may take and be fetched, contributed and settled in."""
    late = [task for task in book.tasks.values() if at.wall - moved_at(task) > task.deal.allowance_s + book.settings.grace_s]
    return [
        StuckTask(
            task_id=task.record.task_id,
            deal_id=task.record.deal_id,
            index=task.record.index,
            phase=task.record.phase.value,
            since=UnixSeconds(moved_at(task)),
            why=open_task_view(book, task, at.chain).why,
        )
        for task in sorted(late, key=moved_at)[:MOST_STUCK]
    ]


def bag_tasks(bags: BagBook) -> dict[str, int]:
    """Count the tasks of running and posted bags by where they stand."""
    counts: Counter[str] = Counter()
    for bag in bags.bags.values():
        computing = sum(1 for task in bag.open.values() if task.holders)
        counts["waiting"] += bag.record.volume - bag.done - bag.undone - computing
        counts += Counter({"computing": computing, "with a result": bag.done, "without one": bag.undone})
    return {state: count for state, count in counts.items() if count}


def stuck_bags(bags: BagService, settings: PoolSettings, at: Instant) -> list[StuckBag]:
    """List bags that have tasks left and have not moved for longer than one may take and be fetched and shown in, the oldest first."""
    late = [
        bag
        for bag in bags.machine.book.bags.values()
        if not bag.is_all_ended and at.wall - bag.moved_at > bag.allowance_s + settings.grace_s
    ]
    return [
        StuckBag(
            deal_id=bag.deal_id,
            left=bag.record.volume - bag.done - bag.undone,
            since=UnixSeconds(int(bag.moved_at)),
            why=why_bag(bags, bag.record, bag.done + bag.undone),
        )
        for bag in sorted(late, key=lambda bag: bag.moved_at)[:MOST_STUCK]
    ]


def moved_at(task: TaskState) -> int:
    """Say when something last happened to a task [Unix s]."""
    return task.story[-1].moment.at if task.story else int(task.deal.record.deal.start_time)
