"""A market's records in a database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict

import anyio
import msgspec
from sqlalchemy import Insert, Select, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from voisin.market.book import EVENTS_KEPT, Challenge, Position, Shelf, Standing, Told
from voisin.market.database import RECORDS, open_database
from voisin.market.filters import after_deal, after_order, deal_conditions, order_conditions
from voisin.market.following import TaskChange
from voisin.market.lines import Entering, EventRow, Lines, MomentRow, Values
from voisin.market.machine import Entry, published_form
from voisin.market.query import DealPlace, DealQuery, OrderQuery, TaskQuery, place_of, write_cursor
from voisin.market.rows import (
    category_of_row,
    deal_of_row,
    entry_of_row,
    entry_of_values,
    moment_of_row,
    row_of_category,
    row_of_deal,
    row_of_entry,
    row_of_moment,
    row_of_task,
    task_of_row,
    values_of_entry,
)
from voisin.market.schema import categories, challenges, deals, feed, follower, moments, orders, tasks, used, wants
from voisin.market.shown import Shown
from voisin.market.sqlite_lines import SqliteLines
from voisin.protocol.api import CategoryEntry, DealEntry, DealPage, Moment, OrderPage, OrderStatus, TaskEntry, TaskPage
from voisin.protocol.codec import encode
from voisin.protocol.eip712 import Domain
from voisin.protocol.feed import News
from voisin.protocol.ids import Address, DealId, Hash32, OrderHash, TaskId
from voisin.protocol.orders import OrderKind
from voisin.service.databases import writing
from voisin.units import UnixSeconds

_FORGET_EVERY = 100
"""After how many events those that are too many are forgotten."""
_LISTED = (orders.c.kind, orders.c.rank, orders.c.published_at, orders.c.hash)
_LIVE = (OrderStatus.OPEN.value, OrderStatus.DEAD.value)


@asynccontextmanager
async def open_store(database_url: str, domain: Domain, start_block: int) -> AsyncIterator[SqlStore]:
    """
    Open the records in a database; arguments and errors are `voisin.market.database.open_database`'s.

    Yields:
        The records.
    """
    async with open_database(database_url, domain, start_block) as engine, store_of(engine) as store:
        yield store


@asynccontextmanager
async def store_of(engine: AsyncEngine) -> AsyncIterator[SqlStore]:
    """
    Open the records in a database whose tables are up to date.

    Yields:
        The records.
    """
    lines = lines_of(engine)
    try:
        yield SqlStore(engine, lines)
    finally:
        with anyio.CancelScope(shield=True):
            await lines.close()


def lines_of(engine: AsyncEngine) -> Lines:
    """Make lines to a database whose tables are up to date; who makes them closes them."""
    if engine.dialect.name == "postgresql":
        from voisin.market.postgres_lines import PostgresLines  # its driver is not installed everywhere

        return PostgresLines(engine)
    assert engine.url.database is not None
    return SqliteLines(engine.url.database)


class SqlStore:
    """A market's records in a database; see `voisin.market.book.BookStore`."""

    def __init__(self, engine: AsyncEngine, lines: Lines) -> None:
        """
        Args:
            engine: A database whose tables are up to date.
            lines: Lines to the same database.
        """
        self._engine = engine
        self._lines = lines
        self._shown = Shown(lines)
        self._turn = anyio.Lock()  # who waits for a turn should not hold one of the pool's connections

    @asynccontextmanager
    async def write(self) -> AsyncIterator[SqlWrite]:
        """Begin a transaction; it is never cancelled half-way."""
        async with self._turn:
            with anyio.CancelScope(shield=True), RECORDS.answering():
                async with writing(self._engine) as connection:
                    await connection.execute(select(follower.c.id).with_for_update())
                    write = SqlWrite(connection)
                    yield write
                    await write.finish()

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[SqlEntering]:
        """Begin a transaction that enters orders; it is never cancelled half-way."""
        async with self._turn:
            with anyio.CancelScope(shield=True):
                async with self._lines.enter() as entering:
                    write = SqlEntering(entering, self._shown)
                    yield write
                    await write.finish()
                self._shown.take(write.events, write.news)

    async def refresh(self) -> None:
        """Take in what changed, so that who reads next need not wait for it."""
        await self._shown.refresh()

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[AsyncConnection]:
        with anyio.CancelScope(shield=True), RECORDS.answering():
            async with self._engine.connect() as connection:
                yield connection

    async def position(self) -> Position:
        """Tell how far the chain is recorded."""
        async with self._read() as connection:
            return await _find_position(connection)

    async def entry(self, order_hash: OrderHash) -> Entry | None:
        """Find an order."""
        async with self._read() as connection:
            return await _find_entry(connection, order_hash)

    async def standing(self, hashes: Sequence[OrderHash]) -> Standing:
        """Tell what is known of orders."""
        rows = await self._lines.standing(hashes)
        entries = map(entry_of_values, rows.entries)
        return Standing({entry.hash: entry for entry in entries}, frozenset(map(OrderHash, map(Hash32, rows.used))), rows.next_block)

    async def first_block(self) -> int:
        """Number the first block that was recorded, or is to be."""
        async with self._read() as connection:
            first: int = (await connection.execute(select(follower.c.first_block))).scalar_one()
        return first

    async def story(self, order_hash: OrderHash) -> tuple[Moment, ...]:
        """Tell how an order came to stand where it stands."""
        async with self._read() as connection:
            found = await connection.execute(select(moments).where(moments.c.order_hash == order_hash).order_by(moments.c.number))
            return tuple(moment_of_row(row) for row in found.mappings())

    async def orders(self, query: OrderQuery) -> OrderPage:
        """List orders, best price first."""
        if query.status == OrderStatus.OPEN:
            return await self._shown.page(query)
        fitting = order_conditions(query)
        page = select(orders).where(fitting, *after_order(query.place)).order_by(*_LISTED).limit(query.limit + 1)
        async with self._read() as connection:
            count = (await connection.execute(select(func.count()).select_from(orders).where(fitting))).scalar_one()
            found = [entry_of_row(row) for row in (await connection.execute(page)).mappings()]
        shown = found[: query.limit]
        cursor = write_cursor(place_of(shown[-1])) if len(found) > len(shown) else None
        return OrderPage(orders=tuple(map(published_form, shown)), count=count, next=cursor)

    async def orders_from(self, query: OrderQuery, skip: int) -> OrderPage:
        """List orders without a cursor, best price first; the first `skip` are left out."""
        if query.status == OrderStatus.OPEN:
            return await self._shown.page_from(query, skip)
        fitting = order_conditions(query)
        page = select(orders).where(fitting).order_by(*_LISTED)
        async with self._read() as connection:
            count = (await connection.execute(select(func.count()).select_from(orders).where(fitting))).scalar_one()
            found = (await connection.execute(page.limit(query.limit).offset(skip))).mappings()
            return OrderPage(orders=tuple(published_form(entry_of_row(row)) for row in found), count=count)

    async def open_orders(self) -> dict[OrderKind, int]:
        """Count the open orders of each kind."""
        return await self._shown.counts()

    async def deal(self, deal_id: DealId) -> DealEntry | None:
        """Find a deal."""
        async with self._read() as connection:
            row = (await connection.execute(select(deals).where(deals.c.deal_id == deal_id))).mappings().one_or_none()
        return None if row is None else deal_of_row(row)

    async def deals(self, query: DealQuery) -> DealPage:
        """List deals, newest first."""
        fitting = deal_conditions(query)
        page = select(deals).where(fitting, *after_deal(query.place))
        page = page.order_by(deals.c.block.desc(), deals.c.log_index.desc()).limit(query.limit + 1)
        async with self._read() as connection:
            count = (await connection.execute(select(func.count()).select_from(deals).where(fitting))).scalar_one()
            found = list((await connection.execute(page)).mappings())
        shown = found[: query.limit]
        cursor = write_cursor(DealPlace(shown[-1]["block"], shown[-1]["log_index"])) if len(found) > len(shown) else None
        return DealPage(deals=tuple(map(deal_of_row, shown)), count=count, next=cursor)

    async def deals_from(self, query: DealQuery, skip: int) -> DealPage:
        """List deals without a cursor: newest block first, in a block by id; the first `skip` are left out."""
        fitting = deal_conditions(query)
        page = select(deals).where(fitting).order_by(deals.c.block.desc(), deals.c.deal_id)
        async with self._read() as connection:
            count = (await connection.execute(select(func.count()).select_from(deals).where(fitting))).scalar_one()
            found = (await connection.execute(page.limit(query.limit).offset(skip))).mappings()
            return DealPage(deals=tuple(map(deal_of_row, found)), count=count)

    async def categories(self) -> tuple[CategoryEntry, ...]:
        """List the categories, by number."""
        async with self._read() as connection:
            found = (await connection.execute(select(categories).order_by(categories.c.number))).mappings()
            return tuple(map(category_of_row, found))

    async def events(self, after: int, limit: int) -> list[Told]:
        """List the live feed's events after one, in order, as far as they are remembered."""
        return [Told(*row) for row in await self._shown.events(after, limit)]

    async def event_span(self) -> tuple[int, int]:
        """Number the oldest and the newest event that is remembered; (1, 0) when there is none."""
        async with self._read() as connection:
            oldest, newest = (await connection.execute(select(func.min(feed.c.id), func.max(feed.c.id)))).one()
        return (1, 0) if newest is None else (oldest, newest)

    async def challenge(self, digest: Hash32) -> Challenge | None:
        """Find a challenge that was given out and is not used yet."""
        async with self._read() as connection:
            row = (await connection.execute(select(challenges).where(challenges.c.digest == digest))).mappings().one_or_none()
        return None if row is None else Challenge(**row)

    async def task(self, task_id: TaskId) -> TaskEntry | None:
        """Find a task."""
        async with self._read() as connection:
            row = (await connection.execute(select(tasks).where(tasks.c.task_id == task_id))).mappings().one_or_none()
        return None if row is None else task_of_row(row)

    async def tasks(self, deal_id: DealId, query: TaskQuery) -> TaskPage:
        """List the initialised tasks of a deal, by index."""
        page = select(tasks).where(tasks.c.deal_id == deal_id, tasks.c.index >= query.first).order_by(tasks.c.index).limit(query.limit)
        async with self._read() as connection:
            return TaskPage(tasks=tuple(task_of_row(row) for row in (await connection.execute(page)).mappings()))


class SqlWrite:
    """A writing transaction; see `voisin.market.book.BookWrite`."""

    def __init__(self, connection: AsyncConnection) -> None:
        """
        Args:
            connection: In a transaction that holds the write lock.
        """
        self._connection = connection
        self._news: list[News] = []

    async def position(self) -> Position:
        """Tell how far the chain is recorded."""
        return await _find_position(self._connection)

    async def advance(self, position: Position) -> None:
        """Set how far the chain is recorded."""
        await self._connection.execute(update(follower).values(next_block=position.next_block, last_hash=position.last_hash))

    async def entry(self, order_hash: OrderHash) -> Entry | None:
        """Find an order."""
        return await _find_entry(self._connection, order_hash)

    async def entries_of_resource(self, resource: Address) -> list[Entry]:
        """List the open and dead orders of an app, dataset or workerpool."""
        return await self._entries(select(orders).where(orders.c.resource == resource, orders.c.kind != OrderKind.REQUEST.value))

    async def entries_of_signer(self, signer: Address) -> list[Entry]:
        """List the open and dead orders of a signer."""
        return await self._entries(select(orders).where(orders.c.signer == signer))

    async def challenges_of(self, address: Address) -> list[Challenge]:
        """List the challenges that an address has not used yet, the one that expires first first."""
        found = select(challenges).where(challenges.c.address == address).order_by(challenges.c.expires_at, challenges.c.digest)
        return [Challenge(**row) for row in (await self._connection.execute(found)).mappings()]

    async def add_challenge(self, challenge: Challenge) -> None:
        """Keep a challenge."""
        await self._connection.execute(insert(challenges).values(asdict(challenge)))

    async def drop_challenge(self, digest: Hash32) -> bool:
        """Forget a challenge; tells whether it was there."""
        return (await self._connection.execute(delete(challenges).where(challenges.c.digest == digest))).rowcount > 0

    async def drop_expired(self, now: UnixSeconds) -> None:
        """Forget the challenges that have expired."""
        await self._connection.execute(delete(challenges).where(challenges.c.expires_at <= now))

    async def want(self, order_hash: OrderHash, resources: Collection[Address]) -> None:
        """Note that a request is to be in the book only while there are offers of these; noting it again changes nothing."""
        await self._connection.execute(delete(wants).where(wants.c.order_hash == order_hash))
        await self._connection.execute(insert(wants), [{"order_hash": order_hash, "resource": each} for each in sorted(resources)])

    async def wanting(self, resource: Address) -> list[Entry]:
        """List the open requests that are in the book only while there are offers of an app or dataset."""
        named = select(orders).join(wants, wants.c.order_hash == orders.c.hash).where(wants.c.resource == resource)
        return await self._entries(named.where(orders.c.status == OrderStatus.OPEN.value))

    async def best(self, query: OrderQuery) -> Entry | None:
        """Find the best of the orders that fit."""
        page = select(orders).where(order_conditions(query)).order_by(orders.c.rank, orders.c.published_at, orders.c.hash).limit(1)
        row = (await self._connection.execute(page)).mappings().one_or_none()
        return None if row is None else entry_of_row(row)

    async def save(self, *entries: Entry) -> None:
        """Add orders, or replace what is known of them."""
        if entries:
            await self._connection.execute(_UPSERTS[self._connection.dialect.name], [row_of_entry(entry) for entry in entries])

    async def tell(self, *told: tuple[OrderHash, Moment]) -> None:
        """Add moments to the stories of orders, of each at most one."""
        if not told:
            return
        counting = select(moments.c.order_hash, func.count()).where(moments.c.order_hash.in_([name for name, _ in told]))
        counted = await self._connection.execute(counting.group_by(moments.c.order_hash))
        counts = {row[0]: row[1] for row in counted}
        rows = [{"order_hash": name, "number": counts.get(name, 0), **row_of_moment(moment)} for name, moment in told]
        await self._connection.execute(insert(moments), rows)

    async def announce(self, news: News) -> None:
        """Tell the live feed's readers, once the transaction is done; the event gets the next id."""
        self._news.append(news)

    async def finish(self) -> None:
        """Write down what was announced, all at once."""
        if not self._news:
            return
        last = (await self._connection.execute(select(func.max(feed.c.id)))).scalar_one() or 0
        events, forget = _numbered(self._news, last)
        await self._connection.execute(insert(feed), [{"id": number, "topic": topic, "content": text} for number, topic, text in events])
        if forget > 0:
            await self._connection.execute(delete(feed).where(feed.c.id <= forget))

    async def add_deal(self, deal: DealEntry, log_index: int) -> bool:
        """Add a deal, and tell whether it is new; one that is there already stays."""
        if await self._has(select(deals.c.deal_id).where(deals.c.deal_id == deal.deal_id)):
            return False
        await self._connection.execute(insert(deals).values(row_of_deal(deal, log_index)))
        return True

    async def note_used(self, hashes: Collection[OrderHash]) -> None:
        """Note that something of orders was used, or that they were closed; noting it again changes nothing."""
        if hashes:
            await self._connection.execute(_NOTES[self._connection.dialect.name], [{"order_hash": name} for name in sorted(hashes)])

    async def add_category(self, category: CategoryEntry) -> None:
        """Add a category; one that is there already stays."""
        if not await self._has(select(categories.c.name).where(categories.c.number == category.number)):
            await self._connection.execute(insert(categories).values(row_of_category(category)))

    async def add_task(self, task: TaskEntry) -> None:
        """Add a task; one that is there already stays."""
        if not await self._has(select(tasks.c.task_id).where(tasks.c.task_id == task.task_id)):
            await self._connection.execute(insert(tasks).values(row_of_task(task)))

    async def change_task(self, change: TaskChange) -> None:
        """Let a task go on; a task that is not there is left alone."""
        values: dict[str, object] = {"status": int(change.status)}
        values |= {} if change.consensus is None else {"consensus": change.consensus}
        values |= {} if change.results is None else {"results": change.results}
        await self._connection.execute(update(tasks).where(tasks.c.task_id == change.task_id).values(values))

    async def _entries(self, page: Select[tuple[object, ...]]) -> list[Entry]:
        live = page.where(orders.c.status.in_(_LIVE)).order_by(orders.c.hash)
        return [entry_of_row(row) for row in (await self._connection.execute(live)).mappings()]

    async def _has(self, query: Select[tuple[str]]) -> bool:
        return (await self._connection.execute(query)).first() is not None


async def _find_position(connection: AsyncConnection) -> Position:
    row = (await connection.execute(select(follower))).one()
    return Position(row.next_block, row.last_hash)


class SqlEntering:
    """
    A transaction that enters orders; see `voisin.market.book.BookEntering`.

    Attributes:
        news: What was announced.
        events: The same as it was written down; empty before that.
    """

    def __init__(self, entering: Entering, shown: Shown) -> None:
        """
        Args:
            entering: The transaction.
            shown: The open orders, as far as they are known.
        """
        self._entering = entering
        self._shown = shown
        self._last = 0
        self._rows: list[Values] = []
        self._told: list[MomentRow] = []
        self.news: list[News] = []
        self.events: Sequence[EventRow] = ()

    async def shelf(self, hashes: Sequence[OrderHash], signers: Sequence[Address]) -> Shelf:
        """Read what must be known of orders and their signers; the open ones are counted in memory where that is up to date."""
        rows = await self._entering.shelf(hashes)
        self._last = rows.event
        counts = self._shown.counts_of(signers, as_of=rows.event)
        if counts is None:
            counts = dict.fromkeys(signers, 0) | {Address(signer): count for signer, count in await self._entering.counts(signers)}
        return Shelf(rows.next_block, {entry.hash: entry for entry in map(entry_of_values, rows.entries)}, counts, rows.number + 1)

    async def save(self, *entries: Entry) -> None:
        """Add orders, or replace what is known of them."""
        self._rows += map(values_of_entry, entries)

    async def tell(self, *moments: tuple[OrderHash, Moment]) -> None:
        """Add moments to the stories of orders, of each at most one."""
        self._told += [(name, moment.at, moment.what, moment.detail) for name, moment in moments]

    async def announce(self, news: News) -> None:
        """Tell the live feed's readers, once the transaction is done; the event gets the next id."""
        self.news.append(news)

    async def finish(self) -> None:
        """Write everything down."""
        if self._rows:
            events, forget = _numbered(self.news, self._last)
            await self._entering.finish(self._rows, self._told, events, forget=forget)
            self.events = events


def _numbered(news: Sequence[News], last: int) -> tuple[list[EventRow], int]:
    """Number events, and tell up to which one those before them are forgotten, now and then."""
    events = [msgspec.structs.replace(each, id=number) for number, each in enumerate(news, last + 1)]
    rows = [(event.id, str(event.__struct_config__.tag), encode(event).decode()) for event in events]
    newest = last + len(rows)
    return rows, newest - EVENTS_KEPT if newest // _FORGET_EVERY > last // _FORGET_EVERY else 0


def _upsert(new: postgresql.Insert | sqlite.Insert) -> Insert:
    """Write an order's row, or replace the one that it has."""
    return new.on_conflict_do_update(
        index_elements=["hash"], set_={column.name: column for column in new.excluded if column.name != "hash"}
    )


_NOTES: dict[str, Insert] = {
    "sqlite": sqlite.insert(used).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(used).on_conflict_do_nothing(),
}
_UPSERTS = {"sqlite": _upsert(sqlite.insert(orders)), "postgresql": _upsert(postgresql.insert(orders))}


async def _find_entry(connection: AsyncConnection, order_hash: OrderHash) -> Entry | None:
    row = (await connection.execute(select(orders).where(orders.c.hash == order_hash))).mappings().one_or_none()
    return None if row is None else entry_of_row(row)
