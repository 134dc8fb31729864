"""A guard's next step at any moment: never too early, never twice, and only as who may."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.client.bag_stories import (
    DEAL,
    DEAL_ID,
    DIGEST,
    FIRST,
    HUB,
    ME,
    OTHER,
    POSTED_AT,
    PRICE,
    STRANGER,
    WINDOW_S,
    honest,
    posted,
    told,
)
from voisin.client.bags.audit import audit
from voisin.client.bags.steps import Facts, Step, Wait, next_step
from voisin.client.bags.story import BagStory
from voisin.policy.guarding import MAX_DEMANDS
from voisin.protocol.bag_api import BagStage
from voisin.protocol.bag_settlement import Leaf
from voisin.protocol.events import BagClaimed, BagSettled, BagSlashed, DealGivenBack, LeafAnswered, LeafDemanded
from voisin.protocol.ids import ZERO_HASH, Address
from voisin.units import NRLC, UnixSeconds

DEADLINE, FINAL = POSTED_AT + WINDOW_S, 9_000
GRACE_S = 10


def step_at(now: int, story: BagStory, leaves: list[Leaf] | None = None, *, me: Address = ME, **more: Any) -> Step | Wait | None:
    found = audit(HUB, DEAL, story.posted, leaves, more.pop("told", {})) if leaves is not None and story.posted is not None else None
    given = {"received": frozenset[int](), **more}
    return next_step(
        Facts(
            now=UnixSeconds(now), hub=HUB, deal=DEAL, story=story, me=me, final_deadline=UnixSeconds(FINAL), audit=found, **given
        )
    )  # fmt: skip


def label(step: Step | Wait | None) -> str:
    assert isinstance(step, Step)
    return step.call.label.split(" of deal")[0]


def test_nothing_posted_is_claimed_at_the_final_deadline() -> None:
    story = BagStory(DEAL_ID, WINDOW_S)
    assert step_at(FINAL - 1, story) == Wait(UnixSeconds(FINAL))
    assert label(step_at(FINAL, story)) == f"claim deal {DEAL_ID}"
    story.apply(BagClaimed(DEAL_ID))
    assert (step_at(FINAL, story), story.stage) == (None, BagStage.CLAIMED)


def test_a_clean_bag_is_settled_when_nobody_else_does() -> None:
    leaves = honest()
    story = told(posted(leaves))
    assert step_at(POSTED_AT, story, leaves) == Wait(UnixSeconds(DEADLINE))
    assert step_at(DEADLINE, story, leaves) == Wait(UnixSeconds(DEADLINE + GRACE_S))
    assert label(step_at(DEADLINE + GRACE_S, story, leaves)) == "settle the bag"
    assert label(step_at(DEADLINE, story, leaves, grace_s=0)) == "settle the bag"
    story.apply(BagSettled(DEAL_ID, 4))
    assert (step_at(DEADLINE + GRACE_S, story, leaves), story.is_over) == (None, True)


@pytest.mark.parametrize("now", [POSTED_AT, DEADLINE - 1, DEADLINE, DEADLINE + GRACE_S])
def test_a_fraud_is_proven_by_anybody_at_any_time_before_it_is_settled(now: int) -> None:
    leaves = honest()
    leaves[2] = honest()[1]
    found = step_at(now, told(posted(leaves)), leaves, me=STRANGER)
    assert label(found) == f"prove that deal {DEAL_ID} has no leaf in place 2"
    assert isinstance(found, Step)
    assert found.is_accusation


def test_withheld_leaves_are_asked_for_at_half_time_unknown_results_first() -> None:
    story = told(posted(honest()))
    half = POSTED_AT + WINDOW_S // 2
    known = frozenset({FIRST, FIRST + 1})
    assert step_at(half - 1, story, received=known) == Wait(UnixSeconds(half))
    first = step_at(half, story, received=known)
    assert isinstance(first, Step)
    assert (label(first), first.bond) == (f"demand the leaf of task {FIRST + 2}", PRICE)
    assert step_at(half, story, received=known, me=STRANGER) == Wait(UnixSeconds(DEADLINE))
    for index in range(FIRST, FIRST + MAX_DEMANDS):
        story.apply(LeafDemanded(DEAL_ID, index, ME, UnixSeconds(half + WINDOW_S)))
    assert step_at(half, story) == Wait(UnixSeconds(DEADLINE))
    assert step_at(DEADLINE, story) == Wait(UnixSeconds(half + WINDOW_S))
    assert label(step_at(half + WINDOW_S, story)) == f"end the bag that withholds task {FIRST}"


def test_an_exchanged_result_is_asked_for_at_once_and_an_answer_clears_it() -> None:
    leaves = honest()
    story = told(posted(leaves))
    handed_out = {FIRST: OTHER, FIRST + 1: DIGEST}
    assert label(step_at(POSTED_AT, story, leaves, told=handed_out)) == f"demand the leaf of task {FIRST}"
    story.apply(LeafDemanded(DEAL_ID, FIRST, ME, UnixSeconds(DEADLINE + 7)))
    assert step_at(POSTED_AT, story, leaves, told=handed_out) == Wait(UnixSeconds(DEADLINE))
    story.apply(LeafAnswered(DEAL_ID, FIRST))
    assert label(step_at(DEADLINE, story, leaves, told=handed_out, grace_s=0)) == "settle the bag"


def test_bonds_of_a_bag_that_ended_otherwise_are_taken_back_once() -> None:
    story = told(posted(honest()))
    for index, asker in ((FIRST, ME), (FIRST + 1, STRANGER), (FIRST + 2, ME)):
        story.apply(LeafDemanded(DEAL_ID, index, asker, UnixSeconds(DEADLINE)))
    story.apply(LeafAnswered(DEAL_ID, FIRST))
    story.apply(BagSlashed(DEAL_ID, STRANGER, 2, NRLC(1)))
    step = step_at(DEADLINE, story)
    assert isinstance(step, Step)
    assert step.releases == FIRST + 2
    story.released.add(FIRST + 2)
    assert step_at(DEADLINE, story) is None


def test_a_deal_that_is_given_back_needs_nothing() -> None:
    story = told(posted(honest()))
    assert story.posted is not None
    story.posted = type(story.posted)(DEAL_ID, ZERO_HASH, ZERO_HASH, b"", 0, story.posted.posted, story.posted.deadline)
    story.apply(DealGivenBack(DEAL_ID, NRLC(0)))
    assert (step_at(FINAL, story), story.stage, story.is_over) == (None, BagStage.GIVEN_BACK, True)
