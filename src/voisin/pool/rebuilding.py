"""
Rebuilding a pool's records from the chain, into a database that is empty.

Deals, tasks, contributions, results and scores come back as they were; what only the pool knew does not: stories, failed attempts,
names of workers. What workers hold of a bag they say themselves once a scheduler runs again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from voisin.chain import EventRange
from voisin.errors import InputError
from voisin.pool.claims import Lease
from voisin.pool.facts import CHAIN_EVENTS, DealFound, Fact, Instant
from voisin.pool.ledger import Ledger
from voisin.pool.machine import PoolMachine
from voisin.pool.records import DealRecord, Position
from voisin.pool.settings import PoolSettings
from voisin.pool.store import PoolStore
from voisin.protocol.events import SchedulerNotice
from voisin.protocol.ids import Address

NAME = "rebuilding"
LEASE_S = 3_600.0
"""How long other schedulers leave it alone [s]."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came back: deals, how many of them are bags, tasks by phase, and the first block that was not there yet."""

    deals: int
    bags: int
    tasks: dict[str, int]
    next_block: int


async def rebuild(settings: PoolSettings, scheduler: Address, ledger: Ledger, store: PoolStore) -> Rebuilt:
    """
    Write down what the chain tells of a pool, from the beginning to its latest block.

    Args:
        settings: The pool.
        scheduler: The wallet that owns it.
        ledger: The chain.
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
        return await _Rebuilding(settings, scheduler, ledger, store, Lease(session)).run()
    finally:
        await store.claims.leave(session, (await store.load(with_deals=False)).position.next_block)


class _Rebuilding:
    """One run."""

    def __init__(self, settings: PoolSettings, scheduler: Address, ledger: Ledger, store: PoolStore, lease: Lease) -> None:
        self._settings = settings
        self._ledger = ledger
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
        bags = sum(1 for deal in self._deals if deal.is_bag)
        return Rebuilt(len(self._deals), bags, dict(Counter(self._phases.values())), next_block)

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
