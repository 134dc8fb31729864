"""
What a pool remembers of a bag: the deal, what workers have said and were promised, how each task ended, what each worker has earned.

All of it is written before anybody is told of it: a receipt, a statement and a posted root stand on these records.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from voisin.pool.heart.records import DealRecord
from voisin.protocol.bag_api import BagStage
from voisin.protocol.bag_settlement import NO_RESULT, Dissent, PostedBag
from voisin.protocol.ids import ZERO_HASH, Address, DealId, Hash32
from voisin.units import NRLC


@dataclass(frozen=True, slots=True, kw_only=True)
class BagRecord:
    """
    A bag.

    Attributes:
        terms: Its deal.
        stage: Where it stands.
        posted: What the hub knows of it, once it is posted.
        is_over: Whether there is nothing left to do for it.
        why: Why it cannot be done at all; empty when it can.
    """

    terms: DealRecord
    stage: BagStage = BagStage.RUNNING
    posted: PostedBag | None = None
    is_over: bool = False
    why: str = ""

    @property
    def deal_id(self) -> DealId:
        """The deal."""
        return self.terms.deal_id

    @property
    def first(self) -> int:
        """Index of its first task."""
        return self.terms.deal.bot_first

    @property
    def volume(self) -> int:
        """Its number of tasks."""
        return self.terms.deal.bot_size


@dataclass(frozen=True, slots=True)
class Vote:
    """What a worker said of a task, and its signature of that; a receipt may have been given for it."""

    index: int
    worker: Address
    said: Hash32
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedTask:
    """
    How a task ended; nothing of this changes any more.

    Attributes:
        index: The task.
        place: Its place in the order in which the deal's tasks ended, from 1.
        digest: The agreed digest; `NO_RESULT` for a task without result.
        location: SHA-256 of the result's archive.
        agreed: Workers that agree, in the order of their bytes.
        others: What others said, in the order of its bytes.
        exit_code: What the app exited with.
        reason: Why there is no result; empty when there is one.
        callback_data: What goes to the deal's callback, as hex; empty without one.
    """

    index: int
    place: int
    digest: Hash32 = NO_RESULT
    location: Hash32 = ZERO_HASH
    agreed: tuple[Address, ...] = ()
    others: tuple[Dissent, ...] = ()
    exit_code: int | None = None
    reason: str = ""
    callback_data: str = ""

    @property
    def has_result(self) -> bool:
        """Whether it has a result."""
        return self.digest != NO_RESULT


@dataclass(frozen=True, slots=True, kw_only=True)
class BagSnapshot:
    """
    What a pool goes on from with a bag.

    Attributes:
        record: The bag.
        ended: For each task that has ended, whether it has a result.
        votes: What was said of the others.
        earned: What each worker has earned so far [nRLC].
        is_new: Whether the deal has just been made, so that no worker can hold anything of it.
        lacks_votes: Whether what workers signed of tasks that have ended is not there: the records were rebuilt from the chain.
    """

    record: BagRecord
    ended: Mapping[int, bool] = field(default_factory=dict)
    votes: tuple[Vote, ...] = ()
    earned: Mapping[Address, NRLC] = field(default_factory=dict)
    is_new: bool = False
    lacks_votes: bool = False


@dataclass(slots=True)
class BagChanges:
    """What changed since the last save; all of it is saved at once."""

    bags: dict[DealId, BagRecord] = field(default_factory=dict)
    votes: list[tuple[DealId, Vote]] = field(default_factory=list)
    ended: list[tuple[DealId, EndedTask]] = field(default_factory=list)
    earned: dict[tuple[DealId, Address], NRLC] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.bags or self.votes or self.ended or self.earned)

    @property
    def touched(self) -> set[DealId]:
        """The deals that they are about."""
        return {*self.bags, *(deal for deal, _ in self.votes), *(deal for deal, _ in self.ended), *(deal for deal, _ in self.earned)}

    @property
    def over(self) -> set[DealId]:
        """The deals for which nothing is left to do."""
        return {deal for deal, record in self.bags.items() if record.is_over}

    def strike(self, lost: Collection[DealId]) -> None:
        """Leave out what is about some deals."""
        if lost:
            self.bags = {deal: record for deal, record in self.bags.items() if deal not in lost}
            self.votes = [each for each in self.votes if each[0] not in lost]
            self.ended = [each for each in self.ended if each[0] not in lost]
            self.earned = {key: amount for key, amount in self.earned.items() if key[0] not in lost}
