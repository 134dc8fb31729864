"""The words of the worker's heart: what a replica is, what happens to it (events), what is to be done (commands), what is told (news)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, TaskId
from voisin.protocol.records import ContributionStatus, TaskStatus
from voisin.protocol.wire import Assign, FromWorker
from voisin.protocol.wire_words import MachineFailure, ReplicaStage
from voisin.units import NRLC, UnixSeconds


class Phase(StrEnum):
    """Where this worker's replica of a task stands. From `CONTRIBUTING` on, stake may be at risk, and the replica is never dropped."""

    CHECKING = "checking"
    FETCHING = "fetching"
    QUEUED = "queued"
    RUNNING = "running"
    STORING = "storing"
    CONTRIBUTING = "contributing"
    CONTRIBUTED = "contributed"
    REVEALING = "revealing"
    REVEALED = "revealed"
    UPLOADING = "uploading"
    UPLOADED = "uploaded"
    CLAIMING = "claiming"


EARLY = frozenset({Phase.CHECKING, Phase.FETCHING, Phase.QUEUED, Phase.RUNNING, Phase.STORING})
"""Nothing is on the chain yet: the replica can be dropped at any time."""

STAGES = {
    Phase.CHECKING: ReplicaStage.ASSIGNED,
    Phase.FETCHING: ReplicaStage.FETCHING,
    Phase.QUEUED: ReplicaStage.FETCHING,
    Phase.RUNNING: ReplicaStage.COMPUTING,
    Phase.STORING: ReplicaStage.COMPUTED,
    Phase.CONTRIBUTING: ReplicaStage.COMPUTED,
    Phase.CONTRIBUTED: ReplicaStage.CONTRIBUTED,
    Phase.REVEALING: ReplicaStage.CONTRIBUTED,
    Phase.REVEALED: ReplicaStage.REVEALED,
    Phase.UPLOADING: ReplicaStage.REVEALED,
    Phase.UPLOADED: ReplicaStage.UPLOADED,
    Phase.CLAIMING: ReplicaStage.CONTRIBUTED,
}
"""How the pool is told of each phase."""


class Replica(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One task on this worker, as it lies on disk.

    Attributes:
        task_id: The task.
        deal_id: Its deal.
        index: Its index in the deal.
        authorization: The scheduler's signature.
        enclave_challenge: Address whose key signs the contribution; zero for a task without enclave.
        is_direct: Whether the result is stored first, and then contributed and finalised in one transaction.
        phase: Where it stands.
        memory_bytes: Memory its run may use.
        worker_stake: What a contribution locks [nRLC].
        final_deadline: From when nothing can happen to the task but a claim [Unix s].
        digest: The digest of the result, from `CONTRIBUTING` on.
        callback_data: What the deal's callback gets; `0x` without one.
        enclave_signature: The enclave's signature over the result; `0x` without one.
        exit_code: What the app exited with; None when it did not end by itself, or has not ended yet.
        cid: Where the result lies, once it does.
        is_alone: Whether one contribution is enough for the task, so that no other worker can be asked for the result.
        is_upload_wanted: Whether the pool asked for the result.
        is_committed: Whether a contribution is on the chain, or may be on its way: then only the chain can end the replica.
    """

    task_id: TaskId
    deal_id: DealId
    index: int
    authorization: str
    enclave_challenge: Address = ZERO_ADDRESS
    is_direct: bool = False
    phase: Phase = Phase.CHECKING
    memory_bytes: int = 0
    worker_stake: NRLC = NRLC(0)
    final_deadline: UnixSeconds = UnixSeconds(0)
    digest: Hash32 | None = None
    callback_data: str = "0x"
    enclave_signature: str = "0x"
    exit_code: int | None = None
    cid: str = ""
    is_alone: bool = False
    is_upload_wanted: bool = False
    is_committed: bool = False


# --- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Restored:
    """The worker started again and found these on its disk."""

    replicas: tuple[Replica, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """The pool let the worker in."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The worker is about to end."""


@dataclass(frozen=True, slots=True)
class Limited:
    """
    What the worker may do has changed.

    Attributes:
        slots: Apps that run at a time.
        memory_bytes: Memory that all running apps may use together.
        closed: Why nothing new is taken; empty when it is.
        is_urgent: Whether what runs is handed back, too, as far as nothing of it is on the chain.
    """

    slots: int
    memory_bytes: int
    closed: str = ""
    is_urgent: bool = False


@dataclass(frozen=True, slots=True)
class Assigned:
    """The pool gave a task."""

    assign: Assign

    @property
    def task_id(self) -> TaskId:
        """The task."""
        return self.assign.task_id


@dataclass(frozen=True, slots=True)
class Approved:
    """The chain says that the task is real, still wanted, and worth it."""

    task_id: TaskId
    memory_bytes: int
    worker_stake: NRLC
    final_deadline: UnixSeconds
    is_alone: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """App and inputs are on this disk."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class Computed:
    """The result and its digest are on this disk."""

    task_id: TaskId
    digest: Hash32
    callback_data: str
    enclave_signature: str = "0x"
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class GaveUp:
    """This machine cannot finish the replica, and nothing of it is on the chain."""

    task_id: TaskId
    failure: MachineFailure
    detail: str


@dataclass(frozen=True, slots=True)
class Contributed:
    """The contribution is on the chain; `is_agreed` where the chain has said already that it made the result the agreed one."""

    task_id: TaskId
    is_agreed: bool = False


@dataclass(frozen=True, slots=True)
class Revealed:
    """The digest is revealed on the chain; `cid` says where the result lies, if it was put there meanwhile."""

    task_id: TaskId
    cid: str = ""


@dataclass(frozen=True, slots=True)
class RevealMissed:
    """The chain did not take the digest."""

    task_id: TaskId
    detail: str


@dataclass(frozen=True, slots=True)
class Stored:
    """The result lies in storage."""

    task_id: TaskId
    cid: str


@dataclass(frozen=True, slots=True)
class UploadFailed:
    """The result could not be put into storage."""

    task_id: TaskId
    detail: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """The task was claimed: the stake is free again."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class ClaimFailed:
    """The chain did not take the claim."""

    task_id: TaskId
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """
    What the chain says of a task and of this worker's contribution; `winners` is how many workers contributed what was agreed, and
    `now` the chain's time [Unix s].
    """

    task_id: TaskId
    status: TaskStatus
    consensus: Hash32
    winners: int
    own: ContributionStatus
    own_hash: Hash32
    reveal_deadline: UnixSeconds
    final_deadline: UnixSeconds
    now: UnixSeconds


@dataclass(frozen=True, slots=True)
class Vanished:
    """The chain does not know the task; `now` is its time [Unix s]."""

    task_id: TaskId
    now: UnixSeconds


@dataclass(frozen=True, slots=True)
class RevealAsked:
    """The pool says that the result is agreed."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class UploadAsked:
    """The pool wants the result in storage."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class Aborted:
    """The pool does not want the result any more."""

    task_id: TaskId
    reason: str


@dataclass(frozen=True, slots=True)
class Released:
    """The pool says that the task is over."""

    task_id: TaskId


TaskEvent = (
    Assigned | Approved | Fetched | Computed | GaveUp | Contributed | Revealed | RevealMissed | Stored | UploadFailed | Claimed
    | ClaimFailed | Observed | Vanished | RevealAsked | UploadAsked | Aborted | Released
)  # fmt: skip
Event = Restored | Joined | Stopping | Limited | TaskEvent


# --- commands --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Save:
    """Put the replica on disk before anything that follows is done."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class Check:
    """Ask the chain whether the task is worth working on."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class Fetch:
    """Get app and inputs."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class Run:
    """Run the app."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class Contribute:
    """Commit to the result on the chain."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class Reveal:
    """Show the digest on the chain."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class Upload:
    """Put the result into storage."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class Claim:
    """Claim the task on the chain."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class Look:
    """See what the chain says of the task, now."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class Drop:
    """Stop whatever is done for the task and free its disk."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class Say:
    """Tell the pool, if it is there."""

    message: FromWorker


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell whoever watches this worker."""

    news: News


Activity = Check | Fetch | Run | Contribute | Reveal | Upload | Claim
"""What takes time; each ends with one event."""
Command = Save | Look | Drop | Say | Tell | Activity


# --- news ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connected:
    """The worker is in its pool."""

    workerpool: Address
    hub: Address


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The pool is gone; the next attempt is in `retry_s` seconds."""

    reason: str
    retry_s: float


@dataclass(frozen=True, slots=True)
class Moved:
    """A replica reached a phase."""

    task_id: TaskId
    phase: Phase


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker gave a replica up."""

    task_id: TaskId
    failure: MachineFailure
    detail: str


@dataclass(frozen=True, slots=True)
class Settled:
    """A task that the worker contributed to is over: `paid`, `slashed`, or `refunded` (its stake came back without pay)."""

    task_id: TaskId
    outcome: str


@dataclass(frozen=True, slots=True)
class BagEnded:
    """A deal whose tasks are settled together is over: `settled` or not, and what it paid this worker [nRLC]."""

    deal_id: DealId
    outcome: str
    amount: NRLC


News = Connected | Disconnected | Moved | Failed | Settled | BagEnded
