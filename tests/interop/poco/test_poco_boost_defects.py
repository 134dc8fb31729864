"""The two defects of the original that ours does not copy are real: here they are, on its own code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.boost import match_boost, push, sponsor_boost
from tests.support.evm import RevertedError
from tests.support.market import RLC, Market, Roles, Terms

TERMS = Terms(app_price=3 * RLC, price=10 * RLC)


def test_a_sponsored_result_cannot_be_paid(market: Market, roles: Roles) -> None:
    deal, _ = sponsor_boost(market, TERMS)
    with pytest.raises(RevertedError):
        push(market, deal)


def test_or_the_requester_pays_it_too(market: Market, roles: Roles) -> None:
    match_boost(market, replace(TERMS, salt=b"\x01" * 32))
    deal, _ = sponsor_boost(market, TERMS)
    push(market, deal)
    assert market.accounts(roles.sponsor.address, roles.requester.address) == [(987 * RLC, 13 * RLC), (987 * RLC, 0)]


def test_the_price_of_no_dataset_is_locked_for_ever(market: Market, roles: Roles) -> None:
    orders = market.orders(TERMS)
    orders["DatasetOrder"]["datasetprice"] = orders["RequestOrder"]["datasetmaxprice"] = 5 * RLC
    deal, _ = market.match_orders(market.sign(orders), by=roles.stranger.address, function="matchOrdersBoost")
    push(market, deal)
    assert market.accounts(roles.requester.address) == [(982 * RLC, 5 * RLC)]
