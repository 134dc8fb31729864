"""Batch matching, with tables worked out by hand: who gets what, in which order, and why somebody gets nothing."""

from __future__ import annotations

import pytest

from voisin.policy.matching import Bid, Book, Clearing, Offer, clear, explain
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, OrderHash, as_address
from voisin.protocol.orders import AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder
from voisin.protocol.tags import as_tag
from voisin.units import NRLC


def place(text: str) -> Address:
    return as_address("0x" + text.encode().hex().rjust(40, "0"))


def named(text: str) -> Hash32:
    return Hash32("0x" + text.encode().hex().rjust(64, "0"))


APP, DATA = place("app"), place("data")


def app(name: str = "app", price: int = 0, volume: int = 1000, **more: object) -> Offer[AppOrder]:
    order = AppOrder(app=APP, appprice=NRLC(price), volume=volume, salt=named(name), **more)  # type: ignore[arg-type]
    return Offer(order, OrderHash(named(name)), volume)


def dataset(name: str, price: int, volume: int = 1000) -> Offer[DatasetOrder]:
    return Offer(DatasetOrder(dataset=DATA, datasetprice=NRLC(price), volume=volume, salt=named(name)), OrderHash(named(name)), volume)


def pool(name: str, price: int, volume: int = 1, tag: str = "", category: int = 0, **more: object) -> Offer[WorkerpoolOrder]:
    order = WorkerpoolOrder(
        workerpool=place(name),
        workerpoolprice=NRLC(price),
        volume=volume,
        tag=as_tag(tag),
        category=category,
        trust=1,
        salt=named(name),
        **more,
    )  # type: ignore[arg-type]
    return Offer(order, OrderHash(named(name)), volume, place(f"owner of {name}"[:20]))


def bid(name: str, most: int, volume: int = 1, tag: str = "", app_most: int = 0, **more: object) -> Bid:
    asked: dict[str, object] = {"requester": place(name), "category": 0, "workerpool": ZERO_ADDRESS, **more}
    limits = {"appmaxprice": NRLC(app_most), "workerpoolmaxprice": NRLC(most), "volume": volume, "tag": as_tag(tag), "trust": 1}
    whom = {"app": APP, "beneficiary": place(name), "params": "", "salt": named(name)}
    order = RequestOrder(**{**limits, **whom, **asked})  # type: ignore[arg-type]
    return Bid(order, OrderHash(named(name)), volume)


def trades(found: Clearing) -> list[tuple[str, str, int, int]]:
    def word(hash_: OrderHash) -> str:
        return bytes.fromhex(hash_[2:]).lstrip(b"\0").decode()

    return sorted((word(lot.bid.hash), word(lot.workerpool.hash), lot.volume, lot.price) for lot in found.lots)


def reasons(found: Clearing) -> list[tuple[int, str]]:
    return [(each.left, each.why) for each in found.unfilled]


def match(bids: list[Bid], pools: list[Offer[WorkerpoolOrder]], free: dict[Address, NRLC] | None = None, **more: object) -> Clearing:
    return clear(Book(**{"apps": (app(),), "workerpools": tuple(pools), "bids": tuple(bids), **more}), free)  # type: ignore[arg-type]


def test_the_dearest_bid_gets_the_cheapest_offer_and_pays_what_is_asked() -> None:
    found = match([bid("low", 5), bid("high", 9)], [pool("cheap", 3)])
    assert trades(found) == [("high", "cheap", 1, 3)]
    assert (found.surplus, found.volume) == (6, 1)
    assert reasons(found) == [(1, "what fits it is sold to requests that bring more, or is sold out")]


def test_a_bid_moves_to_a_dearer_offer_so_that_another_finds_one() -> None:
    # greedy: "any" takes the cheap gpu (20 - 1), and "needs" finds nothing; best: 20 - 2 and 10 - 1
    found = match([bid("any", 20), bid("needs", 10, tag="gpu")], [pool("gpu", 1, tag="gpu"), pool("plain", 2)])
    assert trades(found) == [("any", "plain", 1, 2), ("needs", "gpu", 1, 1)]
    assert found.surplus == 27


def test_chains_of_moves_are_found() -> None:
    pools = [pool("a", 1, tag="gpu,tdx"), pool("b", 2, tag="gpu"), pool("c", 3)]
    found = match([bid("x", 30), bid("y", 29, tag="gpu"), bid("z", 28, tag="gpu,tdx")], pools)
    assert trades(found) == [("x", "c", 1, 3), ("y", "b", 1, 2), ("z", "a", 1, 1)]


def test_nobody_is_moved_when_that_brings_less() -> None:
    # moving "any" to the offer of 19 would cost 18 to win 10 - 1
    found = match([bid("any", 20), bid("needs", 10, tag="gpu")], [pool("gpu", 1, tag="gpu"), pool("plain", 19)])
    assert trades(found) == [("any", "gpu", 1, 1)]


def test_a_price_that_is_just_paid_is_a_trade() -> None:
    assert trades(match([bid("exact", 5)], [pool("at", 5)])) == [("exact", "at", 1, 5)]
    assert trades(match([bid("short", 5)], [pool("above", 6)])) == []


def test_volumes_are_split_and_the_lots_come_as_the_hub_makes_them() -> None:
    # the hub takes all that is left: large's 5 tasks would all go to "wide" if that were asked first
    found = match([bid("large", 9, 5), bid("small", 8, 2, tag="gpu")], [pool("wide", 2, 4, tag="gpu"), pool("rest", 3, 9)])
    assert trades(found) == [("large", "rest", 3, 3), ("large", "wide", 2, 2), ("small", "wide", 2, 2)]
    left = {"large": 5, "small": 2, "wide": 4, "rest": 9}
    for lot in found.lots:
        ends = [bytes.fromhex(each[2:]).lstrip(b"\0").decode() for each in (lot.bid.hash, lot.workerpool.hash)]
        assert lot.volume == min(left[end] for end in ends)
        for end in ends:
            left[end] -= lot.volume


def test_the_cheapest_app_and_dataset_orders_are_used_up_first() -> None:
    apps = (app("dear", 4), app("cheap", 1, 2))
    wanted = bid("one", 9, 3, app_most=5, dataset=DATA, datasetmaxprice=NRLC(7))
    found = match([wanted], [pool("p", 2, 10)], apps=apps, datasets=(dataset("d", 6), dataset("too dear", 8)))
    assert trades(found) == [("one", "p", 1, 12), ("one", "p", 2, 9)]


def test_a_scarce_app_order_goes_where_it_brings_most() -> None:
    found = match([bid("loud", 10, tag="gpu"), bid("quiet", 9)], [pool("dear", 9, tag="gpu"), pool("cheap", 1)], apps=(app("one", 0, 1),))
    assert trades(found) == [("quiet", "cheap", 1, 1)]


def test_who_can_pay_a_dearer_app_order_leaves_the_cheap_one_to_who_cannot() -> None:
    # served by gain alone, "rich" takes all 3 cheap ones and "poor" finds none: 3 x 19; best is 2 x 14 for "poor" and 3 x 16 or more
    apps = (app("cheap", 0, 3), app("dear", 3, 100))
    found = match([bid("rich", 17, 3, app_most=3), bid("poor", 15, 2)], [pool("p", 1, 100)], apps=apps)
    assert [(bid_, volume) for bid_, _, volume, _ in trades(found) if bid_ == "poor"] == [("poor", 2)]
    assert found.volume == 5
    assert found.surplus >= 3 * 16 + 2 * 14


def test_an_app_order_for_one_workerpool_leads_there() -> None:
    apps = (app("for b", 0, workerpoolrestrict=place("b")), app("for all", 5))
    found = match([bid("one", 20, app_most=9)], [pool("a", 1), pool("b", 4)], apps=apps)
    assert trades(found) == [("one", "b", 1, 4)]


def test_of_equal_offers_the_plain_and_then_the_larger_one_is_taken() -> None:
    assert trades(match([bid("one", 9)], [pool("gpu", 2, 9, tag="gpu"), pool("small", 2), pool("large", 2, 8)])) == [("one", "large", 1, 2)]


def test_who_cannot_pay_all_that_the_hub_would_take_gets_nothing() -> None:
    poor = {place("poor"): NRLC(9)}
    found = match([bid("poor", 5, 3)], [pool("p", 4, 10)], poor)  # 3 tasks cost 12, and the hub takes no fewer
    assert trades(found) == []
    assert reasons(found) == [(3, "the money of its requester, or of the workerpools that fit, does not suffice")]
    assert trades(match([bid("poor", 5, 3)], [pool("p", 4, 2)], poor)) == [("poor", "p", 2, 4)]


def test_one_purse_pays_for_several_bids() -> None:
    bids = [bid("first", 9, 2, requester=place("rita")), bid("second", 8, 2, requester=place("rita"))]
    assert trades(match(bids, [pool("p", 3, 10)], {place("rita"): NRLC(11)})) == [("first", "p", 2, 3)]
    assert len(match(bids, [pool("p", 3, 10)], {place("rita"): NRLC(12)}).lots) == 2


def test_an_owner_stakes_no_more_than_there_is() -> None:
    owner = place("owner of p")
    assert match([bid("one", 20, 3)], [pool("p", 10, 10)], {owner: NRLC(8)}).volume == 0  # 3 tasks stake 9
    assert match([bid("one", 20, 3)], [pool("p", 10, 10)], {owner: NRLC(9)}).volume == 3
    assert match([bid("one", 20, 2), bid("two", 19, 2)], [pool("p", 10, 10)], {owner: NRLC(9)}).volume == 2


def test_who_is_requester_and_owner_pays_both_from_one_purse() -> None:
    own = bid("self", 20, 1, requester=place("owner of p"))
    assert match([own], [pool("p", 10)], {place("owner of p"): NRLC(12)}).volume == 0
    assert match([own], [pool("p", 10)], {place("owner of p"): NRLC(13)}).volume == 1


def test_orders_given_twice_or_used_up_count_once_or_not() -> None:
    assert match([bid("one", 9, 4), bid("one", 9, 4)], [pool("p", 3, 3), pool("p", 3, 3)]).volume == 3
    spent = Offer(pool("p", 3).order, OrderHash(named("p")), 0)
    assert match([bid("one", 9)], [spent]).lots == ()


@pytest.mark.parametrize(
    ("wanted", "why", "words"),
    [
        (bid("one", 9, category=2), "no workerpool's order fits it", "the request wants 2"),
        (bid("one", 1), "no workerpool's order fits it", "pays at most 0.000000001 RLC"),
        (bid("one", 9, app=place("other")), "no order of its app or its dataset fits it", "nobody offers app"),
        (bid("one", 9, dataset=DATA), "no order of its app or its dataset fits it", "nobody offers dataset"),
    ],
)
def test_who_finds_nothing_hears_why(wanted: Bid, why: str, words: str) -> None:
    book = Book(apps=(app(),), workerpools=(pool("p", 3),), bids=(wanted,))
    (unfilled,) = clear(book).unfilled
    assert unfilled.why == why
    assert words in explain(wanted, book).words
