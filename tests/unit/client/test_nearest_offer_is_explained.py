"""Choosing offers: the cheapest that fit, split where one is too small; and when none fits, why and by how much."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from tests.unit.client import stories as s
from voisin.client.offers import Lot, Wish, choose_lots
from voisin.errors import NoMatchError
from voisin.policy.matching import Offer
from voisin.protocol.ids import ZERO_HASH, OrderHash
from voisin.protocol.orders import AppOrder, WorkerpoolOrder
from voisin.protocol.tags import tag_of
from voisin.units import NRLC

WISH = Wish(app=s.APP, requester=s.REQUESTER, volume=10, category=0, trust=4)


def app_offer(price: int = 0, remaining: int = 1000) -> Offer[AppOrder]:
    order = AppOrder(app=s.APP, appprice=NRLC(price), volume=remaining, salt=ZERO_HASH)
    return Offer(order, OrderHash(s.hash_of(0xA000 + price)), remaining)


def pool_offer(price: int, remaining: int = 1000, *, category: int = 0, trust: int = 8, number: int = 0) -> Offer[WorkerpoolOrder]:
    order = WorkerpoolOrder(
        workerpool=s.POOL, workerpoolprice=NRLC(price), volume=remaining, category=category, trust=trust, salt=s.hash_of(number)
    )
    return Offer(order, OrderHash(s.hash_of(0xB000 + 100 * price + number)), remaining)


def wish(**changes: object) -> Wish:
    return replace(WISH, **changes)  # type: ignore[arg-type]


def bought(lots: tuple[Lot, ...]) -> list[tuple[int, int]]:
    return [(lot.volume, lot.price) for lot in lots]


def test_the_cheapest_pair_is_taken() -> None:
    lots = choose_lots(WISH, [app_offer(5), app_offer(3)], [pool_offer(20), pool_offer(10), pool_offer(30)])
    assert bought(lots) == [(10, 13)]


def test_tasks_are_split_over_offers_that_are_too_small() -> None:
    lots = choose_lots(WISH, [app_offer()], [pool_offer(20), pool_offer(10, 4), pool_offer(15, 3)])
    assert bought(lots) == [(4, 10), (3, 15), (3, 20)]
    assert sum(lot.total for lot in lots) == 145


def test_small_app_orders_are_combined_too() -> None:
    lots = choose_lots(WISH, [app_offer(1, 6), app_offer(2, 6)], [pool_offer(10, 7), pool_offer(11)])
    assert bought(lots) == [(6, 11), (1, 12), (3, 13)]


def test_of_equally_cheap_offers_the_larger_one_saves_a_deal() -> None:
    assert bought(choose_lots(WISH, [app_offer()], [pool_offer(10, 4), pool_offer(10, 50, number=1)])) == [(10, 10)]


def test_too_dear_says_by_how_much_and_what_would_do() -> None:
    dear = wish(max_price=NRLC(100_000_000))
    with pytest.raises(NoMatchError) as caught:
        choose_lots(dear, [app_offer()], [pool_offer(300_000_000), pool_offer(250_000_000)])
    assert "the workerpool costs 0.25 RLC, the request pays at most 0.1 RLC: 0.15 RLC too little" in caught.value.message
    assert str(s.hash_of(0xB000 + 100 * 250_000_000)) in caught.value.message
    assert caught.value.hint == "allow a price of 0.25 RLC a task"


def test_too_little_trust_says_how_much_there_is() -> None:
    with pytest.raises(NoMatchError) as caught:
        choose_lots(wish(trust=50), [app_offer()], [pool_offer(10, trust=8), pool_offer(10, trust=20, number=1)])
    assert "the workerpool offers trust up to 20, the request wants 50" in caught.value.message
    assert caught.value.hint == "ask for trust 20 or less"


def test_the_wrong_category_is_named() -> None:
    with pytest.raises(NoMatchError) as caught:
        choose_lots(wish(category=3), [app_offer()], [pool_offer(10, category=2)])
    assert "the workerpool offers category 2, the request wants 3" in caught.value.message
    assert caught.value.hint == "ask for category 2"


def test_a_missing_tag_is_named() -> None:
    with pytest.raises(NoMatchError, match="lacks gpu"):
        choose_lots(wish(tag=tag_of(["gpu"])), [app_offer()], [pool_offer(10)])


def test_an_offer_for_somebody_else_is_no_offer() -> None:
    order = msgspec.structs.replace(pool_offer(10).order, requesterrestrict=s.address(0x55))
    with pytest.raises(NoMatchError, match="only for requester"):
        choose_lots(WISH, [app_offer()], [Offer(order, OrderHash(s.hash_of(5)), 1000)])


def test_offers_that_cover_a_part_say_which_part() -> None:
    with pytest.raises(NoMatchError) as caught:
        choose_lots(WISH, [app_offer()], [pool_offer(10, 4), pool_offer(10, 3, number=1)])
    assert caught.value.message == "the offers that fit cover 7 of 10 tasks"
    assert caught.value.hint == "run 7 tasks now, or try again when more is offered"


def test_no_app_order_and_no_workerpool_are_told_apart() -> None:
    with pytest.raises(NoMatchError, match="nobody offers app"):
        choose_lots(WISH, [], [pool_offer(10)])
    with pytest.raises(NoMatchError, match="no workerpool offers anything"):
        choose_lots(WISH, [app_offer()], [])
    with pytest.raises(NoMatchError, match="no workerpool offers anything"):
        choose_lots(WISH, [app_offer()], [pool_offer(10, 0)])
