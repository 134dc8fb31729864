"""
What a stretch of the chain means for the market: which questions its events raise, and what the answers change.

Events say that something changed; how it stands now is asked, so the same stretch may be worked through twice, and an
answer that is newer than the stretch does no harm. Only the order of the events decides the status of a task.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from voisin.market.machine import Closed, Consumed, Fact
from voisin.protocol.api import CategoryEntry, DealEntry, TaskEntry
from voisin.protocol.codec import storable
from voisin.protocol.events import (
    CategoryCreated,
    ConsensusReached,
    EntryTransferred,
    Locked,
    Logged,
    OrderClosed,
    OrdersMatched,
    SchedulerNotice,
    Seized,
    TaskClaimed,
    TaskFinalized,
    TaskInitialized,
    TaskReopened,
    Transferred,
    Unlocked,
)
from voisin.protocol.ids import ZERO_ADDRESS, ZERO_HASH, Address, DealId, Hash32, OrderHash, TaskId, to_hex
from voisin.protocol.records import Deal, Task, TaskStatus
from voisin.units import NRLC, UnixSeconds


@dataclass(frozen=True, slots=True)
class Questions:
    """What must be asked of the chain before a stretch can be recorded."""

    orders: frozenset[OrderHash]
    entries: frozenset[Address]
    accounts: frozenset[Address]
    deals: frozenset[DealId]
    tasks: frozenset[TaskId]
    blocks: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Answers:
    """The chain's answers: consumed volumes [tasks], owners of entries, free money [nRLC], deals, tasks, times of blocks [Unix s]."""

    consumed: dict[OrderHash, int] = field(default_factory=dict)
    owners: dict[Address, Address] = field(default_factory=dict)
    stakes: dict[Address, NRLC] = field(default_factory=dict)
    deals: dict[DealId, Deal] = field(default_factory=dict)
    tasks: dict[TaskId, Task] = field(default_factory=dict)
    times: dict[int, UnixSeconds] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskChange:
    """A task goes on: its new status, and what is newly known of its consensus and results (None: as before)."""

    task_id: TaskId
    status: TaskStatus
    consensus: Hash32 | None = None
    results: str | None = None


TaskStep = TaskEntry | TaskChange
"""A task begins, or goes on."""


def questions(events: Iterable[Logged], hub: Address) -> Questions:
    """
    List what a stretch's events make it necessary to ask.

    Args:
        events: The events, in order.
        hub: The hub; transfers in other ledgers, such as the token's own, move no stake.
    """
    orders: set[OrderHash] = set()
    entries: set[Address] = set()
    accounts: set[Address] = set()
    deals: set[DealId] = set()
    tasks: set[TaskId] = set()
    blocks: set[int] = set()
    for logged in events:
        match logged.event:
            case OrdersMatched() as matched:
                orders.update(_orders_of(matched))
            # deals without a record of their replication use orders up too, but the hub keeps no deal of theirs to read
            case SchedulerNotice(_, deal_id):
                deals.add(deal_id)
            case OrderClosed(_, order_hash):
                orders.add(order_hash)
            case EntryTransferred(_, _, entry):
                entries.add(entry)
            case Transferred(sender, recipient, _) if logged.address == hub:
                accounts.update((sender, recipient))
            case Locked(owner, _) | Unlocked(owner, _) | Seized(owner, _, _):
                accounts.add(owner)
            case TaskInitialized(task_id, _):
                tasks.add(task_id)
            case CategoryCreated():
                blocks.add(logged.block)
    accounts -= {ZERO_ADDRESS, hub}
    return Questions(frozenset(orders), frozenset(entries), frozenset(accounts), frozenset(deals), frozenset(tasks), frozenset(blocks))


def order_facts(events: Iterable[Logged], answers: Answers) -> dict[OrderHash, list[Fact]]:
    """List what a stretch reveals about orders, by hash."""
    facts: dict[OrderHash, list[Fact]] = {order_hash: [Consumed(volume)] for order_hash, volume in answers.consumed.items()}
    for logged in events:
        if isinstance(logged.event, OrderClosed):
            facts.setdefault(logged.event.order_hash, []).append(Closed())
    return facts


def new_deals(events: Iterable[Logged], deals: Mapping[DealId, Deal]) -> list[tuple[DealEntry, int]]:
    """List a stretch's new deals that the hub knows, each with the place of its event in the block's log."""
    return [
        (_deal_entry(logged.event, deals[logged.event.deal_id], logged), logged.log_index)
        for logged in events
        if isinstance(logged.event, OrdersMatched) and logged.event.deal_id in deals
    ]


def new_categories(events: Iterable[Logged], times: Mapping[int, UnixSeconds]) -> list[CategoryEntry]:
    """List a stretch's new categories; `times` are those of their blocks [Unix s]."""
    return [
        CategoryEntry(
            number=logged.event.category,
            name=storable(logged.event.name),
            description=storable(logged.event.description),
            time_ref_s=logged.event.time_ref_s,
            at=times[logged.block],
            block=logged.block,
            tx_hash=logged.tx_hash,
        )
        for logged in events
        if isinstance(logged.event, CategoryCreated)
    ]


def task_steps(events: Iterable[Logged], tasks: Mapping[TaskId, Task]) -> list[TaskStep]:
    """List what happens to tasks in a stretch, in order."""
    steps: list[TaskStep] = []
    for logged in events:
        match logged.event:
            case TaskInitialized(task_id, _):
                task = tasks[task_id]
                steps.append(TaskEntry(task_id=task_id, deal_id=task.deal_id, index=task.index, status=TaskStatus.ACTIVE))
            case ConsensusReached(task_id, result_hash):
                steps.append(TaskChange(task_id, TaskStatus.REVEALING, consensus=result_hash))
            case TaskReopened(task_id):
                steps.append(TaskChange(task_id, TaskStatus.ACTIVE, consensus=ZERO_HASH))
            case TaskFinalized(task_id, results):
                steps.append(TaskChange(task_id, TaskStatus.COMPLETED, results=to_hex(results)))
            case TaskClaimed(task_id):
                steps.append(TaskChange(task_id, TaskStatus.FAILED))
    return steps


def _orders_of(matched: OrdersMatched) -> set[OrderHash]:
    return {matched.app_hash, matched.dataset_hash, matched.workerpool_hash, matched.request_hash} - {OrderHash(ZERO_HASH)}


def _deal_entry(matched: OrdersMatched, deal: Deal, logged: Logged) -> DealEntry:
    return DealEntry(
        deal_id=matched.deal_id,
        app=deal.app.pointer,
        dataset=deal.dataset.pointer,
        workerpool=deal.workerpool.pointer,
        app_owner=deal.app.owner,
        dataset_owner=deal.dataset.owner,
        workerpool_owner=deal.workerpool.owner,
        requester=deal.requester,
        beneficiary=deal.beneficiary,
        callback=deal.callback,
        params=storable(deal.params),
        app_price=deal.app.price,
        dataset_price=deal.dataset.price,
        workerpool_price=deal.workerpool.price,
        app_order=matched.app_hash,
        dataset_order=matched.dataset_hash,
        workerpool_order=matched.workerpool_hash,
        request_order=matched.request_hash,
        category=deal.category,
        trust=deal.trust,
        tag=deal.tag,
        first_index=deal.bot_first,
        volume=matched.volume,
        worker_stake=deal.worker_stake,
        scheduler_reward_ratio=deal.scheduler_reward_ratio,
        start=deal.start_time,
        block=logged.block,
        tx_hash=logged.tx_hash,
    )
