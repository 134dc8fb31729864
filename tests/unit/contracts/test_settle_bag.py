"""`settleBag`: one transaction pays everybody, after the window; nothing is created, lost, or left locked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.bags import Bag, Words, by_address, honest_leaves, matched, post, settle
from tests.support.evm import reverts
from tests.support.market import KITTY, RLC, Market, Roles, Terms

TERMS = Terms(app_price=3 * RLC, dataset_price=2 * RLC, with_dataset=True, price=10 * RLC, volume=4)
START = 1_000 * RLC


def _everybody(market: Market) -> list[tuple[int, int]]:
    roles = market.roles
    people = (roles.requester, roles.app_owner, roles.dataset_owner, roles.scheduler, *roles.workers[:2])
    return market.accounts(*(person.address for person in people), KITTY)


def test_everybody_is_paid(market: Market, roles: Roles) -> None:
    deal = matched(market, TERMS)
    first, second = roles.workers[0].address, roles.workers[1].address
    bag, _ = post(market, deal, honest_leaves(market, 4), {first: 30 * RLC, second: 6 * RLC})
    market.evm.warp(600)
    receipt = settle(market, bag)
    hub = market.hub.address
    paid = sorted([(first, 30 * RLC), (second, 6 * RLC)], key=lambda item: bytes.fromhex(item[0][2:]))
    assert market.hub_events(receipt) == [
        ("Seize", roles.requester.address, 60 * RLC, deal),
        ("Transfer", hub, roles.app_owner.address, 12 * RLC),
        ("Reward", roles.app_owner.address, 12 * RLC, deal),
        ("Transfer", hub, roles.dataset_owner.address, 8 * RLC),
        ("Reward", roles.dataset_owner.address, 8 * RLC, deal),
        *[("Transfer", hub, worker, amount) for worker, amount in paid],
        ("Transfer", hub, roles.scheduler.address, 4 * RLC),
        ("Reward", roles.scheduler.address, 4 * RLC, deal),
        ("Transfer", hub, roles.scheduler.address, 12 * RLC),
        ("Unlock", roles.scheduler.address, 12 * RLC),
        ("BagSettled", deal, 4),
    ]
    assert _everybody(market) == [
        (START - 60 * RLC, 0),
        (12 * RLC, 0),
        (8 * RLC, 0),
        (START + 4 * RLC, 0),
        (START + 30 * RLC, 0),
        (START + 6 * RLC, 0),
        (0, 0),
    ]
    assert market.hub.read("viewBag", deal)[:2] == (2, 0)


def test_tasks_without_a_result_are_refunded_and_cost_the_scheduler_by_the_time(market: Market, roles: Roles) -> None:
    deal = matched(market, TERMS)
    market.evm.warp(750)  # a quarter of the 3,000 s until the final deadline
    bag, _ = post(market, deal, honest_leaves(market, 4, missing=(1, 2)), {roles.workers[0].address: 18 * RLC})
    market.evm.warp(600)
    settle(market, bag)
    assert _everybody(market) == [
        (START - 30 * RLC, 0),
        (6 * RLC, 0),
        (4 * RLC, 0),
        (START + 2 * RLC - 6 * RLC // 4, 0),
        (START + 18 * RLC, 0),
        (START, 0),
        (0, 6 * RLC // 4),
    ]


def test_at_once_it_costs_nothing(market: Market, roles: Roles) -> None:
    deal = matched(market, TERMS)
    bag, _ = post(market, deal, honest_leaves(market, 4, missing=range(4)), {})
    market.evm.warp(600)
    events = market.hub_events(settle(market, bag))
    hub = market.hub.address
    assert events == [
        ("Transfer", hub, roles.requester.address, 60 * RLC),
        ("Unlock", roles.requester.address, 60 * RLC),
        ("Transfer", hub, roles.scheduler.address, 12 * RLC),
        ("Unlock", roles.scheduler.address, 12 * RLC),
        ("BagSettled", deal, 0),
    ]


def test_a_sponsor_pays_and_is_refunded(market: Market, roles: Roles) -> None:
    orders = market.sign(market.orders(replace(TERMS, params='{"voisin_window":"000600"}')))
    deal, _ = market.match_orders(orders, by=roles.sponsor.address, function="sponsorMatchOrders")
    bag, _ = post(market, deal, honest_leaves(market, 4, missing=(0,)), {})
    market.evm.warp(600)
    settle(market, bag)
    assert market.accounts(roles.sponsor.address, roles.requester.address) == [(START - 45 * RLC, 0), (START, 0)]


def test_not_while_the_window_is_open(market: Market) -> None:
    deal = matched(market, TERMS)
    bag, _ = post(market, deal, honest_leaves(market, 4), {})
    market.evm.warp(599)
    with reverts("window-open"):
        settle(market, bag)
    market.evm.warp(1)
    settle(market, bag)


def test_not_twice(market: Market) -> None:
    deal = matched(market, TERMS)
    bag, _ = post(market, deal, honest_leaves(market, 4), {})
    market.evm.warp(600)
    settle(market, bag)
    with reverts("unknown-bag"):
        settle(market, bag)


def test_not_while_a_leaf_is_demanded(market: Market, roles: Roles) -> None:
    deal = matched(market, TERMS)
    bag, _ = post(market, deal, honest_leaves(market, 4), {})
    market.hub.send("demandLeaf", bag.packed, 2, roles.stranger.address, bytes(32), b"", by=roles.requester.address)
    market.evm.warp(599)
    words = Words(market, deal)
    signatures = words.contributions(bag.leaves[2], by_address(market))
    market.evm.warp(0)
    with market.evm.anchor():
        market.evm.warp(1)
        with reverts("demand-open"):
            settle(market, bag)
    market.hub.send("answerLeaf", bag.packed, bag.leaves[2].packed, bag.proof(2), signatures, by=roles.scheduler.address)
    market.evm.warp(1)
    settle(market, bag)


@pytest.mark.parametrize("field", ["deal", "leaves", "done", "posted", "window", "payouts"])
def test_only_the_bag_that_was_posted(market: Market, roles: Roles, field: str) -> None:
    deal = matched(market, TERMS)
    bag, _ = post(market, deal, honest_leaves(market, 4), {roles.workers[0].address: RLC})
    market.evm.warp(600)
    wrong: dict[str, Bag] = {
        "deal": replace(bag, deal=b"\1" * 32),
        "leaves": replace(bag, leaves=bag.leaves[:3]),
        "done": replace(bag, done=3),
        "posted": replace(bag, posted=bag.posted - 600),
        "window": replace(bag, window=0),
        "payouts": replace(bag, payouts=b""),
    }
    with reverts("unknown-bag"):
        settle(market, wrong[field])


def test_only_the_list_that_was_posted(market: Market, roles: Roles) -> None:
    deal = matched(market, TERMS)
    bag, _ = post(market, deal, honest_leaves(market, 4), {roles.workers[0].address: RLC})
    market.evm.warp(600)
    with reverts("not-the-payouts"):
        market.hub.send("settleBag", bag.packed, b"", by=roles.stranger.address)


def test_a_deal_of_nothing(market: Market) -> None:
    """Free apps, data and machines: nothing moves, nothing is stuck."""
    deal = matched(market, Terms(app_price=0, price=0, volume=2))
    bag, _ = post(market, deal, honest_leaves(market, 2), {})
    market.evm.warp(600)
    settle(market, bag)
    assert _everybody(market) == [(START, 0), (0, 0), (0, 0), *[(START, 0)] * 3, (0, 0)]


def test_a_hundred_and_twenty_eight_workers(market: Market) -> None:
    deal = matched(market, Terms(app_price=0, price=2 * RLC, volume=100))
    amounts = {"0x" + (place + 1).to_bytes(20, "big").hex(): RLC for place in range(128)}
    bag, _ = post(market, deal, honest_leaves(market, 100), amounts)
    market.evm.warp(600)
    settle(market, bag)
    assert market.accounts(*amounts) == [(RLC, 0)] * 128
