"""`matchOrdersBoost` and `sponsorMatchOrdersBoost`: a deal of a few words, most of it told in events alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.boost import match_boost, sponsor_boost
from tests.support.contracts import error_data
from tests.support.evm import reverts
from tests.support.market import RLC, Market, Roles, Terms
from tests.support.orders import ZERO, as_tuple, deal_id

TERMS = Terms(app_price=3 * RLC, dataset_price=2 * RLC, price=1_000_000_007, volume=2, category=1, params='{"iexec_args":"x"}')
TAG = (0x123456789A).to_bytes(32, "big")
CHANGED_POLICY = (35, 5)


def test_everything_is_kept_and_told(market: Market, roles: Roles) -> None:
    terms = replace(TERMS, with_dataset=True, tag=TAG, callback=roles.stranger.address, beneficiary=roles.enclave.address)
    market.workerpool_contract.send("changePolicy", *CHANGED_POLICY, by=roles.scheduler.address)
    orders = market.sign(market.orders(terms))
    hashes = [market.hash(kind, values) for kind, values in orders.items()]

    deal, receipt = match_boost(market, terms)

    assert deal == deal_id(hashes[3], 0)
    cost, stake, hub = 6_000_000_007 * 2, 300_000_002 * 2, market.hub.address
    assert market.hub_events(receipt) == [
        ("Transfer", roles.requester.address, hub, cost),
        ("Lock", roles.requester.address, cost),
        ("Transfer", roles.scheduler.address, hub, stake),
        ("Lock", roles.scheduler.address, stake),
        (
            "SchedulerNoticeBoost",
            market.workerpool,
            deal,
            market.app,
            market.dataset,
            1,
            TAG,
            '{"iexec_args":"x"}',
            roles.enclave.address,
        ),
        ("OrdersMatched", deal, *hashes, 2),
    ]
    assert market.hub.read("viewDealBoost", deal) == (
        roles.app_owner.address,
        3 * RLC,
        roles.dataset_owner.address,
        2 * RLC,
        roles.scheduler.address,
        1_000_000_007,
        roles.requester.address,
        950_000_006,  # 95 %, rounded down
        roles.stranger.address,
        market.evm.time + 7 * 1200,
        0,
        2,
        bytes.fromhex("56789a"),
        roles.requester.address,
    )
    assert [market.hub.read("viewConsumed", order) for order in hashes] == [2, 2, 2, 2]
    assert market.hub.read("viewDeal", deal)[6] == ZERO  # nothing of it is where other deals are


def test_the_least_of_a_deal(market: Market, roles: Roles) -> None:
    deal, receipt = match_boost(market, Terms())
    notice = market.hub_events(receipt)[4]
    assert notice == ("SchedulerNoticeBoost", market.workerpool, deal, market.app, ZERO, 0, bytes(32), "", roles.requester.address)
    found = market.hub.read("viewDealBoost", deal)
    assert found[2:4] == (ZERO, 0)
    assert (found[8], found[12], found[13]) == (ZERO, bytes(3), roles.requester.address)
    assert market.hub.read("viewDealBoost", bytes(32)) == (ZERO, 0, ZERO, 0, ZERO, 0, ZERO, 0, ZERO, 0, 0, 0, bytes(3), ZERO)


def test_a_sponsor_pays(market: Market, roles: Roles) -> None:
    deal, receipt = sponsor_boost(market, Terms())
    events = market.hub_events(receipt)
    assert events[1] == ("Lock", roles.sponsor.address, 13 * RLC)
    assert events[-1] == ("DealSponsoredBoost", deal, roles.sponsor.address)
    assert market.hub.read("viewDealBoost", deal)[13] == roles.sponsor.address
    assert market.accounts(roles.requester.address, roles.sponsor.address) == [(1_000 * RLC, 0), (987 * RLC, 13 * RLC)]


def test_a_request_may_be_served_by_both_kinds_of_deals(market: Market, roles: Roles) -> None:
    """The counters of orders are shared: the second deal begins where the first has ended."""
    orders = market.sign(market.orders(replace(Terms(), volume=5)))
    less = market.orders(replace(Terms(), volume=3, salt=b"\x01" * 32))["AppOrder"]
    first = market.sign({**orders, "AppOrder": less})
    classic, _ = market.match_orders(first, by=roles.stranger.address)
    boost, _ = market.match_orders(orders, by=roles.stranger.address, function="matchOrdersBoost")
    hashed = market.hash("RequestOrder", orders["RequestOrder"])
    assert (classic, boost) == (deal_id(hashed, 0), deal_id(hashed, 3))
    assert market.hub.read("viewDealBoost", boost)[10:12] == (3, 2)
    with reverts("PocoBoost: One or more orders consumed"):
        market.match_orders(orders, by=roles.stranger.address, function="matchOrdersBoost")


def test_the_most_tasks(market: Market, roles: Roles) -> None:
    free = replace(Terms(), app_price=0, price=0)
    deal, _ = match_boost(market, replace(free, volume=65_535))
    assert market.hub.read("viewDealBoost", deal)[11] == 65_535
    with reverts(data=error_data("Hub", "SafeCastOverflowedUintDowncast", 16, 65_536)):
        match_boost(market, replace(free, volume=65_536, salt=b"\x01" * 32))


def test_the_highest_place(market: Market, roles: Roles) -> None:
    """The place of a deal's first task in its request has no more room than the number of its tasks."""
    orders = market.sign(market.orders(replace(Terms(), app_price=0, price=0, volume=65_537)))
    first = market.orders(replace(Terms(), app_price=0, price=0, volume=65_536, salt=b"\x01" * 32))
    market.match_orders(market.sign({**orders, "AppOrder": first["AppOrder"]}), by=roles.stranger.address)
    with reverts(data=error_data("Hub", "SafeCastOverflowedUintDowncast", 16, 65_536)):
        market.match_orders(orders, by=roles.stranger.address, function="matchOrdersBoost")


@pytest.mark.parametrize("name", ["app_price", "price", "dataset_price"])
def test_the_highest_prices(market: Market, name: str) -> None:
    terms = replace(Terms(), with_dataset=True, dataset_price=1)
    with reverts(data=error_data("Hub", "SafeCastOverflowedUintDowncast", 96, 2**96)):
        match_boost(market, replace(terms, **{name: 2**96}))  # type: ignore[arg-type]
    with reverts("IexecEscrow: Transfer amount exceeds balance"):
        match_boost(market, replace(terms, **{name: 2**96 - 1}))  # type: ignore[arg-type]


def test_who_cannot_pay_is_refused(market: Market, roles: Roles) -> None:
    with reverts("IexecEscrow: Transfer amount exceeds balance"):
        match_boost(market, replace(Terms(), app_price=1_001 * RLC))
    market.hub.send("withdraw", 1_000 * RLC, by=roles.scheduler.address)
    with reverts("IexecEscrow: Transfer amount exceeds balance"):
        match_boost(market, Terms())


def test_orders_signed_on_the_chain(market: Market) -> None:
    orders = market.orders(Terms())
    for kind in ("AppOrder", "WorkerpoolOrder", "RequestOrder"):
        market.hub.send(f"manage{kind}", (as_tuple(orders[kind]), 0, b""), by=market.owners()[kind].address)
    market.match_orders(orders, by=market.roles.stranger.address, function="matchOrdersBoost")
