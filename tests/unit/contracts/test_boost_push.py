"""`pushResultBoost`: one worker answers, and the task is settled."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_abi.abi import encode

from tests.support.boost import match_boost, push, seal
from tests.support.compiled import deploy_double, encode_call
from tests.support.evm import reverts
from tests.support.market import KITTY, RLC, Market, Roles, Terms
from tests.support.orders import TEE_TAG, ZERO, task_id

TERMS = Terms(app_price=3 * RLC, price=1_000_000_007, volume=2)
VALUE = b"the right result"
REFUSE, BURN = 1, 2


def test_a_settlement(market: Market, roles: Roles) -> None:
    market.workerpool_contract.send("changePolicy", 35, 5, by=roles.scheduler.address)
    deal, _ = match_boost(market, replace(TERMS, with_dataset=True, dataset_price=2 * RLC))
    receipt = push(market, deal, 1)
    task, hub, scheduler = task_id(deal, 1), market.hub.address, roles.scheduler.address
    assert market.hub_events(receipt) == [
        ("Seize", roles.requester.address, 6_000_000_007, task),
        ("Transfer", hub, roles.workers[0].address, 950_000_006),
        ("Reward", roles.workers[0].address, 950_000_006, task),
        ("Transfer", hub, roles.app_owner.address, 3 * RLC),
        ("Reward", roles.app_owner.address, 3 * RLC, task),
        ("Transfer", hub, roles.dataset_owner.address, 2 * RLC),
        ("Reward", roles.dataset_owner.address, 2 * RLC, task),
        ("Transfer", hub, scheduler, 300_000_002),
        ("Unlock", scheduler, 300_000_002),
        ("Transfer", hub, scheduler, 50_000_001),
        ("Reward", scheduler, 50_000_001, task),
        ("ResultPushedBoost", deal, 1, b"link"),
    ]
    assert market.hub.read("viewTask", task)[:2] == (3, bytes(32))  # completed, and nothing else is kept
    assert market.hub.read("resultFor", task) == b""
    assert market.hub.read("viewScore", roles.workers[0].address) == 0
    assert market.accounts(roles.requester.address)[0][1] == 6_000_000_007


def test_what_costs_nothing_is_not_paid(market: Market, roles: Roles) -> None:
    deal, _ = match_boost(market, replace(TERMS, app_price=0, price=0, with_dataset=True))
    names = [event[0] for event in market.hub_events(push(market, deal))]
    assert names == ["Seize", "Transfer", "Reward", "Transfer", "Unlock", "Transfer", "Reward", "ResultPushedBoost"]


def test_the_kitty_is_shared_with_the_scheduler_in_one_reward(market: Market, roles: Roles) -> None:
    first, _ = match_boost(market, replace(TERMS, price=100 * RLC))
    market.evm.warp(7 * 300)
    market.hub.send("claimBoost", first, 0, by=roles.stranger.address)
    deal, _ = match_boost(market, replace(TERMS, salt=b"\x01" * 32))
    events = market.hub_events(push(market, deal))
    task, hub, scheduler = task_id(deal, 0), market.hub.address, roles.scheduler.address
    assert events[-4:-1] == [
        ("Seize", KITTY, 3 * RLC, task),
        ("Transfer", hub, scheduler, 3 * RLC + 10_000_001),
        ("Reward", scheduler, 3 * RLC + 10_000_001, task),
    ]
    assert market.hub.read("frozenOf", KITTY) == 27 * RLC


def test_an_enclave(market: Market, roles: Roles) -> None:
    deal, _ = match_boost(market, replace(TERMS, tag=TEE_TAG))
    with reverts("PocoBoost: Tag requires enclave challenge"):
        push(market, deal)
    with reverts("PocoBoost: Invalid enclave signature"):
        push(market, deal, enclave=roles.enclave, sealed=seal(roles.workers[0], task_id(deal, 0), b"another", roles.enclave))
    push(market, deal, enclave=roles.enclave)


def test_an_enclave_where_none_is_asked_for(market: Market, roles: Roles) -> None:
    deal, _ = match_boost(market, TERMS)
    push(market, deal, enclave=roles.enclave)


def test_the_broker_of_enclaves_speaks_for_the_scheduler(market: Market, roles: Roles) -> None:
    market.hub.send("setTeeBroker", roles.stranger.address, by=roles.owner.address)
    deal, _ = match_boost(market, replace(TERMS, tag=TEE_TAG))
    worker, task = roles.workers[0], task_id(deal, 0)
    with reverts("PocoBoost: Invalid contribution authorization signature"):
        push(market, deal, enclave=roles.enclave)
    push(market, deal, enclave=roles.enclave, word=market.authorize(worker, task, roles.enclave.address, by=roles.stranger))


def test_only_whom_the_scheduler_has_sent(market: Market, roles: Roles) -> None:
    deal, _ = match_boost(market, TERMS)
    word = market.authorize(roles.workers[1], task_id(deal, 0))
    with reverts("PocoBoost: Invalid contribution authorization signature"):
        push(market, deal, word=word)
    with reverts("invalid-signature-format"):
        push(market, deal, word=b"\x01")


def test_once_in_time_and_in_the_deal(market: Market, roles: Roles) -> None:
    deal, _ = match_boost(market, TERMS)
    push(market, deal)
    with reverts("PocoBoost: Task status not unset"):
        push(market, deal)
    for index in (2, 2**255):
        with reverts("PocoBoost: Unknown task"):
            push(market, deal, index)
    with reverts("PocoBoost: Unknown task"):
        push(market, bytes(32))
    market.evm.warp(7 * 300 - 1)
    with market.evm.anchor():
        push(market, deal, 1)
    market.evm.warp(1)
    with reverts("PocoBoost: Deadline reached"):
        push(market, deal, 1)


def test_the_place_in_the_deal_counts_not_that_in_the_request(market: Market, roles: Roles) -> None:
    orders = market.sign(market.orders(replace(TERMS, volume=5)))
    less = market.orders(replace(TERMS, volume=3, salt=b"\x01" * 32))["AppOrder"]
    market.match_orders(market.sign({**orders, "AppOrder": less}), by=roles.stranger.address, function="matchOrdersBoost")
    second, _ = market.match_orders(orders, by=roles.stranger.address, function="matchOrdersBoost")
    assert market.hub.read("viewDealBoost", second)[10:12] == (3, 2)
    with reverts("PocoBoost: Unknown task"):
        push(market, second, 3)
    push(market, second, 0)


def test_the_other_kind_of_task_knows_nothing_of_it(market: Market, roles: Roles) -> None:
    deal, _ = match_boost(market, TERMS)
    with reverts():
        market.hub.send("initialize", deal, 0, by=roles.stranger.address)
    classic, _ = market.match(replace(TERMS, salt=b"\x01" * 32))
    with reverts("PocoBoost: Unknown task"):
        push(market, classic)


def test_a_callback(market: Market, roles: Roles) -> None:
    consumer = deploy_double(market.evm, "Consumer", roles.stranger.address)
    deal, _ = match_boost(market, replace(TERMS, callback=consumer))
    with reverts("PocoBoost: Callback requires data"):
        push(market, deal)
    with reverts("PocoBoost: Invalid enclave signature"):  # the enclave signs what is called back, not the link
        push(market, deal, callback=VALUE, enclave=roles.enclave, sealed=seal(roles.workers[0], task_id(deal, 0), b"link", roles.enclave))
    push(market, deal, callback=VALUE, enclave=roles.enclave)
    assert market.evm.call(consumer, encode_call("results(bytes32)", task_id(deal, 0))) == encode(["bytes"], [VALUE])


@pytest.mark.parametrize("mode", [REFUSE, BURN])
def test_a_callback_that_fails_changes_nothing(market: Market, roles: Roles, mode: int) -> None:
    consumer = deploy_double(market.evm, "Consumer", roles.stranger.address)
    market.evm.send(roles.stranger.address, consumer, encode_call("setMode(uint256)", mode))
    deal, _ = match_boost(market, replace(TERMS, callback=consumer))
    push(market, deal, callback=VALUE)
    assert market.hub.read("viewTask", task_id(deal, 0))[0] == 3
    with reverts("PocoBoost: Task status not unset"):
        push(market, deal, callback=VALUE)


def test_too_little_gas_for_the_contracts_share_is_refused(market: Market, roles: Roles) -> None:
    consumer = deploy_double(market.evm, "Consumer", roles.stranger.address)
    market.evm.send(roles.stranger.address, consumer, encode_call("setMode(uint256)", BURN))
    deal, _ = match_boost(market, replace(TERMS, callback=consumer))
    with market.evm.anchor():
        needed = push(market, deal, callback=VALUE).gas_used
    with reverts("PocoBoost: Not enough gas after callback"):
        push(market, deal, callback=VALUE, gas=needed - 20_000)


def test_data_without_a_callback_is_ignored(market: Market) -> None:
    deal, _ = match_boost(market, replace(TERMS, callback=ZERO))
    push(market, deal, callback=VALUE, sealed=b"")
