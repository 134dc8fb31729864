"""The example `Requester`: a contract orders, pays, and receives; nobody can answer in the hub's place, and nothing is lost."""

from __future__ import annotations

import pytest

from tests.support.contracts import Contract, deploy_example
from tests.support.dapps import number, revealed, said
from tests.support.evm import reverts
from tests.support.market import RLC, Market, Roles, Terms
from tests.support.orders import as_tuple, task_id

PRICE = 13 * RLC  # app 3, workerpool 10
PARAMS = '{"iexec_args":"6 7"}'


@pytest.fixture
def requester(market: Market, roles: Roles) -> Contract:
    """The contract of the stranger, with 100 RLC at the hub."""
    contract = deploy_example(market.evm, "Requester.vy", roles.stranger.address, market.hub.address, market.app, 1)
    market.token.send("transfer", roles.stranger.address, 100 * RLC, by=roles.owner.address)
    market.token.send("approve", contract.address, 100 * RLC, by=roles.stranger.address)
    contract.send("fund", 100 * RLC, by=roles.stranger.address)
    return contract


def _order(market: Market, requester: Contract, **terms: object) -> tuple[bytes, bytes]:
    """Order once; gives deal and task."""
    signed = market.sign(market.orders(Terms(**terms)))  # type: ignore[arg-type]
    offers = as_tuple(signed["AppOrder"]), as_tuple(signed["WorkerpoolOrder"])
    receipt = requester.send("order", *offers, PARAMS, by=market.roles.stranger.address)
    (ordered,) = said(receipt, requester)
    task, deal, params = ordered.values
    assert (ordered.name, params) == ("Ordered", PARAMS)
    assert (receipt.output, task) == (task, task_id(deal, 0))
    return deal, task


def test_funding_and_withdrawing(market: Market, roles: Roles, requester: Contract) -> None:
    assert market.accounts(requester.address) == [(100 * RLC, 0)]
    requester.send("withdraw", 40 * RLC, by=roles.stranger.address)
    assert market.accounts(requester.address) == [(60 * RLC, 0)]
    assert market.token.read("balanceOf", roles.stranger.address) == 40 * RLC


def test_the_contract_is_requester_beneficiary_sponsor_and_callback(market: Market, requester: Contract) -> None:
    deal, task = _order(market, requester)
    found = market.hub.read("viewDeal", deal)
    assert found[0][0] == market.app
    assert found[6:10] == (requester.address, requester.address, requester.address, PARAMS)
    assert found[-1] == requester.address
    assert market.accounts(requester.address) == [(100 * RLC - PRICE, PRICE)]
    assert requester.read("is_open", task) is True


def test_the_answer_comes_with_the_settlement(market: Market, requester: Contract) -> None:
    deal, task = _order(market, requester)
    assert revealed(market, deal, number(42)) == task
    receipt = market.finalize(task, b"link", number(42))
    assert said(receipt, requester) == [(requester.name, "Answered", (task, number(42)))]
    assert requester.read("answers", task) == number(42)
    assert requester.read("is_open", task) is False
    assert market.accounts(requester.address) == [(100 * RLC - PRICE, 0)]


def test_it_may_order_again_and_again(market: Market, requester: Contract) -> None:
    tasks = [_order(market, requester, salt=bytes([turn]) * 32)[1] for turn in (1, 2)]
    assert len(set(tasks)) == 2
    assert market.accounts(requester.address) == [(100 * RLC - 2 * PRICE, 2 * PRICE)]


def test_only_its_owner_may_spend(market: Market, roles: Roles, requester: Contract) -> None:
    signed = market.sign(market.orders(Terms()))
    offers = as_tuple(signed["AppOrder"]), as_tuple(signed["WorkerpoolOrder"])
    for thief in (roles.requester.address, roles.scheduler.address, market.hub.address):
        with reverts("not-the-owner"):
            requester.send("order", *offers, PARAMS, by=thief)
        with reverts("not-the-owner"):
            requester.send("withdraw", 1, by=thief)


def test_locked_money_cannot_be_withdrawn(market: Market, roles: Roles, requester: Contract) -> None:
    _order(market, requester)
    with reverts():
        requester.send("withdraw", 100 * RLC - PRICE + 1, by=roles.stranger.address)
    requester.send("withdraw", 100 * RLC - PRICE, by=roles.stranger.address)


def test_offers_that_do_not_fit_are_refused_by_the_hub(market: Market, roles: Roles, requester: Contract) -> None:
    another = market.create_app("another app", roles.app_owner)
    for changes, reason in (({"app": another}, "0x10"), ({"workerpoolrestrict": roles.enclave.address}, "0x14")):
        orders = market.orders(Terms())
        orders["AppOrder"].update(changes)
        signed = market.sign(orders)
        offers = as_tuple(signed["AppOrder"]), as_tuple(signed["WorkerpoolOrder"])
        with reverts(f"iExecV5-matchOrders-{reason}"):
            requester.send("order", *offers, PARAMS, by=roles.stranger.address)


def test_unsigned_offers_are_refused(market: Market, roles: Roles, requester: Contract) -> None:
    orders = market.sign(market.orders(Terms()))
    forged = as_tuple({**orders["WorkerpoolOrder"], "workerpoolprice": 0})
    with reverts("iExecV5-matchOrders-0x41"):
        requester.send("order", as_tuple(orders["AppOrder"]), forged, PARAMS, by=roles.stranger.address)


def test_nobody_answers_in_the_hubs_place(market: Market, roles: Roles, requester: Contract) -> None:
    _, task = _order(market, requester)
    for liar in (roles.stranger.address, roles.scheduler.address, requester.address):
        with reverts("not-the-hub"):
            requester.send("receiveResult", task, number(666), by=liar)
    assert requester.read("answers", task) == b""


def test_a_deal_of_somebody_else_that_names_it_as_callback_is_ignored(market: Market, requester: Contract) -> None:
    deal, _ = market.match(Terms(callback=requester.address))
    task = revealed(market, deal, number(666))
    receipt = market.finalize(task, b"link", number(666))
    assert said(receipt, requester) == []
    assert requester.read("answers", task) == b""


def test_an_answer_is_not_taken_twice(market: Market, roles: Roles, requester: Contract) -> None:
    deal, task = _order(market, requester)
    revealed(market, deal, number(42))
    market.finalize(task, b"link", number(42))
    with reverts("no-such-order"):
        requester.send("receiveResult", task, number(42), by=market.hub.address)
    with reverts("no-such-order"):
        requester.send("fetch", task, by=roles.stranger.address)


def test_an_unfinished_answer_cannot_be_fetched(market: Market, roles: Roles, requester: Contract) -> None:
    deal, task = _order(market, requester)
    revealed(market, deal, number(42))
    with reverts("task-pending"):
        requester.send("fetch", task, by=roles.stranger.address)


def test_an_answer_too_long_for_the_callbacks_gas_is_fetched_by_anybody(market: Market, roles: Roles, requester: Contract) -> None:
    deal, task = _order(market, requester)
    answer = b"x" * 2_000
    revealed(market, deal, answer)
    assert said(market.finalize(task, b"link", answer), requester) == []
    assert said(requester.send("fetch", task, by=roles.enclave.address), requester) == [(requester.name, "Answered", (task, answer))]
    assert requester.read("answers", task) == answer


def test_a_task_that_nobody_does_is_refunded(market: Market, roles: Roles, requester: Contract) -> None:
    deal, task = _order(market, requester)
    market.initialize(deal)
    market.evm.warp(3_000)
    market.hub.send("claim", task, by=roles.enclave.address)
    assert market.accounts(requester.address) == [(100 * RLC, 0)]
    with reverts("task-pending"):
        requester.send("fetch", task, by=roles.stranger.address)


def test_trust_is_its_own(market: Market, roles: Roles) -> None:
    """A pool that offers less trust than the contract wants gets no deal."""
    careful = deploy_example(market.evm, "Requester.vy", roles.stranger.address, market.hub.address, market.app, 4)
    signed = market.sign(market.orders(Terms(app_price=0, price=0, trust=3)))
    offers = as_tuple(signed["AppOrder"]), as_tuple(signed["WorkerpoolOrder"])
    with reverts("iExecV5-matchOrders-0x02"):
        careful.send("order", *offers, PARAMS, by=roles.stranger.address)
    assert careful.read("TRUST") == 4
