"""When contributions agree enough: weights, groups, and the moment of consensus (SPEC 8.2)."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak

from tests.support.market import DIGEST, Market, Roles, Terms
from tests.support.orders import result_hash

OTHER = keccak(b"a wrong result")


def _open(market: Market, trust: int) -> bytes:
    return market.initialize(market.match(Terms(trust=trust))[0])


@pytest.mark.parametrize(
    ("score", "log_weight"),
    # w = max(floor(s / 3), 3) - 1: 2 below 12, then 3, 4, ...; the contribution keeps floor(log2(w))
    [(0, 1), (11, 1), (12, 1), (14, 1), (15, 2), (17, 2), (26, 2), (27, 3), (50, 3), (51, 4), (3 * 2**200, 199), (2**256 - 1, 254)],
)
def test_the_weight_of_a_contribution(market: Market, roles: Roles, score: int, log_weight: int) -> None:
    worker = roles.workers[0]
    market.set_score(worker.address, score)
    task = _open(market, 1)
    market.contribute(task, worker)
    assert market.hub.read("viewContribution", task, worker.address)[4] == log_weight


@pytest.mark.parametrize(("trust", "needed"), [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4), (16, 4), (17, 5), (32, 5)])
def test_unopposed_newcomers(market: Market, roles: Roles, trust: int, needed: int) -> None:
    """n workers of weight 2 reach any trust up to 2^n."""
    task = _open(market, trust)
    for place in range(needed):
        events = market.hub_events(market.contribute(task, roles.workers[place]))
        assert events[-1][0] == ("TaskConsensus" if place == needed - 1 else "TaskContribute")
    state = market.hub.read("viewTask", task)
    assert (state[0], state[7], state[9]) == (2, result_hash(task, DIGEST), needed)
    assert state[5] == market.evm.time + 2 * 300
    assert state[8] == 0


@pytest.mark.parametrize(("score", "trust", "alone"), [(14, 3, True), (14, 4, False), (15, 4, True), (303, 100, True), (302, 100, False)])
def test_a_proven_worker_may_do_alone(market: Market, roles: Roles, score: int, trust: int, alone: bool) -> None:
    """One worker is enough once its weight reaches the trust: s >= 3 (trust + 1)."""
    market.set_score(roles.workers[0].address, score)
    task = _open(market, trust)
    events = market.hub_events(market.contribute(task, roles.workers[0]))
    assert (events[-1][0] == "TaskConsensus") is alone


def test_opposition_makes_it_harder(market: Market, roles: Roles) -> None:
    """P > (1 + O)(trust - 1): with one wrong answer of weight 2 at trust 4, 2^3 = 8 is too little and 2^4 = 16 enough."""
    one, two, three, four, five = roles.workers
    task = _open(market, 4)
    market.contribute(task, one, OTHER)
    for worker in (two, three, four):
        assert market.hub_events(market.contribute(task, worker))[-1][0] == "TaskContribute"
    assert market.hub_events(market.contribute(task, five))[-1] == ("TaskConsensus", task, result_hash(task, DIGEST))
    assert market.hub.read("viewTask", task)[9] == 4


def test_two_camps_block_each_other(market: Market, roles: Roles) -> None:
    task = _open(market, 3)
    answers = [DIGEST, OTHER, DIGEST, OTHER]
    for worker, digest in zip(roles.workers, answers, strict=False):
        assert market.hub_events(market.contribute(task, worker, digest))[-1][0] == "TaskContribute"
    assert market.hub.read("viewTask", task)[0] == 1


def test_consensus_needs_a_contribution_to_its_own_group(market: Market, roles: Roles) -> None:
    """Only the group that just grew is looked at."""
    one, two, *_ = roles.workers
    market.set_score(one.address, 303)  # weight 100
    task = _open(market, 60)
    events = market.hub_events(market.contribute(task, two, OTHER))
    assert events[-1][0] == "TaskContribute"
    # 100 > (1 + 2)(60 - 1) = 177 does not hold
    assert market.hub_events(market.contribute(task, one))[-1][0] == "TaskContribute"


def test_the_largest_trust_needs_many(market: Market, roles: Roles) -> None:
    task = _open(market, 2**56 - 1)
    for worker in roles.workers:
        assert market.hub_events(market.contribute(task, worker))[-1][0] == "TaskContribute"
