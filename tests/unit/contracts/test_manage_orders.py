"""Orders signed and closed on the chain (`manage*Order`), and shown to everybody (`broadcast*`)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.compiled import deploy_double
from tests.support.evm import Receipt, reverts
from tests.support.market import Market, Roles, Terms
from tests.support.orders import CLOSE, SIGN, as_tuple, operation_hash

KINDS = ("AppOrder", "DatasetOrder", "WorkerpoolOrder", "RequestOrder")
TERMS = Terms(with_dataset=True, dataset_price=1, volume=7, params='{"iexec_args":"x"}', tag=(9).to_bytes(32, "big"))


def _manage(market: Market, kind: str, order: dict[str, Any], operation: int, *, by: str, sign: bytes = b"") -> Receipt:
    return market.hub.send(f"manage{kind}", (as_tuple(order), operation, sign), by=by)


@pytest.mark.parametrize("kind", KINDS)
def test_the_owner_signs_an_order_on_the_chain(market: Market, kind: str) -> None:
    order, owner = market.orders(TERMS)[kind], market.owners()[kind]
    digest = market.hash(kind, order)

    receipt = _manage(market, kind, order, SIGN, by=owner.address)

    assert market.hub_events(receipt) == [(f"Signed{kind}", digest)]
    assert market.hub.read("viewPresigned", digest) == owner.address
    assert market.hub.read("viewConsumed", digest) == 0
    assert market.hub.read("verifyPresignature", owner.address, digest) is True


@pytest.mark.parametrize("kind", KINDS)
def test_the_owner_closes_an_order(market: Market, kind: str) -> None:
    order, owner = market.orders(TERMS)[kind], market.owners()[kind]
    digest = market.hash(kind, order)

    receipt = _manage(market, kind, order, CLOSE, by=owner.address)

    assert market.hub_events(receipt) == [(f"Closed{kind}", digest)]
    assert market.hub.read("viewConsumed", digest) == 7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", [SIGN, CLOSE])
def test_anybody_may_bring_the_owners_signature(market: Market, roles: Roles, kind: str, operation: int) -> None:
    order, owner = market.orders(TERMS)[kind], market.owners()[kind]
    sign = owner.sign(operation_hash(kind, order, operation, market.hub.address))
    receipt = _manage(market, kind, order, operation, by=roles.stranger.address, sign=sign)
    assert market.hub_events(receipt) == [(f"{'Closed' if operation else 'Signed'}{kind}", market.hash(kind, order))]


@pytest.mark.parametrize("kind", KINDS)
def test_a_stranger_may_not(market: Market, roles: Roles, kind: str) -> None:
    order, owner = market.orders(TERMS)[kind], market.owners()[kind]
    stranger = roles.stranger.address
    for sign in (
        owner.sign(operation_hash(kind, order, SIGN, market.hub.address)),  # of the other operation
        owner.sign(market.hash(kind, order)),  # of the order itself
        roles.stranger.sign(operation_hash(kind, order, CLOSE, market.hub.address)),
        bytes(65),
    ):
        with reverts("invalid-sender-or-signature"):
            _manage(market, kind, order, CLOSE, by=stranger, sign=sign)
    with reverts("invalid-signature-format"):
        _manage(market, kind, order, CLOSE, by=stranger)


def test_an_operation_that_is_none_reverts_empty(market: Market, roles: Roles) -> None:
    for kind in KINDS:
        with reverts():
            _manage(market, kind, market.orders(TERMS)[kind], 2, by=market.owners()[kind].address)


def test_a_resource_without_code_has_no_owner(market: Market, roles: Roles) -> None:
    order = market.orders(TERMS)["AppOrder"] | {"app": roles.stranger.address}
    with reverts():
        _manage(market, "AppOrder", order, SIGN, by=roles.stranger.address)


def test_a_resource_need_not_be_registered(market: Market, roles: Roles) -> None:
    unknown = deploy_double(market.evm, "FixedOwner", roles.stranger.address, ("address", roles.stranger.address))
    order = market.orders(TERMS)["DatasetOrder"] | {"dataset": unknown}
    receipt = _manage(market, "DatasetOrder", order, SIGN, by=roles.stranger.address)
    assert market.hub_events(receipt) == [("SignedDatasetOrder", market.hash("DatasetOrder", order))]


def test_a_wallet_contract_signs_operations(market: Market, roles: Roles) -> None:
    wallet = deploy_double(market.evm, "Wallet", roles.stranger.address, ("address", roles.requester.address))
    order = market.orders(TERMS)["RequestOrder"] | {"requester": wallet}
    digest = operation_hash("RequestOrder", order, SIGN, market.hub.address)
    with reverts("invalid-sender-or-signature"):
        _manage(market, "RequestOrder", order, SIGN, by=roles.stranger.address, sign=roles.stranger.sign(digest))
    _manage(market, "RequestOrder", order, SIGN, by=roles.stranger.address, sign=roles.requester.sign(digest))
    assert market.hub.read("viewPresigned", market.hash("RequestOrder", order)) == wallet


def test_what_is_signed_on_the_chain_needs_no_signature_to_match(market: Market, roles: Roles) -> None:
    orders = market.orders(TERMS)
    for kind, order in orders.items():
        _manage(market, kind, order, SIGN, by=market.owners()[kind].address)
    _, receipt = market.match_orders(orders, by=roles.stranger.address)
    assert market.hub_events(receipt)[-1][0] == "OrdersMatched"


def test_a_presignature_ends_when_the_resource_changes_hands(market: Market, roles: Roles) -> None:
    orders = market.sign(market.orders(Terms()))
    orders["AppOrder"]["sign"] = b""
    _manage(market, "AppOrder", orders["AppOrder"], SIGN, by=roles.app_owner.address)
    market.app_registry.send(
        "transferFrom", roles.app_owner.address, roles.stranger.address, int(market.app, 16), by=roles.app_owner.address
    )
    with reverts("invalid-signature-format"):
        market.match_orders(orders, by=roles.stranger.address)
    orders["AppOrder"]["sign"] = roles.app_owner.sign(market.hash("AppOrder", orders["AppOrder"]))
    with reverts("iExecV5-matchOrders-0x21"):
        market.match_orders(orders, by=roles.stranger.address)


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_order_matches_no_more(market: Market, roles: Roles, kind: str) -> None:
    orders = market.sign(market.orders(TERMS))
    _manage(market, kind, orders[kind], CLOSE, by=market.owners()[kind].address)
    with reverts("iExecV5-matchOrders-0x60"):
        market.match_orders(orders, by=roles.stranger.address)


@pytest.mark.parametrize("kind", KINDS)
def test_broadcast_repeats_the_order(market: Market, roles: Roles, kind: str) -> None:
    order = market.sign(market.orders(TERMS))[kind]
    receipt = market.hub.send(f"broadcast{kind}", as_tuple(order), by=roles.stranger.address)
    assert market.hub_events(receipt) == [(f"Broadcast{kind}", as_tuple(order))]


def test_broadcast_checks_nothing(market: Market, roles: Roles) -> None:
    order = market.orders(TERMS)["WorkerpoolOrder"] | {"workerpool": roles.stranger.address, "sign": b"nonsense"}
    receipt = market.hub.send("broadcastWorkerpoolOrder", as_tuple(order), by=roles.stranger.address)
    assert market.hub_events(receipt) == [("BroadcastWorkerpoolOrder", as_tuple(order))]
