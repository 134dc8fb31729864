"""Opening tasks: `initialize` and its array form."""

from __future__ import annotations

import pytest

from tests.support.evm import reverts
from tests.support.market import TIME_REF, Market, Roles, Terms
from tests.support.orders import task_id


@pytest.fixture
def deal(market: Market) -> bytes:
    """Three tasks of category 2, with indexes 0 to 2."""
    return market.match(Terms(volume=3, category=2))[0]


def test_initialize_opens_a_task(market: Market, roles: Roles, deal: bytes) -> None:
    start = market.evm.time
    market.evm.warp(50)

    receipt = market.hub.send("initialize", deal, 1, by=roles.stranger.address)

    task = task_id(deal, 1)
    assert receipt.output == task
    assert market.hub_events(receipt) == [("TaskInitialize", task, market.workerpool)]
    assert market.hub.read("viewTask", task) == (
        1,
        deal,
        1,
        TIME_REF[2],
        start + 7 * 3600,
        0,
        start + 10 * 3600,
        bytes(32),
        0,
        0,
        (),
        bytes(32),
        b"",
        0,
        b"",
    )


def test_indexes_outside_the_deal_revert_empty(market: Market, roles: Roles, deal: bytes) -> None:
    for index in (3, 4, 2**256 - 1):
        with reverts():
            market.initialize(deal, index)


def test_the_second_deal_of_a_request_has_its_own_indexes(market: Market, roles: Roles) -> None:
    deals = []
    for salt in (b"\x01", b"\x02"):
        orders = market.orders(Terms(volume=4))
        orders["AppOrder"].update(volume=2, salt=salt * 32)
        deals.append(market.match_orders(market.sign(orders), by=roles.stranger.address)[0])
    for index in (0, 1, 4):
        with reverts():
            market.initialize(deals[1], index)
    assert market.initialize(deals[1], 2) == task_id(deals[1], 2)
    assert market.initialize(deals[1], 3) == task_id(deals[1], 3)


def test_a_task_is_opened_once(market: Market, deal: bytes) -> None:
    market.initialize(deal, 0)
    with reverts():
        market.initialize(deal, 0)


def test_a_deal_that_is_none_has_no_tasks(market: Market) -> None:
    with reverts():
        market.initialize(bytes(32), 0)


def test_a_task_may_be_opened_after_its_deadlines(market: Market, deal: bytes) -> None:
    market.evm.warp(11 * 3600)
    task = market.initialize(deal, 0)
    assert market.hub.read("viewTask", task)[0] == 1


def test_initialize_array(market: Market, roles: Roles, deal: bytes) -> None:
    receipt = market.hub.send("initializeArray", [deal, deal], [0, 2], by=roles.stranger.address)
    assert market.hub_events(receipt) == [("TaskInitialize", task_id(deal, index), market.workerpool) for index in (0, 2)]
    assert market.hub.answer("initializeArray", receipt.output) == (True,)


def test_initialize_array_is_all_or_nothing(market: Market, roles: Roles, deal: bytes) -> None:
    for deals, indexes in (([deal], []), ([deal, deal], [0, 3]), ([deal, deal], [1, 1])):
        with reverts():
            market.hub.send("initializeArray", deals, indexes, by=roles.stranger.address)
    assert market.hub.read("viewTask", task_id(deal, 0))[0] == 0


def test_nothing_may_be_initialized_at_once(market: Market, roles: Roles) -> None:
    receipt = market.hub.send("initializeArray", [], [], by=roles.stranger.address)
    assert (receipt.logs, int.from_bytes(receipt.output, "big")) == ((), 1)
