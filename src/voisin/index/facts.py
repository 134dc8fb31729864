"""
What must be known of the chain, beside its events, to record a stretch of it.

All of it is the same whenever it is asked: a transaction, a block's time, what a deal or an entry was made with. So records that
are made anew from the chain are the records that were made as it grew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from voisin.protocol.events import EntryTransferred, Logged, SchedulerNotice, TaskContributed, TaskFinalized, TaskInitialized
from voisin.protocol.ids import Address, DealId, Hash32, OrderHash, TaskId
from voisin.protocol.orders import Order
from voisin.protocol.records import AppInfo, Contribution, DatasetInfo, Deal, Task, WorkerpoolInfo
from voisin.units import UnixSeconds

Info = AppInfo | DatasetInfo | WorkerpoolInfo


@dataclass(frozen=True, slots=True)
class Places:
    """The contracts whose events are recorded; an event's meaning depends on which of them logged it."""

    hub: Address
    token: Address
    app_registry: Address
    dataset_registry: Address
    workerpool_registry: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionFacts:
    """
    A transaction; gas prices and values are in wei.

    Attributes:
        orders: The orders that it matched, by their hash, as far as its own input shows them.
    """

    sender: Address
    recipient: Address | None
    value: int
    gas_limit: int
    gas_used: int
    gas_price: int
    orders: dict[OrderHash, Order] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Questions:
    """What must be asked before a stretch can be recorded."""

    blocks: frozenset[int]
    transactions: frozenset[Hash32]
    deals: frozenset[DealId]
    tasks: frozenset[TaskId]
    contributions: frozenset[tuple[TaskId, Address]]
    entries: frozenset[tuple[Address, Address]]
    """Registry and entry."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The chain's answers."""

    times: dict[int, UnixSeconds] = field(default_factory=dict)
    transactions: dict[Hash32, TransactionFacts] = field(default_factory=dict)
    deals: dict[DealId, Deal] = field(default_factory=dict)
    tasks: dict[TaskId, Task] = field(default_factory=dict)
    contributions: dict[tuple[TaskId, Address], Contribution] = field(default_factory=dict)
    entries: dict[Address, Info] = field(default_factory=dict)


def questions(events: Iterable[Logged]) -> Questions:
    """List what a stretch's events make it necessary to ask."""
    blocks: set[int] = set()
    transactions: set[Hash32] = set()
    deals: set[DealId] = set()
    tasks: set[TaskId] = set()
    contributions: set[tuple[TaskId, Address]] = set()
    entries: set[tuple[Address, Address]] = set()
    for logged in events:
        blocks.add(logged.block)
        transactions.add(logged.tx_hash)
        match logged.event:
            # the hub keeps no record of deals without replication: only those that the scheduler is told of can be read
            case SchedulerNotice(_, deal_id):
                deals.add(deal_id)
            case TaskInitialized(task_id, _) | TaskFinalized(task_id, _):
                tasks.add(task_id)
            case TaskContributed(task_id, worker, _):
                contributions.add((task_id, worker))
            case EntryTransferred(_, _, entry):
                entries.add((logged.address, entry))
    return Questions(
        frozenset(blocks), frozenset(transactions), frozenset(deals), frozenset(tasks), frozenset(contributions), frozenset(entries)
    )
