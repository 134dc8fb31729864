"""
The hub's and the registries' events as values, and where on the chain each was logged.

Source: poco-protocol.md 18.
"""

from __future__ import annotations

from dataclasses import dataclass

from voisin.protocol.ids import Address, DealId, Hash32, OrderHash, TaskId
from voisin.protocol.orders import OrderKind
from voisin.units import NRLC


@dataclass(frozen=True, slots=True)
class OrdersMatched:
    """Orders became a deal of `volume` tasks; `dataset_hash` is zero without dataset."""

    deal_id: DealId
    app_hash: OrderHash
    dataset_hash: OrderHash
    workerpool_hash: OrderHash
    request_hash: OrderHash
    volume: int


@dataclass(frozen=True, slots=True)
class SchedulerNotice:
    """A workerpool has a new deal."""

    workerpool: Address
    deal_id: DealId


@dataclass(frozen=True, slots=True)
class DealSponsored:
    """Somebody other than the requester paid for a deal."""

    deal_id: DealId
    sponsor: Address


@dataclass(frozen=True, slots=True)
class OrderSigned:
    """An order was presigned on the chain."""

    kind: OrderKind
    order_hash: OrderHash


@dataclass(frozen=True, slots=True)
class OrderClosed:
    """An order was cancelled for good."""

    kind: OrderKind
    order_hash: OrderHash


@dataclass(frozen=True, slots=True)
class TaskInitialized:
    """A task of a workerpool's deal may be contributed to."""

    task_id: TaskId
    workerpool: Address


@dataclass(frozen=True, slots=True)
class TaskContributed:
    """A worker committed to a result."""

    task_id: TaskId
    worker: Address
    result_hash: Hash32


@dataclass(frozen=True, slots=True)
class ConsensusReached:
    """A task's contributions agree enough; its winners may reveal."""

    task_id: TaskId
    result_hash: Hash32


@dataclass(frozen=True, slots=True)
class TaskRevealed:
    """A worker showed the digest it had committed to."""

    task_id: TaskId
    worker: Address
    digest: Hash32


@dataclass(frozen=True, slots=True)
class TaskReopened:
    """Nobody revealed in time; the task takes contributions again."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class TaskFinalized:
    """A task is completed and paid; `results` says where the result lies."""

    task_id: TaskId
    results: bytes


@dataclass(frozen=True, slots=True)
class TaskClaimed:
    """A task failed at its deadline; the requester has the money back."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class CallbackFailed:
    """The deal's contract did not take the result of a completed task; anybody may retry. An event of our hub alone."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class CallbackRetried:
    """The deal's contract took, at a later time, the result that it had failed to take."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class AccurateContribution:
    """A worker's contribution was right; its score grew."""

    worker: Address
    task_id: TaskId


@dataclass(frozen=True, slots=True)
class FaultyContribution:
    """A worker's contribution was wrong or never revealed; its score fell."""

    worker: Address
    task_id: TaskId


@dataclass(frozen=True, slots=True)
class Transferred:
    """Money moved in a ledger [nRLC]: the hub's accounts, or the token itself."""

    sender: Address
    recipient: Address
    amount: NRLC


@dataclass(frozen=True, slots=True)
class Locked:
    """Money of an owner was locked by a deal or a task [nRLC]."""

    owner: Address
    amount: NRLC


@dataclass(frozen=True, slots=True)
class Unlocked:
    """Money of an owner became free again [nRLC]."""

    owner: Address
    amount: NRLC


@dataclass(frozen=True, slots=True)
class Rewarded:
    """An owner was paid for a task [nRLC]."""

    owner: Address
    amount: NRLC
    task_id: TaskId


@dataclass(frozen=True, slots=True)
class Seized:
    """Locked money was taken from an owner for a task [nRLC]: a payment, or a fine."""

    owner: Address
    amount: NRLC
    task_id: TaskId


@dataclass(frozen=True, slots=True)
class CategoryCreated:
    """The hub knows one more category."""

    category: int
    name: str
    description: str
    time_ref_s: int


@dataclass(frozen=True, slots=True)
class EntryTransferred:
    """An app, dataset or workerpool has a new owner; the first transfer, from the zero address, creates it."""

    sender: Address
    recipient: Address
    entry: Address


Event = (
    OrdersMatched | SchedulerNotice | DealSponsored | OrderSigned | OrderClosed | TaskInitialized | TaskContributed | ConsensusReached
    | TaskRevealed | TaskReopened | TaskFinalized | TaskClaimed | CallbackFailed | CallbackRetried | AccurateContribution
    | FaultyContribution | Transferred | Locked | Unlocked | Rewarded | Seized | CategoryCreated | EntryTransferred
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Logged:
    """An event with its place on the chain: (block, log_index) orders all events."""

    event: Event
    address: Address
    block: int
    log_index: int
    tx_hash: Hash32
