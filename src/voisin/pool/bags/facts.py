"""
What the machine of bags is told. Each fact is about many tasks of one deal; what workers signed is checked before.

Some facts of `voisin.pool.heart.facts` (`PoolFact`), and the hub's events of bags, are facts as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from voisin.pool.bags.records import BagSnapshot
from voisin.pool.heart.facts import Ticked, WorkerJoined, WorkerLeft, WorkersCaught
from voisin.protocol.bag_settlement import PostedBag
from voisin.protocol.bag_wire import Contribution, ShownDigest
from voisin.protocol.events import BagClaimed, BagSettled, BagSlashed, LeafAnswered, LeafDemanded
from voisin.protocol.ids import Address, DealId, Hash32
from voisin.protocol.wire_words import MachineFailure


@dataclass(frozen=True, slots=True)
class Archive:
    """A result that lies in storage: its digest, and SHA-256 of its archive."""

    digest: Hash32
    location: Hash32


class BagStep(StrEnum):
    """What the pool sends to the chain for a bag."""

    POST = "post"
    GIVE_BACK = "give-back"
    ANSWER = "answer"
    SETTLE = "settle"
    PROVE = "prove"


@dataclass(frozen=True, slots=True)
class Adopted:
    """This scheduler runs a bag from now on."""

    snapshot: BagSnapshot


@dataclass(frozen=True, slots=True)
class Dropped:
    """This scheduler does not run a bag any more."""

    deal_id: DealId


@dataclass(frozen=True, slots=True)
class Contributed:
    """A worker has results."""

    worker: Address
    deal_id: DealId
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A worker shows results."""

    worker: Address
    deal_id: DealId
    digests: tuple[ShownDigest, ...]


@dataclass(frozen=True, slots=True)
class TasksGivenUp:
    """A worker does not do these tasks."""

    worker: Address
    deal_id: DealId
    indexes: tuple[int, ...]
    failure: MachineFailure
    detail: str


@dataclass(frozen=True, slots=True)
class Holding:
    """What a worker has of a deal after it came back."""

    worker: Address
    deal_id: DealId
    waiting: tuple[int, ...]
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True)
class ArchivesChecked:
    """The pool looked at archives; the problem of each is empty when it is good."""

    deal_id: DealId
    problems: tuple[tuple[Archive, str], ...]


@dataclass(frozen=True, slots=True)
class Posted:
    """The hub has a bag; also of a deal that was given back."""

    bag: PostedBag


@dataclass(frozen=True, slots=True)
class Proven:
    """A result of a settled bag is on the chain."""

    deal_id: DealId
    index: int


@dataclass(frozen=True, slots=True)
class BagStepFailed:
    """A step was refused or could not be sent; `index` is the task's, for a step about one."""

    step: BagStep
    deal_id: DealId
    reason: str
    index: int | None = None


BagWorkerFact = Contributed | Shown | TasksGivenUp | Holding
BagChainFact = Posted | Proven | BagSettled | BagSlashed | BagClaimed | LeafDemanded | LeafAnswered
BagFact = (
    Adopted | Dropped | WorkerJoined | WorkerLeft | WorkersCaught | Ticked | BagWorkerFact | ArchivesChecked | BagChainFact | BagStepFailed
)
