"""Deposit, and deposit and match, in one transaction: `RLC.approveAndCall` and the hub's `receiveApproval`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.contracts import Event, error_data, selector
from tests.support.evm import reverts
from tests.support.market import RLC, Market, Roles, Terms
from tests.support.orders import ZERO, as_tuple, deal_id


@pytest.fixture
def buyer_orders(market: Market, roles: Roles) -> dict[str, dict[str, Any]]:
    """Signed orders of a requester who has no money in the hub yet, only tokens."""
    market.hub.send("withdraw", 1000 * RLC, by=roles.requester.address)
    return market.sign(market.orders(Terms(app_price=3 * RLC, price=10 * RLC)))


def _match_call(market: Market, orders: dict[str, dict[str, Any]], function: str = "matchOrders") -> bytes:
    return market.hub.data(function, *map(as_tuple, orders.values()))


def test_approve_and_call_deposits(market: Market, roles: Roles) -> None:
    stranger, hub = roles.stranger.address, market.hub.address
    market.token.send("transfer", stranger, 5, by=roles.owner.address)

    receipt = market.token.send("approveAndCall", hub, 5, b"", by=stranger)

    assert market.events(receipt) == [
        Event("token", "Approval", (stranger, hub, 5)),
        Event("token", "Transfer", (stranger, hub, 5)),
        Event("hub", "Transfer", (ZERO, stranger, 5)),
    ]
    assert receipt.output == b""
    assert market.hub.read("balanceOf", stranger) == 5


def test_anybody_may_have_an_approved_deposit_made(market: Market, roles: Roles) -> None:
    """It only ever moves the sender's tokens into the sender's account."""
    requester, stranger = roles.requester.address, roles.stranger.address
    market.token.send("transfer", requester, 5, by=roles.owner.address)
    market.token.send("approve", market.hub.address, 5, by=requester)

    receipt = market.hub.send("receiveApproval", requester, 5, market.token.address, b"", by=stranger)

    assert market.hub_events(receipt) == [("Transfer", ZERO, requester, 5)]
    assert market.hub.answer("receiveApproval", receipt.output) == (True,)


def test_another_token_is_refused(market: Market, roles: Roles) -> None:
    with reverts("wrong-token"):
        market.hub.send("receiveApproval", roles.stranger.address, 0, roles.stranger.address, b"", by=roles.stranger.address)


def test_approve_and_call_matches_the_senders_request(market: Market, roles: Roles, buyer_orders: dict[str, dict[str, Any]]) -> None:
    requester, scheduler, hub = roles.requester.address, roles.scheduler.address, market.hub.address
    deal = deal_id(market.hash("RequestOrder", buyer_orders["RequestOrder"]), 0)

    receipt = market.token.send("approveAndCall", hub, 20 * RLC, _match_call(market, buyer_orders), by=requester)

    hashes = [market.hash(kind, buyer_orders[kind]) for kind in ("AppOrder", "WorkerpoolOrder", "RequestOrder")]
    assert market.events(receipt) == [
        Event("token", "Approval", (requester, hub, 20 * RLC)),
        Event("token", "Transfer", (requester, hub, 20 * RLC)),
        Event("hub", "Transfer", (ZERO, requester, 20 * RLC)),
        Event("hub", "Transfer", (requester, hub, 13 * RLC)),
        Event("hub", "Lock", (requester, 13 * RLC)),
        Event("hub", "Transfer", (scheduler, hub, 3 * RLC)),
        Event("hub", "Lock", (scheduler, 3 * RLC)),
        Event("hub", "SchedulerNotice", (market.workerpool, deal)),
        Event("hub", "OrdersMatched", (deal, hashes[0], bytes(32), hashes[1], hashes[2], 1)),
    ]
    assert market.hub.read("viewAccount", requester) == (7 * RLC, 13 * RLC)
    assert market.hub.read("viewDeal", deal)[15] == requester


def test_the_request_must_be_the_senders(market: Market, roles: Roles, buyer_orders: dict[str, dict[str, Any]]) -> None:
    market.token.send("transfer", roles.stranger.address, 20 * RLC, by=roles.owner.address)
    with reverts(data=error_data("Hub", "CallerIsNotTheRequester")):
        market.token.send("approveAndCall", market.hub.address, 20 * RLC, _match_call(market, buyer_orders), by=roles.stranger.address)


def test_only_matching_is_supported(market: Market, roles: Roles, buyer_orders: dict[str, dict[str, Any]]) -> None:
    sponsored = _match_call(market, buyer_orders, "sponsorMatchOrders")
    withdrawal = market.hub.data("withdraw", 1)
    for data, name in ((sponsored, "sponsorMatchOrders"), (withdrawal, "withdraw")):
        with reverts(data=error_data("Hub", "UnsupportedOperation", selector("Hub", name))):
            market.token.send("approveAndCall", market.hub.address, 20 * RLC, data, by=roles.requester.address)


def test_malformed_data_reverts_empty(market: Market, roles: Roles) -> None:
    for data in (b"\x15\x61\x94", selector("Hub", "matchOrders"), selector("Hub", "matchOrders") + bytes(64)):
        with reverts():
            market.token.send("approveAndCall", market.hub.address, 0, data, by=roles.requester.address)


def test_the_matchs_own_reason_comes_through(market: Market, roles: Roles, buyer_orders: dict[str, dict[str, Any]]) -> None:
    with reverts("IexecEscrow: Transfer amount exceeds balance"):
        market.token.send("approveAndCall", market.hub.address, RLC, _match_call(market, buyer_orders), by=roles.requester.address)
    assert market.token.read("balanceOf", roles.requester.address) == 1000 * RLC


def test_a_match_that_fails_without_reason_is_named(market: Market, roles: Roles, buyer_orders: dict[str, dict[str, Any]]) -> None:
    """The app of the order is an account without code: asking for its owner reverts empty."""
    app = roles.stranger.address
    buyer_orders["AppOrder"]["app"] = buyer_orders["RequestOrder"]["app"] = app
    with reverts(data=error_data("Hub", "OperationFailed")):
        market.token.send("approveAndCall", market.hub.address, RLC, _match_call(market, buyer_orders), by=roles.requester.address)
