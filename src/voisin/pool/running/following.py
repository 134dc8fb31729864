"""
What a running pool reads of the chain: its events, stretch by stretch, and those of deals that are taken over up to the same place.

A few stretches are read ahead of the loop; what goes into its inbox is in the order of the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio
import structlog

from voisin.chain import EventRange
from voisin.errors import UnavailableError, VoisinError
from voisin.pool.bags.facts import BagWorkerFact
from voisin.pool.chain.catching_up import events_between
from voisin.pool.chain.clock import PoolClock
from voisin.pool.chain.ledger import Ledger
from voisin.pool.heart.facts import CHAIN_EVENTS, CaughtUp, ChainFact, DealFound, DealsTaken, Fact, Instant
from voisin.pool.heart.records import Position, Taken
from voisin.pool.running.tenure import Tenure
from voisin.protocol.events import Logged, SchedulerNotice
from voisin.protocol.ids import Address, DealId

AHEAD = 4
"""Stretches of the chain that are read before the first of them is taken in."""
RETRY_S = 0.5

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Item:
    """Something for the loop: facts of one moment, and how far they take the place on the chain."""

    facts: tuple[Fact | BagWorkerFact, ...]
    at: Instant
    position: Position | None = None


@dataclass(kw_only=True)
class ChainReader:
    """
    Reads the chain for a pool.

    Attributes:
        workerpool: The pool's address in the registry.
        ledger: The chain.
        clock: The pool's clock, which fresh blocks set.
        tenure: Knows which new deals are this scheduler's.
        put: Takes what the loop is to be told.
        hear: Hears every stretch of events as it comes, before the loop does.
        fed: The first block that is not read yet.
    """

    workerpool: Address
    ledger: Ledger
    clock: PoolClock
    tenure: Tenure
    put: Callable[[Item], None]
    hear: Callable[[Sequence[Logged]], None]
    fed: int = 0
    _ahead: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(AHEAD))
    _feeding: anyio.Lock = field(default_factory=anyio.Lock)
    _seen_block: bool = False

    async def run(self, start: Position, head: int) -> None:
        """Read the chain from a place on; once what was there at the start, up to block `head`, is told, the pool may act."""
        if start.next_block > head:
            self.put(Item((CaughtUp(),), self.clock.now()))
        async for stretch in self.ledger.ranges(start.next_block, start.last_hash):
            await self._ahead.acquire()
            async with self._feeding:
                self._seen_block = True
                facts: list[Fact] = [*await self._facts_of(stretch, is_news=stretch.first > head)]
                self.hear(stretch.events)
                if stretch.first <= head <= stretch.last:
                    facts.append(CaughtUp())
                self.put(Item(tuple(facts), self.clock.now(), Position(stretch.last + 1, stretch.last_hash)))
                self.fed = stretch.last + 1

    def taken_in(self) -> None:
        """Hear that the loop has taken a stretch in."""
        self._ahead.release()

    async def set_clock(self) -> None:
        """Set the chain's clock by the latest block, if one came since the last time."""
        if not self._seen_block:
            return
        self._seen_block = False
        try:
            self.clock.see_block(await self.ledger.block_time(), is_fresh=True)
        except UnavailableError as error:
            _log.warning("block_time_not_read", reason=error.message)

    async def tell_of(self, taken: Sequence[Taken]) -> None:
        """
        Tell the loop of deals that were written down, once the chain is read as far as whoever wrote about them had read it: what happened
        between there and here is told first, and what comes next in its turn, so that nothing is told twice or left out.
        """
        furthest = max(each.from_block for each in taken)
        while True:
            async with self._feeding:
                if self.fed >= furthest:
                    missed = await events_between(self.ledger, taken, self.fed)
                    self.put(Item((DealsTaken(tuple(taken)), *missed), self.clock.now()))
                    return
            await anyio.sleep(RETRY_S / 10)

    async def _facts_of(self, stretch: EventRange, *, is_news: bool) -> list[ChainFact]:
        """Pick out the events that concern the pool, with those of its new deals that this scheduler works on."""
        found: dict[DealId, DealFound] = {}
        async with anyio.create_task_group() as reading:
            for logged in stretch.events:
                if isinstance(logged.event, SchedulerNotice) and logged.event.workerpool == self.workerpool:
                    reading.start_soon(self._read_deal, logged.event.deal_id, logged, found)
        held = await self.tenure.find([fact.record for fact in found.values()], is_news=is_news) if found else set()
        facts: list[ChainFact] = []
        for logged in stretch.events:
            if isinstance(logged.event, SchedulerNotice):
                if logged.event.deal_id in held:
                    facts.append(found[logged.event.deal_id])
            elif isinstance(logged.event, CHAIN_EVENTS):
                facts.append(logged.event)
        return facts

    async def _read_deal(self, deal_id: DealId, logged: Logged, found: dict[DealId, DealFound]) -> None:
        while True:
            try:
                deal = await self.ledger.deal(deal_id)
                found[deal_id] = DealFound(deal_id, deal, await self.ledger.time_ref(deal.category), logged.block, logged.log_index)
                return
            except VoisinError as error:
                _log.warning("deal_not_read", deal_id=deal_id, reason=error.message)
                await anyio.sleep(RETRY_S)
