"""Why `matchOrders` refuses: every reason code, and the order in which they are looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.compiled import deploy_double
from tests.support.evm import reverts
from tests.support.market import RLC, Market, Roles, Terms
from tests.support.orders import ZERO

Orders = dict[str, dict[str, Any]]
TERMS = Terms(app_price=3, dataset_price=2, price=10, trust=5, category=2, volume=4, with_dataset=True)


def _tag(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _set(*kinds: str, **fields: Any) -> Callable[[Orders], None]:
    def change(orders: Orders) -> None:
        for kind in kinds:
            orders[kind].update(fields)

    return change


REFUSALS: tuple[tuple[str, Callable[[Orders], None]], ...] = (
    ("0x00", _set("RequestOrder", category=1)),
    ("0x01", _set("RequestOrder", "WorkerpoolOrder", category=5)),
    ("0x02", _set("RequestOrder", trust=6)),
    ("0x03", _set("RequestOrder", appmaxprice=2)),
    ("0x04", _set("RequestOrder", datasetmaxprice=1)),
    ("0x05", _set("RequestOrder", workerpoolmaxprice=9)),
    ("0x06", _set("AppOrder", tag=_tag(0x100))),
    ("0x06", _set("RequestOrder", tag=_tag(0x2))),
    ("0x06", _set("DatasetOrder", tag=_tag(1 << 255))),
    ("0x07", _set("RequestOrder", "WorkerpoolOrder", tag=_tag(1))),
    ("0x10", _set("RequestOrder", app="0x" + "11" * 20)),
    ("0x11", _set("RequestOrder", dataset="0x" + "11" * 20)),
    ("0x12", _set("RequestOrder", workerpool="0x" + "11" * 20)),
)


@pytest.mark.parametrize(("code", "change"), REFUSALS)
def test_terms_that_do_not_fit(market: Market, roles: Roles, code: str, change: Callable[[Orders], None]) -> None:
    orders = market.orders(TERMS)
    change(orders)
    signed = market.sign(orders)
    for function in ("matchOrders", "sponsorMatchOrders"):
        with reverts(f"iExecV5-matchOrders-{code}"):
            market.match_orders(signed, by=roles.stranger.address, function=function)


def test_terms_that_just_fit(market: Market, roles: Roles) -> None:
    orders = market.orders(TERMS)
    orders["RequestOrder"].update(appmaxprice=2**256 - 1, datasetmaxprice=2, trust=0, volume=2**256 - 1)
    orders["WorkerpoolOrder"].update(tag=_tag(2**256 - 1))
    orders["DatasetOrder"].update(tag=_tag(0x0E))
    market.match_orders(market.sign(orders), by=roles.stranger.address)


def test_without_dataset_its_empty_order_is_still_compared(market: Market, roles: Roles) -> None:
    orders = market.orders(Terms())
    orders["DatasetOrder"]["datasetprice"] = 1
    with reverts("iExecV5-matchOrders-0x04"):
        market.match_orders(market.sign(orders), by=roles.stranger.address)
    orders = market.orders(Terms())
    orders["DatasetOrder"]["tag"] = _tag(0x100)
    with reverts("iExecV5-matchOrders-0x06"):
        market.match_orders(market.sign(orders), by=roles.stranger.address)
    orders = market.orders(Terms())
    orders["DatasetOrder"]["apprestrict"] = roles.stranger.address
    with reverts("iExecV5-matchOrders-0x16"):
        market.match_orders(market.sign(orders), by=roles.stranger.address)


UNREGISTERED = (("AppOrder", "app", "0x20"), ("DatasetOrder", "dataset", "0x30"), ("WorkerpoolOrder", "workerpool", "0x40"))


@pytest.mark.parametrize(("kind", "field", "code"), UNREGISTERED)
def test_entries_must_be_registered(market: Market, roles: Roles, kind: str, field: str, code: str) -> None:
    stranger = roles.stranger.address
    unknown = deploy_double(market.evm, "FixedOwner", stranger, ("address", market.owners()[kind].address))
    orders = market.orders(TERMS)
    orders[kind][field] = orders["RequestOrder"][field] = unknown
    with reverts(f"iExecV5-matchOrders-{code}"):
        market.match_orders(market.sign(orders), by=stranger)


@pytest.mark.parametrize(("kind", "field", "code"), UNREGISTERED)
def test_an_entry_without_code_is_asked_for_its_owner_first(market: Market, roles: Roles, kind: str, field: str, code: str) -> None:
    orders = market.orders(TERMS)
    orders[kind][field] = orders["RequestOrder"][field] = roles.stranger.address
    with reverts():
        market.match_orders(market.sign(orders), by=roles.stranger.address)


SIGNATURES = (("AppOrder", "0x21"), ("DatasetOrder", "0x31"), ("WorkerpoolOrder", "0x41"), ("RequestOrder", "0x50"))


@pytest.mark.parametrize(("kind", "code"), SIGNATURES)
def test_every_owner_must_have_signed(market: Market, roles: Roles, kind: str, code: str) -> None:
    orders = market.sign(market.orders(TERMS))
    orders[kind]["sign"] = roles.stranger.sign(market.hash(kind, orders[kind]))
    with reverts(f"iExecV5-matchOrders-{code}"):
        market.match_orders(orders, by=roles.stranger.address)
    orders[kind]["sign"] = b""
    with reverts("invalid-signature-format"):
        market.match_orders(orders, by=roles.stranger.address)
    orders[kind]["sign"] = market.owners()[kind].sign_compact(market.hash(kind, orders[kind]))
    market.match_orders(orders, by=roles.stranger.address)


@pytest.mark.parametrize("kind", ["AppOrder", "DatasetOrder", "WorkerpoolOrder", "RequestOrder"])
def test_a_changed_order_is_another_order(market: Market, roles: Roles, kind: str) -> None:
    orders = market.sign(market.orders(TERMS))
    orders[kind]["salt"] = b"\x01" * 32
    with reverts(f"iExecV5-matchOrders-{dict(SIGNATURES)[kind]}"):
        market.match_orders(orders, by=roles.stranger.address)


@pytest.mark.parametrize("kind", ["AppOrder", "DatasetOrder", "WorkerpoolOrder", "RequestOrder"])
def test_nothing_left_to_match(market: Market, roles: Roles, kind: str) -> None:
    orders = market.orders(TERMS)
    orders[kind]["volume"] = 0
    with reverts("iExecV5-matchOrders-0x60"):
        market.match_orders(market.sign(orders), by=roles.stranger.address)


def test_who_pays_must_have_the_money(market: Market, roles: Roles) -> None:
    short = "IexecEscrow: Transfer amount exceeds balance"
    terms = Terms(app_price=500 * RLC, price=500 * RLC + 1)
    with reverts(short):
        market.match(terms)
    market.match(Terms(app_price=500 * RLC, price=500 * RLC))


def test_the_scheduler_must_have_the_stake(market: Market, roles: Roles) -> None:
    market.hub.send("withdraw", 997 * RLC + 1, by=roles.scheduler.address)
    with reverts("IexecEscrow: Transfer amount exceeds balance"):
        market.match(Terms(price=10 * RLC))
    market.match(Terms(price=9 * RLC))


def test_a_cost_beyond_all_numbers_is_refused(market: Market, roles: Roles) -> None:
    with reverts():
        market.match(Terms(app_price=2**255, price=2**255))


def test_nobody_cannot_pay(market: Market, roles: Roles) -> None:
    """Garbage counts as the zero address's signature; the escrow stops the match."""
    orders = market.orders(Terms())
    orders["RequestOrder"]["requester"] = ZERO
    signed = market.sign(orders)
    signed["RequestOrder"]["sign"] = bytes(65)
    with reverts("IexecEscrow: Transfer from empty address"):
        market.match_orders(signed, by=roles.stranger.address)
    deal, _ = market.match_orders(signed, by=roles.sponsor.address, function="sponsorMatchOrders")
    assert market.hub.read("viewDeal", deal)[15] == roles.sponsor.address


def test_the_first_reason_wins(market: Market, roles: Roles) -> None:
    """Breaking one condition more at a time, from the last to the first, each new one is the one that is named."""
    orders = market.sign(market.orders(TERMS))
    walk = [refusal for refusal in reversed(REFUSALS) if refusal[0] not in ("0x07", "0x00")]
    for code, change in walk:
        change(orders)
        with reverts(f"iExecV5-matchOrders-{code}"):
            market.match_orders(orders, by=roles.stranger.address)
