"""Consensus for any weights, answers and trust: it comes exactly when the protocol's formula says so, and not before."""

from __future__ import annotations

from functools import cache
from math import prod

from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.market import Market, Terms, open_market
from tests.support.nights import examples
from tests.support.orders import result_hash
from tests.support.quick_evm import QuickEvm

ANSWERS = [keccak(bytes([number])) for number in range(3)]
SCORES = st.integers(0, 60) | st.integers(0, 10_000) | st.just(2**64)


@cache
def _market() -> Market:
    return open_market(QuickEvm())


@settings(max_examples=examples(15), deadline=None)
@given(voices=st.lists(st.tuples(SCORES, st.integers(0, 2)), min_size=1, max_size=5), trust=st.integers(0, 40) | st.integers(0, 2**40))
def test_consensus(voices: list[tuple[int, int]], trust: int) -> None:
    """P > (1 + O)(trust - 1), with P and O taken anew from all contributions each time."""
    market = _market()
    with market.evm.anchor():
        task = market.initialize(market.match(Terms(price=0, app_price=0, trust=trust))[0])
        weights: dict[int, list[int]] = {}
        for worker, (score, answer) in zip(market.roles.workers, voices, strict=False):
            market.set_score(worker.address, score)
            weight = max(score // 3, 3) - 1
            weights.setdefault(answer, []).append(weight)
            others = sum(prod(group) for which, group in weights.items() if which != answer)
            is_agreed = prod(weights[answer]) > (1 + others) * (max(trust, 1) - 1)

            events = market.hub_events(market.contribute(task, worker, ANSWERS[answer]))

            assert market.hub.read("viewContribution", task, worker.address)[4] == weight.bit_length() - 1
            assert (events[-1][0] == "TaskConsensus") is is_agreed
            if is_agreed:
                state = market.hub.read("viewTask", task)
                assert (state[7], state[9]) == (result_hash(task, ANSWERS[answer]), len(weights[answer]))
                return
