"""
Following the chain: the loop that keeps the records true to it, from the last recorded block on, for ever.

A chain that went back is followed there: the records return to the newest block that both still have, and go on from it. A chain
that has none of the kept blocks any more, such as a development chain that was started anew, is recorded anew from its start.
"""

from __future__ import annotations

import random

import anyio
import structlog

from voisin.chain import EventRange
from voisin.errors import StateError, UnavailableError
from voisin.index.bulks import Wanted, is_name
from voisin.index.deals import bulk_of
from voisin.index.draft import Key, Row
from voisin.index.facts import Facts, questions
from voisin.index.ledger import Ledger
from voisin.index.machine import work_through
from voisin.index.metrics import IndexMetrics
from voisin.index.settings import IndexSettings
from voisin.index.store import Anchor, Position, SqlStore, SqlWrite
from voisin.protocol.events import OrdersMatched

MOST_BACKOFF = 30
"""How many times the first pause the longest one is."""

_log = structlog.get_logger()


class IndexFollower:
    """
    Records the chain, stretch by stretch.

    Attributes:
        failure: Why it does not get on at present; empty while it does.
        next_block: First block that is not in the records yet, as far as this process knows; -1 before it follows.
    """

    def __init__(self, ledger: Ledger, store: SqlStore, metrics: IndexMetrics, settings: IndexSettings) -> None:
        """
        Args:
            ledger: The chain.
            store: The records.
            metrics: What it counts in.
            settings: How the chain is followed.
        """
        self._ledger = ledger
        self._store = store
        self._metrics = metrics
        self._settings = settings
        self._moved = anyio.Event()
        self.failure = ""
        self.next_block = -1

    async def run(self) -> None:
        """Follow the chain until cancelled; a failure is logged, and tried again after a pause that grows."""
        pause_s = self._settings.retry_s
        while True:
            done = self._metrics.stretches
            try:
                await self._follow()
            except UnavailableError as error:
                self._note_failure(str(error))
            except Exception as error:  # noqa: BLE001  (the top of a service loop: whatever it is, the index must go on)
                _log.exception("following_failed")
                self._note_failure(f"{type(error).__name__}: {error}")
            if self._metrics.stretches > done:
                pause_s = self._settings.retry_s
            await anyio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311  (jitter, not a secret)
            pause_s = min(2 * pause_s, MOST_BACKOFF * self._settings.retry_s)

    async def catch_up(self, longest_s: float) -> None:
        """
        Wait until the records hold every block that the chain has now; not for a chain that does not answer, or is not followed.

        Args:
            longest_s: How long to wait at most [s].
        """
        with anyio.move_on_after(longest_s):
            try:
                head = await self._ledger.head()
            except UnavailableError:
                return
            while 0 <= self.next_block <= head and not self.failure:
                self._ledger.hurry()
                await self._moved.wait()

    async def absorb(self, stretch: EventRange) -> bool:
        """
        Record one stretch of the chain.

        Returns:
            False if the records do not end where it begins: somebody else recorded it.
        """
        facts = await self._ledger.facts(questions(stretch.events))
        last = await self._ledger.block(stretch.last)
        if last is None or last[0] != stretch.last_hash:
            raise UnavailableError(f"block {stretch.last} is another one than a moment ago")
        async with self._store.write() as write:
            if (await write.position()).next_block != stretch.first:
                return False
            known: dict[Key, Row | None] = {}
            versions, missing = work_through(stretch.events, known, facts, self._ledger.places)
            while missing:
                known |= await write.look_up(missing)
                versions, missing = work_through(stretch.events, known, facts, self._ledger.places)
            await write.keep(versions)
            await write.want_bulks(bulks_in(stretch, facts))
            anchor = Anchor(stretch.last, stretch.last_hash, last[1])
            await write.advance(Position(stretch.last + 1, stretch.last_hash), anchor, keep=self._settings.keep_anchors)
        self.failure = ""
        self._note_place(stretch.last + 1)
        self._metrics.note_stretch(stretch.last + 1, len(stretch.events))
        return True

    async def _follow(self) -> None:
        position = await self._store.position()
        _log.info("following", next_block=position.next_block)
        self._note_place(position.next_block)
        ranges = self._ledger.ranges(position.next_block, position.last_hash)
        while True:
            try:
                stretch = await anext(ranges)
            except StateError as error:
                _log.warning("chain_went_back", reason=error.message)
                await self.return_to_the_chain()
                return
            if not await self.absorb(stretch):
                _log.info("overtaken", first=stretch.first, last=stretch.last)
                return

    async def return_to_the_chain(self) -> Position:
        """Let the records return to the newest block that the chain still has; answers how far they go then."""
        async with self._store.write() as write:
            position = await self._common(write)
            before = (await write.position()).next_block
            await write.go_back(position)
        self._metrics.returns.inc()
        _log.warning("records_went_back", before=before, now=position.next_block)
        return position

    async def _common(self, write: SqlWrite) -> Position:
        for anchor in await write.anchors():
            block = await self._ledger.block(anchor.number)
            if block is not None and block[0] == anchor.hash:
                return Position(anchor.number + 1, anchor.hash)
        return Position(await write.start_block())

    def _note_place(self, next_block: int) -> None:
        self.next_block = next_block
        self._moved.set()
        self._moved = anyio.Event()

    def _note_failure(self, failure: str) -> None:
        self.failure = failure
        self._metrics.failures.inc()
        _log.warning("chain_not_followed", failure=failure)


def bulks_in(stretch: EventRange, facts: Facts) -> list[Wanted]:
    """List the bulks that a stretch's deals name."""
    return [
        Wanted(logged.event.deal_id, logged.block, cid, deal.bot_first, deal.bot_size)
        for logged in stretch.events
        if isinstance(logged.event, OrdersMatched)
        and (deal := facts.deals.get(logged.event.deal_id)) is not None
        and (cid := bulk_of(deal))
        and is_name(cid)
    ]
