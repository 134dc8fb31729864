"""`giveBack`: tasks without a result that their scheduler ends before their time; who pays has the money at once (SPEC 8.7)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_hash.auto import keccak

from tests.support.evm import Receipt, reverts
from tests.support.market import DIGEST, KITTY, RLC, Market, Roles, Terms
from tests.support.orders import TEE_TAG, ZERO, result_hash, result_seal, task_id

TERMS = Terms(app_price=3 * RLC, price=10 * RLC, trust=4, volume=3)
FINAL = 10 * 300
ALL = 2**256 - 1
OTHER = keccak(b"a wrong result")
START = 1_000 * RLC


@pytest.fixture
def deal(market: Market) -> bytes:
    """Three tasks of trust 4, for 13 RLC each; 3 RLC of each are the scheduler's stake."""
    return market.match(TERMS)[0]


def _give_back(market: Market, deal: bytes, *indexes: int, most: int = ALL, by: str = "") -> Receipt:
    return market.hub.send("giveBack", deal, list(indexes), most, by=by or market.roles.scheduler.address)


def _cost(market: Market, receipt: Receipt) -> Any:
    name, _, _, cost = market.hub_events(receipt)[-1]
    assert name == "TasksGivenBack"
    return cost


def test_a_task_that_nobody_opened_is_refunded_at_once_and_for_nothing(market: Market, roles: Roles, deal: bytes) -> None:
    hub, scheduler, requester, task = market.hub.address, roles.scheduler.address, roles.requester.address, task_id(deal, 1)

    receipt = _give_back(market, deal, 1, most=0)

    assert market.hub_events(receipt) == [
        ("TaskInitialize", task, market.workerpool),
        ("TaskClaimed", task),
        ("Transfer", hub, requester, 13 * RLC),
        ("Unlock", requester, 13 * RLC),
        ("Transfer", hub, scheduler, 3 * RLC),
        ("Unlock", scheduler, 3 * RLC),
        ("TasksGivenBack", deal, 1, 0),
    ]
    assert receipt.output == b""
    assert market.accounts(requester, scheduler, KITTY) == [(974 * RLC, 26 * RLC), (994 * RLC, 6 * RLC), (0, 0)]


def test_views_show_it_as_a_failed_task_of_its_deal(market: Market, deal: bytes) -> None:
    start = market.evm.time
    _give_back(market, deal, 2)
    state = market.hub.read("viewTask", task_id(deal, 2))
    assert state[:4] == (4, deal, 2, 300)
    assert state[4] == start + 7 * 300
    assert state[6] == start + FINAL


def test_an_open_task_of_which_nobody_has_said_anything(market: Market, roles: Roles, deal: bytes) -> None:
    task = market.initialize(deal)
    receipt = _give_back(market, deal, 0, most=0)
    assert [event[0] for event in market.hub_events(receipt)] == ["TaskClaimed", *["Transfer", "Unlock"] * 2, "TasksGivenBack"]
    assert market.hub.read("viewTask", task)[0] == 4
    assert market.accounts(roles.requester.address) == [(974 * RLC, 26 * RLC)]


def test_what_it_costs_grows_with_the_time_and_goes_into_the_kitty(market: Market, roles: Roles, deal: bytes) -> None:
    for seconds in (0, 1, 1_000, FINAL - 1):
        with market.evm.anchor():
            market.evm.warp(seconds)
            cost = 2 * 3 * RLC * seconds // FINAL
            assert _cost(market, _give_back(market, deal, 0, 2)) == cost
            assert market.accounts(roles.scheduler.address, KITTY) == [(START - 3 * RLC - cost, 3 * RLC), (0, cost)]


def test_the_share_of_the_kitty_is_seized_as_in_a_claim(market: Market, roles: Roles, deal: bytes) -> None:
    market.evm.warp(FINAL // 2)
    events = market.hub_events(_give_back(market, deal, 0))
    half = 3 * RLC // 2
    assert events[-4:] == [
        ("Seize", roles.scheduler.address, half, deal),
        ("Reward", KITTY, half, deal),
        ("Lock", KITTY, half),
        ("TasksGivenBack", deal, 1, half),
    ]


def test_whose_work_is_lost_has_the_stake_back_and_the_scheduler_pays_all_of_its_own(market: Market, roles: Roles, deal: bytes) -> None:
    wrong, right = roles.workers[:2]
    task = market.initialize(deal)
    market.contribute(task, wrong, OTHER)
    market.contribute(task, right)

    receipt = _give_back(market, deal, 0, 1)

    assert _cost(market, receipt) == 3 * RLC  # task 1 was not opened, and costs nothing
    unlocked = [event[1:] for event in market.hub_events(receipt) if event[0] == "Unlock"]
    assert unlocked == [
        (wrong.address, 3 * RLC),
        (right.address, 3 * RLC),
        (roles.requester.address, 26 * RLC),
        (roles.scheduler.address, 3 * RLC),
    ]
    assert market.accounts(wrong.address, right.address, roles.scheduler.address, KITTY) == [
        (START, 0),
        (START, 0),
        (START - 6 * RLC, 3 * RLC),
        (0, 3 * RLC),
    ]
    assert [market.hub.read("viewScore", worker.address) for worker in (wrong, right)] == [0, 0]


def test_a_worker_that_contributes_in_between_makes_it_fail_and_not_dear(market: Market, roles: Roles, deal: bytes) -> None:
    market.contribute(market.initialize(deal), roles.workers[0], OTHER)
    with reverts("cost-too-high"):
        _give_back(market, deal, 0, most=3 * RLC - 1)
    assert _cost(market, _give_back(market, deal, 0, most=3 * RLC)) == 3 * RLC


def test_nobody_contributes_to_what_was_given_back(market: Market, roles: Roles, deal: bytes) -> None:
    task = market.initialize(deal)
    _give_back(market, deal, 0)
    with reverts():
        market.contribute(task, roles.workers[0])
    with reverts():
        market.initialize(deal, 0)


def test_an_agreed_result_is_paid_for(market: Market, roles: Roles, deal: bytes) -> None:
    task = market.initialize(deal)
    for worker in roles.workers[:2]:
        market.contribute(task, worker)
    with reverts("not-open"):
        _give_back(market, deal, 0)
    for worker in roles.workers[:2]:
        market.reveal(task, worker)
    with reverts("not-open"):
        _give_back(market, deal, 0)
    market.finalize(task)
    with reverts("not-open"):
        _give_back(market, deal, 0)


def test_a_reopened_task_costs_what_a_claim_costs(market: Market, roles: Roles) -> None:
    deal = market.match(replace(TERMS, trust=1))[0]
    task = market.initialize(deal)
    market.contribute(task, roles.workers[0])
    market.evm.warp(600)
    market.hub.send("reopen", task, by=roles.scheduler.address)
    assert _cost(market, _give_back(market, deal, 0)) == 3 * RLC
    assert market.accounts(roles.workers[0].address) == [(START, 0)]


def test_an_open_task_that_a_lone_enclave_may_settle_costs_all_of_the_stake(market: Market, roles: Roles) -> None:
    """The one worker of such a task uploads its result before it settles: else it could be had for nothing."""
    for tag, trust, cost in ((TEE_TAG, 1, 3 * RLC), (TEE_TAG, 4, 0), (bytes(32), 1, 0)):
        with market.evm.anchor():
            deal = market.match(replace(TERMS, tag=tag, trust=trust))[0]
            assert _cost(market, _give_back(market, deal, 1)) == 0
            market.initialize(deal)
            assert _cost(market, _give_back(market, deal, 0)) == cost


def test_who_settles_in_one_step_comes_too_late(market: Market, roles: Roles) -> None:
    deal, worker = market.match(replace(TERMS, trust=1))[0], roles.workers[0]
    task = market.initialize(deal)
    _give_back(market, deal, 0)
    word = market.authorize(worker, task)
    with reverts():
        market.hub.send("contributeAndFinalize", task, DIGEST, b"", b"", ZERO, b"", word, by=worker.address)
    with reverts():
        hashed, seal = result_hash(task, DIGEST), result_seal(worker.address, task, DIGEST)
        market.hub.send("contribute", task, hashed, seal, ZERO, b"", word, by=worker.address)


def test_a_sponsor_and_the_price_of_a_dataset(market: Market, roles: Roles) -> None:
    orders = market.sign(market.orders(replace(TERMS, with_dataset=True, dataset_price=2 * RLC)))
    deal, _ = market.match_orders(orders, by=roles.sponsor.address, function="sponsorMatchOrders")
    events = market.hub_events(_give_back(market, deal, 0, 1, 2))
    assert ("Unlock", roles.sponsor.address, 45 * RLC) in events
    assert market.accounts(roles.sponsor.address, roles.scheduler.address) == [(START, 0), (START, 0)]


def test_only_the_scheduler(market: Market, roles: Roles, deal: bytes) -> None:
    for other in (roles.requester, roles.workers[0], roles.owner):
        with reverts("not-scheduler"):
            _give_back(market, deal, 0, by=other.address)


def test_only_tasks_of_the_deal_each_once(market: Market, deal: bytes) -> None:
    with reverts("no-such-task"):
        _give_back(market, deal, 3)
    with reverts("no-such-task"):
        _give_back(market, deal, 2**255)
    with reverts("not-open"):
        _give_back(market, deal, 1, 1)
    with reverts("not-scheduler"):
        _give_back(market, bytes(32), 0)
    _give_back(market, deal, 0, 1, 2)
    with reverts("not-open"):
        _give_back(market, deal, 0)


def test_indexes_of_a_second_deal_of_one_order(market: Market, roles: Roles) -> None:
    orders = market.orders(replace(TERMS, volume=5))
    orders["WorkerpoolOrder"]["volume"] = 2
    market.match_orders(market.sign(orders), by=roles.stranger.address)
    orders["WorkerpoolOrder"] |= {"volume": 3, "salt": b"\1" * 32}
    deal, _ = market.match_orders(market.sign(orders), by=roles.stranger.address)
    for index in (1, 5):
        with reverts("no-such-task"):
            _give_back(market, deal, index)
    _give_back(market, deal, 2, 3, 4)


def test_not_after_the_final_deadline(market: Market, deal: bytes) -> None:
    market.evm.warp(FINAL - 1)
    _give_back(market, deal, 0)
    market.evm.warp(1)
    with reverts("too-late"):
        _give_back(market, deal, 1)


def test_not_what_was_claimed_nor_a_claim_of_what_was_given_back(market: Market, roles: Roles, deal: bytes) -> None:
    _give_back(market, deal, 0)
    market.evm.warp(FINAL)
    for function, arguments in (("claim", (task_id(deal, 0),)), ("initializeAndClaimArray", ([deal], [0]))):
        with reverts():
            market.hub.send(function, *arguments, by=roles.stranger.address)


def test_not_of_a_deal_that_is_settled_as_a_bag(market: Market) -> None:
    deal = market.match(replace(TERMS, params='{"voisin_window":"000600"}'))[0]
    with reverts("settled-as-a-bag"):
        _give_back(market, deal, 0)


def test_many_at_once_are_cheap(market: Market) -> None:
    """The money moves once for all of them: each further task is two words and two events."""
    deal = market.match(replace(TERMS, volume=41))[0]
    one = _give_back(market, deal, 40).gas_used
    forty = _give_back(market, deal, *range(40)).gas_used
    assert (forty - one) / 39 < 50_000
