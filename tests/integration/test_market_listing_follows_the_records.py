"""Lists and counts of open orders are in memory, and are those of the records at any moment, whichever process changes them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from tests.support.order_book import put, somewhere
from voisin.market import shown
from voisin.market.database import open_database
from voisin.market.filters import order_conditions
from voisin.market.lines import Entering, Lines
from voisin.market.machine import Entry, published_form
from voisin.market.query import OrderQuery
from voisin.market.schema import feed, orders
from voisin.market.store import SqlStore, open_store, store_of
from voisin.market.twin import TWIN_DOMAIN
from voisin.protocol.feed import OrderNews
from voisin.protocol.ids import Hash32, OrderHash
from voisin.protocol.orders import AppOrder, OrderKind
from voisin.units import NRLC, UnixSeconds

pytestmark = pytest.mark.anyio

APP, OWNER = somewhere(0xA1), somewhere(0xB2)


def entry(number: int, *, price: int = 5, remaining: int = 3) -> Entry:
    """An offer of the app; its hash is its number."""
    order = AppOrder(app=APP, appprice=NRLC(price), volume=3, salt=Hash32("0x" + "00" * 32))
    name = OrderHash(Hash32(f"0x{number:064x}"))
    return Entry(hash=name, order=order, signer=OWNER, remaining=remaining, published_at=UnixSeconds(7), owner=OWNER, stake=NRLC(0))


async def write(store: SqlStore, *entries: Entry) -> None:
    """Write orders down, as one change."""
    async with store.write() as transaction:
        for each in entries:
            await put(transaction, each)


async def enter(store: SqlStore, *entries: Entry) -> None:
    """Enter orders, as a publication does."""
    async with store.enter() as transaction:
        await transaction.shelf([], [])
        await transaction.save(*entries)
        for each in entries:
            await transaction.announce(OrderNews(at=UnixSeconds(7), order=published_form(each), why=""))


async def numbers(store: SqlStore, **asked: object) -> tuple[list[int], int]:
    """List orders by their numbers, and tell how many are counted."""
    page = await store.orders(OrderQuery(**asked))  # type: ignore[arg-type]
    return [int(order.hash, 16) for order in page.orders], page.count


async def test_orders_come_change_and_go(database_url: str) -> None:
    async with open_store(database_url, TWIN_DOMAIN, 0) as store:
        await write(store, entry(1), entry(2, price=4))
        assert await numbers(store) == ([2, 1], 2)
        assert await store.open_orders() == {kind: 2 * (kind is OrderKind.APP) for kind in OrderKind}
        await write(store, entry(1, remaining=1))
        page = await store.orders(OrderQuery(min_volume=1))
        assert [order.remaining for order in page.orders] == [3, 1]
        await write(store, replace(entry(2, price=4), is_removed=True), entry(3, price=1))
        assert await numbers(store) == ([3, 1], 2)
        assert await numbers(store, max_price=1) == ([3], 1)
        assert await numbers(store, status="removed") == ([2], 1)
        await write(store, entry(2, price=4))
        assert await numbers(store, limit=2) == ([3, 2], 3)


async def test_what_another_process_changes_is_seen_at_once(database_url: str) -> None:
    async with open_store(database_url, TWIN_DOMAIN, 0) as here, open_store(database_url, TWIN_DOMAIN, 0) as there:
        assert await numbers(here) == ([], 0)
        await write(there, entry(1), entry(2))
        assert await numbers(here) == ([1, 2], 2)
        await write(there, entry(1, remaining=0))
        assert await numbers(here) == ([2], 1)


async def test_what_this_process_enters_is_not_read_again(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_store(database_url, TWIN_DOMAIN, 0) as store:
        assert await numbers(store) == ([], 0)
        monkeypatch.setattr(shown, "decode", None)
        await enter(store, entry(1), entry(2))
        await enter(store, entry(3))
        assert await numbers(store) == ([1, 2, 3], 3)
        assert [told.id for told in await store.events(0, 10)] == [1, 2, 3]


async def test_what_this_process_enters_after_others_is_listed_once(database_url: str) -> None:
    async with open_store(database_url, TWIN_DOMAIN, 0) as here, open_store(database_url, TWIN_DOMAIN, 0) as there:
        assert await numbers(here) == ([], 0)
        await enter(there, entry(1, price=1), entry(2, price=2))
        await enter(here, entry(1, price=1, remaining=1), entry(3, price=3))
        assert await numbers(here) == ([1, 2, 3], 3)
        assert await numbers(here, min_volume=2) == ([2, 3], 2)
        assert [told.id for told in await here.events(0, 10)] == [1, 2, 3, 4]


async def counted(store: SqlStore) -> int:
    """Count the owner's open orders as a publication does."""
    async with store.enter() as transaction:
        return (await transaction.shelf([], [OWNER, somewhere(0xEE)])).counts.pop(OWNER)


async def test_a_signers_orders_are_counted_alike_in_memory_and_in_the_records(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_store(database_url, TWIN_DOMAIN, 0) as here, open_store(database_url, TWIN_DOMAIN, 0) as there:
        assert await counted(here) == 0, "nothing is in memory yet"
        assert await numbers(here) == ([], 0)
        await enter(here, entry(1), entry(2), entry(3))
        await write(here, entry(2, remaining=0))
        assert await counted(here) == 2, "memory is behind what was written on another way"
        await enter(there, entry(4))
        assert await counted(here) == 3, "memory is behind what another process wrote"
        assert await numbers(here) == ([1, 3, 4], 3)
        monkeypatch.setattr(type(here._lines), "enter", without_counting(here._lines))
        assert await counted(here) == 3, "memory is up to date"


def without_counting(lines: Lines) -> object:
    """Make transactions that cannot count in the records."""
    entering = type(lines).enter

    @asynccontextmanager
    async def enter(lines: Lines) -> AsyncIterator[Entering]:
        async with entering(lines) as transaction:
            transaction.counts = None  # type: ignore[method-assign,assignment]
            yield transaction

    return enter


async def test_lists_of_orders_that_are_not_open_have_an_index(tmp_path: Path) -> None:
    async with open_database(f"sqlite:///{tmp_path}/book.sqlite", TWIN_DOMAIN, 0) as engine, engine.connect() as connection:
        page = select(orders).where(order_conditions(OrderQuery(kind=OrderKind.APP, status="filled")))
        words = str(page.compile(engine.sync_engine, compile_kwargs={"literal_binds": True}))
        plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}")).all()
        assert "ix_orders_listing" in str(plan)


async def test_who_was_away_for_longer_than_the_feed_remembers_reads_the_book_anew(database_url: str) -> None:
    async with open_database(database_url, TWIN_DOMAIN, 0) as engine, store_of(engine) as here, store_of(engine) as there:
        await write(here, entry(1), entry(2))
        assert await numbers(here) == ([1, 2], 2)
        await write(there, entry(1, remaining=0))
        await write(there, entry(3))
        async with engine.begin() as connection:
            await connection.execute(delete(feed).where(feed.c.id < 4))
        assert await numbers(here) == ([2, 3], 2)


async def test_more_events_than_are_taken_in_at_a_time(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "AT_ONCE", 2)
    async with open_store(database_url, TWIN_DOMAIN, 0) as here, open_store(database_url, TWIN_DOMAIN, 0) as there:
        assert await numbers(here) == ([], 0)
        await write(there, *(entry(number) for number in range(1, 6)))
        assert await numbers(here) == ([1, 2, 3, 4, 5], 5)
        assert [told.id for told in await here.events(0, 10)] == [1, 2, 3, 4, 5], "older ones come from the records"
        assert [told.id for told in await here.events(3, 10)] == [4, 5]


async def test_contents_that_are_not_remembered_are_read(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "MOST_KEPT", 0)
    async with open_store(database_url, TWIN_DOMAIN, 0) as store:
        await write(store, *(entry(number) for number in range(1, 6)))
        for _ in range(3):
            assert await numbers(store, limit=3) == ([1, 2, 3], 5)
