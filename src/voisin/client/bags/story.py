"""A bag as the chain tells it: posted, demanded, settled, proven wrong. The same event twice changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from voisin.chain.bags import Fraud, posted_bag
from voisin.errors import InputError
from voisin.protocol.bag_api import BagStage
from voisin.protocol.bag_settlement import PostedBag, window_of
from voisin.protocol.events import (
    BagClaimed,
    BagEvent,
    BagPosted,
    BagSettled,
    BagSlashed,
    DealGivenBack,
    LeafAnswered,
    LeafDemanded,
)
from voisin.protocol.ids import ZERO_HASH, Address, DealId
from voisin.protocol.records import Deal
from voisin.units import UnixSeconds

FRAUDS = {
    Fraud.CONTRADICTION: "a contribution was left out or changed",
    Fraud.LITTLE_TRUST: "fewer workers agree on a result than the deal asks",
    Fraud.WRONG_COUNT: "the results are counted wrongly",
    Fraud.OMISSION: "a task was left out",
    Fraud.UNDERPAYMENT: "a worker is paid less than it was told",
    Fraud.SILENCE: "a leaf was withheld",
}
"""What each fraud is, in words."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Somebody asked for a leaf, which is to be shown before the deadline."""

    asker: Address
    deadline: UnixSeconds


@dataclass(slots=True)
class BagStory:
    """
    What has become of a bag.

    Attributes:
        deal_id: The deal.
        window_s: How long the bag may be challenged [s].
        posted: The bag, once it is posted, or the deal is given back.
        demands: Leaves that were ever asked for, by index.
        answered: Indexes of those that were shown.
        released: Indexes of those whose bond was given back, as far as this client knows: the chain does not log it.
        fraud: What it was proven to be.
        challenger: Who proved it.
        is_settled: Whether everybody is paid, or the stake of a deal that was given back is free.
        is_claimed: Whether the scheduler posted nothing in time, and somebody claimed the deal.
    """

    deal_id: DealId
    window_s: int
    posted: PostedBag | None = None
    demands: dict[int, Demand] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)
    released: set[int] = field(default_factory=set)
    fraud: Fraud | None = None
    challenger: Address | None = None
    is_settled: bool = False
    is_claimed: bool = False

    @property
    def stage(self) -> BagStage:
        """Where the bag stands."""
        if self.fraud is not None:
            return BagStage.PUNISHED
        if self.is_claimed:
            return BagStage.CLAIMED
        if self.posted is None:
            return BagStage.RUNNING
        if self.posted.root == ZERO_HASH:
            return BagStage.GIVEN_BACK
        return BagStage.SETTLED if self.is_settled else BagStage.POSTED

    @property
    def is_over(self) -> bool:
        """Whether the requester's money moves no more."""
        return self.stage not in (BagStage.RUNNING, BagStage.POSTED)

    @property
    def open_demands(self) -> dict[int, Demand]:
        """Leaves that are asked for and not shown."""
        return {index: demand for index, demand in self.demands.items() if index not in self.answered}

    def apply(self, event: BagEvent) -> None:
        """Take one of the bag's events into account."""
        match event:
            case BagPosted():
                self.posted = posted_bag(event, self.window_s)
            case BagSettled():
                self.is_settled = True
            case BagSlashed(challenger=challenger, fraud=fraud):
                self.fraud, self.challenger = Fraud(fraud), challenger
            case BagClaimed():
                self.is_claimed = True
            case LeafDemanded(index=index, asker=asker, deadline=deadline):
                self.demands[index] = Demand(asker, deadline)
            case LeafAnswered(index=index):
                self.answered.add(index)
            case DealGivenBack():
                pass  # its bag was posted without root


def deal_window(deal: Deal) -> int | None:
    """
    Tell how long a deal's bag may be challenged [s], on a hub that settles bags.

    Returns:
        The window; 0 for one that nobody can read, with which no bag can be posted; None for a deal whose tasks are settled one by one.
    """
    try:
        return window_of(deal.params, deal.tag)
    except InputError:
        return 0
