"""`giveBackBag` and `claimBag`: a deal that its scheduler cannot or does not finish; the payer has the money back."""

from __future__ import annotations

from tests.support.bags import Bag, Words, honest_leaves, matched, post, settle
from tests.support.evm import reverts
from tests.support.market import KITTY, RLC, Market, Roles, Terms

TERMS = Terms(app_price=3 * RLC, price=10 * RLC, volume=4)
START = 1_000 * RLC


def _give_back(market: Market, deal: bytes, *, by: str = "") -> Bag:
    bag = Bag(deal, (), b"", 0, market.evm.time)
    market.hub.send("giveBackBag", deal, by=by or market.roles.scheduler.address)
    return bag


def _claim(market: Market, deal: bytes) -> None:
    market.hub.send("claimBag", deal, by=market.roles.stranger.address)


def test_the_requester_has_the_money_back_at_once(market: Market, roles: Roles) -> None:
    deal = matched(market, TERMS)
    receipt = market.hub.send("giveBackBag", deal, by=roles.scheduler.address)
    events = market.hub_events(receipt)
    assert [event[0] for event in events] == ["BagPosted", "Transfer", "Unlock", "DealGivenBack"]
    assert events[1:] == [
        ("Transfer", market.hub.address, roles.requester.address, 52 * RLC),
        ("Unlock", roles.requester.address, 52 * RLC),
        ("DealGivenBack", deal, 0),
    ]
    assert market.accounts(roles.requester.address, roles.scheduler.address) == [(START, 0), (START - 12 * RLC, 12 * RLC)]


def test_the_scheduler_has_its_stake_back_after_the_window(market: Market, roles: Roles) -> None:
    deal = matched(market, TERMS)
    market.evm.warp(1_500)
    bag = _give_back(market, deal)
    with reverts("window-open"):
        settle(market, bag)
    market.evm.warp(600)
    settle(market, bag)
    assert market.accounts(roles.requester.address, roles.scheduler.address, KITTY) == [(START, 0), (START - 6 * RLC, 0), (0, 6 * RLC)]
    assert market.hub.read("viewBag", deal)[0] == 3


def test_what_it_costs_grows_with_the_time(market: Market, roles: Roles) -> None:
    deal = matched(market, TERMS)
    for seconds in (0, 1, 1_000, 2_999):
        with market.evm.anchor():
            market.evm.warp(seconds)
            event = market.hub_events(market.hub.send("giveBackBag", deal, by=roles.scheduler.address))[-1]
            assert event == ("DealGivenBack", deal, 12 * RLC * seconds // 3_000)


def test_a_scheduler_that_keeps_the_work_and_gives_the_deal_back_pays_its_workers(market: Market, roles: Roles) -> None:
    deal, worker = matched(market, TERMS), roles.workers[0].address
    bag = _give_back(market, deal)
    word = Words(market, deal).earned(worker, 9 * RLC)
    market.hub.send("proveUnderpayment", bag.packed, b"", worker, 9 * RLC, word, by=roles.stranger.address)
    assert market.accounts(roles.requester.address, roles.scheduler.address, worker, KITTY) == [
        (START, 0),
        (START - 12 * RLC, 0),
        (START + 9 * RLC, 0),
        (0, 3 * RLC),
    ]
    market.evm.warp(600)
    with reverts("unknown-bag"):
        settle(market, bag)


def test_there_is_no_leaf_to_ask_for(market: Market, roles: Roles) -> None:
    bag = _give_back(market, matched(market, TERMS))
    with reverts("no-leaves"):
        market.hub.send("demandLeaf", bag.packed, 0, roles.stranger.address, bytes(32), b"", by=roles.requester.address)


def test_only_the_scheduler_gives_back_and_only_what_is_open(market: Market, roles: Roles) -> None:
    deal = matched(market, TERMS)
    with reverts("not-scheduler"):
        _give_back(market, deal, by=roles.requester.address)
    post(market, deal, honest_leaves(market, 4), {})
    with reverts("bag-posted"):
        _give_back(market, deal)


def test_not_a_deal_of_single_tasks(market: Market) -> None:
    deal = market.match(TERMS)[0]
    with reverts("not-a-bag"):
        _give_back(market, deal)
    market.evm.warp(3_000)
    with reverts("not-a-bag"):
        _claim(market, deal)


def test_not_after_the_final_deadline(market: Market) -> None:
    deal = matched(market, TERMS)
    market.evm.warp(3_000)
    with reverts("too-late"):
        _give_back(market, deal)


def test_anybody_claims_at_the_final_deadline(market: Market, roles: Roles) -> None:
    deal = matched(market, TERMS)
    market.evm.warp(2_999)
    with reverts("too-early"):
        _claim(market, deal)
    market.evm.warp(1)
    receipt = market.hub.send("claimBag", deal, by=roles.stranger.address)
    assert market.hub_events(receipt) == [
        ("Transfer", market.hub.address, roles.requester.address, 52 * RLC),
        ("Unlock", roles.requester.address, 52 * RLC),
        ("Seize", roles.scheduler.address, 12 * RLC, deal),
        ("Reward", KITTY, 12 * RLC, deal),
        ("Lock", KITTY, 12 * RLC),
        ("BagClaimed", deal),
    ]
    assert market.accounts(roles.requester.address, roles.scheduler.address) == [(START, 0), (START - 12 * RLC, 0)]
    with reverts("bag-posted"):
        _claim(market, deal)


def test_a_posted_bag_is_not_claimed_but_settled_by_anybody(market: Market, roles: Roles) -> None:
    deal = matched(market, TERMS)
    market.evm.warp(2_999)
    bag, _ = post(market, deal, honest_leaves(market, 4), {})
    market.evm.warp(600)
    with reverts("bag-posted"):
        _claim(market, deal)
    settle(market, bag, by=roles.stranger.address)
