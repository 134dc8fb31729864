"""What of a bag's leaves can be proven wrong, and what can only be asked for; honest bags are left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.unit.client.bag_stories import DEAL, DIGEST, FIRST, HUB, OTHER, VOLUME, WORKERS, honest, posted
from voisin.chain.bags import Fraud
from voisin.client.bags.audit import audit
from voisin.protocol.bag_settlement import NO_RESULT, Dissent, Leaf, is_trusted
from voisin.protocol.ids import ZERO_ADDRESS

RECEIVED = dict.fromkeys(range(FIRST, FIRST + VOLUME), DIGEST)


def _second(**fields: Any) -> Callable[[list[Leaf]], list[Leaf]]:
    return lambda leaves: [leaves[0], replace(leaves[1], **fields), *leaves[2:]]


@given(st.sets(st.integers(FIRST, FIRST + VOLUME - 1)))
def test_an_honest_bag_is_clean(missing: set[int]) -> None:
    leaves = honest(sorted(missing))
    assert audit(HUB, DEAL, posted(leaves), leaves, RECEIVED).is_clean


@pytest.mark.parametrize(
    ("spoil", "fraud"),
    [
        (_second(agreed=WORKERS[:1]), Fraud.LITTLE_TRUST),
        (_second(agreed=WORKERS[:1] * 2), Fraud.LITTLE_TRUST),
        (_second(agreed=(ZERO_ADDRESS, *WORKERS[:2])), Fraud.LITTLE_TRUST),
        (_second(others=(Dissent(OTHER, WORKERS[3]), Dissent(OTHER, WORKERS[4]))), Fraud.LITTLE_TRUST),
        (_second(done=3), Fraud.WRONG_COUNT),
        (_second(digest=NO_RESULT, agreed=()), Fraud.WRONG_COUNT),
        (_second(index=FIRST), Fraud.OMISSION),
        (lambda leaves: leaves[:-1], Fraud.OMISSION),
    ],
)
def test_frauds_are_found(spoil: Callable[[list[Leaf]], list[Leaf]], fraud: Fraud) -> None:
    leaves = spoil(honest())
    found = audit(HUB, DEAL, posted(leaves), leaves, {})
    assert found.challenge is not None
    assert (found.challenge.fraud, found.doubts) == (fraud, ())
    assert found.challenge.call.to == HUB


def test_a_bag_that_counts_otherwise_than_its_leaves() -> None:
    leaves = honest()
    found = audit(HUB, DEAL, posted(leaves, done=3), leaves, RECEIVED)
    assert found.challenge is not None
    assert (found.challenge.fraud, found.challenge.why) == (Fraud.WRONG_COUNT, "up to task 6 there are 4 results, and the scheduler says 3")


@pytest.mark.parametrize(
    ("spoil", "index"),
    [
        (_second(digest=OTHER), FIRST + 1),
        (_second(agreed=WORKERS[:33]), FIRST + 1),
        (lambda leaves: [*leaves, *leaves], FIRST),
        (lambda leaves: leaves[:1], None),
    ],
)
def test_doubts_are_only_asked_for(spoil: Callable[[list[Leaf]], list[Leaf]], index: int | None) -> None:
    leaves = spoil(honest())
    found = audit(HUB, DEAL, posted(leaves), leaves, RECEIVED)
    if index is None:
        assert found.challenge is not None  # three empty places of a tree that is deep enough
    else:
        assert (found.challenge, [doubt.index for doubt in found.doubts]) == (None, [index])


def test_a_task_that_is_not_paid_is_not_asked_for_though_its_result_came() -> None:
    leaves = honest([FIRST + 1])
    assert audit(HUB, DEAL, posted(leaves), leaves, RECEIVED).is_clean


@given(st.lists(st.integers(0, 5), max_size=5), st.lists(st.tuples(st.booleans(), st.integers(6, 9)), max_size=4), st.integers(1, 20))
def test_little_trust_is_challenged_exactly_when_the_hub_would_say_so(
    agreed: list[int], others: list[tuple[bool, int]], trust: int
) -> None:
    votes = tuple(Dissent(OTHER if is_other else DIGEST, WORKERS[place]) for is_other, place in others)
    leaves = honest()
    leaves[1] = replace(leaves[1], agreed=tuple(WORKERS[place] for place in agreed), others=votes)
    deal = replace(DEAL, trust=trust)
    found = audit(HUB, deal, posted(leaves), leaves, {})
    wrong = [leaf.index for leaf in leaves if not is_trusted(leaf, trust)]
    assert (found.challenge is not None) == bool(wrong)
    assert found.challenge is None or f"task {wrong[0]}" in found.challenge.why
