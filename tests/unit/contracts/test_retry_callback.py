"""A result that a contract failed to take is marked on the chain, and anybody may hand it over again, once (SPEC 8.5, 8.6)."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.support.accounts import signer
from tests.support.compiled import deploy_double, double_code, encode_call
from tests.support.evm import Receipt, RevertedError, reverts
from tests.support.market import DIGEST, Market, Roles, Terms
from tests.support.orders import ZERO
from voisin.chain.artifacts import load_artifact
from voisin.chain.deployment.plan import contract_address
from voisin.protocol.ids import Address

VALUE = b"the right result"
KEEP, REFUSE, BURN = 0, 1, 2
CALLBACK_GAS = 200_000


@pytest.fixture
def consumer(market: Market, roles: Roles) -> str:
    """A contract that wants results."""
    return deploy_double(market.evm, "Consumer", roles.stranger.address)


def _mode(market: Market, consumer: str, mode: int) -> None:
    market.evm.send(market.roles.stranger.address, consumer, encode_call("setMode(uint256)", mode))


def _revealed(market: Market, callback: str) -> bytes:
    worker = market.roles.workers[0]
    task = market.initialize(market.match(Terms(callback=callback))[0])
    market.contribute(task, worker)
    market.reveal(task, worker)
    return task


def _failed(market: Market, consumer: str) -> bytes:
    """A settled task whose contract has refused the result, and would take it now."""
    task = _revealed(market, consumer)
    _mode(market, consumer, REFUSE)
    market.finalize(task, b"link", VALUE)
    _mode(market, consumer, KEEP)
    return task


def _retry(market: Market, task: bytes, *, gas: int = 1_000_000) -> Receipt:
    return market.hub.send("retryCallback", task, by=market.roles.stranger.address, gas=gas)


def _calls(market: Market, consumer: str) -> int:
    return int.from_bytes(market.evm.call(consumer, encode_call("calls()")), "big")


def _kept(market: Market, consumer: str, task: bytes) -> bytes:
    return market.evm.call(consumer, encode_call("results(bytes32)", task))


@pytest.mark.parametrize("mode", [REFUSE, BURN])
def test_a_failure_is_the_last_thing_that_finalize_says(market: Market, consumer: str, mode: int) -> None:
    task = _revealed(market, consumer)
    _mode(market, consumer, mode)
    assert not market.hub.read("hasFailedCallback", task)
    events = market.hub_events(market.finalize(task, b"link", VALUE))
    assert events[-2:] == [("TaskFinalize", task, b"link"), ("CallbackFailed", task)]
    assert market.hub.read("hasFailedCallback", task)


def test_contribute_and_finalize_says_so_too(market: Market, roles: Roles, consumer: str) -> None:
    worker = roles.workers[0]
    task = market.initialize(market.match(Terms(callback=consumer))[0])
    _mode(market, consumer, REFUSE)
    word = market.authorize(worker, task)
    receipt = market.hub.send("contributeAndFinalize", task, DIGEST, b"link", VALUE, ZERO, b"", word, by=worker.address)
    assert market.hub_events(receipt)[-2:] == [("TaskFinalize", task, b"link"), ("CallbackFailed", task)]
    assert market.hub.read("hasFailedCallback", task)


def test_the_mark_changes_no_view_of_the_task(market: Market, consumer: str) -> None:
    task = _revealed(market, consumer)
    with market.evm.anchor():
        market.finalize(task, b"link", VALUE)
        taken = market.hub.read("viewTask", task)
    _mode(market, consumer, BURN)
    market.finalize(task, b"link", VALUE)
    assert market.hub.read("viewTask", task) == taken
    assert market.hub.read("resultFor", task) == VALUE


def test_a_result_that_was_taken_is_not_marked_and_cannot_be_sent_again(market: Market, consumer: str) -> None:
    task = _revealed(market, consumer)
    events = market.hub_events(market.finalize(task, b"link", VALUE))
    assert events[-1] == ("TaskFinalize", task, b"link")
    assert not market.hub.read("hasFailedCallback", task)
    with reverts("no-failed-callback"):
        _retry(market, task)
    assert _calls(market, consumer) == 1


def test_anybody_may_retry_and_the_contract_gets_the_stored_result(market: Market, consumer: str) -> None:
    task = _failed(market, consumer)
    assert _kept(market, consumer, task) == encode(["bytes"], [b""])
    receipt = _retry(market, task)
    assert market.hub_events(receipt) == [("CallbackRetried", task)]
    assert _kept(market, consumer, task) == encode(["bytes"], [VALUE])
    assert not market.hub.read("hasFailedCallback", task)


def test_a_retry_that_worked_cannot_be_repeated(market: Market, consumer: str) -> None:
    task = _failed(market, consumer)
    _retry(market, task)
    with reverts("no-failed-callback"):
        _retry(market, task)
    assert _calls(market, consumer) == 1


def test_a_retry_that_fails_gives_the_contracts_reason_and_may_be_repeated(market: Market, consumer: str) -> None:
    task = _failed(market, consumer)
    _mode(market, consumer, REFUSE)
    for _ in range(2):
        with reverts("no, thanks"):
            _retry(market, task)
        assert market.hub.read("hasFailedCallback", task)
    _mode(market, consumer, KEEP)
    _retry(market, task)
    assert _calls(market, consumer) == 1


@pytest.mark.parametrize("status", ["unknown", "active", "revealing", "failed", "without callback"])
def test_only_a_marked_task_can_be_retried(market: Market, roles: Roles, consumer: str, status: str) -> None:
    task = bytes(32)
    if status == "revealing":
        task = _revealed(market, consumer)
    elif status == "without callback":
        task = _revealed(market, ZERO)
        market.finalize(task, b"link")
    elif status != "unknown":
        task = market.initialize(market.match(Terms(callback=consumer))[0])
    if status == "failed":
        market.evm.warp(3_000)
        market.hub.send("claim", task, by=roles.stranger.address)
    assert not market.hub.read("hasFailedCallback", task)
    with reverts("no-failed-callback"):
        _retry(market, task)


def test_what_needs_more_gas_than_its_share_gets_it_from_whoever_retries(market: Market, consumer: str) -> None:
    """`Consumer` writes the whole result into its storage: a long one costs more than the 200,000 gas of a callback."""
    roles, value = market.roles, b"x" * 3_000
    task = market.initialize(market.match(Terms(callback=consumer))[0])
    market.contribute(task, roles.workers[0], keccak(value))
    market.reveal(task, roles.workers[0], keccak(value))
    assert market.hub_events(market.finalize(task, b"link", value))[-1] == ("CallbackFailed", task)
    with pytest.raises(RevertedError):
        _retry(market, task, gas=1_500_000)
    assert _calls(market, consumer) == 0
    _retry(market, task, gas=4_000_000)
    assert _kept(market, consumer, task) == encode(["bytes"], [value])


def test_a_caller_cannot_starve_the_contract(market: Market, roles: Roles, consumer: str) -> None:
    """The least gas with which a retry succeeds leaves the contract its full share, whatever it needs of it."""
    task = _failed(market, consumer)
    # what it does with the result costs little; that it calls somebody shows how much gas it has
    meter = deploy_double(market.evm, "GasMeter", roles.stranger.address)
    market.evm.send(roles.stranger.address, consumer, encode_call("setCall(address,bytes)", meter, encode_call("read()")))
    low, high = 100_000, 600_000
    while high - low > 64:
        middle = (low + high) // 2
        with market.evm.anchor():
            try:
                _retry(market, task, gas=middle)
                high = middle
            except RevertedError:
                low = middle
    with reverts("callback-gas-too-low"):
        _retry(market, task, gas=low)
    _retry(market, task, gas=high)
    seen = int.from_bytes(market.evm.call(meter, encode_call("gas()")), "big")
    # of the contract's gas 1/64 stays with it, and some went for loading the call that it makes
    assert CALLBACK_GAS * 63 // 64 - 30_000 < seen


def test_a_contract_cannot_take_its_result_twice(market: Market, roles: Roles, consumer: str) -> None:
    """It calls for it again while it is being told: by `finalize` first, by a retry afterwards."""
    task = _revealed(market, consumer)
    again = market.hub.data("retryCallback", task)
    market.evm.send(roles.stranger.address, consumer, encode_call("setCall(address,bytes)", market.hub.address, again))
    with market.evm.anchor():
        market.finalize(task, b"link", VALUE)
        assert _calls(market, consumer) == 1
        assert int.from_bytes(market.evm.call(consumer, encode_call("failures()")), "big") == 1
    _mode(market, consumer, REFUSE)
    market.finalize(task, b"link", VALUE)
    market.evm.send(roles.stranger.address, consumer, encode_call("setCall(address,bytes)", market.hub.address, again))
    _retry(market, task)
    assert _calls(market, consumer) == 1
    assert int.from_bytes(market.evm.call(consumer, encode_call("failures()")), "big") == 1


def test_an_address_without_code_has_taken_nothing(market: Market, roles: Roles) -> None:
    """Its contract may come later, and then it may still have its result."""
    builder = signer("builder of a late contract").address
    late = contract_address(Address(builder), market.evm.nonce(builder))
    task = _revealed(market, late)
    assert market.hub_events(market.finalize(task, b"link", VALUE))[-1] == ("CallbackFailed", task)
    with reverts("callback-without-code"):
        _retry(market, task)
    assert market.evm.send(builder, None, double_code("Consumer")).contract == late
    _retry(market, task)
    assert _kept(market, late, task) == encode(["bytes"], [VALUE])


def test_the_settlement_is_the_same_whether_the_contract_fails_or_not(market: Market, roles: Roles, consumer: str) -> None:
    task = _revealed(market, consumer)
    people = [roles.requester.address, roles.scheduler.address, roles.workers[0].address, market.hub.address]
    with market.evm.anchor():
        market.finalize(task, b"link", VALUE)
        taken = market.accounts(*people)
    _mode(market, consumer, BURN)
    market.finalize(task, b"link", VALUE)
    assert market.accounts(*people) == taken


def test_the_mark_is_a_bit_of_the_tasks_word_alone(market: Market, consumer: str) -> None:
    """A retry leaves the storage as a callback that worked would have."""
    task = _failed(market, consumer)
    slot = load_artifact("Hub").layout["tasks"].slot
    place = int.from_bytes(keccak(slot.to_bytes(32, "big") + task), "big") + 1
    marked = market.evm.storage(market.hub.address, place)
    _retry(market, task)
    assert marked ^ market.evm.storage(market.hub.address, place) == 1 << 240
