"""
The open orders as readers see them, kept in memory beside the database.

What changes in the records is told by the feed, in the transaction of the change. So before a question is answered, one look at the feed
shows whether the listing is up to date, whichever process changed the records; events that are missing are taken in first. What this
process entered itself it takes in as soon as it is written, unless a look is under way, which may have seen it already. A market that was
away for longer than the feed remembers reads the book anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

import anyio.to_thread

from voisin.market.batches import Batches
from voisin.market.lines import EventRow, Lines, Values
from voisin.market.listing import Listing
from voisin.market.machine import published_form
from voisin.market.query import OrderQuery, place_of_published, write_cursor
from voisin.market.rows import entry_of_values
from voisin.protocol.api import OrderPage, OrderStatus, PublishedOrder
from voisin.protocol.codec import decode
from voisin.protocol.feed import News, OrderNews, Topic
from voisin.protocol.ids import Address, OrderHash
from voisin.protocol.orders import OrderKind

MOST_KEPT = 20_000
"""Orders whose content is remembered, of those that were shown lately."""
AT_ONCE = 2_000
"""Most events that are taken in at a time."""
MOST_WAITING = 10_000
ATTEMPTS = 5
"""How often a page is put together anew because an order on it went meanwhile."""


class Shown:
    """The open orders."""

    def __init__(self, lines: Lines) -> None:
        """
        Args:
            lines: Lines to the database.
        """
        self._lines = lines
        self._listing: Listing | None = None
        self._event = 0
        self._events: deque[EventRow] = deque(maxlen=AT_ONCE)
        self._contents: dict[OrderHash, PublishedOrder] = {}
        self._fetches: list[set[OrderHash]] = []
        self._loads = 0
        self._is_looking = False
        self._looks = Batches(self._look, most=MOST_WAITING)

    async def refresh(self) -> Listing:
        """Take in all that has changed by now; who comes while somebody looks shares the next look with all who wait."""
        await self._looks.submit(None)
        assert self._listing is not None
        return self._listing

    async def events(self, after: int, limit: int) -> Sequence[EventRow]:
        """List the feed's events after one, in order: the last ones from memory, others from the records."""
        await self.refresh()
        if after >= self._event:
            return ()
        if self._events and self._events[0][0] <= after + 1:
            start = after + 1 - self._events[0][0]
            return tuple(islice(self._events, start, start + limit))
        return await self._lines.events(after, limit)

    async def counts(self) -> dict[OrderKind, int]:
        """Count the open orders of each kind."""
        return (await self.refresh()).counts()

    def counts_of(self, signers: Sequence[Address], *, as_of: int) -> dict[Address, int] | None:
        """Count the open orders of each of some signers, as of an event; None where another one was the last that was taken in."""
        return None if self._listing is None or self._event != as_of else self._listing.counts_of(signers)

    async def page(self, query: OrderQuery) -> OrderPage:
        """List open orders from the query's place on."""
        found, count, shown = await self._find(query, skip=0, limit=query.limit + 1, most=query.limit)
        cursor = write_cursor(place_of_published(shown[-1])) if len(found) > len(shown) > 0 else None
        return OrderPage(orders=tuple(shown), count=count, next=cursor)

    async def page_from(self, query: OrderQuery, skip: int) -> OrderPage:
        """List open orders; the first `skip` are left out."""
        _, count, shown = await self._find(query, skip=skip, limit=query.limit, most=query.limit)
        return OrderPage(orders=tuple(shown), count=count)

    async def _find(self, query: OrderQuery, *, skip: int, limit: int, most: int) -> tuple[list[OrderHash], int, list[PublishedOrder]]:
        for _ in range(ATTEMPTS):
            listing = await self.refresh()
            found, count = listing.find(query, skip=skip, limit=limit)
            shown = await self._read(found[:most])
            if all(order.status is OrderStatus.OPEN for order in shown):
                break
        return found, count, [order for order in shown if order.status is OrderStatus.OPEN]

    async def _read(self, hashes: Sequence[OrderHash]) -> list[PublishedOrder]:
        """Read what orders say: those that were shown lately from memory, the others from the records."""
        contents = self._contents
        here = {name: contents[name] for name in hashes if name in contents}
        missing = [name for name in hashes if name not in here]
        if missing:
            changed, loads = set[OrderHash](), self._loads
            self._fetches.append(changed)
            try:
                fetched = [published_form(entry_of_values(values)) for values in await self._lines.entries(missing)]
            finally:
                self._fetches.remove(changed)
            here |= {order.hash: order for order in fetched}
            if self._loads == loads:
                self._keep([order for order in fetched if order.hash not in changed])
        return [here[name] for name in hashes]

    def _keep(self, orders: Sequence[PublishedOrder]) -> None:
        while len(self._contents) > MOST_KEPT:
            del self._contents[next(iter(self._contents))]
        self._contents.update((order.hash, order) for order in orders)

    def take(self, events: Sequence[EventRow], news: Sequence[News]) -> None:
        """
        Take in events that were just written, without reading them again; where they do not follow on what was seen, a look finds them.

        Args:
            events: The events, whose transaction is done.
            news: What each of them tells.
        """
        if self._is_looking or self._listing is None or not events or events[0][0] != self._event + 1:
            return
        for each in news:
            if isinstance(each, OrderNews):
                self._see(each.order)
        self._note(events)

    async def _look(self, askers: Sequence[None]) -> Sequence[None]:
        """Take in what has changed, for all who wait for that."""
        self._is_looking = True
        try:
            await self._catch_up()
        finally:
            self._is_looking = False
        return askers

    async def _catch_up(self) -> None:
        if self._listing is None:
            await self._load()
        while events := await self._lines.events(self._event, AT_ONCE):
            if events[0][0] != self._event + 1:
                await self._load()
                continue
            for _, topic, content in events:
                if topic == Topic.ORDERS:
                    self._see(decode(content, OrderNews, "an event of the feed").order)
            self._note(events)
            if len(events) < AT_ONCE:
                break

    def _note(self, events: Sequence[EventRow]) -> None:
        self._events.extend(events)
        self._event = events[-1][0]

    def _see(self, order: PublishedOrder) -> None:
        assert self._listing is not None
        self._listing.see(order)
        for changed in self._fetches:
            changed.add(order.hash)
        if self._contents.pop(order.hash, None) is not None and order.status is OrderStatus.OPEN:
            self._contents[order.hash] = order

    async def _load(self) -> None:
        """Read the whole book."""
        event, found = await self._lines.open_orders()
        listing = await anyio.to_thread.run_sync(_listing_of, found)
        self._listing, self._event, self._contents = listing, event, {}
        self._loads += 1
        self._events.clear()


def _listing_of(found: Sequence[Values]) -> Listing:
    listing = Listing()
    for values in found:
        listing.see(published_form(entry_of_values(values)))
    return listing
