"""The example `Oracle`, in Vyper and in Solidity: it keeps the newest number that the right people have proven, whoever brings it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.contracts import Contract, deploy_example
from tests.support.dapps import number, revealed, said, salted, settled
from tests.support.evm import FIRST_TIME, reverts
from tests.support.market import Market, Roles, Terms


@pytest.fixture(params=["Oracle.vy", "Oracle.sol"])
def oracle(market: Market, roles: Roles, request: pytest.FixtureRequest) -> Contract:
    """An oracle that believes the market's app and workerpool, the requester, and a trust of 2."""
    believed = (market.hub.address, market.app, market.workerpool, roles.requester.address, 2)
    return deploy_example(market.evm, request.param, roles.stranger.address, *believed)


@pytest.fixture
def terms(oracle: Contract) -> Terms:
    """What the oracle wants, with itself as the callback."""
    return Terms(trust=2, callback=oracle.address)


def _trusted(market: Market, terms: Terms, value: int, *, salt: int = 0) -> bytes:
    """Settle a task. A trust of 2 takes one new worker, whose weight is 2: 2 x 2 > (1 + 2) x (2 - 1)."""
    return settled(market, salted(terms, salt), number(value))


def test_before_the_first_answer_there_is_none(oracle: Contract) -> None:
    with reverts("no-number-yet"):
        oracle.read("latest")


@pytest.mark.parametrize("value", [0, 42, -42, 2**255 - 1, -(2**255)])
def test_the_callback_brings_the_number(market: Market, oracle: Contract, terms: Terms, value: int) -> None:
    deal, _ = market.match(terms)
    market.evm.warp(100)
    task = revealed(market, deal, number(value))
    receipt = market.finalize(task, b"link", number(value))
    assert said(receipt, oracle) == [("Oracle", "Updated", (task, value, FIRST_TIME))]
    assert oracle.read("latest") == (value, FIRST_TIME)


def test_anybody_may_bring_a_result_that_did_not_come(market: Market, roles: Roles, oracle: Contract, terms: Terms) -> None:
    task = _trusted(market, replace(terms, callback=roles.enclave.address), 7)
    with reverts("no-number-yet"):
        oracle.read("latest")
    oracle.send("update", task, by=roles.stranger.address)
    assert oracle.read("latest") == (7, FIRST_TIME)


def test_somebody_who_plays_the_hub_changes_nothing_but_the_truth(market: Market, roles: Roles, oracle: Contract, terms: Terms) -> None:
    task = _trusted(market, replace(terms, callback=roles.enclave.address), 7)
    with reverts("task-not-completed"):
        oracle.send("receiveResult", b"\x01" * 32, number(666), by=roles.stranger.address)
    oracle.send("receiveResult", task, number(666), by=roles.stranger.address)
    assert oracle.read("latest") == (7, FIRST_TIME)


def test_the_same_result_does_not_count_twice(market: Market, roles: Roles, oracle: Contract, terms: Terms) -> None:
    task = _trusted(market, terms, 7)
    for function, arguments in (("update", (task,)), ("receiveResult", (task, number(7)))):
        with reverts("not-newer"):
            oracle.send(function, *arguments, by=roles.stranger.address)


def test_an_older_question_does_not_undo_a_newer_answer(market: Market, roles: Roles, oracle: Contract, terms: Terms) -> None:
    late, _ = market.match(terms)
    market.evm.warp(60)
    _trusted(market, terms, 2, salt=1)
    assert oracle.read("latest") == (2, FIRST_TIME + 60)
    task = revealed(market, late, number(1))
    market.finalize(task, b"link", number(1))
    with reverts("not-newer"):
        oracle.send("update", task, by=roles.stranger.address)
    assert oracle.read("latest") == (2, FIRST_TIME + 60)


def test_a_newer_answer_takes_its_place(market: Market, oracle: Contract, terms: Terms) -> None:
    _trusted(market, terms, 1)
    market.evm.warp(1)
    _trusted(market, terms, 2, salt=1)
    assert oracle.read("latest") == (2, FIRST_TIME + 1)
    assert (oracle.read("number"), oracle.read("date")) == (2, FIRST_TIME + 1)


def _of_another_app(market: Market, terms: Terms) -> bytes:
    market.app = market.create_app("another", market.roles.app_owner)
    return _trusted(market, terms, 666)


def _of_another_workerpool(market: Market, terms: Terms) -> bytes:
    market.workerpool = market.create_workerpool("another", market.roles.scheduler)
    return _trusted(market, terms, 666)


def _of_another_requester(market: Market, terms: Terms) -> bytes:
    """Somebody asks the same app another question."""
    orders = market.orders(terms)
    orders["RequestOrder"].update(requester=market.roles.sponsor.address)
    signed = market.sign(orders)
    liar = market.roles.sponsor
    signed["RequestOrder"]["sign"] = liar.sign(market.hash("RequestOrder", orders["RequestOrder"]))
    deal, _ = market.match_orders(signed, by=liar.address)
    task = revealed(market, deal, number(666))
    market.finalize(task, b"link", number(666))
    return task


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (_of_another_app, "another-app"),
        (_of_another_workerpool, "another-workerpool"),
        (_of_another_requester, "another-requester"),
        (lambda market, terms: _trusted(market, replace(terms, trust=1), 666), "too-little-trust"),
        (lambda market, terms: settled(market, terms, b"\x01"), "not-a-number"),
        (lambda market, terms: settled(market, terms, b""), "not-a-number"),
        (lambda market, terms: settled(market, terms, 78 * b"e"), "not-a-number"),
    ],
)
def test_what_does_not_prove_a_number_is_refused(
    market: Market, roles: Roles, oracle: Contract, terms: Terms, forge: object, reason: str
) -> None:
    app, workerpool = market.app, market.workerpool
    try:
        task = forge(market, terms)  # type: ignore[operator]
    finally:
        market.app, market.workerpool = app, workerpool
    with reverts(reason):
        oracle.send("update", task, by=roles.stranger.address)
    with reverts("no-number-yet"):
        oracle.read("latest")


@pytest.mark.parametrize("status", ["unknown", "active", "revealing", "failed"])
def test_a_task_that_is_not_completed_proves_nothing(market: Market, roles: Roles, oracle: Contract, terms: Terms, status: str) -> None:
    task = bytes(32)
    if status == "revealing":
        task = revealed(market, market.match(terms)[0], number(7))
    elif status != "unknown":
        task = market.initialize(market.match(terms)[0])
    if status == "failed":
        market.evm.warp(3_000)
        market.hub.send("claim", task, by=roles.stranger.address)
    with reverts("task-not-completed"):
        oracle.send("update", task, by=roles.stranger.address)


def test_it_works_within_the_gas_of_a_callback(market: Market, oracle: Contract, terms: Terms) -> None:
    """Looking the deal up costs gas for every 32 bytes of its params: here are more than a cautious requester would send."""
    _trusted(market, replace(terms, params="x" * 512), 7)
    assert oracle.read("latest") == (7, FIRST_TIME)
