"""`claimBoost`: what nobody has settled in time ends, and the payer has the money back."""

from __future__ import annotations

from dataclasses import replace

from tests.support.boost import match_boost, push, sponsor_boost
from tests.support.evm import reverts
from tests.support.market import KITTY, RLC, Market, Roles, Terms
from tests.support.orders import task_id

TERMS = Terms(app_price=3 * RLC, price=1_000_000_007, volume=2)


def test_a_claim(market: Market, roles: Roles) -> None:
    deal, _ = match_boost(market, replace(TERMS, with_dataset=True, dataset_price=2 * RLC))
    market.evm.warp(7 * 300)
    receipt = market.hub.send("claimBoost", deal, 1, by=roles.stranger.address)
    task, hub, requester, scheduler = task_id(deal, 1), market.hub.address, roles.requester.address, roles.scheduler.address
    assert market.hub_events(receipt) == [
        ("Transfer", hub, requester, 6_000_000_007),
        ("Unlock", requester, 6_000_000_007),
        ("Seize", scheduler, 300_000_002, task),
        ("Reward", KITTY, 300_000_002, task),
        ("Lock", KITTY, 300_000_002),
        ("TaskClaimed", task),
    ]
    assert market.hub.read("viewTask", task)[0] == 4
    assert market.accounts(requester, scheduler) == [
        (1_000 * RLC - 6_000_000_007, 6_000_000_007),
        (1_000 * RLC - 600_000_004, 300_000_002),
    ]


def test_the_sponsor_has_it_back(market: Market, roles: Roles) -> None:
    deal, _ = sponsor_boost(market, TERMS)
    market.evm.warp(7 * 300)
    for index in (0, 1):
        market.hub.send("claimBoost", deal, index, by=roles.stranger.address)
    assert market.accounts(roles.sponsor.address) == [(1_000 * RLC, 0)]


def test_not_before_the_deadline(market: Market, roles: Roles) -> None:
    deal, _ = match_boost(market, TERMS)
    market.evm.warp(7 * 300 - 1)
    with reverts("PocoBoost: Deadline not reached"):
        market.hub.send("claimBoost", deal, 0, by=roles.stranger.address)
    market.evm.warp(1)
    market.hub.send("claimBoost", deal, 0, by=roles.stranger.address)


def test_not_what_is_settled_or_not_there(market: Market, roles: Roles) -> None:
    deal, _ = match_boost(market, TERMS)
    push(market, deal)
    market.evm.warp(7 * 300)
    market.hub.send("claimBoost", deal, 1, by=roles.stranger.address)
    for index in (0, 1):
        with reverts("PocoBoost: Task status not unset"):
            market.hub.send("claimBoost", deal, index, by=roles.stranger.address)
    with reverts("PocoBoost: Unknown task"):
        market.hub.send("claimBoost", deal, 2, by=roles.stranger.address)
    with reverts():
        market.hub.send("claim", task_id(deal, 0), by=roles.stranger.address)
