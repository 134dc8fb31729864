"""Following the chain: the loop that keeps the book true to it, from the last recorded block on, for ever."""

from __future__ import annotations

import random
from collections.abc import Callable

import anyio
import structlog

from voisin.chain import EventRange
from voisin.errors import UnavailableError
from voisin.market.book import BookStore
from voisin.market.following import questions
from voisin.market.inquiry import answers_to
from voisin.market.ledger import Ledger
from voisin.market.metrics import MarketMetrics
from voisin.market.recall import Recall
from voisin.market.recording import record
from voisin.protocol.events import OrdersMatched
from voisin.units import UnixSeconds

MOST_BACKOFF = 30
"""How many times the first pause the longest one is."""

Clock = Callable[[], UnixSeconds]

_log = structlog.get_logger()


class Follower:
    """
    Records the chain, stretch by stretch.

    Attributes:
        recall: What need not be asked of the chain again.
        failure: Why it does not get on at present; empty while it does.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: BookStore,
        metrics: MarketMetrics,
        *,
        clock: Clock,
        retry_s: float,
        on_recorded: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            ledger: The chain.
            store: The records.
            metrics: What it counts in.
            clock: Tells the time.
            retry_s: First pause after a failure [s].
            on_recorded: Told that something was recorded.
        """
        self._ledger = ledger
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._retry_s = retry_s
        self._on_recorded = on_recorded
        self.recall = Recall()
        self.failure = ""

    async def run(self) -> None:
        """Follow the chain until cancelled; a failure is logged, and tried again after a pause that grows."""
        pause_s = self._retry_s
        while True:
            started_at = await self._position()
            try:
                await self._follow()
            except UnavailableError as error:
                self._note_failure(str(error))
            except Exception as error:  # noqa: BLE001  (the top of a service loop: whatever it is, the book must go on)
                _log.exception("following_failed")
                self._note_failure(f"{type(error).__name__}: {error}")
            if await self._position() > started_at:
                pause_s = self._retry_s
            await anyio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311  (jitter, not a secret)
            pause_s = min(2 * pause_s, MOST_BACKOFF * self._retry_s)

    async def absorb(self, stretch: EventRange) -> bool:
        """
        Record one stretch of the chain.

        Returns:
            False if the records do not end where it begins: somebody else recorded it.
        """
        asked = questions(stretch.events, self._ledger.domain.hub)
        self.recall.see(stretch, asked)
        answers = await answers_to(self._ledger, asked)
        async with self._store.write() as write:
            is_recorded = await record(write, stretch, answers, at=self._clock())
        if is_recorded:
            self.failure = ""
            self._on_recorded()
            self._metrics.next_block.set(stretch.last + 1)
            self._metrics.deals.inc(sum(isinstance(logged.event, OrdersMatched) for logged in stretch.events))
        return is_recorded

    async def _follow(self) -> None:
        position = await self._store.position()
        _log.info("following", next_block=position.next_block)
        self.recall.begin(position.next_block)
        async for stretch in self._ledger.ranges(position.next_block, position.last_hash):
            if not await self.absorb(stretch):
                _log.info("overtaken", first=stretch.first, last=stretch.last)
                return

    async def _position(self) -> int:
        try:
            return (await self._store.position()).next_block
        except UnavailableError:
            return 0

    def _note_failure(self, failure: str) -> None:
        self.failure = failure
        self.recall.forget()
        self._metrics.failures.inc()
        _log.warning("chain_not_followed", failure=failure)
