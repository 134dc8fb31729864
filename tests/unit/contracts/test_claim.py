"""Ending what was not settled in time: `claim` and its array forms (SPEC 8.4)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_hash.auto import keccak

from tests.support.evm import reverts
from tests.support.market import KITTY, RLC, Market, Roles, Terms
from tests.support.orders import task_id

TERMS = Terms(app_price=3 * RLC, price=10 * RLC, trust=4, volume=3)
FINAL = 10 * 300
OTHER = keccak(b"a wrong result")


@pytest.fixture
def deal(market: Market) -> bytes:
    """Three tasks of trust 4."""
    return market.match(TERMS)[0]


def test_everybody_gets_their_money_back_but_the_scheduler(market: Market, roles: Roles, deal: bytes) -> None:
    hub, scheduler, requester = market.hub.address, roles.scheduler.address, roles.requester.address
    wrong, right = roles.workers[:2]
    task = market.initialize(deal)
    market.contribute(task, wrong, OTHER)
    market.contribute(task, right)
    market.evm.warp(FINAL)

    receipt = market.hub.send("claim", task, by=roles.stranger.address)

    assert market.hub_events(receipt) == [
        ("Transfer", hub, requester, 13 * RLC),
        ("Unlock", requester, 13 * RLC),
        ("Seize", scheduler, 3 * RLC, task),
        ("Reward", KITTY, 3 * RLC, task),
        ("Lock", KITTY, 3 * RLC),
        ("Transfer", hub, wrong.address, 3 * RLC),
        ("Unlock", wrong.address, 3 * RLC),
        ("Transfer", hub, right.address, 3 * RLC),
        ("Unlock", right.address, 3 * RLC),
        ("TaskClaimed", task),
    ]
    assert receipt.output == b""
    assert market.hub.read("viewTask", task)[0] == 4
    assert market.accounts(requester, scheduler, wrong.address, right.address, KITTY) == [
        (974 * RLC, 26 * RLC),
        (991 * RLC, 6 * RLC),
        (1000 * RLC, 0),
        (1000 * RLC, 0),
        (0, 3 * RLC),
    ]
    assert [market.hub.read("viewScore", worker.address) for worker in (wrong, right)] == [0, 0]


def test_the_final_deadline_is_the_first_moment(market: Market, roles: Roles, deal: bytes) -> None:
    task = market.initialize(deal)
    market.evm.warp(FINAL - 1)
    with reverts():
        market.hub.send("claim", task, by=roles.stranger.address)
    market.evm.warp(1)
    market.hub.send("claim", task, by=roles.stranger.address)


def test_an_agreed_task_that_was_never_settled_fails_too(market: Market, roles: Roles, deal: bytes) -> None:
    task = market.initialize(deal)
    for worker in roles.workers[:2]:
        market.contribute(task, worker)
    for worker in roles.workers[:2]:
        market.reveal(task, worker)
    market.evm.warp(FINAL)
    market.hub.send("claim", task, by=roles.stranger.address)
    state = market.hub.read("viewTask", task)
    assert state[0] == 4
    assert state[7] != bytes(32)  # what was agreed stays on record
    assert market.accounts(*(worker.address for worker in roles.workers[:2])) == [(1000 * RLC, 0)] * 2


def test_a_reopened_task_gives_the_rejected_their_stake_back(market: Market, roles: Roles) -> None:
    task = market.initialize(market.match(replace(TERMS, trust=1))[0])
    market.contribute(task, roles.workers[0])
    market.evm.warp(600)
    market.hub.send("reopen", task, by=roles.scheduler.address)
    market.evm.warp(FINAL)
    market.hub.send("claim", task, by=roles.stranger.address)
    assert market.accounts(roles.workers[0].address) == [(1000 * RLC, 0)]
    assert market.hub.read("viewTask", task)[7] == bytes(32)


def test_a_sponsor_gets_the_money_back(market: Market, roles: Roles) -> None:
    orders = market.sign(market.orders(replace(TERMS, with_dataset=True, dataset_price=2 * RLC)))
    deal, _ = market.match_orders(orders, by=roles.sponsor.address, function="sponsorMatchOrders")
    task = market.initialize(deal)
    market.evm.warp(FINAL)
    receipt = market.hub.send("claim", task, by=roles.stranger.address)
    assert market.hub_events(receipt)[1] == ("Unlock", roles.sponsor.address, 15 * RLC)


def test_what_is_over_or_never_began_cannot_be_claimed(market: Market, roles: Roles, deal: bytes) -> None:
    market.evm.warp(FINAL)
    with reverts():
        market.hub.send("claim", task_id(deal, 0), by=roles.stranger.address)
    task = market.initialize(deal)
    market.hub.send("claim", task, by=roles.stranger.address)
    with reverts():
        market.hub.send("claim", task, by=roles.stranger.address)


def test_a_completed_task_cannot_be_claimed(market: Market, roles: Roles) -> None:
    task = market.initialize(market.match(replace(TERMS, trust=1))[0])
    market.contribute(task, roles.workers[0])
    market.reveal(task, roles.workers[0])
    market.finalize(task)
    market.evm.warp(FINAL)
    with reverts():
        market.hub.send("claim", task, by=roles.stranger.address)


def test_claim_array(market: Market, roles: Roles, deal: bytes) -> None:
    tasks = [market.initialize(deal, index) for index in range(2)]
    market.evm.warp(FINAL)
    receipt = market.hub.send("claimArray", tasks, by=roles.stranger.address)
    assert [event for event in market.hub_events(receipt) if event[0] == "TaskClaimed"] == [("TaskClaimed", task) for task in tasks]
    assert market.hub.answer("claimArray", receipt.output) == (True,)


def test_claim_array_is_all_or_nothing(market: Market, roles: Roles, deal: bytes) -> None:
    task = market.initialize(deal)
    market.evm.warp(FINAL)
    for tasks in ([task, bytes(32)], [task, task]):
        with reverts():
            market.hub.send("claimArray", tasks, by=roles.stranger.address)
    assert market.hub.read("viewTask", task)[0] == 1


def test_initialize_and_claim_array_ends_a_whole_deal(market: Market, roles: Roles, deal: bytes) -> None:
    market.evm.warp(FINAL)
    receipt = market.hub.send("initializeAndClaimArray", [deal] * 3, [0, 1, 2], by=roles.stranger.address)
    events = market.hub_events(receipt)
    assert [event[0] for event in events] == [
        "TaskInitialize",
        "Transfer",
        "Unlock",
        "Seize",
        "Reward",
        "Lock",
        "TaskClaimed",
    ] * 3
    assert market.hub.answer("initializeAndClaimArray", receipt.output) == (True,)
    assert market.accounts(roles.requester.address, roles.scheduler.address, KITTY) == [(1000 * RLC, 0), (991 * RLC, 0), (0, 9 * RLC)]


def test_initialize_and_claim_array_refusals(market: Market, roles: Roles, deal: bytes) -> None:
    with reverts():
        market.hub.send("initializeAndClaimArray", [deal], [0], by=roles.stranger.address)  # too early
    market.evm.warp(FINAL)
    for deals, indexes in (([deal], []), ([deal, deal], [0, 0]), ([deal], [3])):
        with reverts():
            market.hub.send("initializeAndClaimArray", deals, indexes, by=roles.stranger.address)
