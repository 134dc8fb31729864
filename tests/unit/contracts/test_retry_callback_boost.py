"""`retryCallbackBoost`: a result that a contract did not take is marked, and anybody may hand over exactly that result, once (SPEC 15.5)."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode

from tests.support.boost import match_boost, push
from tests.support.compiled import deploy_double, encode_call
from tests.support.evm import Receipt, reverts
from tests.support.market import Market, Roles, Terms
from tests.support.orders import task_id

VALUE = b"the right result"
KEEP, REFUSE = 0, 1


@pytest.fixture
def consumer(market: Market, roles: Roles) -> str:
    """A contract that refuses results."""
    found = deploy_double(market.evm, "Consumer", roles.stranger.address)
    _mode(market, found, REFUSE)
    return found


def _mode(market: Market, consumer: str, mode: int) -> None:
    market.evm.send(market.roles.stranger.address, consumer, encode_call("setMode(uint256)", mode))


def _failed(market: Market, callback: str) -> bytes:
    deal, _ = match_boost(market, Terms(callback=callback, volume=2))
    assert market.hub_events(push(market, deal, callback=VALUE))[-1] == ("CallbackFailed", task_id(deal, 0))
    return deal


def _retry(market: Market, deal: bytes, value: bytes = VALUE, *, index: int = 0, gas: int = 1_000_000) -> Receipt:
    return market.hub.send("retryCallbackBoost", deal, index, value, by=market.roles.stranger.address, gas=gas)


def test_a_result_is_handed_over_once(market: Market, consumer: str) -> None:
    deal = _failed(market, consumer)
    task = task_id(deal, 0)
    assert market.hub.read("hasFailedCallback", task) is True
    _mode(market, consumer, KEEP)
    assert market.hub_events(_retry(market, deal)) == [("CallbackRetried", task)]
    assert market.evm.call(consumer, encode_call("results(bytes32)", task)) == encode(["bytes"], [VALUE])
    assert market.hub.read("hasFailedCallback", task) is False
    with reverts("no-failed-callback"):
        _retry(market, deal)


def test_only_the_result_that_was_refused(market: Market, consumer: str) -> None:
    deal = _failed(market, consumer)
    _mode(market, consumer, KEEP)
    for value in (b"", b"another result", VALUE + b"\0"):
        with reverts("not-the-result"):
            _retry(market, deal, value)


def test_a_contract_that_still_refuses_is_asked_again(market: Market, consumer: str) -> None:
    deal = _failed(market, consumer)
    with pytest.raises(Exception, match="Revert"):
        _retry(market, deal)
    assert market.hub.read("hasFailedCallback", task_id(deal, 0)) is True


def test_the_rest_of_the_task_reads_as_before(market: Market, consumer: str) -> None:
    """What is kept of the result's digest lies where other tasks have their deadlines; no view shows it."""
    deal = _failed(market, consumer)
    found = market.hub.read("viewTask", task_id(deal, 0))
    assert found == (3, bytes(32), 0, 0, 0, 0, 0, bytes(32), 0, 0, (), bytes(32), b"", 0, b"")
    assert market.hub.read("viewTaskABILegacy", task_id(deal, 0))[:3] == (3, bytes(32), 0)


def test_nothing_failed(market: Market, roles: Roles, consumer: str) -> None:
    deal = _failed(market, consumer)
    for index in (1, 2):
        with reverts("no-failed-callback"):
            _retry(market, deal, index=index)
    with reverts("callback-without-code"):
        _retry(market, _failed_at_an_account(market, roles))
    with reverts("callback-without-code"):  # that of the other kind of deals finds no contract here
        market.hub.send("retryCallback", task_id(deal, 0), by=roles.stranger.address)


def _failed_at_an_account(market: Market, roles: Roles) -> bytes:
    deal, _ = match_boost(market, Terms(callback=roles.stranger.address, salt=b"\x03" * 32))
    push(market, deal, callback=VALUE)
    return deal


def test_a_caller_cannot_starve_the_contract(market: Market, consumer: str) -> None:
    deal = _failed(market, consumer)
    _mode(market, consumer, KEEP)
    with reverts("callback-gas-too-low"):
        _retry(market, deal, gas=210_000)
