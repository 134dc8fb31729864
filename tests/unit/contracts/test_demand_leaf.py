"""Leaves that are withheld: asked for under a bond, shown in time, or paid for with the stake (SPEC 18.8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.bags import Bag, Leaf, Words, by_address, honest_leaves, in_order, matched, post, settle
from tests.support.evm import Receipt, reverts
from tests.support.market import KITTY, RLC, Market, Roles, Terms

VOLUME = 5
PRICE = 10 * RLC
TERMS = Terms(app_price=3 * RLC, price=PRICE, volume=VOLUME, trust=3)
START, STAKE = 1_000 * RLC, 15 * RLC
SILENCE = 6
NO_RECEIPT = ("0x" + 40 * "0", bytes(32), b"")


@pytest.fixture
def bag(market: Market) -> Bag:
    """An honest bag: two workers agree on each result, the task 3 has none."""
    return post(market, matched(market, TERMS), honest_leaves(market, VOLUME, agreed=2, missing=(3,)), {})[0]


def _demand(market: Market, bag: Bag, index: int, *, by: str = "") -> Receipt:
    return market.hub.send("demandLeaf", bag.packed, index, *NO_RECEIPT, by=by or market.roles.requester.address)


def _answer(market: Market, bag: Bag, index: int, *, leaf: Leaf | None = None, signatures: bytes | None = None) -> Receipt:
    shown = leaf or bag.leaves[index]
    if signatures is None:
        signatures = Words(market, bag.deal).contributions(shown, by_address(market))
    return market.hub.send("answerLeaf", bag.packed, shown.packed, bag.proof(index), signatures, by=market.roles.scheduler.address)


def _expire(market: Market, bag: Bag, index: int) -> Receipt:
    return market.hub.send("expireDemand", bag.packed, index, by=market.roles.stranger.address)


def test_the_requester_asks(market: Market, roles: Roles, bag: Bag) -> None:
    market.evm.warp(100)
    receipt = _demand(market, bag, 2)
    requester, hub = roles.requester.address, market.hub.address
    assert market.hub_events(receipt) == [
        ("Transfer", requester, hub, PRICE),
        ("Lock", requester, PRICE),
        ("LeafDemanded", bag.deal, 2, requester, market.evm.time + 600),
    ]
    assert market.hub.read("viewBag", bag.deal)[:2] == (1, 1)


def test_the_answer_has_the_bond(market: Market, roles: Roles, bag: Bag) -> None:
    for index in range(VOLUME):
        with market.evm.anchor():
            _demand(market, bag, index)
            before = market.accounts(roles.scheduler.address)[0]
            receipt = _answer(market, bag, index)
            assert market.hub_events(receipt)[-1] == ("LeafAnswered", bag.deal, index)
            assert market.accounts(roles.scheduler.address)[0] == (before[0] + PRICE, before[1])
            assert market.accounts(roles.requester.address)[0] == (START - 65 * RLC - PRICE, 65 * RLC)
            assert market.hub.read("viewBag", bag.deal)[:2] == (1, 0)


def test_silence_costs_the_stake(market: Market, roles: Roles, bag: Bag) -> None:
    _demand(market, bag, 2)
    market.evm.warp(599)
    with reverts("too-early"):
        _expire(market, bag, 2)
    market.evm.warp(1)
    with reverts("too-late"):
        _answer(market, bag, 2)
    receipt = _expire(market, bag, 2)
    assert ("BagSlashed", bag.deal, roles.requester.address, SILENCE, STAKE // 10) in market.hub_events(receipt)
    assert market.accounts(roles.requester.address, roles.scheduler.address, KITTY) == [
        (START + STAKE // 10, 0),
        (START - STAKE, 0),
        (0, STAKE - STAKE // 10),
    ]


def test_a_worker_asks_with_its_receipt(market: Market, roles: Roles, bag: Bag) -> None:
    worker = roles.workers[4]
    words = Words(market, bag.deal)
    said = words.said(1)
    receipt = words.receipt(1, worker.address, said)
    market.hub.send("demandLeaf", bag.packed, 1, worker.address, said, receipt, by=worker.address)
    assert market.hub.read("viewBag", bag.deal)[1] == 1
    with reverts("not-signed"):
        market.hub.send("demandLeaf", bag.packed, 2, worker.address, said, receipt, by=worker.address)


def test_a_stranger_does_not_ask(market: Market, roles: Roles, bag: Bag) -> None:
    with reverts("not-yours-to-ask"):
        _demand(market, bag, 2, by=roles.stranger.address)


def test_the_sponsor_asks(market: Market, roles: Roles) -> None:
    orders = market.sign(market.orders(replace(TERMS, params='{"voisin_window":"000600"}')))
    deal, _ = market.match_orders(orders, by=roles.sponsor.address, function="sponsorMatchOrders")
    bag, _ = post(market, deal, honest_leaves(market, VOLUME), {})
    _demand(market, bag, 0, by=roles.sponsor.address)
    _demand(market, bag, 1)


def test_once_a_leaf(market: Market, bag: Bag) -> None:
    _demand(market, bag, 2)
    with reverts("demanded"):
        _demand(market, bag, 2)
    _answer(market, bag, 2)
    with reverts("demanded"):
        _demand(market, bag, 2)
    with reverts("not-demanded"):
        _answer(market, bag, 2)
    market.evm.warp(2_000)
    with reverts("not-demanded"):
        _expire(market, bag, 2)


def test_not_after_the_window(market: Market, bag: Bag) -> None:
    market.evm.warp(600)
    with reverts("window-closed"):
        _demand(market, bag, 2)


def test_not_without_the_bond(market: Market, roles: Roles, bag: Bag) -> None:
    requester = roles.requester.address
    market.hub.send("withdraw", market.accounts(requester)[0][0], by=requester)
    with reverts("IexecEscrow: Transfer amount exceeds balance"):
        _demand(market, bag, 2)


def test_an_answer_is_the_leaf_that_was_asked_for(market: Market, bag: Bag) -> None:
    _demand(market, bag, 2)
    with reverts("not-demanded"):
        _answer(market, bag, 1)
    for wrong in (replace(bag.leaves[2], done=9), replace(bag.leaves[2], index=2, digest=b"\1" * 32)):
        with reverts("proof"):
            _answer(market, bag, 2, leaf=wrong)


def test_workers_that_never_contributed_cannot_be_named(market: Market, roles: Roles) -> None:
    """The scheduler has the first worker's signature, and writes the second one's name beside it."""
    deal = matched(market, TERMS)
    leaves = honest_leaves(market, VOLUME, agreed=2)
    bag, _ = post(market, deal, leaves, {})
    _demand(market, bag, 0)
    words, first = Words(market, deal), roles.workers[0]
    real = words.contribution(0, first, words.said(0))
    forged = words.contribution(0, roles.scheduler, words.said(0))
    place = in_order(*roles.workers[:2]).index(first.address)
    for signatures in (real, real + real, real + forged if place == 0 else forged + real, real + bytes(65), b""):
        with reverts("not-signed"):
            _answer(market, bag, 0, signatures=signatures)
    market.evm.warp(600)
    _expire(market, bag, 0)


def test_a_signature_for_another_task_is_none(market: Market, bag: Bag) -> None:
    _demand(market, bag, 0)
    signatures = Words(market, bag.deal).contributions(bag.leaves[1], by_address(market))
    with reverts("not-signed"):
        _answer(market, bag, 0, signatures=signatures)


def test_settling_waits_for_the_last_answer(market: Market, bag: Bag) -> None:
    market.evm.warp(599)
    _demand(market, bag, 0)
    _demand(market, bag, 1)
    market.evm.warp(1)
    for index in (0, 1):
        with reverts("demand-open"):
            settle(market, bag)
        _answer(market, bag, index)
    settle(market, bag)


def test_bonds_come_back_when_the_bag_ends_otherwise(market: Market, roles: Roles) -> None:
    deal = matched(market, TERMS)
    leaves = honest_leaves(market, VOLUME, agreed=1)
    bag, _ = post(market, deal, leaves, {})
    for index in (0, 1):
        _demand(market, bag, index)
    with reverts("not-ended"):
        market.hub.send("releaseDemand", deal, 0, by=roles.stranger.address)
    market.hub.send("proveLittleTrust", bag.packed, leaves[4].packed, bag.proof(4), by=roles.stranger.address)
    assert market.accounts(roles.requester.address) == [(START - 2 * PRICE, 2 * PRICE)]
    for index in (0, 1):
        market.hub.send("releaseDemand", deal, index, by=roles.stranger.address)
        with reverts("not-demanded"):
            market.hub.send("releaseDemand", deal, index, by=roles.stranger.address)
    assert market.accounts(roles.requester.address) == [(START, 0)]


def test_the_first_silence_ends_the_bag_and_the_other_bonds_come_back(market: Market, roles: Roles, bag: Bag) -> None:
    _demand(market, bag, 0)
    _demand(market, bag, 1)
    market.evm.warp(600)
    _expire(market, bag, 1)
    with reverts("unknown-bag"):
        _expire(market, bag, 0)
    market.hub.send("releaseDemand", bag.deal, 0, by=roles.stranger.address)
    assert market.accounts(roles.requester.address) == [(START + STAKE // 10, 0)]


def test_a_free_task_costs_no_bond(market: Market) -> None:
    deal = matched(market, Terms(app_price=0, price=0, volume=2))
    bag, _ = post(market, deal, honest_leaves(market, 2), {})
    _demand(market, bag, 0)
    _answer(market, bag, 0)
    market.evm.warp(600)
    settle(market, bag)
