"""
The hub's and the registries' events as values, and where on the chain each was logged.

Source: poco-protocol.md 18.
"""

from __future__ import annotations

from dataclasses import dataclass

from voisin.protocol.ids import Address, DealId, Hash32, OrderHash, TaskId
from voisin.protocol.orders import OrderKind
from voisin.units import NRLC, UnixSeconds


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
class TasksGivenBack:
    """A scheduler gave tasks of a deal back, at a cost of its stake [nRLC]; each has its own `TaskClaimed`."""

    deal_id: DealId
    count: int
    cost: NRLC


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


@dataclass(frozen=True, slots=True)
class BagPosted:
    """
    A scheduler said how all tasks of a deal ended; also when it gives the deal back.

    Attributes:
        deal_id: The deal.
        root: Root of the tree of leaves; zero for a deal that is given back.
        leaves: SHA-256 of the file of leaves; zero likewise.
        done: Number of tasks that have a result.
        deadline: From when it may be settled [Unix s].
        payouts: The list of payouts.

    This and all that follow of bags are events of our hub alone (contracts/SPEC.md 18).
    """

    deal_id: DealId
    root: Hash32
    leaves: Hash32
    done: int
    deadline: UnixSeconds
    payouts: bytes


@dataclass(frozen=True, slots=True)
class BagSettled:
    """Everybody of a bag was paid, or the stake of a deal that was given back is free."""

    deal_id: DealId
    done: int


@dataclass(frozen=True, slots=True)
class BagSlashed:
    """A bag was proven wrong: its payer has the money back, and who proved it a reward [nRLC]; `fraud` is one of `Fraud`."""

    deal_id: DealId
    challenger: Address
    fraud: int
    reward: NRLC


@dataclass(frozen=True, slots=True)
class DealGivenBack:
    """A scheduler gave a deal back, at a cost of its stake [nRLC]; the payer has the money back."""

    deal_id: DealId
    cost: NRLC


@dataclass(frozen=True, slots=True)
class BagClaimed:
    """A scheduler posted no bag in time; the payer has the money back."""

    deal_id: DealId


@dataclass(frozen=True, slots=True)
class LeafDemanded:
    """Somebody asked a scheduler to show the leaf of a task until a deadline [Unix s]."""

    deal_id: DealId
    index: int
    asker: Address
    deadline: UnixSeconds


@dataclass(frozen=True, slots=True)
class LeafAnswered:
    """A leaf that was asked for was shown."""

    deal_id: DealId
    index: int


@dataclass(frozen=True, slots=True)
class ResultProven:
    """One result of a settled bag is on the chain; `location` is the SHA-256 of its archive."""

    task_id: TaskId
    digest: Hash32
    location: Hash32


BagEvent = BagPosted | BagSettled | BagSlashed | DealGivenBack | BagClaimed | LeafDemanded | LeafAnswered
"""What is said of a bag as a whole, or of a task that is not on the chain; all name the deal."""

Event = (
    OrdersMatched | SchedulerNotice | DealSponsored | OrderSigned | OrderClosed | TaskInitialized | TaskContributed | ConsensusReached
    | TaskRevealed | TaskReopened | TaskFinalized | TaskClaimed | TasksGivenBack | CallbackFailed | CallbackRetried
    | AccurateContribution | FaultyContribution | Transferred | Locked | Unlocked | Rewarded | Seized | CategoryCreated | EntryTransferred
    | BagEvent | ResultProven
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Logged:
    """An event with its place on the chain: (block, log_index) orders all events."""

    event: Event
    address: Address
    block: int
    log_index: int
    tx_hash: Hash32
