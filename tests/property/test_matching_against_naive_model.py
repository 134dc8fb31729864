"""
Batch matching of any market: only what fits is matched, no limit is passed, nothing better could have been found, and the order in which
the orders come changes nothing.

The naive model judges every lot by the conditions in words, carries the lots out one by one as the hub does, and finds the optimum by
another way than the engine: augmenting one task at a time along the cheapest path of Bellman and Ford through the network of all pairs.
"""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from voisin.policy.matching import Bid, Book, Clearing, Offer, clear, explain, mismatches
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, OrderHash, as_address
from voisin.protocol.orders import AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder
from voisin.protocol.tags import as_tag
from voisin.units import NRLC

TAGS = ("", "gpu", "tee", "tee,gpu")


def place(kind: int, number: int) -> Address:
    return as_address(f"0x{kind:02x}{number:038x}")


def name(number: int) -> Hash32:
    return Hash32(f"0x{number:064x}")


APPS = [place(0xA0, n) for n in range(2)]
DATASETS = [ZERO_ADDRESS, place(0xD0, 1)]
POOLS = [place(0xB0, n) for n in range(3)]
PEOPLE = [place(0xC0, n) for n in range(3)]
OWNERS = [place(0xE0, n) for n in range(2)]
GROUP = place(0x66, 1)


def members(group: Address, who: Address) -> bool:
    """One group: the first of everything belongs to it."""
    return group == GROUP and who in (APPS[0], POOLS[0], PEOPLE[0])


def restriction(places: list[Address]) -> st.SearchStrategy[Address]:
    return st.sampled_from([ZERO_ADDRESS] * 6 + [GROUP, *places])


salts = count(1)
prices = st.integers(0, 9).map(NRLC)
volumes = st.integers(1, 6)
tags = st.sampled_from(TAGS).map(as_tag)


def orders(kind: type, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.fixed_dictionaries({**fields, "volume": volumes, "tag": tags}).map(lambda given: kind(**given, salt=name(next(salts))))


app_orders = orders(
    AppOrder,
    app=st.sampled_from(APPS),
    appprice=prices,
    workerpoolrestrict=restriction(POOLS),
    datasetrestrict=restriction(DATASETS),
    requesterrestrict=restriction(PEOPLE),
)
dataset_orders = orders(
    DatasetOrder,
    dataset=st.sampled_from(DATASETS[1:]),
    datasetprice=prices,
    apprestrict=restriction(APPS),
    workerpoolrestrict=restriction(POOLS),
)
pool_orders = orders(
    WorkerpoolOrder,
    workerpool=st.sampled_from(POOLS),
    workerpoolprice=st.integers(0, 40).map(NRLC),
    category=st.integers(0, 1),
    trust=st.sampled_from([0, 1, 4]),
    apprestrict=restriction(APPS),
    datasetrestrict=restriction(DATASETS),
    requesterrestrict=restriction(PEOPLE),
)
requests = orders(
    RequestOrder,
    app=st.sampled_from(APPS),
    appmaxprice=prices,
    dataset=st.sampled_from([ZERO_ADDRESS, ZERO_ADDRESS, *DATASETS]),
    datasetmaxprice=prices,
    workerpool=restriction(POOLS),
    workerpoolmaxprice=st.integers(0, 40).map(NRLC),
    requester=st.sampled_from(PEOPLE),
    category=st.integers(0, 1),
    trust=st.sampled_from([0, 1, 4]),
    beneficiary=st.just(PEOPLE[0]),
    params=st.just(""),
)


@st.composite
def books(draw: st.DrawFn) -> Book:
    numbers = count(1)

    def offers(strategy: st.SearchStrategy[object], most: int) -> tuple[Offer[object], ...]:  # type: ignore[type-var]
        return tuple(
            Offer(order, OrderHash(name(next(numbers))), draw(st.integers(0, order.volume)), draw(st.sampled_from(OWNERS)))  # type: ignore
            for order in draw(st.lists(strategy, max_size=most))
        )

    bids = tuple(Bid(order, OrderHash(name(next(numbers))), order.volume) for order in draw(st.lists(requests, max_size=8)))  # type: ignore
    return Book(apps=offers(app_orders, 4), datasets=offers(dataset_orders, 3), workerpools=offers(pool_orders, 8), bids=bids)  # type: ignore


purses = st.dictionaries(st.sampled_from([*PEOPLE, *OWNERS]), st.integers(0, 300).map(NRLC))


def deals(found: Clearing) -> list[tuple[str, str, str, str, int, int]]:
    return [
        (lot.app.hash, lot.dataset.hash if lot.dataset else "", lot.workerpool.hash, lot.bid.hash, lot.volume, lot.price)
        for lot in found.lots
    ]


@given(books(), purses)
def test_the_hub_makes_every_lot_and_nobody_passes_a_limit(book: Book, free: dict[Address, NRLC]) -> None:
    found = clear(book, free, is_member=members)
    left = {each.hash: each.remaining for each in (*book.apps, *book.datasets, *book.workerpools, *book.bids)}
    money = dict(free)
    for lot in found.lots:
        data = lot.dataset.order if lot.dataset else None
        assert mismatches(lot.app.order, data, lot.workerpool.order, lot.bid.request, is_member=members) == []
        used = [lot.app.hash, lot.workerpool.hash, lot.bid.hash] + ([lot.dataset.hash] if lot.dataset else [])
        assert lot.volume == min(left[order] for order in used) > 0
        for order in used:
            left[order] -= lot.volume
        price = lot.app.order.appprice + (data.datasetprice if data else 0) + lot.workerpool.order.workerpoolprice
        assert lot.price == price
        for account, amount in (
            (lot.bid.request.requester, price * lot.volume),
            (lot.workerpool.signer, lot.workerpool.order.workerpoolprice * 30 // 100 * lot.volume),
        ):
            if account in money:
                money[account] = NRLC(money[account] - amount)
                assert money[account] >= 0
        assert lot.surplus >= 0
    assert {each.bid.hash: each.left for each in found.unfilled} == {bid.hash: left[bid.hash] for bid in book.bids if left[bid.hash]}
    assert all(each.why for each in found.unfilled)


@given(books(), purses, st.randoms(use_true_random=False))
def test_the_order_of_the_orders_changes_nothing(book: Book, free: dict[Address, NRLC], rng: random.Random) -> None:
    shuffled = Book(
        **{
            field: tuple(rng.sample(each, len(each)))
            for field in ("apps", "datasets", "workerpools", "bids")
            for each in [getattr(book, field)]
        }
    )
    again = dict(rng.sample(sorted(free.items()), len(free)))
    assert deals(clear(shuffled, again, is_member=members)) == deals(clear(book, free, is_member=members))


@given(books())
def test_no_other_trades_bring_more_while_apps_and_datasets_suffice(book: Book) -> None:
    plenty = replace(
        book,
        apps=tuple({offer.order.app: replace(offer, remaining=1000) for offer in book.apps}.values()),
        datasets=tuple({offer.order.dataset: replace(offer, remaining=1000) for offer in book.datasets}.values()),
    )
    assert clear(plenty, is_member=members).surplus == optimum(plenty)


@given(books())
def test_who_finds_nothing_hears_what_stands_between(book: Book) -> None:
    for unfilled in clear(book, is_member=members).unfilled:
        reason = explain(unfilled.bid, book, is_member=members)
        assert reason.words
        if unfilled.why == "no workerpool's order fits it" and any(offer.remaining for offer in book.workerpools):
            assert reason.mismatches


def optimum(book: Book) -> int:
    """The greatest surplus, one task at a time along the cheapest path (successive shortest paths)."""
    graph: dict[tuple[object, object], list[int]] = {}

    def edge(one: object, other: object, room: int, cost: int) -> None:
        graph[one, other] = [room, cost]
        graph[other, one] = [0, -cost]

    for bid in book.bids:
        edge("source", bid.hash, bid.remaining, 0)
        for app in book.apps:
            for data in [offer.order for offer in book.datasets if offer.order.dataset == bid.request.dataset] or [None]:
                for pool in book.workerpools:
                    if not mismatches(app.order, data, pool.order, bid.request, is_member=members):
                        asked = app.order.appprice + (data.datasetprice if data else 0) + pool.order.workerpoolprice
                        limits = bid.request.appmaxprice + (bid.request.datasetmaxprice if data else 0) + bid.request.workerpoolmaxprice
                        edge(bid.hash, pool.hash, 1000, asked - limits)
    for pool in book.workerpools:
        edge(pool.hash, "sink", pool.remaining, 0)
    total = 0
    while (step := cheapest_path(graph)) is not None and step[0] < 0:
        cost, path = step
        for one, other in path:
            graph[one, other][0] -= 1
            graph[other, one][0] += 1
        total -= cost
    return total


def cheapest_path(graph: dict[tuple[object, object], list[int]]) -> tuple[int, list[tuple[object, object]]] | None:
    """Bellman and Ford: the cheapest way from source to sink where there is room."""
    best: dict[object, tuple[int, list[tuple[object, object]]]] = {"source": (0, [])}
    is_changed = True
    while is_changed:
        is_changed = False
        for (one, other), (room, cost) in graph.items():
            if room and one in best and (other not in best or best[one][0] + cost < best[other][0]):
                best[other] = best[one][0] + cost, [*best[one][1], (one, other)]
                is_changed = True
    return best.get("sink")
