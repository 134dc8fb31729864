"""
What the pool's machine is told: past facts from the chain, from workers, from its own steps, and the passing of time.

The hub's events of `voisin.protocol.events` are facts as they are; those named here complete them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from voisin.pool.heart.records import DealRecord, Taken, WorkerRecord, order_of_arrival
from voisin.protocol.events import (
    AccurateContribution,
    ConsensusReached,
    FaultyContribution,
    TaskClaimed,
    TaskContributed,
    TaskFinalized,
    TaskInitialized,
    TaskReopened,
    TaskRevealed,
)
from voisin.protocol.ids import Address, DealId, TaskId
from voisin.protocol.records import Deal
from voisin.protocol.wire import WIRE_VERSION, Held, Resources, Takes
from voisin.protocol.wire_words import EnclaveKind, MachineFailure, ReplicaStage
from voisin.units import NRLC, UnixSeconds


@dataclass(frozen=True, slots=True)
class Instant:
    """
    When something happened, on two clocks.

    Attributes:
        wall: This machine's clock, for leases and heartbeats [Unix s].
        chain: The chain's clock, for deadlines [Unix s].
    """

    wall: float
    chain: UnixSeconds


class Step(StrEnum):
    """What the pool itself sends to the chain."""

    INITIALIZE = "initialize"
    FINALIZE = "finalize"
    REOPEN = "reopen"
    CLAIM = "claim"
    GIVE_BACK = "give back"


@dataclass(frozen=True, slots=True)
class DealFound:
    """The pool has a new deal, read from the chain; `time_ref_s` is its category's, `block` and `log_index` are where it was made."""

    deal_id: DealId
    deal: Deal
    time_ref_s: int
    block: int
    log_index: int = 0

    @property
    def record(self) -> DealRecord:
        """What is written down about it."""
        seq = order_of_arrival(self.block, self.log_index)
        return DealRecord(deal_id=self.deal_id, seq=seq, block=self.block, time_ref_s=self.time_ref_s, deal=self.deal)


@dataclass(frozen=True, slots=True)
class DealsTaken:
    """This scheduler works on deals from now on that another one, or a former life of its own, has written down."""

    deals: tuple[Taken, ...]


@dataclass(frozen=True, slots=True)
class DealsLost:
    """Another scheduler works on deals now."""

    deals: tuple[DealId, ...]


@dataclass(frozen=True, slots=True)
class WorkersCaught:
    """Schedulers of the pool, this one with them, have seen workers do wrong; it is written down already."""

    workers: tuple[WorkerRecord, ...]


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Everything that had happened on the chain when the pool started is told."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class StepFailed:
    """A step was refused or could not be sent; `reason` is for a person."""

    step: Step
    deal_id: DealId
    indexes: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class DeadlineRead:
    """The chain says until when a task's winners may reveal."""

    task_id: TaskId
    reveal_deadline: UnixSeconds


@dataclass(frozen=True, slots=True)
class ChallengeGiven:
    """The vault made the key that the enclave of a task signs with; its address is the challenge."""

    task_id: TaskId
    challenge: Address


@dataclass(frozen=True, slots=True)
class ChallengeFailed:
    """The vault gave no challenge for a task; `reason` is for a person."""

    task_id: TaskId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerJoined:
    """
    A worker proved its address and is connected.

    `holding` is what it still has on disk, `version` that of the wire it speaks, `resources` what it offers, if that is known, `stake`
    what it has free at the hub [nRLC].
    """

    worker: Address
    name: str
    slots: int
    score: int
    holding: tuple[Held, ...] = ()
    enclave: EnclaveKind = EnclaveKind.NONE
    version: int = WIRE_VERSION
    resources: Resources | None = None
    stake: NRLC = NRLC(0)


@dataclass(frozen=True, slots=True)
class WorkerLeft:
    """A worker's connection is gone."""

    worker: Address
    why: str


@dataclass(frozen=True, slots=True)
class WorkerHeard:
    """A worker gave a sign of life; `elsewhere` are the slots that other schedulers use, if it says so."""

    worker: Address
    elsewhere: int | None = None


@dataclass(frozen=True, slots=True)
class HoldingTold:
    """A worker says what it holds, because it was asked."""

    worker: Address
    holding: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class TakesChanged:
    """A worker says what it takes from now on."""

    worker: Address
    takes: Takes


@dataclass(frozen=True, slots=True)
class StageReached:
    """A worker says how far its replica is."""

    worker: Address
    task_id: TaskId
    stage: ReplicaStage
    detail: str = ""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class UploadReported:
    """A worker says that it uploaded the result."""

    worker: Address
    task_id: TaskId
    cid: str
    callback_data: str


@dataclass(frozen=True, slots=True)
class UploadChecked:
    """The pool looked at an upload; `problem` is empty when it is good."""

    worker: Address
    task_id: TaskId
    cid: str
    callback_data: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ReplicaFailed:
    """A worker gives its replica up."""

    worker: Address
    task_id: TaskId
    failure: MachineFailure
    detail: str


ChainFact = (
    DealFound | TaskInitialized | TaskContributed | ConsensusReached | TaskRevealed | TaskReopened | TaskFinalized | TaskClaimed
    | AccurateContribution | FaultyContribution
)  # fmt: skip
WorkerFact = WorkerJoined | WorkerLeft | WorkerHeard | HoldingTold | TakesChanged | StageReached | UploadReported | ReplicaFailed
OwnFact = (
    CaughtUp | DealsTaken | DealsLost | WorkersCaught | Ticked | StepFailed | DeadlineRead | UploadChecked | ChallengeGiven
    | ChallengeFailed
)  # fmt: skip
Fact = ChainFact | WorkerFact | OwnFact

CHAIN_EVENTS = (
    TaskInitialized, TaskContributed, ConsensusReached, TaskRevealed, TaskReopened, TaskFinalized, TaskClaimed, AccurateContribution,
    FaultyContribution,
)  # fmt: skip
"""The hub's events that the machine wants as they are."""
