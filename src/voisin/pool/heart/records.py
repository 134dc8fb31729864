"""
What a pool remembers: its deals, tasks, replicas and workers, and the story of each task.

Only the stories and the causes of failed attempts are the pool's own knowledge; everything else can be read again from
the chain. Records are frozen: the machine replaces them, the store writes those that changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

from voisin.errors import InputError
from voisin.protocol.api import Moment
from voisin.protocol.bag_settlement import window_of
from voisin.protocol.ids import Address, DealId, Hash32, TaskId
from voisin.protocol.records import Deal
from voisin.protocol.wire_words import EnclaveKind, ReplicaStage
from voisin.units import UnixSeconds


class Phase(StrEnum):
    """Where a task stands for the pool."""

    NEW = "new"
    """Known from its deal, not yet on the chain."""
    RUNNING = "running"
    """On the chain; workers compute and contribute."""
    REVEALING = "revealing"
    """A result is agreed; winners reveal, one of them uploads, the pool finalises."""
    COMPLETED = "completed"
    """Paid; the end."""
    FAILED = "failed"
    """Will not be done; the requester is refunded at once, or at the final deadline."""
    CLAIMED = "claimed"
    """Refunded; the end."""


ENDS = frozenset({Phase.COMPLETED, Phase.CLAIMED})
"""Phases after which nothing happens to a task."""


class Outcome(StrEnum):
    """What became of a replica."""

    RUNNING = "running"
    PROVED = "proved"
    FAULTY = "faulty"
    FAILED = "failed"
    LOST = "lost"
    ABORTED = "aborted"


_UNKNOWN = UnixSeconds(0)


PLACES_IN_BLOCK = 1 << 20


def order_of_arrival(block: int, log_index: int) -> int:
    """Number what the chain tells so that later things have higher numbers, the same for everybody who reads it."""
    return block * PLACES_IN_BLOCK + log_index


@dataclass(frozen=True, slots=True, kw_only=True)
class DealRecord:
    """A deal of this pool; `seq` is its place in the order of arrival."""

    deal_id: DealId
    seq: int
    block: int
    time_ref_s: int
    deal: Deal

    @property
    def is_bag(self) -> bool:
        """Whether its tasks are settled together; also if its window makes no sense, so that they cannot be settled at all."""
        try:
            return window_of(self.deal.params, self.deal.tag) is not None
        except InputError:
            return True

    @property
    def indexes(self) -> range:
        """The indexes of its tasks."""
        return range(self.deal.bot_first, self.deal.bot_first + self.deal.bot_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """
    A task of a deal.

    Attributes:
        task_id: Its id on the chain.
        deal_id: Its deal.
        index: Its index in the deal.
        phase: Where it stands.
        reason: Why it failed; empty otherwise.
        consensus: The agreed result hash, once there is one.
        digest: The revealed digest, once a worker revealed.
        reveal_deadline: Until when winners may reveal; 0 while unknown.
        cid: Where the result lies in storage, once that is checked.
        callback_data: What goes to the deal's callback, as hex.
        failures: Attempts that failed on the workers' side.
        enclave: What enclave the task runs in.
        challenge: Address whose key the enclave signs with, once the vault has said it.
    """

    task_id: TaskId
    deal_id: DealId
    index: int
    phase: Phase = Phase.NEW
    reason: str = ""
    consensus: Hash32 | None = None
    digest: Hash32 | None = None
    reveal_deadline: UnixSeconds = _UNKNOWN
    cid: str = ""
    callback_data: str = "0x"
    failures: int = 0
    enclave: EnclaveKind = EnclaveKind.NONE
    challenge: Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRecord:
    """
    One worker's part in a task; a worker has at most one a task.

    Attributes:
        task_id: The task.
        worker: The worker.
        stage: How far it came; contributed and later are believed from the chain only.
        outcome: What became of it; an unfinished contribution is still running.
        cause: Why it failed, was lost or aborted.
        result_hash: What the worker committed to, once it did.
        weight: The worker's weight when it contributed; 0 before.
        attempts: How often the worker was given this task.
        due_at: When it counts as stalled [Unix s, this machine's clock].
        not_before: Before this the worker is not given the task again [Unix s, this machine's clock].
        is_barred: Whether the worker is never given the task again.
        exit_code: What the app exited with, as the worker says; None while that is not known.
    """

    task_id: TaskId
    worker: Address
    stage: ReplicaStage = ReplicaStage.ASSIGNED
    outcome: Outcome = Outcome.RUNNING
    cause: str = ""
    result_hash: Hash32 | None = None
    weight: int = 0
    attempts: int = 1
    due_at: float = 0
    not_before: float = 0
    is_barred: bool = False
    exit_code: int | None = None

    @property
    def is_pending(self) -> bool:
        """Whether the worker is still to contribute."""
        return self.outcome is Outcome.RUNNING and self.result_hash is None

    @property
    def is_computing(self) -> bool:
        """Whether it takes one of the worker's slots."""
        return self.is_pending and self.stage in _BUSY

    @property
    def is_counted(self) -> bool:
        """Whether it is a contribution that the hub still counts."""
        return self.result_hash is not None and self.outcome in (Outcome.RUNNING, Outcome.PROVED)

    @property
    def is_revealed(self) -> bool:
        """Whether the worker showed its digest."""
        return self.stage in (ReplicaStage.REVEALED, ReplicaStage.UPLOADED)


_BUSY = frozenset({ReplicaStage.ASSIGNED, ReplicaStage.FETCHING, ReplicaStage.COMPUTING})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """
    A worker that the pool knows.

    Attributes:
        address: Its wallet.
        name: What it calls itself.
        slots: Replicas it takes at a time.
        score: Its score on the chain.
        faulty: Wrong or unrevealed contributions to tasks of this pool.
        ban: Why it gets no more tasks; empty when it does.
        last_seen: When it was last heard of.
        enclave: What enclaves it has.
    """

    address: Address
    name: str = ""
    slots: int = 0
    score: int = 0
    faulty: int = 0
    ban: str = ""
    last_seen: UnixSeconds = _UNKNOWN
    enclave: EnclaveKind = EnclaveKind.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryLine:
    """One line of a task's story; `worker` is empty when it is about the task as a whole."""

    task_id: TaskId
    worker: str
    moment: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFile:
    """A task with its replicas and its story, as the store gives it back."""

    task: TaskRecord
    replicas: tuple[ReplicaRecord, ...] = ()
    story: tuple[StoryLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Position:
    """How far the chain is taken in: the next block to read, and the hash of the one before it, once there is one."""

    next_block: int
    last_hash: Hash32 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a pool starts from: its place on the chain, the deals and tasks that are not at an end, and all workers."""

    position: Position
    deals: tuple[DealRecord, ...] = ()
    tasks: tuple[TaskFile, ...] = ()
    workers: tuple[WorkerRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """
    A deal that a scheduler has taken over, as it was written down up to the block before `from_block`: its open tasks, and the indexes
    of those at an end.
    """

    deal: DealRecord
    epoch: int
    from_block: int
    tasks: tuple[TaskFile, ...] = ()
    ended: frozenset[int] = frozenset()


@dataclass(slots=True)
class Changes:
    """
    What changed since the last save; all of it is saved at once, together with the position on the chain.

    `faults` are the faults that workers have committed since, which other schedulers of the pool may count too; `over` are deals all
    of whose tasks are at an end, and `deal_of` says to which deal what is written about a task belongs.
    """

    deals: dict[DealId, DealRecord] = field(default_factory=dict)
    tasks: dict[TaskId, TaskRecord] = field(default_factory=dict)
    replicas: dict[tuple[TaskId, Address], ReplicaRecord] = field(default_factory=dict)
    workers: dict[Address, WorkerRecord] = field(default_factory=dict)
    story: list[StoryLine] = field(default_factory=list)
    faults: Counter[Address] = field(default_factory=Counter)
    over: set[DealId] = field(default_factory=set)
    deal_of: dict[TaskId, DealId] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.deals or self.tasks or self.replicas or self.workers or self.story or self.over)

    @property
    def touched(self) -> set[DealId]:
        """The deals about which something is written."""
        return {*self.deals, *self.over, *self.deal_of.values()}

    def strike(self, deals: Collection[DealId]) -> None:
        """Forget what is written about deals."""
        gone = {task for task, deal in self.deal_of.items() if deal in deals}
        self.deals = {deal: record for deal, record in self.deals.items() if deal not in deals}
        self.tasks = {task: record for task, record in self.tasks.items() if task not in gone}
        self.replicas = {key: record for key, record in self.replicas.items() if key[0] not in gone}
        self.story = [line for line in self.story if line.task_id not in gone]
        self.over -= set(deals)
        self.deal_of = {task: deal for task, deal in self.deal_of.items() if task not in gone}
