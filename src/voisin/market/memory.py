"""A market's records in memory: the twin of the database, for tests and simulations."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import anyio
import msgspec

from voisin.market.book import EVENTS_KEPT, Challenge, Position, Shelf, Standing, Told
from voisin.market.following import TaskChange
from voisin.market.machine import Entry, price_of, published_form, rank_of
from voisin.market.query import (
    ACCOUNTS,
    ANY,
    DEAL_ACCOUNTS,
    DEAL_ORDERS,
    DealPlace,
    DealQuery,
    OrderQuery,
    TaskQuery,
    accounts_of,
    is_bulk,
    place_of,
    write_cursor,
)
from voisin.market.rows import consensus_of
from voisin.protocol.api import CategoryEntry, DealEntry, DealPage, Moment, OrderPage, OrderStatus, TaskEntry, TaskPage
from voisin.protocol.codec import encode
from voisin.protocol.feed import News
from voisin.protocol.ids import Address, DealId, Hash32, OrderHash, TaskId
from voisin.protocol.orders import Order, OrderKind, RequestOrder, WorkerpoolOrder, order_kind, resource_of
from voisin.protocol.tags import as_tag, missing_bits, tag_bits
from voisin.units import UnixSeconds

_LIVE = (OrderStatus.OPEN, OrderStatus.DEAD)


@dataclass(slots=True)
class _Records:
    """Everything that is kept; a transaction works on a copy."""

    position: Position
    entries: dict[OrderHash, Entry] = field(default_factory=dict)
    stories: dict[OrderHash, tuple[Moment, ...]] = field(default_factory=dict)
    deals: dict[DealId, tuple[DealEntry, int]] = field(default_factory=dict)
    tasks: dict[TaskId, TaskEntry] = field(default_factory=dict)
    categories: dict[int, CategoryEntry] = field(default_factory=dict)
    challenges: dict[Hash32, Challenge] = field(default_factory=dict)
    events: dict[int, Told] = field(default_factory=dict)
    wants: dict[OrderHash, frozenset[Address]] = field(default_factory=dict)
    used: dict[OrderHash, None] = field(default_factory=dict)

    def copy(self) -> _Records:
        """Copy the records; what is in them never changes."""
        kept = (self.entries, self.stories, self.deals, self.tasks, self.categories, self.challenges, self.events, self.wants, self.used)
        return _Records(self.position, *map(dict, kept))  # type: ignore[arg-type]


class MemoryStore:
    """A market's records in memory; see `voisin.market.book.BookStore`."""

    def __init__(self, start_block: int = 0) -> None:
        """
        Args:
            start_block: First block that is not recorded yet.
        """
        self._first_block = start_block
        self._records = _Records(Position(start_block))
        self._lock = anyio.Lock()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[MemoryWrite]:
        """Begin a transaction; it is never cancelled half-way."""
        with anyio.CancelScope(shield=True):
            async with self._lock:
                changed = self._records.copy()
                yield MemoryWrite(changed)
                self._records = changed

    def enter(self) -> AbstractAsyncContextManager[MemoryWrite]:
        """Begin a transaction that enters orders."""
        return self.write()

    async def position(self) -> Position:
        """Tell how far the chain is recorded."""
        return self._records.position

    async def entry(self, order_hash: OrderHash) -> Entry | None:
        """Find an order."""
        return self._records.entries.get(order_hash)

    async def standing(self, hashes: Sequence[OrderHash]) -> Standing:
        """Tell what is known of orders."""
        records = self._records
        entries = {name: records.entries[name] for name in hashes if name in records.entries}
        return Standing(entries, frozenset(name for name in hashes if name in records.used), records.position.next_block)

    async def first_block(self) -> int:
        """Number the first block that was recorded, or is to be."""
        return self._first_block

    async def story(self, order_hash: OrderHash) -> tuple[Moment, ...]:
        """Tell how an order came to stand where it stands."""
        return self._records.stories.get(order_hash, ())

    async def orders(self, query: OrderQuery) -> OrderPage:
        """List orders, best price first."""
        found = sorted((entry for entry in self._records.entries.values() if fits(entry, query)), key=_order_key)
        place = query.place
        start = (place.kind.value, int(place.rank), place.published_at, place.hash) if place is not None else ("", 0, 0, "")
        behind = [entry for entry in found if _order_key(entry) > start]
        shown = behind[: query.limit]
        cursor = write_cursor(place_of(shown[-1])) if len(behind) > len(shown) else None
        return OrderPage(orders=tuple(map(published_form, shown)), count=len(found), next=cursor)

    async def orders_from(self, query: OrderQuery, skip: int) -> OrderPage:
        """List orders without a cursor, best price first; the first `skip` are left out."""
        found = sorted((entry for entry in self._records.entries.values() if fits(entry, query)), key=_order_key)
        return OrderPage(orders=tuple(map(published_form, found[skip : skip + query.limit])), count=len(found))

    async def open_orders(self) -> dict[OrderKind, int]:
        """Count the open orders of each kind."""
        kinds = [order_kind(entry.order) for entry in self._records.entries.values() if entry.status is OrderStatus.OPEN]
        return {kind: kinds.count(kind) for kind in OrderKind}

    async def deal(self, deal_id: DealId) -> DealEntry | None:
        """Find a deal."""
        found = self._records.deals.get(deal_id)
        return None if found is None else found[0]

    async def deals(self, query: DealQuery) -> DealPage:
        """List deals, newest first."""
        fitting = sorted((pair for pair in self._records.deals.values() if _fits_deal(pair[0], query)), key=_deal_key, reverse=True)
        place = query.place
        behind = [pair for pair in fitting if place is None or _deal_key(pair) < (place.block, place.log_index)]
        shown = behind[: query.limit]
        cursor = write_cursor(DealPlace(*_deal_key(shown[-1]))) if len(behind) > len(shown) else None
        return DealPage(deals=tuple(deal for deal, _ in shown), count=len(fitting), next=cursor)

    async def deals_from(self, query: DealQuery, skip: int) -> DealPage:
        """List deals without a cursor: newest block first, in a block by id; the first `skip` are left out."""
        fitting = [deal for deal, _ in self._records.deals.values() if _fits_deal(deal, query)]
        fitting.sort(key=lambda deal: (-deal.block, deal.deal_id))
        return DealPage(deals=tuple(fitting[skip : skip + query.limit]), count=len(fitting))

    async def categories(self) -> tuple[CategoryEntry, ...]:
        """List the categories, by number."""
        return tuple(self._records.categories[number] for number in sorted(self._records.categories))

    async def events(self, after: int, limit: int) -> list[Told]:
        """List the live feed's events after one, in order, as far as they are remembered."""
        return [told for number, told in sorted(self._records.events.items()) if number > after][:limit]

    async def event_span(self) -> tuple[int, int]:
        """Number the oldest and the newest event that is remembered; (1, 0) when there is none."""
        return min(self._records.events, default=1), max(self._records.events, default=0)

    async def challenge(self, digest: Hash32) -> Challenge | None:
        """Find a challenge that was given out and is not used yet."""
        return self._records.challenges.get(digest)

    async def task(self, task_id: TaskId) -> TaskEntry | None:
        """Find a task."""
        return self._records.tasks.get(task_id)

    async def tasks(self, deal_id: DealId, query: TaskQuery) -> TaskPage:
        """List the initialised tasks of a deal, by index."""
        found = [task for task in self._records.tasks.values() if task.deal_id == deal_id and task.index >= query.first]
        return TaskPage(tasks=tuple(sorted(found, key=lambda task: task.index)[: query.limit]))


class MemoryWrite:
    """A transaction in memory; see `voisin.market.book.BookWrite`."""

    def __init__(self, records: _Records) -> None:
        """
        Args:
            records: The copy to change.
        """
        self._records = records

    async def position(self) -> Position:
        """Tell how far the chain is recorded."""
        return self._records.position

    async def advance(self, position: Position) -> None:
        """Set how far the chain is recorded."""
        self._records.position = position

    async def entry(self, order_hash: OrderHash) -> Entry | None:
        """Find an order."""
        return self._records.entries.get(order_hash)

    async def shelf(self, hashes: Sequence[OrderHash], signers: Sequence[Address]) -> Shelf:
        """Read what must be known of orders and their signers."""
        entries = self._records.entries
        counts = Counter(entry.signer for entry in self._live() if entry.status is OrderStatus.OPEN)
        return Shelf(
            next_block=self._records.position.next_block,
            entries={name: entries[name] for name in hashes if name in entries},
            counts={signer: counts[signer] for signer in signers},
            number=max((entry.number for entry in entries.values()), default=0) + 1,
        )

    async def entries_of_resource(self, resource: Address) -> list[Entry]:
        """List the open and dead orders of an app, dataset or workerpool."""
        return [entry for entry in self._live() if not isinstance(entry.order, RequestOrder) and resource_of(entry.order) == resource]

    async def entries_of_signer(self, signer: Address) -> list[Entry]:
        """List the open and dead orders of a signer."""
        return [entry for entry in self._live() if entry.signer == signer]

    async def challenges_of(self, address: Address) -> list[Challenge]:
        """List the challenges that an address has not used yet, the one that expires first first."""
        found = [challenge for challenge in self._records.challenges.values() if challenge.address == address]
        return sorted(found, key=lambda challenge: (challenge.expires_at, challenge.digest))

    async def add_challenge(self, challenge: Challenge) -> None:
        """Keep a challenge."""
        self._records.challenges[challenge.digest] = challenge

    async def drop_challenge(self, digest: Hash32) -> bool:
        """Forget a challenge; tells whether it was there."""
        return self._records.challenges.pop(digest, None) is not None

    async def drop_expired(self, now: UnixSeconds) -> None:
        """Forget the challenges that have expired."""
        self._records.challenges = {each.digest: each for each in self._records.challenges.values() if each.expires_at > now}

    async def want(self, order_hash: OrderHash, resources: Collection[Address]) -> None:
        """Note that a request is to be in the book only while there are offers of these; noting it again changes nothing."""
        self._records.wants[order_hash] = frozenset(resources)

    async def wanting(self, resource: Address) -> list[Entry]:
        """List the open requests that are in the book only while there are offers of an app or dataset."""
        return [entry for entry in self._live() if entry.status is OrderStatus.OPEN and resource in self._records.wants.get(entry.hash, ())]

    async def best(self, query: OrderQuery) -> Entry | None:
        """Find the best of the orders that fit."""
        return min((entry for entry in self._records.entries.values() if fits(entry, query)), key=_order_key, default=None)

    async def save(self, *entries: Entry) -> None:
        """Add orders, or replace what is known of them."""
        self._records.entries.update((entry.hash, entry) for entry in entries)

    async def tell(self, *moments: tuple[OrderHash, Moment]) -> None:
        """Add moments to the stories of orders, of each at most one."""
        for order_hash, moment in moments:
            self._records.stories[order_hash] = (*self._records.stories.get(order_hash, ()), moment)

    async def announce(self, news: News) -> None:
        """Tell the live feed's readers, once the transaction is done; the event gets the next id."""
        number = max(self._records.events, default=0) + 1
        event = msgspec.structs.replace(news, id=number)
        self._records.events[number] = Told(number, str(event.__struct_config__.tag), encode(event).decode())
        self._records.events.pop(number - EVENTS_KEPT, None)

    async def add_deal(self, deal: DealEntry, log_index: int) -> bool:
        """Add a deal, and tell whether it is new; one that is there already stays."""
        return self._records.deals.setdefault(deal.deal_id, (deal, log_index))[0] is deal

    async def note_used(self, hashes: Collection[OrderHash]) -> None:
        """Note that something of orders was used, or that they were closed; noting it again changes nothing."""
        self._records.used.update(dict.fromkeys(hashes))

    async def add_category(self, category: CategoryEntry) -> None:
        """Add a category; one that is there already stays."""
        self._records.categories.setdefault(category.number, category)

    async def add_task(self, task: TaskEntry) -> None:
        """Add a task; one that is there already stays."""
        self._records.tasks.setdefault(task.task_id, task)

    async def change_task(self, change: TaskChange) -> None:
        """Let a task go on; a task that is not there is left alone."""
        task = self._records.tasks.get(change.task_id)
        if task is not None:
            consensus = task.consensus if change.consensus is None else consensus_of(change.consensus)
            results = task.results if change.results is None else change.results
            self._records.tasks[task.task_id] = msgspec.structs.replace(task, status=change.status, consensus=consensus, results=results)

    def _live(self) -> Iterable[Entry]:
        return [entry for entry in self._records.entries.values() if entry.status in _LIVE]


def fits(entry: Entry, query: OrderQuery) -> bool:
    """Tell whether an order meets a query, whatever page is asked for."""
    order, kind = entry.order, order_kind(entry.order)
    allowed = [query.allowed(name, kind) for name in ACCOUNTS]
    return (
        query.kind in (None, kind)
        and query.status in (ANY, entry.status.value)
        and (not query.owner or ANY in query.owner or entry.signer in query.owner)
        and _fits_beneficiary(order, query.beneficiary)
        and query.bulk in (None, is_bulk(order))
        and all(values is None or account in values for account, values in zip(accounts_of(order), allowed, strict=True))
        and _fits_class(order, query)
        and _fits_tag(order, query.bits)
        and (query.min_tag is None or not missing_bits(as_tag(query.min_tag), order.tag))
        and (query.max_tag is None or not missing_bits(order.tag, as_tag(query.max_tag)))
        and _between(price_of(order), query.min_price, query.max_price)
        and _between(entry.remaining, query.min_volume, None)
    )


def _fits_deal(deal: DealEntry, query: DealQuery) -> bool:
    named = [(name, getattr(query, name)) for name in (*DEAL_ACCOUNTS, *DEAL_ORDERS)]
    is_named = all(getattr(deal, name) in given for name, given in named if given and ANY not in given)
    return is_named and query.category in (None, deal.category)


def _fits_beneficiary(order: Order, named: Sequence[str]) -> bool:
    return not named or ANY in named or (isinstance(order, RequestOrder) and order.beneficiary in named)


def _fits_class(order: Order, query: OrderQuery) -> bool:
    if isinstance(order, WorkerpoolOrder | RequestOrder):
        return _between(order.category, query.category, query.category) and _between(order.trust, query.min_trust, query.max_trust)
    return query.category is None and query.min_trust is None and query.max_trust is None


def _fits_tag(order: Order, bits: int | None) -> bool:
    if bits is None:
        return True
    has = tag_bits(order.tag)
    return has & bits == bits if isinstance(order, WorkerpoolOrder) else has & ~bits == 0


def _between(value: int, least: int | None, greatest: int | None) -> bool:
    return (least is None or value >= least) and (greatest is None or value <= greatest)


def _order_key(entry: Entry) -> tuple[str, int, int, str]:
    return order_kind(entry.order).value, rank_of(entry.order), entry.published_at, entry.hash


def _deal_key(pair: tuple[DealEntry, int]) -> tuple[int, int]:
    return pair[0].block, pair[1]
