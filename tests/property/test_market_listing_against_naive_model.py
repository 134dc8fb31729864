"""Lists from the database and from memory are what a naive reading of the specification gives, page by page."""

from __future__ import annotations

from dataclasses import dataclass

import anyio
import pytest
from anyio import from_thread, to_thread
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.nights import examples
from tests.support.order_book import put, somewhere
from voisin.market.book import BookStore
from voisin.market.database import open_database
from voisin.market.machine import Entry
from voisin.market.memory import MemoryStore
from voisin.market.query import OrderQuery, read_query
from voisin.market.schema import orders
from voisin.market.store import open_store, store_of
from voisin.market.twin import TWIN_DOMAIN
from voisin.protocol.api import OrderStatus
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, OrderHash, to_hex
from voisin.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from voisin.protocol.tags import tag_from_bits
from voisin.units import NRLC, UnixSeconds

A, B = somewhere(0xA1), somewhere(0xB2)
RESTRICTIONS = st.sampled_from([ZERO_ADDRESS, ZERO_ADDRESS, A, B])
ACCOUNTS = st.sampled_from([A, B])
AMOUNTS = st.sampled_from([0, 1, 9, 10, 99, 10**9, 2**63, 2**64 + 1, 2**256 - 1])
BITS = st.sampled_from([0, 1, 0b1001, 1 << 8, (1 << 8) | 1, 1 << 255])
NUMBERS = st.integers(0, 3)


@dataclass(frozen=True)
class Naive:
    """An order as the specification's tables describe it: a line of plain values, written down beside the order."""

    hash: str
    kind: str
    about: dict[str, str]
    only_for: dict[str, str]
    price: int
    bits: int
    remaining: int
    at: int
    status: str
    owner: str
    category: int | None = None
    trust: int | None = None


@st.composite
def books(draw: st.DrawFn) -> list[tuple[Entry, Naive]]:
    """Draw a book: orders and their lines."""
    return [draw(lines(number)) for number in range(draw(st.integers(3, 25)))]


@st.composite
def lines(draw: st.DrawFn, number: int) -> tuple[Entry, Naive]:
    """Draw an order in the book and its line."""
    kind = draw(st.sampled_from(["app", "dataset", "workerpool", "request"]))
    price, bits, trust, category = draw(AMOUNTS), draw(BITS), draw(NUMBERS), draw(NUMBERS)
    volume = draw(st.sampled_from([1, 5, 2**256 - 1]))
    own, first, second, third = draw(ACCOUNTS), draw(RESTRICTIONS), draw(RESTRICTIONS), draw(RESTRICTIONS)
    salt = Hash32(to_hex(keccak(text=str(number))))
    shared = {"volume": volume, "tag": tag_from_bits(bits), "salt": salt}
    order: Order
    if kind == "app":
        order = AppOrder(app=own, appprice=NRLC(price), datasetrestrict=first, workerpoolrestrict=second, requesterrestrict=third, **shared)
        about, only_for = {"app": own}, {"dataset": first, "workerpool": second, "requester": third}
    elif kind == "dataset":
        order = DatasetOrder(
            dataset=own, datasetprice=NRLC(price), apprestrict=first, workerpoolrestrict=second, requesterrestrict=third, **shared
        )
        about, only_for = {"dataset": own}, {"app": first, "workerpool": second, "requester": third}
    elif kind == "workerpool":
        order = WorkerpoolOrder(
            workerpool=own,
            workerpoolprice=NRLC(price),
            apprestrict=first,
            datasetrestrict=second,
            requesterrestrict=third,
            category=category,
            trust=trust,
            **shared,
        )
        about, only_for = {"workerpool": own}, {"app": first, "dataset": second, "requester": third}
    else:
        order = RequestOrder(
            app=own,
            appmaxprice=NRLC(0),
            dataset=first,
            workerpool=second,
            workerpoolmaxprice=NRLC(price),
            requester=B,
            beneficiary=B,
            params="",
            category=category,
            trust=trust,
            **shared,
        )
        about, only_for = {"app": own, "dataset": first, "requester": B}, {"workerpool": second}
    classed = {"category": category, "trust": trust} if kind in ("workerpool", "request") else {}
    remaining, at, is_removed, owner = draw(st.integers(0, min(volume, 5))), draw(NUMBERS), draw(st.booleans()), draw(ACCOUNTS)
    entry = Entry(
        hash=OrderHash(salt),
        order=order,
        signer=owner,
        remaining=remaining,
        published_at=UnixSeconds(at),
        owner=owner,
        stake=NRLC(2**256 - 1),
        is_removed=is_removed,
    )
    status = "filled" if remaining == 0 else "removed" if is_removed else "open"
    naive = Naive(salt, kind, about, only_for, price, bits, remaining, at, status, owner, **classed)
    return entry, naive


@st.composite
def queries(draw: st.DrawFn) -> dict[str, object]:
    """Draw a question, with one to three conditions."""
    names = st.lists(st.sampled_from([A, B, "any"]), min_size=1, max_size=2).map(tuple)
    possible: dict[str, st.SearchStrategy[object]] = {
        "kind": st.sampled_from(["app", "dataset", "workerpool", "request"]),
        "app": names,
        "dataset": names,
        "workerpool": names,
        "requester": names,
        "owner": names,
        "category": NUMBERS,
        "tag": BITS.map(tag_from_bits),
        "min_trust": NUMBERS,
        "max_trust": NUMBERS,
        "min_price": AMOUNTS,
        "max_price": AMOUNTS,
        "min_volume": st.integers(0, 6),
        "status": st.sampled_from(["open", "filled", "removed", "cancelled", "dead", "any"]),
    }
    asked = draw(st.lists(st.sampled_from(sorted(possible)), max_size=4, unique=True))
    if "kind" in asked:
        asked = [name for name in asked if name not in ("category", "min_trust", "max_trust")]
    return {name: draw(possible[name]) for name in asked}


def is_wanted(line: Naive, query: dict[str, object]) -> bool:
    """Read the specification's rules one after another."""
    for account in ("app", "dataset", "workerpool", "requester"):
        named = query.get(account, ())
        assert isinstance(named, tuple)
        if "any" in named:
            continue
        if account in line.only_for and line.only_for[account] not in (ZERO_ADDRESS, *named):
            return False
        if account in line.about and named and line.about[account] not in named:
            return False
    owners = query.get("owner", ())
    assert isinstance(owners, tuple)
    if owners and "any" not in owners and line.owner not in owners:
        return False
    status = query.get("status", "open")
    bits = int(str(query["tag"]), 16) if "tag" in query else None
    needs_all = line.kind == "workerpool"
    checks = [
        query.get("kind", line.kind) == line.kind,
        status in ("any", line.status),
        "category" not in query or line.category == query["category"],
        "min_trust" not in query or (line.trust is not None and line.trust >= as_int(query["min_trust"])),
        "max_trust" not in query or (line.trust is not None and line.trust <= as_int(query["max_trust"])),
        line.price >= as_int(query.get("min_price", 0)),
        line.price <= as_int(query.get("max_price", 2**256)),
        line.remaining >= as_int(query.get("min_volume", 0)),
        bits is None or (line.bits & bits == bits if needs_all else line.bits | bits == bits),
    ]
    return all(checks)


def as_int(value: object) -> int:
    """See that a value is a number."""
    assert isinstance(value, int)
    return value


def best_first(line: Naive) -> tuple[str, int, int, str]:
    """Order lines: by kind, cheapest offer or dearest request first, older first."""
    return line.kind, -line.price if line.kind == "request" else line.price, line.at, line.hash


async def pages(store: BookStore, query: dict[str, object], limit: int) -> tuple[list[str], set[int]]:
    """Read a list page by page; answers the hashes in order, and every count that was told."""
    hashes: list[str] = []
    counts: set[int] = set()
    cursor: str | None = None
    given = {name: (str(value),) if not isinstance(value, tuple) else value for name, value in query.items()}
    while True:
        page = await store.orders(read_query({**given, "limit": (str(limit),), **({"cursor": (cursor,)} if cursor else {})}, OrderQuery))
        assert len(page.orders) <= limit
        hashes += [found.hash for found in page.orders]
        counts.add(page.count)
        if page.next is None:
            return hashes, counts
        assert len(page.orders) == limit, "only the last page is short"
        cursor = page.next


async def compare(database: AsyncEngine, book: list[tuple[Entry, Naive]], asked: list[dict[str, object]], limit: int) -> None:
    """Put the same questions to the database, to the memory, and to the naive model."""
    async with database.begin() as connection:
        await connection.execute(delete(orders))
    async with store_of(database) as in_database:
        stores: list[BookStore] = [in_database, MemoryStore()]
        for store in stores:
            async with store.write() as write:
                for entry, _ in book:
                    await put(write, entry)
        for query in asked:
            wanted = sorted((line for _, line in book if is_wanted(line, query)), key=best_first)
            for store in stores:
                assert await pages(store, query, limit) == ([line.hash for line in wanted], {len(wanted)})
        for entry, line in book:
            assert [await store.entry(entry.hash) for store in stores] == [entry, entry]
            assert entry.status is OrderStatus(line.status)


def test_lists_are_sound_complete_and_in_order(database_url: str) -> None:
    async def all_examples() -> None:
        async with open_database(database_url, TWIN_DOMAIN, 0) as database:

            @settings(max_examples=examples(5))
            @given(books(), st.lists(queries(), min_size=5, max_size=10), st.integers(1, 7))
            def one_example(book: list[tuple[Entry, Naive]], asked: list[dict[str, object]], limit: int) -> None:
                from_thread.run(compare, database, book, asked, limit)

            await to_thread.run_sync(one_example)

    anyio.run(all_examples)


@pytest.mark.anyio
async def test_pages_stay_in_place_while_orders_come_and_go(database_url: str) -> None:
    def entry(number: int, price: int) -> Entry:
        order = AppOrder(app=A, appprice=NRLC(price), volume=1, salt=Hash32("0x" + "00" * 32))
        name = OrderHash(Hash32(f"0x{number:064x}"))
        return Entry(hash=name, order=order, signer=A, remaining=1, published_at=UnixSeconds(7), owner=A, stake=NRLC(0))

    async with open_store(database_url, TWIN_DOMAIN, 0) as store:
        async with store.write() as write:
            for number in range(6):
                await put(write, entry(10 + number, price=number // 2))
        first = await store.orders(OrderQuery(limit=2))
        seen: list[Address | str] = [found.hash for found in first.orders]
        async with store.write() as write:
            await put(write, entry(1, price=0))  # before the place that the reader has reached: not seen, nothing twice
            await put(write, entry(101, price=9))  # behind it: seen
        cursor = first.next
        while cursor is not None:
            page = await store.orders(OrderQuery(limit=2, cursor=cursor))
            seen += [found.hash for found in page.orders]
            cursor = page.next
    assert seen == [f"0x{number:064x}" for number in (10, 11, 12, 13, 14, 15, 101)]
