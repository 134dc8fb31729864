"""The broker's pure parts: its book is what the chain leaves, lots with a common order go one after another, memory has an end."""

from __future__ import annotations

from tests.unit.policy.test_clearing import app, bid, named, pool, trades
from voisin.broker.memory import Memory
from voisin.broker.plan import Memberships, accounts_of, book_of, waves
from voisin.policy.matching import Book, clear
from voisin.protocol.api import (
    BrokeredDeal,
    OrderStatus,
    PublishedAppOrder,
    PublishedOrder,
    PublishedRequestOrder,
    PublishedWorkerpoolOrder,
)
from voisin.protocol.ids import DealId, OrderHash
from voisin.units import NRLC, UnixSeconds


def published() -> list[PublishedOrder]:
    rest = {"status": OrderStatus.OPEN, "published_at": UnixSeconds(1)}
    apps, pools, wanted = app(), pool("p", 3, 10), bid("one", 9, 7)
    return [
        PublishedAppOrder(hash=apps.hash, signer=apps.signer, remaining=1000, order=apps.order, **rest),  # type: ignore[arg-type]
        PublishedWorkerpoolOrder(hash=pools.hash, signer=pools.signer, remaining=10, order=pools.order, **rest),  # type: ignore[arg-type]
        PublishedRequestOrder(
            hash=wanted.hash,
            signer=wanted.request.requester,
            remaining=7,
            order=wanted.request,
            **rest,  # type: ignore[arg-type]
        ),
    ]


def test_the_book_has_what_the_chain_leaves() -> None:
    book = book_of(published(), {OrderHash(named("p")): 8, OrderHash(named("one")): 1}, ())
    assert [offer.remaining for offer in book.workerpools] == [2]
    assert [each.remaining for each in book.bids] == [6]
    assert accounts_of(book) == {book.bids[0].request.requester, book.workerpools[0].signer}
    assert trades(clear(book)) == [("one", "p", 2, 3)]


def test_what_is_used_up_or_barred_is_left_out() -> None:
    assert book_of(published(), {OrderHash(named("one")): 7}, ()).bids == ()
    assert book_of(published(), {}, {OrderHash(named("p"))}).workerpools == ()


def test_lots_with_a_common_order_are_sent_one_after_another() -> None:
    bids = (bid("large", 9, 5), bid("small", 8, 2, tag="gpu"), bid("far", 9, 1, category=1))
    pools = (pool("wide", 2, 4, tag="gpu"), pool("rest", 3, 9), pool("other", 4, 1, category=1))
    plan = clear(Book(apps=(app(volume=10**6),), workerpools=pools, bids=bids))
    groups = list(waves(plan.lots))
    assert [lot for group in groups for lot in group if lot.bid.hash != named("far")] == [
        lot for lot in plan.lots if lot.bid.hash != named("far")
    ]
    for group in groups:
        orders = [order for lot in group for order in (lot.bid.hash, lot.workerpool.hash)]
        assert len(orders) == len(set(orders))
    assert len(groups[0]) == 2


def test_a_scarce_app_order_is_shared_in_turn() -> None:
    plan = clear(Book(apps=(app(volume=2),), workerpools=(pool("a", 1), pool("b", 1)), bids=(bid("x", 9), bid("y", 9))))
    assert [len(group) for group in waves(plan.lots)] == [1, 1]


def test_memberships_list_what_is_not_known() -> None:
    members = Memberships({(named("g"), named("m")): True})  # type: ignore[dict-item]
    assert members(named("g"), named("m"))  # type: ignore[arg-type]
    assert not members(named("g"), named("x"))  # type: ignore[arg-type]
    assert members.asked == {(named("g"), named("x"))}


def test_memory_forgets_the_oldest() -> None:
    memory = Memory(2)
    deal = BrokeredDeal(deal_id=DealId(named("d")), workerpool_order=OrderHash(named("p")), volume=1, price=NRLC(3), tx_hash=named("t"))
    memory.add_deal(OrderHash(named("a")), deal, UnixSeconds(5))
    for name in ("b", "a", "c"):
        memory.note(OrderHash(named(name)), "why", "hint", UnixSeconds(6))
    assert memory.of(OrderHash(named("b"))).looked_at == 0
    assert memory.of(OrderHash(named("a"))).deals == (deal,)
    assert memory.of(OrderHash(named("a"))).why == "why"
