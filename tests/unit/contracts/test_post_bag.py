"""`postBag`: how all tasks of a deal ended, said once, in time, by the scheduler."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.bags import LEAVES, PARAMS, WINDOW_S, honest_leaves, matched, payouts_of, post, root_of
from tests.support.evm import reverts
from tests.support.market import RLC, Market, Roles, Terms
from tests.support.orders import TEE_TAG

TERMS = Terms(price=10 * RLC, volume=3)


def _post(market: Market, deal: bytes, *, root: bytes = b"\1" * 32, done: int = 3, payouts: bytes = b"", by: str = "") -> None:
    market.hub.send("postBag", deal, root, LEAVES, done, payouts, by=by or market.roles.scheduler.address)


def test_a_bag(market: Market, roles: Roles) -> None:
    deal = matched(market, TERMS)
    before = market.accounts(roles.requester.address, roles.scheduler.address)
    leaves, worker = honest_leaves(market, 3), roles.workers[0].address
    bag, receipt = post(market, deal, leaves, {worker: 27 * RLC})
    deadline = market.evm.time + WINDOW_S
    root = root_of([leaf.hash for leaf in leaves])
    assert market.hub_events(receipt) == [("BagPosted", deal, root, LEAVES, 3, deadline, payouts_of({worker: 27 * RLC}))]
    status, demands, digest = market.hub.read("viewBag", deal)
    assert (status, demands, digest[30:]) == (1, 0, bytes(2))
    assert market.accounts(roles.requester.address, roles.scheduler.address) == before
    assert bag.posted == market.evm.time


def test_only_the_scheduler(market: Market, roles: Roles) -> None:
    deal = matched(market, TERMS)
    for stranger in (roles.requester, roles.workers[0], roles.owner):
        with reverts("not-scheduler"):
            _post(market, deal, by=stranger.address)


def test_only_once(market: Market) -> None:
    deal = matched(market, TERMS)
    _post(market, deal)
    with reverts("bag-posted"):
        _post(market, deal)


def test_not_after_the_final_deadline(market: Market) -> None:
    deal = matched(market, TERMS)
    market.evm.warp(3_000)
    with reverts("too-late"):
        _post(market, deal)


def test_a_second_before_it(market: Market) -> None:
    deal = matched(market, TERMS)
    market.evm.warp(2_999)
    _post(market, deal)


def test_not_of_an_unknown_deal(market: Market) -> None:
    with reverts("not-scheduler"):
        _post(market, b"\7" * 32)


@pytest.mark.parametrize(
    "params",
    ["", "x", '{"voisin_bag":"000600"}', ' {"voisin_window":"000600"}', '{"voisin_window":"00060', '{"voisin_Window":"000600"}'],
)
def test_not_of_a_deal_whose_requester_did_not_ask_for_it(market: Market, params: str) -> None:
    deal = matched(market, TERMS, params=params)
    with reverts("not-a-bag"):
        _post(market, deal)
    market.initialize(deal)


def test_a_deal_in_enclaves_is_never_a_bag(market: Market) -> None:
    deal = matched(market, replace(TERMS, tag=TEE_TAG))
    with reverts("not-a-bag"):
        _post(market, deal)
    market.initialize(deal)


def test_a_bags_tasks_are_not_opened_one_by_one(market: Market) -> None:
    deal = matched(market, TERMS)
    with reverts("settled-as-a-bag"):
        market.initialize(deal)
    market.evm.warp(3_000)
    with reverts("settled-as-a-bag"):
        market.hub.send("initializeAndClaimArray", [deal], [0], by=market.roles.stranger.address)


@pytest.mark.parametrize("window", ["00x600", "-00600", "0006.0", "      "])
def test_a_window_that_is_no_number(market: Market, window: str) -> None:
    deal = matched(market, TERMS, params=f'{{"voisin_window":"{window}"}}')
    with reverts("bad-window"):
        _post(market, deal)


@pytest.mark.parametrize(("digits", "seconds"), [("000000", 0), ("000001", 1), ("086400", 86_400), ("999999", 999_999)])
def test_the_window_is_the_requesters(market: Market, digits: str, seconds: int) -> None:
    deal = matched(market, TERMS, params=f'{{"voisin_window":"{digits}","iexec_args":"x"}}')
    receipt = market.hub.send("postBag", deal, b"\1" * 32, LEAVES, 0, b"", by=market.roles.scheduler.address)
    assert market.hub_events(receipt)[0][5] == market.evm.time + seconds


def test_a_root_is_needed(market: Market) -> None:
    deal = matched(market, TERMS)
    with reverts("no-root"):
        _post(market, deal, root=bytes(32))


def test_no_more_results_than_tasks(market: Market) -> None:
    deal = matched(market, TERMS)
    with reverts("too-many-done"):
        _post(market, deal, done=4)


def test_workers_get_no_more_than_the_requester_pays_for_them(market: Market, roles: Roles) -> None:
    deal = matched(market, TERMS)
    amounts = {roles.workers[0].address: 15 * RLC, roles.workers[1].address: 5 * RLC}
    with reverts("payouts-too-high"):
        _post(market, deal, done=2, payouts=payouts_of({**amounts, roles.workers[2].address: 1}))
    _post(market, deal, done=2, payouts=payouts_of(amounts))


def test_a_list_of_payouts_is_in_order(market: Market, roles: Roles) -> None:
    deal = matched(market, TERMS)
    right = payouts_of({worker.address: 1 for worker in roles.workers[:2]})
    nobody = bytes(20) + (1).to_bytes(16, "big")
    for wrong in (right[36:] + right[:36], right[:36] * 2, right[:-1], right + b"x", nobody):
        with reverts("bad-payouts"):
            _post(market, deal, payouts=wrong)
    _post(market, deal, payouts=right)


def test_the_window_counts_only_where_it_stands_first(market: Market) -> None:
    assert PARAMS.startswith('{"voisin_window":"')
    deal = matched(market, TERMS, params='{"iexec_args":"x","voisin_window":"000600"}')
    with reverts("not-a-bag"):
        _post(market, deal)
