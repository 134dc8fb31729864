"""Two ways in which the original's deals of this kind keep money for ever, and what happens with us instead (SPEC 15.4)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.boost import push, sponsor_boost
from tests.support.market import RLC, Market, Roles, Terms
from tests.support.orders import task_id

TERMS = Terms(app_price=3 * RLC, price=10 * RLC)


def test_a_result_is_paid_by_who_has_locked_the_money(market: Market, roles: Roles) -> None:
    deal, _ = sponsor_boost(market, TERMS)
    receipt = push(market, deal)
    assert market.hub_events(receipt)[0] == ("Seize", roles.sponsor.address, 13 * RLC, task_id(deal, 0))
    assert market.accounts(roles.sponsor.address, roles.requester.address) == [(987 * RLC, 0), (1_000 * RLC, 0)]


@pytest.mark.parametrize("ending", ["push", "claim"])
def test_without_dataset_its_price_is_not_locked(market: Market, roles: Roles, ending: str) -> None:
    orders = market.orders(TERMS)
    orders["DatasetOrder"]["datasetprice"] = orders["RequestOrder"]["datasetmaxprice"] = 5 * RLC
    deal, _ = market.match_orders(market.sign(orders), by=roles.stranger.address, function="matchOrdersBoost")
    assert market.accounts(roles.requester.address) == [(987 * RLC, 13 * RLC)]
    if ending == "push":
        push(market, deal)
        assert market.accounts(roles.requester.address) == [(987 * RLC, 0)]
    else:
        market.evm.warp(7 * 300)
        market.hub.send("claimBoost", deal, 0, by=roles.stranger.address)
        assert market.accounts(roles.requester.address) == [(1_000 * RLC, 0)]


def test_a_sponsored_bag_ends_with_nothing_locked(market: Market, roles: Roles) -> None:
    deal, _ = sponsor_boost(market, replace(TERMS, volume=2, with_dataset=True, dataset_price=RLC))
    push(market, deal, 0)
    market.evm.warp(7 * 300)
    market.hub.send("claimBoost", deal, 1, by=roles.stranger.address)
    assert market.accounts(roles.sponsor.address, roles.scheduler.address)[0] == (986 * RLC, 0)
    assert market.accounts(roles.scheduler.address)[0][1] == 0
