"""
What is to be done about a bag at a moment: claim, challenge, demand, end, settle, or wait. Pure; a guard carries it out.

Source: contracts/SPEC.md 18.5 to 18.8.
"""

from __future__ import annotations

from dataclasses import dataclass

from voisin.chain import Call, bags
from voisin.client.bags.audit import Audit
from voisin.client.bags.story import BagStory
from voisin.policy.guarding import MAX_DEMANDS, Window
from voisin.protocol.bag_api import BagStage
from voisin.protocol.bag_settlement import PostedBag
from voisin.protocol.ids import Address
from voisin.protocol.records import Deal
from voisin.units import NRLC, UnixSeconds


@dataclass(frozen=True, slots=True)
class Step:
    """
    A transaction that is to be sent.

    Attributes:
        call: The transaction.
        why: What it is sent for, in words.
        bond: What it locks [nRLC].
        is_accusation: Whether it says that the scheduler did wrong.
        releases: Index of the task whose bond it gives back.
    """

    call: Call
    why: str
    bond: NRLC = NRLC(0)
    is_accusation: bool = False
    releases: int | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done before a time [Unix s], unless there is news."""

    until: UnixSeconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """
    What is known of a bag.

    Attributes:
        now: The time [Unix s].
        hub: The hub.
        deal: The deal.
        story: What the chain says of the bag.
        me: Who would send the transactions.
        final_deadline: From when the deal can be claimed [Unix s].
        audit: What came of looking at the leaves; None as long as they cannot be had.
        received: Indexes of the tasks whose result is known.
        grace_s: How long others are let settle first [s]; None for what is usual.
    """

    now: UnixSeconds
    hub: Address
    deal: Deal
    story: BagStory
    me: Address
    final_deadline: UnixSeconds
    audit: Audit | None
    received: frozenset[int]
    grace_s: int | None = None


def next_step(facts: Facts) -> Step | Wait | None:
    """Say what is to be done next; None when nothing ever is."""
    story = facts.story
    match story.stage:
        case BagStage.RUNNING if facts.now >= facts.final_deadline:
            return Step(bags.claim_bag(facts.hub, story.deal_id), "the scheduler posted nothing in time")
        case BagStage.RUNNING:
            return Wait(facts.final_deadline)
        case BagStage.POSTED:
            assert story.posted is not None
            return _guard(facts, story.posted)
        case BagStage.PUNISHED:
            return _release(facts)
        case _:
            return None


def _guard(facts: Facts, bag: PostedBag) -> Step | Wait:
    """Prove what can be proven; else ask for what is doubtful or withheld; at the end, settle."""
    if facts.audit is not None and (challenge := facts.audit.challenge) is not None:
        return Step(challenge.call, challenge.why, is_accusation=True)
    expired = [index for index, demand in facts.story.open_demands.items() if demand.deadline <= facts.now]
    if expired:
        why = f"the leaf of task {expired[0]} was not shown in time"
        return Step(bags.expire_demand(facts.hub, bag, expired[0]), why, is_accusation=True)
    if facts.now < bag.deadline:
        return _demand(facts, bag) or Wait(min(_moments(facts, bag)))
    if facts.story.open_demands:
        return Wait(min(demand.deadline for demand in facts.story.open_demands.values()))
    settled_by = _window(bag).settle_from if facts.grace_s is None else UnixSeconds(bag.deadline + facts.grace_s)
    if facts.now < settled_by:
        return Wait(settled_by)
    return Step(bags.settle_bag(facts.hub, bag), "the window has closed, and nobody settles")


def _demand(facts: Facts, bag: PostedBag) -> Step | None:
    if facts.me not in (facts.deal.requester, facts.deal.sponsor):
        return None
    mine = sum(demand.asker == facts.me for demand in facts.story.demands.values())
    wanted = next(((index, why) for index, why in _suspects(facts, bag) if index not in facts.story.demands), None)
    if wanted is None or mine >= MAX_DEMANDS:
        return None
    index, why = wanted
    return Step(bags.demand_leaf(facts.hub, bag, index), why, bond=facts.deal.workerpool.price, is_accusation=True)


def _suspects(facts: Facts, bag: PostedBag) -> list[tuple[int, str]]:
    """List the leaves to ask for: the doubtful ones; where all are withheld, first those of tasks whose result is not known."""
    if facts.audit is not None:
        return [(doubt.index, doubt.why) for doubt in facts.audit.doubts]
    if facts.now < _window(bag).demand_from:
        return []
    indexes = range(facts.deal.bot_first, facts.deal.bot_first + facts.deal.bot_size)
    return [(index, "the file of leaves cannot be had") for index in sorted(indexes, key=lambda index: index in facts.received)]


def _moments(facts: Facts, bag: PostedBag) -> list[UnixSeconds]:
    """When something might have to be done before the window closes."""
    times = [demand.deadline for demand in facts.story.open_demands.values()]
    if facts.audit is None and facts.now < _window(bag).demand_from:
        times.append(_window(bag).demand_from)
    return [bag.deadline, *times]


def _window(bag: PostedBag) -> Window:
    return Window(bag.posted, bag.deadline)


def _release(facts: Facts) -> Step | None:
    """Take back bonds of a bag that something else has ended; the demand that ended it has given its bond back by itself."""
    mine = [index for index, demand in facts.story.open_demands.items() if demand.asker == facts.me and index not in facts.story.released]
    if not mine:
        return None
    return Step(bags.release_demand(facts.hub, facts.story.deal_id, mine[0]), f"the bond for task {mine[0]} is free", releases=mine[0])
