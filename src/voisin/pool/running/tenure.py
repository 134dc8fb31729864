"""
A scheduler's place among those that share its pool: a lease that it renews, the deals that it holds, who else is there.

While the lease is over, because the process stood still or the database was away, nothing may be done: another scheduler may have
taken the deals over. What was to be done is held back until the lease is renewed, and then done for the deals that are still held.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
import structlog

from voisin.errors import UnavailableError
from voisin.pool.database.claims import Claims, Company, Lease
from voisin.pool.heart.records import DealRecord, Taken, WorkerRecord
from voisin.protocol.ids import Address, DealId

UNWRITTEN = 0
"""In place of the epoch of a deal that is worked on, and not written down yet."""
RENEWALS = 5
"""How often a lease is renewed before it would be over."""
MARGIN = 0.1
"""The part of a lease before its end in which nothing is begun any more."""

_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Listener:
    """
    Who is told what happens.

    Attributes:
        taken: There are deals to go on with.
        lost: Others have these deals.
        renewed: The lease counts again, after it did not.
        company: The living schedulers have changed, or who leads, or whether the pool drains.
        caught: Workers did wrong since the last time.
    """

    taken: Callable[[Sequence[Taken]], Awaitable[None]]
    lost: Callable[[Sequence[DealId]], None]
    renewed: Callable[[], None]
    company: Callable[[Company], None]
    caught: Callable[[Sequence[WorkerRecord]], None]


class Tenure:
    """
    A scheduler's session.

    Attributes:
        lease: What it holds.
        company: Who else is there, as it was when the lease was last renewed.
        url: Where the scheduler answers; set once it does.
    """

    def __init__(self, claims: Claims, name: str, lease_s: float) -> None:
        """
        Args:
            claims: Where schedulers agree.
            name: This scheduler's name; the process that has it last is the one that counts.
            lease_s: How long a lease lasts [s].
        """
        self._claims = claims
        self._name = name
        self._lease_s = lease_s
        self._ends_at = 0.0
        self._told: Company | None = None
        self._caught: dict[Address, tuple[int, str]] = {}
        self._ending: set[DealId] = set()
        self._asking = anyio.Lock()
        self._unwritten: list[DealRecord] = []
        self.lease = Lease(0)
        self.company = Company(peers=(), held={}, leads=False, is_draining=False)
        self.url = ""

    @property
    def is_valid(self) -> bool:
        """Whether something may be begun now."""
        return anyio.current_time() < self._ends_at

    @property
    def left_s(self) -> float:
        """How long the lease still lasts if it is not renewed [s]."""
        return self._ends_at - anyio.current_time()

    async def join(self) -> None:
        """
        Begin the session.

        Raises:
            InputError: The database is for one scheduler only, and another one lives.
            UnavailableError: The database failed.
        """
        begun = anyio.current_time()
        self.lease = Lease(await self._claims.join(self._name, self._lease_s))
        self._ends_at = begun + self._lease_s * (1 - MARGIN)
        _log.info("scheduler_joined", scheduler=self._name, session=self.lease.session)

    async def take(self) -> list[Taken]:
        """Take what nobody works on."""
        async with self._asking:
            found = await self._claims.take(self.lease.session)
            self.lease.epochs |= {taken.deal.deal_id: taken.epoch for taken in found}
        for taken in found:
            _log.info("deal_taken", deal_id=taken.deal.deal_id, epoch=taken.epoch, from_block=taken.from_block, tasks=len(taken.tasks))
        return found

    async def find(self, deals: Sequence[DealRecord], *, is_news: bool = False) -> set[DealId]:
        """
        Write new deals down, take those that are this scheduler's turn, and say which of them it holds since now.

        Args:
            deals: The deals.
            is_news: Whether the chain has only just got them, so that no earlier scheduler can have written about them. Where there can
                be no other scheduler either, they are worked on at once, and written down with what becomes of them (`write_down`).
        """
        if is_news and self._claims.is_sole and not any(deal.is_bag for deal in deals):
            self._unwritten += deals
            fresh = {deal.deal_id for deal in deals} - self.lease.epochs.keys()
            self.lease.epochs |= dict.fromkeys(fresh, UNWRITTEN)
            return fresh
        wanted = [deal.deal_id for deal in deals if self._is_mine(deal.deal_id)]
        async with self._asking:
            held = await self._claims.find(self.lease.session, deals, wanted)
            new = {deal for deal, epoch in held.items() if self.lease.epochs.get(deal) != epoch}
            self.lease.epochs |= held
        return new

    @property
    def owes_records(self) -> bool:
        """Whether there are deals to write down before anything else may be written about them, or about blocks after theirs."""
        return bool(self._unwritten)

    async def write_down(self) -> None:
        """
        Write down the deals that are worked on already.

        Raises:
            UnavailableError: The database failed; they are still to be written down.
        """
        async with self._asking:
            deals = list(self._unwritten)
            self.lease.epochs |= await self._claims.find(self.lease.session, deals, [deal.deal_id for deal in deals])
            del self._unwritten[: len(deals)]

    async def run(self, listener: Listener) -> None:
        """
        Renew the lease and take over what is left alone, until cancelled.

        Raises:
            StateError: Another process took this scheduler's name.
        """
        while True:
            try:
                await self._renew(listener)
                found = await self.take() if self.is_valid else []
            except UnavailableError as error:
                _log.warning("lease_not_renewed", reason=error.message, left_s=round(self.left_s, 2))
            else:
                if found:
                    await listener.taken(found)
            await anyio.sleep(self._lease_s / RENEWALS)

    @contextmanager
    def ending(self, deals: Collection[DealId]) -> Iterator[None]:
        """Hold deals no more when the context ends, in which it is written down that they are over."""
        self._ending |= set(deals)
        try:
            yield
            self.forget(deals)
        finally:
            self._ending -= set(deals)

    def forget(self, deals: Iterable[DealId]) -> None:
        """Hold deals no more: they are over, or another's."""
        for deal in deals:
            self.lease.epochs.pop(deal, None)

    async def leave(self, next_block: int) -> None:
        """Give everything back; the records go as far as the block before `next_block`."""
        self._ends_at = 0.0
        await self._claims.leave(self.lease.session, next_block)
        _log.info("scheduler_left", scheduler=self._name, session=self.lease.session, deals=len(self.lease.epochs))

    async def _renew(self, listener: Listener) -> None:
        begun = anyio.current_time()
        before = dict(self.lease.epochs)
        self.company = await self._claims.renew(self.lease.session, self.url, self._lease_s)
        had_lapsed = not self.is_valid  # perhaps while the database was asked: what came meanwhile was held back
        self._ends_at = begun + self._lease_s * (1 - MARGIN)
        lost = [deal for deal, epoch in before.items() if self.company.held.get(deal) != epoch == self.lease.epochs.get(deal)]
        lost = [deal for deal in lost if deal not in self._ending and before[deal] != UNWRITTEN]
        if lost:
            self.forget(lost)
            _log.warning("deals_lost", deals=lost, session=self.lease.session)
            listener.lost(lost)
        if had_lapsed:
            listener.renewed()
        told = self._told
        is_news = told is None or told.peers != self.company.peers or told.leads != self.company.leads
        if is_news or (told is not None and told.is_draining != self.company.is_draining):
            self._told = self.company
            listener.company(self.company)
        if caught := [worker for worker in self.company.caught if self._caught.get(worker.address) != (worker.faulty, worker.ban)]:
            self._caught |= {worker.address: (worker.faulty, worker.ban) for worker in caught}
            listener.caught(caught)

    def _is_mine(self, deal: DealId) -> bool:
        """Tell whether it is this scheduler's turn to take a new deal: the living ones take turns by the deal's id."""
        sessions = [peer.session for peer in self.company.peers]
        if self.lease.session not in sessions:
            return True
        return sessions[int(deal[-8:], 16) % len(sessions)] == self.lease.session
