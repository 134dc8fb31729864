"""
The live feed: what changes in the records, told to whoever listens.

Events are written down in the transaction of the change they tell of, so none is lost and none tells of what did not happen,
and every replica of a market tells the same. One loop reads them from the records; readers take them from a short memory of
it, and from the records where they are far behind. Nobody waits for a reader, and none has a buffer of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import anyio
import structlog

from voisin.errors import UnavailableError
from voisin.market.book import BookStore, Told
from voisin.protocol.codec import encode
from voisin.protocol.feed import FeedReset, FeedStart, Topic
from voisin.units import UnixSeconds

REMEMBERED = 1000
"""Events that readers find without a look into the records."""
AT_ONCE = 500
"""Most events that are read from the records at a time."""
START, RESET = "start", "reset"

_log = structlog.get_logger()


class Feed:
    """
    Tells readers what changes.

    Attributes:
        readers: How many there are.
    """

    def __init__(self, store: BookStore, *, poll_s: float, most_readers: int) -> None:
        """
        Args:
            store: The records.
            poll_s: Longest pause between two looks into them [s]; changes made by this process are seen at once.
            most_readers: How many readers there may be.
        """
        self.readers = 0
        self._store = store
        self._poll_s = poll_s
        self._most_readers = most_readers
        self._memory: deque[Told] = deque(maxlen=REMEMBERED)
        self._last: int | None = None
        self._news = anyio.Event()
        self._poked = anyio.Event()

    def poke(self) -> None:
        """Say that something changed in the records."""
        self._poked.set()

    async def run(self) -> None:
        """Read the records' events until cancelled; while the records do not answer, try again."""
        while True:
            self._poked = anyio.Event()
            try:
                has_news = await self._look()
            except UnavailableError as error:
                _log.warning("feed_stands_still", reason=error.message)
                has_news = False
            if not has_news:
                with anyio.move_on_after(self._poll_s):
                    await self._poked.wait()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """
        Count a reader for as long as the context lasts.

        Raises:
            UnavailableError: There are as many as there may be.
        """
        if self.readers >= self._most_readers:
            raise UnavailableError(f"the feed has {self._most_readers} readers, more are not taken", hint="try again later")
        self.readers += 1
        try:
            yield
        finally:
            self.readers -= 1

    async def after(self, cursor: int) -> Sequence[Told]:
        """List the events after one, as many as there are at hand; none when there is no later one."""
        if self._last is None or cursor >= self._last:
            return ()
        if self._memory and self._memory[0].id <= cursor + 1:
            return tuple(islice(self._memory, cursor + 1 - self._memory[0].id, None))
        return await self._store.events(cursor, AT_ONCE)

    async def span(self) -> tuple[int, int]:
        """Number the oldest and the newest event in the records; (1, 0) when there is none."""
        return await self._store.event_span()

    async def wait(self, cursor: int) -> None:
        """Wait for an event after one."""
        while self._last is None or cursor >= self._last:
            await self._news.wait()

    async def _look(self) -> bool:
        if self._last is None:
            self._last = (await self._store.event_span())[1]
            self._tell()  # readers may have begun before
        fresh = await self._store.events(self._last, AT_ONCE)
        if not fresh:
            return False
        if fresh[0].id != self._last + 1:
            self._memory.clear()  # so much happened meanwhile that the records have forgotten some of it
        self._memory.extend(fresh)
        self._last = fresh[-1].id
        self._tell()
        return True

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()


class Reader:
    """One reader's place in the feed, and what it wants to hear of."""

    def __init__(self, feed: Feed, topics: Collection[Topic], after: int | None, *, now: UnixSeconds) -> None:
        """
        Args:
            feed: The feed.
            topics: What it wants to hear of.
            after: The last event that it has seen; None to begin with the next one.
            now: The time.
        """
        self._feed = feed
        self._topics = frozenset(topics)
        self._after = after
        self._now = now
        self._cursor = 0

    async def begin(self) -> Told:
        """Find the reader's place; tells where it starts, or that some of what it missed is forgotten."""
        oldest, newest = await self._feed.span()
        is_known = self._after is None or oldest - 1 <= self._after <= newest
        self._cursor = self._after if self._after is not None and is_known else newest
        event = FeedStart(id=self._cursor, at=self._now) if is_known else FeedReset(id=self._cursor, at=self._now)
        return Told(self._cursor, START if is_known else RESET, encode(event).decode())

    async def next(self, *, within_s: float) -> list[Told]:
        """
        Wait for events that the reader wants to hear of.

        Args:
            within_s: Longest wait [s].

        Returns:
            The events; none when there was none in that time.
        """
        with anyio.move_on_after(within_s):
            while True:
                told = await self._feed.after(self._cursor)
                if told and told[0].id != self._cursor + 1:
                    return [await self._restart()]
                if told:
                    self._cursor = told[-1].id
                    if wanted := [each for each in told if each.topic in self._topics]:
                        return wanted
                else:
                    await self._feed.wait(self._cursor)
        return []

    async def _restart(self) -> Told:
        """Go on at the end, after the records have forgotten events that the reader had not seen yet."""
        self._after = -1
        return await self.begin()
