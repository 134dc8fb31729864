"""
What the services of Voisin answer over HTTP: the order book, deals and tasks, the pool's view of a task, problems.

Amounts are in nRLC; times in Unix seconds. Errors are RFC 9457 problems (`Problem`) with our `code` and `hint`.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from voisin.errors import (
    FundsError,
    GuestError,
    InputError,
    NoMatchError,
    RevertError,
    StateError,
    TrustError,
    UnavailableError,
    VoisinError,
)
from voisin.protocol.ids import Address, DealId, Hash32, OrderHash, TaskId
from voisin.protocol.orders import AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder
from voisin.protocol.records import TaskStatus
from voisin.protocol.tags import Tag
from voisin.protocol.wire_words import EnclaveKind, ReplicaStage, Stream
from voisin.units import NRLC, UnixSeconds


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error on the wire, `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str = ""


HTTP_STATUS: dict[type[VoisinError], int] = {
    FundsError: 409,
    InputError: 400,
    NoMatchError: 409,
    StateError: 409,
    TrustError: 403,
    GuestError: 422,
    UnavailableError: 503,
    RevertError: 409,
    VoisinError: 500,
}
"""The status a service answers for each branch of the tree of errors; the nearest ancestor counts."""


def problem_of(error: VoisinError, status: int | None = None) -> Problem:
    """Turn an error into what goes over the wire."""
    if status is None:
        status = next(HTTP_STATUS[kind] for kind in type(error).__mro__ if kind in HTTP_STATUS)
    return Problem(type=f"urn:voisin:{error.code}", title=error.code, status=status, detail=error.message, code=error.code, hint=error.hint)


def error_of(problem: Problem) -> VoisinError:
    """Turn a service's problem back into the error it was."""
    by_code: dict[str, type[VoisinError]] = {kind.code: kind for kind in HTTP_STATUS}
    refused = TrustError if problem.status == HTTP_STATUS[TrustError] else InputError
    kind = by_code.get(problem.code) or (UnavailableError if problem.status >= 500 else refused)
    return kind(problem.detail, hint=problem.hint)


class OrderStatus(StrEnum):
    """Where a published order stands."""

    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REMOVED = "removed"
    DEAD = "dead"
    """Its signer no longer owns the resource, or can no longer pay."""


class _Published(msgspec.Struct, frozen=True, kw_only=True):
    hash: OrderHash
    signer: Address
    remaining: int
    status: OrderStatus
    published_at: UnixSeconds


class PublishedAppOrder(_Published, frozen=True, kw_only=True, tag_field="kind", tag="app"):
    """An app order in the book; `remaining` is what is left of its volume [tasks]."""

    order: AppOrder


class PublishedDatasetOrder(_Published, frozen=True, kw_only=True, tag_field="kind", tag="dataset"):
    """A dataset order in the book."""

    order: DatasetOrder


class PublishedWorkerpoolOrder(_Published, frozen=True, kw_only=True, tag_field="kind", tag="workerpool"):
    """A workerpool order in the book."""

    order: WorkerpoolOrder


class PublishedRequestOrder(_Published, frozen=True, kw_only=True, tag_field="kind", tag="request"):
    """A request order in the book."""

    order: RequestOrder


PublishedOrder = PublishedAppOrder | PublishedDatasetOrder | PublishedWorkerpoolOrder | PublishedRequestOrder


class OrderPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of the order book, best price first; `next` is the cursor of the page after it."""

    orders: tuple[PublishedOrder, ...]
    count: int
    next: str | None = None


class DealEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A deal as the market lists it."""

    deal_id: DealId
    app: Address
    dataset: Address
    workerpool: Address
    app_owner: Address
    dataset_owner: Address
    workerpool_owner: Address
    requester: Address
    beneficiary: Address
    callback: Address
    params: str
    app_price: NRLC
    dataset_price: NRLC
    workerpool_price: NRLC
    app_order: OrderHash
    dataset_order: OrderHash
    workerpool_order: OrderHash
    request_order: OrderHash
    category: int
    trust: int
    tag: Tag
    first_index: int
    volume: int
    worker_stake: NRLC
    scheduler_reward_ratio: int
    start: UnixSeconds
    block: int
    tx_hash: Hash32


class DealPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of deals, newest first."""

    deals: tuple[DealEntry, ...]
    count: int
    next: str | None = None


class CategoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A category as the market lists it, and where on the chain it was created."""

    number: int
    name: str
    description: str
    time_ref_s: int
    at: UnixSeconds
    block: int
    tx_hash: Hash32


class TaskEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A task as the market lists it, from the chain's events."""

    task_id: TaskId
    deal_id: DealId
    index: int
    status: TaskStatus
    consensus: Hash32 | None = None
    results: str = "0x"


class TaskPage(msgspec.Struct, frozen=True, kw_only=True):
    """The tasks of a deal, in order of index."""

    tasks: tuple[TaskEntry, ...]


class Moment(msgspec.Struct, frozen=True):
    """One line of a story: when, what, and why."""

    at: UnixSeconds
    what: str
    detail: str = ""


class ReplicaView(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's attempt at a task, as the pool knows it."""

    worker: Address
    worker_name: str
    stage: ReplicaStage
    outcome: str
    """`running`, `proved`, `faulty`, `failed`, `lost` or `aborted`."""
    cause: str = ""
    story: tuple[Moment, ...] = ()


class PoolTaskView(msgspec.Struct, frozen=True, kw_only=True):
    """What a pool says about a task: its phase in words, its replicas, and why it stands where it stands."""

    task_id: TaskId
    deal_id: DealId
    index: int
    phase: str
    why: str
    result: str = ""
    """CID of the result, once it is uploaded."""
    enclave: EnclaveKind = EnclaveKind.NONE
    """What enclave it runs in; a simulated one keeps no secret from whoever runs the worker."""
    replicas: tuple[ReplicaView, ...] = ()
    story: tuple[Moment, ...] = ()


class WorkerLog(msgspec.Struct, frozen=True, kw_only=True):
    """The end of what an app printed on one worker."""

    worker: Address
    stdout: str
    stderr: str


class TaskLogs(msgspec.Struct, frozen=True, kw_only=True):
    """What a task's apps printed, by worker."""

    task_id: TaskId
    logs: tuple[WorkerLog, ...]


class PrintedText(msgspec.Struct, frozen=True, kw_only=True):
    """Something that an app printed just now; `start` is where in the stream [characters]."""

    worker: Address
    stream: Stream
    start: int
    text: str


class WorkerView(msgspec.Struct, frozen=True, kw_only=True):
    """A worker of a pool."""

    worker: Address
    name: str
    online: bool
    slots: int
    busy: int
    score: int
    last_seen: UnixSeconds
    enclave: EnclaveKind = EnclaveKind.NONE


class PoolView(msgspec.Struct, frozen=True, kw_only=True):
    """
    A pool as it presents itself.

    `rpc_url` and `faucet_url` are for workers that know no node and have no coin, empty without; `settles_bags` says whether the pool
    does deals that ask to be settled as a bag: one of before cannot, and they would wait for their deadline.
    """

    workerpool: Address
    scheduler: Address
    hub: Address
    chain_id: int
    storage_url: str
    version: str
    workers: tuple[WorkerView, ...] = ()
    open_tasks: int = 0
    rpc_url: str = ""
    faucet_url: str = ""
    settles_bags: bool = False


class BrokeredDeal(msgspec.Struct, frozen=True, kw_only=True):
    """A deal that a broker made for a request: `price` is what one task costs in all [nRLC]."""

    deal_id: DealId
    workerpool_order: OrderHash
    volume: int
    price: NRLC
    tx_hash: Hash32


class BrokerView(msgspec.Struct, frozen=True, kw_only=True):
    """What a broker says about a request: what is left of it, the deals it made for it, and why there are no more."""

    request: OrderHash
    status: OrderStatus
    remaining: int
    deals: tuple[BrokeredDeal, ...] = ()
    why: str = ""
    hint: str = ""
    looked_at: UnixSeconds = UnixSeconds(0)
    """When it was last matched; 0 when it has not been yet."""


class BrokerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How a broker is: whom it works for, what waits, what it has done."""

    broker: Address
    hub: Address
    chain_id: int
    open_requests: int
    deals: int
    looked_at: UnixSeconds
