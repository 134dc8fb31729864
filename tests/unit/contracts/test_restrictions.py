"""Whom an order lets in: everybody, one address, or the members of a group (ERC-734)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.compiled import deploy_double, encode_call
from tests.support.evm import Receipt, reverts
from tests.support.market import Market, Roles, Terms

TERMS = Terms(with_dataset=True)
# order, its restriction, whom it looks at, what is said when that one is not let in
RESTRICTIONS = (
    ("RequestOrder", "workerpool", "workerpool", "0x12"),
    ("AppOrder", "datasetrestrict", "dataset", "0x13"),
    ("AppOrder", "workerpoolrestrict", "workerpool", "0x14"),
    ("AppOrder", "requesterrestrict", "requester", "0x15"),
    ("DatasetOrder", "apprestrict", "app", "0x16"),
    ("DatasetOrder", "workerpoolrestrict", "workerpool", "0x17"),
    ("DatasetOrder", "requesterrestrict", "requester", "0x18"),
    ("WorkerpoolOrder", "apprestrict", "app", "0x19"),
    ("WorkerpoolOrder", "datasetrestrict", "dataset", "0x1a"),
    ("WorkerpoolOrder", "requesterrestrict", "requester", "0x1b"),
)


def _subject(market: Market, whom: str) -> str:
    return str({"requester": market.roles.requester.address}.get(whom) or getattr(market, whom))


def _match(market: Market, order: str, field: str, restriction: str) -> Receipt:
    orders: dict[str, dict[str, Any]] = market.orders(TERMS)
    orders[order][field] = restriction
    return market.match_orders(market.sign(orders), by=market.roles.stranger.address)[1]


@pytest.mark.parametrize(("order", "field", "whom", "code"), RESTRICTIONS)
def test_the_address_itself_is_let_in(market: Market, order: str, field: str, whom: str, code: str) -> None:
    _match(market, order, field, _subject(market, whom))


@pytest.mark.parametrize(("order", "field", "whom", "code"), RESTRICTIONS)
def test_another_address_is_not(market: Market, roles: Roles, order: str, field: str, whom: str, code: str) -> None:
    with reverts(f"iExecV5-matchOrders-{code}"):
        _match(market, order, field, roles.stranger.address)


@pytest.mark.parametrize(("order", "field", "whom", "code"), RESTRICTIONS)
def test_a_group_lets_its_member_in_and_nobody_else(market: Market, roles: Roles, order: str, field: str, whom: str, code: str) -> None:
    stranger = roles.stranger.address
    group = deploy_double(market.evm, "Group", stranger, ("address", _subject(market, whom)))
    other = deploy_double(market.evm, "Group", stranger, ("address", stranger))
    with reverts(f"iExecV5-matchOrders-{code}"):
        _match(market, order, field, other)
    market.evm.send(stranger, group, encode_call("setBroken(bool)", True))
    with reverts(f"iExecV5-matchOrders-{code}"):
        _match(market, order, field, group)
    market.evm.send(stranger, group, encode_call("setBroken(bool)", False))
    _match(market, order, field, group)


@pytest.mark.parametrize("double", ["Mute", "Untidy"])
def test_a_contract_that_answers_nothing_or_nonsense_fails_the_match(market: Market, roles: Roles, double: str) -> None:
    group = deploy_double(market.evm, double, roles.stranger.address)
    with reverts():
        _match(market, "AppOrder", "requesterrestrict", group)


def test_a_request_may_leave_the_workerpool_open(market: Market) -> None:
    orders = market.orders(TERMS)
    orders["RequestOrder"]["workerpool"] = "0x" + "00" * 20
    market.match_orders(market.sign(orders), by=market.roles.stranger.address)
