"""Results pushed to a contract, and pulled by anybody (ERC-1154); nothing that the contract does may harm the settlement."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.support.compiled import deploy_double, encode_call
from tests.support.evm import Receipt, reverts
from tests.support.market import RLC, Market, Roles, Terms

VALUE = b"the right result"
REFUSE, BURN = 1, 2
PANIC_ASSERT = bytes.fromhex("4e487b71") + (1).to_bytes(32, "big")


@pytest.fixture
def consumer(market: Market, roles: Roles) -> str:
    """A contract that wants results."""
    return deploy_double(market.evm, "Consumer", roles.stranger.address)


def _revealed(market: Market, consumer: str) -> bytes:
    worker = market.roles.workers[0]
    task = market.initialize(market.match(Terms(callback=consumer))[0])
    market.contribute(task, worker)
    market.reveal(task, worker)
    return task


def _kept(market: Market, consumer: str, task: bytes) -> bytes:
    return market.evm.call(consumer, encode_call("results(bytes32)", task))


def _settled(market: Market, receipt: Receipt) -> None:
    assert [name for name, *_ in market.hub_events(receipt) if name != "CallbackFailed"][-1] == "TaskFinalize"
    assert market.accounts(market.roles.requester.address, market.roles.workers[0].address) == [
        (987 * RLC, 0),
        (1_009_900_000_000, 0),
    ]


def test_the_contract_gets_the_value(market: Market, consumer: str) -> None:
    task = _revealed(market, consumer)
    with reverts("task-pending"):
        market.hub.read("resultFor", task)
    _settled(market, market.finalize(task, b"link", VALUE))
    assert _kept(market, consumer, task) == encode(["bytes"], [VALUE])
    assert market.hub.read("resultFor", task) == VALUE
    assert market.hub.read("viewTask", task)[14] == VALUE


def test_the_value_must_be_the_agreed_one(market: Market, consumer: str) -> None:
    task = _revealed(market, consumer)
    for value in (b"", b"another"):
        with reverts():
            market.finalize(task, b"", value)


def test_a_contract_that_refuses_is_left_alone(market: Market, roles: Roles, consumer: str) -> None:
    task = _revealed(market, consumer)
    market.evm.send(roles.stranger.address, consumer, encode_call("setMode(uint256)", REFUSE))
    _settled(market, market.finalize(task, b"", VALUE))
    assert _kept(market, consumer, task) == encode(["bytes"], [b""])


def test_a_contract_that_burns_its_gas_costs_no_more_than_its_share(market: Market, roles: Roles, consumer: str) -> None:
    burning = _revealed(market, consumer)
    with market.evm.anchor():
        market.evm.send(roles.stranger.address, consumer, encode_call("setMode(uint256)", BURN))
        burnt = market.finalize(burning, b"", VALUE)
        _settled(market, burnt)
    with market.evm.anchor():
        market.evm.send(roles.stranger.address, consumer, encode_call("setMode(uint256)", REFUSE))
        refused = market.finalize(burning, b"", VALUE)
    assert 0 < burnt.gas_used - refused.gas_used <= 200_000


def test_too_little_gas_for_the_contracts_share_is_refused(market: Market, roles: Roles, consumer: str) -> None:
    """Else the scheduler could starve the contract on purpose, and the settlement would still count."""
    task = _revealed(market, consumer)
    market.evm.send(roles.stranger.address, consumer, encode_call("setMode(uint256)", BURN))
    with market.evm.anchor():
        needed = market.finalize(task, b"", VALUE).gas_used
    scheduler = roles.scheduler.address
    with reverts(data=PANIC_ASSERT):
        market.hub.send("finalize", task, b"", VALUE, by=scheduler, gas=needed - 20_000)
    market.hub.send("finalize", task, b"", VALUE, by=scheduler, gas=needed + 20_000)


def test_an_account_without_code_is_no_obstacle(market: Market, roles: Roles) -> None:
    task = _revealed(market, roles.stranger.address)
    _settled(market, market.finalize(task, b"", VALUE))


def test_the_owner_of_the_hub_sets_the_share(market: Market, roles: Roles, consumer: str) -> None:
    task = _revealed(market, consumer)
    market.hub.send("setCallbackGas", 1_000, by=roles.owner.address)
    _settled(market, market.finalize(task, b"", VALUE))
    assert _kept(market, consumer, task) == encode(["bytes"], [b""])


@pytest.mark.parametrize("function", ["finalize", "claim", "reopen"])
def test_a_contract_that_calls_back_finds_the_task_settled(market: Market, roles: Roles, consumer: str, function: str) -> None:
    task = _revealed(market, consumer)
    calls = {
        "finalize": market.hub.data("finalize", task, b"", VALUE),
        "claim": market.hub.data("claim", task),
        "reopen": market.hub.data("reopen", task),
    }
    market.evm.send(roles.stranger.address, consumer, encode_call("setCall(address,bytes)", market.hub.address, calls[function]))
    _settled(market, market.finalize(task, b"", VALUE))
    assert int.from_bytes(market.evm.call(consumer, encode_call("failures()")), "big") == 1


def test_a_contract_may_use_the_hub_while_it_is_told(market: Market, roles: Roles, consumer: str) -> None:
    """It may start the next step of its own work at once, here: move its money."""
    task = _revealed(market, consumer)
    market.hub.send("transfer", consumer, 5, by=roles.requester.address)
    call = market.hub.data("transfer", roles.stranger.address, 5)
    market.evm.send(roles.stranger.address, consumer, encode_call("setCall(address,bytes)", market.hub.address, call))
    events = market.hub_events(market.finalize(task, b"", VALUE))
    assert events[-2][0] == "TaskFinalize"
    assert events[-1] == ("Transfer", consumer, roles.stranger.address, 5)


def test_an_empty_value_is_a_value(market: Market, roles: Roles, consumer: str) -> None:
    worker = roles.workers[0]
    task = market.initialize(market.match(Terms(callback=consumer))[0])
    market.contribute(task, worker, keccak(b""))
    market.reveal(task, worker, keccak(b""))
    market.finalize(task, b"", b"")
    assert market.hub.read("resultFor", task) == b""
    assert int.from_bytes(market.evm.call(consumer, encode_call("calls()")), "big") == 1
