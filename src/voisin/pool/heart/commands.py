"""
What the pool's machine asks for: steps on the chain, words to workers, looks at storage and chain.

Each may be carried out twice without harm, so a pool that was killed simply asks again.
"""

from __future__ import annotations

from dataclasses import dataclass

from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, TaskId
from voisin.protocol.wire import Abort, AskHolding, AskReveal, AskUpload, Release
from voisin.units import NRLC, UnixSeconds


@dataclass(frozen=True, slots=True)
class Initialize:
    """Open tasks of a deal for contributions; `is_certain` when nobody can have done so before, as far as events tell."""

    deal_id: DealId
    indexes: tuple[int, ...]
    is_certain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalize:
    """Complete a task and pay; `contributors` says how much work that is for the hub."""

    deal_id: DealId
    index: int
    task_id: TaskId
    cid: str
    callback_data: str
    has_callback: bool
    contributors: int
    is_certain: bool


@dataclass(frozen=True, slots=True)
class Reopen:
    """Take contributions again, because nobody revealed in time."""

    deal_id: DealId
    index: int
    task_id: TaskId


@dataclass(frozen=True, slots=True)
class Claim:
    """Give the requester the money of failed tasks back."""

    deal_id: DealId
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveBack:
    """
    Give tasks back that will have no result, before their time.

    Attributes:
        deal_id: Their deal.
        indexes: Which.
        stake: What the scheduler has locked for each [nRLC].
        start: When the deal was made [Unix s].
        time_ref_s: The unit of time of its category [s].
        is_direct: Whether one worker may settle a task alone, in an enclave: once it is open, it costs the whole stake.
    """

    deal_id: DealId
    indexes: tuple[int, ...]
    stake: NRLC
    start: UnixSeconds
    time_ref_s: int
    is_direct: bool


@dataclass(frozen=True, slots=True)
class ReadDeadline:
    """Read until when a task's winners may reveal."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class AskChallenge:
    """Ask the vault for the address whose key the enclave of a task signs with."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class AssignReplica:
    """Authorise a worker and send it a task; `challenge` is zero for one without enclave, and `is_direct` as on the wire."""

    worker: Address
    deal_id: DealId
    index: int
    task_id: TaskId
    contribution_deadline: UnixSeconds
    challenge: Address = ZERO_ADDRESS
    is_direct: bool = False


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a worker a message."""

    worker: Address
    message: AskReveal | AskUpload | Abort | Release | AskHolding


@dataclass(frozen=True, slots=True)
class Retire:
    """Let a worker forget a task that is not worked on here, if it is at an end and not another scheduler's."""

    worker: Address
    task_id: TaskId


@dataclass(frozen=True, slots=True)
class Drop:
    """Close a worker's connection."""

    worker: Address
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckUpload:
    """See whether an uploaded result is in storage and is the one that was agreed."""

    worker: Address
    task_id: TaskId
    cid: str
    callback_data: str
    digest: Hash32
    has_callback: bool
    is_encrypted: bool


ChainStep = Initialize | Finalize | Reopen | Claim | GiveBack
Command = ChainStep | ReadDeadline | AskChallenge | AssignReplica | Tell | Retire | Drop | CheckUpload
