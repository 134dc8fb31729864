"""`proveResult`: one result of a settled bag, put on the chain by anybody, and handed to the deal's contract (SPEC 18.9)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_hash.auto import keccak

from tests.support.bags import Bag, Leaf, honest_leaves, matched, post, settle
from tests.support.compiled import deploy_double, encode_call
from tests.support.evm import Receipt, RevertedError, reverts
from tests.support.market import DIGEST, RLC, Market, Roles, Terms
from tests.support.orders import task_id

VALUE = b"the right result"
OTHER = b"not what anybody has computed"
TERMS = Terms(price=10 * RLC, volume=3)
REFUSE = 1


@pytest.fixture
def consumer(market: Market, roles: Roles) -> str:
    """A contract that wants results."""
    return deploy_double(market.evm, "Consumer", roles.stranger.address)


def _settled(market: Market, terms: Terms = TERMS, leaves: tuple[Leaf, ...] = ()) -> Bag:
    bag, _ = post(market, matched(market, terms), leaves or honest_leaves(market, 3, missing=(1,)), {})
    market.evm.warp(600)
    settle(market, bag)
    return bag


def _prove(market: Market, bag: Bag, place: int, value: bytes = b"", *, gas: int = 5_000_000) -> Receipt:
    arguments = (bag.packed, bag.leaves[place].packed, bag.proof(place), value)
    return market.hub.send("proveResult", *arguments, by=market.roles.stranger.address, gas=gas)


def test_a_result(market: Market) -> None:
    bag = _settled(market)
    task = task_id(bag.deal, 2)
    assert market.hub_events(_prove(market, bag, 2)) == [("ResultProven", task, DIGEST, bag.leaves[2].location)]
    view = market.hub.read("viewTask", task)
    assert (view[0], view[1], view[2], view[11]) == (3, bag.deal, 2, DIGEST)


def test_the_contract_of_the_deal_gets_it(market: Market, consumer: str) -> None:
    assert keccak(VALUE) == DIGEST
    bag = _settled(market, replace(TERMS, callback=consumer))
    task = task_id(bag.deal, 0)
    for wrong in (OTHER, b""):
        with reverts("not-the-result"):
            _prove(market, bag, 0, wrong)
    _prove(market, bag, 0, VALUE)
    assert VALUE in market.evm.call(consumer, encode_call("results(bytes32)", task))
    assert market.hub.read("resultFor", task) == VALUE
    with reverts("proven"):
        _prove(market, bag, 0, VALUE)
    assert int.from_bytes(market.evm.call(consumer, encode_call("calls()")), "big") == 1


def test_a_contract_that_refuses_may_have_it_later(market: Market, roles: Roles, consumer: str) -> None:
    bag = _settled(market, replace(TERMS, callback=consumer))
    task = task_id(bag.deal, 0)
    market.evm.send(roles.stranger.address, consumer, encode_call("setMode(uint256)", REFUSE))
    assert market.hub_events(_prove(market, bag, 0, VALUE))[-1] == ("CallbackFailed", task)
    market.evm.send(roles.stranger.address, consumer, encode_call("setMode(uint256)", 0))
    market.hub.send("retryCallback", task, by=roles.stranger.address)
    assert VALUE in market.evm.call(consumer, encode_call("results(bytes32)", task))


def test_a_caller_cannot_starve_the_contract(market: Market, consumer: str) -> None:
    """With too little gas for the callback's whole share nothing happens, instead of a result that cannot be proven again."""
    bag = _settled(market, replace(TERMS, callback=consumer))
    for gas in range(60_000, 340_000, 20_000):
        with market.evm.anchor():
            try:
                receipt = _prove(market, bag, 0, VALUE, gas=gas)
            except RevertedError:
                continue
            assert market.hub_events(receipt)[-1][0] == "ResultProven"


def test_a_task_without_a_result_has_nothing_to_prove(market: Market) -> None:
    bag = _settled(market)
    with reverts("no-result"):
        _prove(market, bag, 1)


def test_not_before_it_is_settled(market: Market) -> None:
    bag, _ = post(market, matched(market, TERMS), honest_leaves(market, 3), {})
    with reverts("unknown-bag"):
        _prove(market, bag, 0)


def test_not_of_a_bag_that_was_slashed(market: Market, roles: Roles) -> None:
    leaves = tuple(replace(leaf, agreed=()) for leaf in honest_leaves(market, 3))
    bag, _ = post(market, matched(market, TERMS), leaves, {})
    market.hub.send("proveLittleTrust", bag.packed, leaves[0].packed, bag.proof(0), by=roles.stranger.address)
    with reverts("unknown-bag"):
        _prove(market, bag, 0)


def test_nothing_else_is_proven(market: Market) -> None:
    bag = _settled(market)
    wrong = replace(bag.leaves[0], digest=keccak(OTHER))
    with reverts("proof"):
        market.hub.send("proveResult", bag.packed, wrong.packed, bag.proof(0), b"", by=market.roles.stranger.address)
    with reverts("not-the-result"):
        _prove(market, bag, 0, OTHER)


def test_who_has_no_contract_may_show_the_value_too(market: Market) -> None:
    bag = _settled(market)
    _prove(market, bag, 0, VALUE)
    assert market.hub.read("resultFor", task_id(bag.deal, 0)) == VALUE
