"""
Rebuilding a pool's records from the chain, into a database that is empty.

Deals, tasks, contributions, results and scores come back as they were; what only the pool knew does not: stories, failed attempts,
names of workers. Of bags that are posted the leaves come back, from storage (`voisin.pool.bags.rebuilding`); what workers hold of one
they say themselves once a scheduler runs again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from voisin.chain import EventRange
from voisin.errors import InputError
from voisin.pool.bags.ledger import BagLedger
from voisin.pool.bags.rebuilding import BagSources, rebuild_bag
from voisin.pool.chain.ledger import Ledger
from voisin.pool.database.claims import Lease
from voisin.pool.database.store import PoolStore
from voisin.pool.heart.facts import CHAIN_EVENTS, DealFound, Fact, Instant
from voisin.pool.heart.machine import PoolMachine
from voisin.pool.heart.records import DealRecord, Position
from voisin.pool.running.uploads import ResultStore
from voisin.pool.settings import PoolSettings
from voisin.protocol.events import SchedulerNotice
from voisin.protocol.ids import Address, DealId

NAME = "rebuilding"
LEASE_S = 3_600.0
"""How long other schedulers leave it alone [s]."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """
    What came back.

    Attributes:
        deals: Deals.
        bags: Those of them that are settled as bags, by stage.
        without_leaves: Posted bags whose leaves are not in storage.
        tasks: Tasks that are settled one by one, by phase.
        next_block: The first block that was not there yet.
    """

    deals: int
    bags: dict[str, int]
    without_leaves: tuple[DealId, ...]
    tasks: dict[str, int]
    next_block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """
    Where a pool's records come from.

    Attributes:
        ledger: The chain.
        bags: Its part for bags.
        results: The storage, which has the leaves of bags.
    """

    ledger: Ledger
    bags: BagLedger
    results: ResultStore


async def rebuild(settings: PoolSettings, scheduler: Address, sources: Sources, store: PoolStore) -> Rebuilt:
    """
    Write down what the chain tells of a pool, from the beginning to its latest block.

    Args:
        settings: The pool.
        scheduler: The wallet that owns it.
        sources: Where the records come from.
        store: The records, which must be empty.

    Raises:
        InputError: The records are not empty, or a scheduler works on them.
        StateError: The chain went back meanwhile.
        UnavailableError: Chain or database do not answer.
    """
    start = (await store.load()).position
    if start.next_block != settings.start_block:
        raise InputError("the database is not empty: it has read the chain before", hint="rebuild into an empty database")
    session = await store.claims.join(NAME, LEASE_S)
    others = [peer.name for peer in (await store.claims.renew(session, "", LEASE_S)).peers if peer.session != session]
    try:
        if others:
            raise InputError(f"the scheduler {others[0]!r} works on this database", hint="stop it first")
        return await _Rebuilding(settings, scheduler, sources, store, Lease(session)).run()
    finally:
        await store.claims.leave(session, (await store.load(with_deals=False)).position.next_block)


class _Rebuilding:
    """One run."""

    def __init__(self, settings: PoolSettings, scheduler: Address, sources: Sources, store: PoolStore, lease: Lease) -> None:
        self._settings = settings
        self._ledger = sources.ledger
        self._bags = BagSources(sources.bags, sources.results, store.bags)
        self._store = store
        self._lease = lease
        self._machine = PoolMachine(settings, scheduler)
        self._deals: list[DealRecord] = []
        self._phases: dict[str, str] = {}

    async def run(self) -> Rebuilt:
        """Read the chain to where it is now."""
        head, next_block = await self._ledger.head(), self._settings.start_block
        if next_block <= head:
            async for stretch in self._ledger.ranges(next_block, None):
                await self._take_in(stretch)
                next_block = stretch.last + 1
                if stretch.last >= head:
                    break
        stages, without_leaves = Counter[str](), []
        for deal in self._deals:
            if deal.is_bag:
                stage, is_whole = await rebuild_bag(deal, self._bags, self._lease)
                stages[stage.value] += 1
                without_leaves += [] if is_whole else [deal.deal_id]
        return Rebuilt(len(self._deals), dict(stages), tuple(without_leaves), dict(Counter(self._phases.values())), next_block)

    async def _take_in(self, stretch: EventRange) -> None:
        facts: list[Fact] = []
        for logged in stretch.events:
            event = logged.event
            if isinstance(event, SchedulerNotice) and event.workerpool == self._settings.workerpool:
                deal = await self._ledger.deal(event.deal_id)
                time_ref_s = await self._ledger.time_ref(deal.category)
                facts.append(DealFound(event.deal_id, deal, time_ref_s, logged.block, logged.log_index))
            elif isinstance(event, CHAIN_EVENTS):
                facts.append(event)
        found = [fact.record for fact in facts if isinstance(fact, DealFound)]
        if found:
            ids = [deal.deal_id for deal in found]
            self._lease.epochs |= await self._store.claims.find(self._lease.session, found, ids)
            self._deals += found
        time = await self._ledger.block_time()
        self._machine.handle(*facts, at=Instant(float(time), time))
        changes = self._machine.take_changes()
        self._phases |= {task.task_id: task.phase.value for task in changes.tasks.values()}
        await self._store.save(changes, Position(stretch.last + 1, stretch.last_hash), self._lease)
        self._machine.forget(changes)
