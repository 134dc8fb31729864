"""
A running pool: the machine with its surroundings.

One loop takes facts in, in the order in which they come: from the chain's follower, the workers' desk, finished steps and
the clock. It hands them to the machine and carries its commands out at once; nothing in the loop waits for chain, storage
or database. The records are written a moment later, many changes at a time and always together with the place on the chain
that they belong to. What a killed pool had done and not yet written it meets again on the chain and on its workers' disks,
and every command may be carried out twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import anyio
import structlog
from anyio.abc import TaskGroup

from voisin.errors import UnavailableError
from voisin.pool.bags.facts import BagWorkerFact
from voisin.pool.bags.service import BagService, BagSurroundings
from voisin.pool.chain.clock import PoolClock
from voisin.pool.chain.purse import Purse
from voisin.pool.chain.steps import StepRunner
from voisin.pool.database.claims import Company
from voisin.pool.database.logs import LogBook
from voisin.pool.heart.facts import (
    CaughtUp,
    DealFound,
    DealsLost,
    Fact,
    Instant,
    Ticked,
    WorkerJoined,
    WorkerLeft,
    WorkersCaught,
)
from voisin.pool.heart.machine import PoolMachine
from voisin.pool.heart.records import ENDS, Position, Taken
from voisin.pool.running.carrying_out import CommandRunner
from voisin.pool.running.desk import WorkerDesk
from voisin.pool.running.following import ChainReader, Item
from voisin.pool.running.introductions import Introductions
from voisin.pool.running.metrics import PoolMetrics
from voisin.pool.running.readers import Readers
from voisin.pool.running.surroundings import Condition, Surroundings
from voisin.pool.running.tenure import Listener, Tenure
from voisin.pool.selling.duty import Duty
from voisin.pool.selling.keeper import OfferKeeper
from voisin.pool.settings import PoolSettings
from voisin.protocol.events import Logged, TaskFinalized
from voisin.protocol.ids import Address, TaskId
from voisin.protocol.signatures import Signer
from voisin.protocol.wire import Printed
from voisin.units import UnixSeconds

POSITION_EVERY_S = 5.0
"""How often the place on the chain is saved when nothing else is [s]."""
DAY_S = 86_400
FORGET_EVERY_S = 3_600.0
"""How often expired logs are forgotten [s]."""
LEAVE_S = 5.0
"""How long a scheduler that stops waits for the database to take its deals back [s]."""

_log = structlog.get_logger()


class PoolService:
    """
    A pool at work.

    Attributes:
        machine: Its decisions.
        desk: Its workers' connections.
        bags: The deals that are settled as a bag.
        logs: What apps printed.
        readers: Lets requesters read it.
        metrics: Its figures.
        condition: How it is.
        keeper: What keeps its offers in a market, if anything does.
        tenure: Its place among the schedulers that share the pool.
        lead: What one of these does for all.
        purse: The scheduler's money.
    """

    def __init__(self, settings: PoolSettings, scheduler: Signer, around: Surroundings) -> None:
        """
        Args:
            settings: How it is set up.
            scheduler: The wallet that owns the workerpool.
            around: What it works with.
        """
        self.settings = settings
        self.scheduler = scheduler.address
        self.ledger, self.store = around.ledger, around.store
        self.clock = PoolClock(around.wall)
        self.wall = around.wall
        self.machine = PoolMachine(settings, scheduler.address)
        self.metrics = PoolMetrics()
        self.condition = Condition()
        self.tenure = Tenure(around.store.claims, settings.scheduler, settings.lease_s)
        self.lead = Duty()
        self.logs = LogBook(around.store, log_chars=settings.log_chars)
        self.readers = Readers(around.ledger, around.store, settings.workerpool, challenge_s=settings.log_challenge_s)
        introductions = Introductions(around.enclaves, around.wall)
        self.desk = WorkerDesk(settings, around.ledger, scheduler, tell=self.tell, print_out=self._print_out, introductions=introductions)
        bags = BagSurroundings(
            scheduler=scheduler,
            domain=around.ledger.domain,
            ledger=around.bags,
            store=around.store.bags,
            results=around.results,
            tenure=self.tenure,
            now=self.clock.now,
            say=self.desk.say,
            ask_holding=self.desk.ask_holding,
        )
        self.bags = BagService(self.machine.book, bags)
        self.purse = Purse(around.ledger, scheduler.address)
        self.keeper: OfferKeeper | None = None
        self._inbox, self._waiting = anyio.create_memory_object_stream[Item](float("inf"))
        self._reader = ChainReader(
            workerpool=settings.workerpool,
            ledger=around.ledger,
            clock=self.clock,
            tenure=self.tenure,
            put=self._inbox.send_nowait,
            hear=self._hear,
        )
        self._runner = CommandRunner(
            settings=settings,
            around=around,
            book=self.machine.book,
            desk=self.desk,
            tenure=self.tenure,
            steps=StepRunner(around.ledger, self.clock, self.tell),
            metrics=self.metrics,
            condition=self.condition,
            tell=self.tell,
        )
        self._position: Position | None = None
        self._changed = anyio.Event()

    def tell(self, fact: Fact | BagWorkerFact) -> None:
        """Take a fact in, in its turn; a pool that is closed takes none, and hears of it again when it starts."""
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._inbox.send_nowait(Item((fact,), self.clock.now()))

    async def run(self) -> None:
        """
        Work until cancelled.

        Raises:
            StateError: The chain went back: the records are about blocks that are not there any more.
            InputError: The database is for one scheduler only, and another one lives.
            UnavailableError: The database failed.
        """
        self.clock.see_block(await self.ledger.block_time(), is_fresh=False)
        head = await self.ledger.head()
        self.machine.book.gives_back = await self.ledger.gives_back()
        await self.tenure.join()
        try:
            taken = await self.tenure.take()
            snapshot = await self.store.load(with_deals=False)
            self.machine.restore(snapshot, self.clock.now())
            self.condition.next_block = self._reader.fed = snapshot.position.next_block
            _log.info("pool_starts", next_block=self._reader.fed, head=head, deals=len(taken))
            await self._work_on(taken, snapshot.position, head)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(LEAVE_S):
                await self._leave()

    async def _work_on(self, taken: Sequence[Taken], start: Position, head: int) -> None:
        async with anyio.create_task_group() as tasks:
            listener = Listener(
                taken=self._take_over,
                lost=lambda deals: self.tell(DealsLost(tuple(deals))),
                renewed=lambda: self._runner.go_on(tasks),
                company=self._meet,
                caught=lambda workers: self.tell(WorkersCaught(tuple(workers))),
            )
            tasks.start_soon(self.tenure.run, listener)
            if taken:
                await self._take_over(taken)
            tasks.start_soon(self._reader.run, start, head)
            tasks.start_soon(self._tick)
            tasks.start_soon(self.bags.run)
            tasks.start_soon(self.purse.run)
            tasks.start_soon(self._keep_records)
            tasks.start_soon(self._forget_logs)
            if self.keeper is not None:
                tasks.start_soon(self.lead.run, partial(self.keeper.run, self.wall))
            await self._work(tasks)

    async def _leave(self) -> None:
        """Write down what is left, and give the deals back, so that another scheduler goes on at once."""
        try:
            await self._save()
            await self.tenure.leave(self.condition.next_block)
        except UnavailableError as error:
            _log.warning("deals_not_given_back", reason=error.message)

    def close(self) -> None:
        """Take no more facts."""
        self._inbox.close()
        self._waiting.close()

    def troubles(self) -> list[str]:
        """List what stands in the pool's way, in words."""
        found = [f"a step on the chain was refused: {self.condition.step_trouble}"] if self.condition.step_trouble else []
        if self.keeper is not None:
            found += [f"no offer for category {category}: {why}" for category, why in sorted(self.keeper.trouble.items())]
        return found

    # --- those that share the pool ---

    async def _take_over(self, taken: Sequence[Taken]) -> None:
        """Go on with deals that were written down; a bag is its records, whatever the chain tells of other deals meanwhile."""
        bags = [each.deal for each in taken if each.deal.is_bag]
        for deal in bags:
            self.bags.adopt(deal)
        if bags:
            self.desk.ask_holding()
        if tasks := [each for each in taken if not each.deal.is_bag]:
            await self._reader.tell_of(tasks)

    def answer_at(self, url: str) -> None:
        """Say where workers and other schedulers reach this one."""
        self.tenure.url = self.desk.url = self.settings.public_url or url

    def _meet(self, company: Company) -> None:
        """Tell workers where all schedulers are, and do what only one of them does, or leave it."""
        _log.info("schedulers", living=[peer.name for peer in company.peers], leads=company.leads, is_draining=company.is_draining)
        self.desk.meet(tuple(peer.url for peer in company.peers if peer.url))
        self.lead.assign(is_mine=company.leads)
        if self.keeper is not None:
            self.keeper.is_draining = company.is_draining
            self.keeper.nudge()

    async def _tick(self) -> None:
        """Tell the time, and set the chain's clock by fresh blocks."""
        while True:
            if self.condition.is_live:
                await self._reader.set_clock()
            self.tell(Ticked())
            await anyio.sleep(self.settings.tick_s)

    # --- the loop ---

    def _hear(self, events: Sequence[Logged]) -> None:
        """Pass on what just came from the chain to those who need not wait for the loop."""
        self.bags.hear(logged.event for logged in events)
        self.purse.hear(events)

    async def _work(self, tasks: TaskGroup) -> None:
        async for item in self._waiting:
            facts = [fact for fact in item.facts if not isinstance(fact, BagWorkerFact)]
            for fact in facts:
                self._note(fact, item.at)
            for command in self.machine.handle(*facts, at=item.at):
                self._runner.carry_out(command, tasks)
            self._tell_bags(item)
            if item.position is not None:
                self._reader.taken_in()
                self._position = item.position
                self.condition.next_block = item.position.next_block
                self.metrics.next_block.set(item.position.next_block)
            if self.machine.has_changes:
                self._changed.set()

    def _tell_bags(self, item: Item) -> None:
        """Hand on what is about bags, once the pool's own book knows of it."""
        for fact in item.facts:
            if isinstance(fact, BagWorkerFact):
                self.machine.book.worker(fact.worker).heard_at = item.at.wall
                self.bags.tell(fact)
            elif isinstance(fact, WorkerJoined | WorkerLeft | WorkersCaught | Ticked):
                self.bags.tell(fact)
            elif isinstance(fact, DealFound) and fact.record.is_bag:
                self.bags.adopt(fact.record, is_new=self.condition.is_live)
            elif isinstance(fact, DealsLost):
                self.bags.drop(fact.deals)

    def _note(self, fact: Fact, at: Instant) -> None:
        """Keep condition and figures up to date, and have the offers looked at."""
        if isinstance(fact, CaughtUp) and not self.condition.is_live:
            self.condition.is_live = True
            self.desk.go_live()
            _log.info("pool_live", next_block=self.condition.next_block)
        if isinstance(fact, DealFound):
            self.metrics.deals.inc()
            _log.info("deal_found", deal_id=fact.deal_id, tasks=fact.deal.bot_size, block=fact.block)
        if self.keeper is not None and isinstance(fact, DealFound | WorkerJoined | WorkerLeft):
            self.keeper.nudge()
        if isinstance(fact, TaskFinalized) and fact.task_id in self.machine.book.tasks and self.condition.is_live:
            start = self.machine.book.tasks[fact.task_id].deal.record.deal.start_time
            self.metrics.task_s.observe(max(0, at.chain - start))

    # --- the records ---

    async def _keep_records(self) -> None:
        """Write what changed, a moment after it did; and all of it when the pool ends."""
        try:
            while True:
                with anyio.move_on_after(POSITION_EVERY_S):
                    await self._changed.wait()
                await anyio.sleep(self.settings.save_s)
                await self._save()
        finally:
            with anyio.CancelScope(shield=True):
                await self._save()

    def _print_out(self, worker: Address, printed: Printed) -> None:
        """Take what an app printed, if the worker has a part in the task."""
        task = self.machine.book.tasks.get(printed.task_id)
        if task is not None and worker in task.replicas:
            expires_at = UnixSeconds(task.deal.final_deadline + int(self.settings.logs_days * DAY_S))
            self.logs.take(worker, printed, expires_at)
            self._changed.set()

    def is_open(self, task_id: TaskId) -> bool:
        """Tell whether a task is this pool's and not at an end."""
        return task_id in self.machine.book.tasks

    async def _forget_logs(self) -> None:
        """Forget logs whose time is over."""
        while True:
            await self.store.forget_logs(UnixSeconds(int(self.wall())))
            await anyio.sleep(FORGET_EVERY_S)

    async def _save(self) -> None:
        self._changed = anyio.Event()
        await self.logs.save(self.is_open)
        while self.tenure.owes_records:
            await self.tenure.write_down()
        changes, position = self.machine.take_changes(), self._position
        if not changes and position is None:
            return
        self._position = None
        with self.tenure.ending(changes.over):
            lost = await self.store.save(changes, position, self.tenure.lease)
        for task in changes.tasks.values():
            if task.phase in ENDS:
                self.metrics.ended.labels(task.phase.value).inc()
        self.machine.forget(changes)
        if lost:
            _log.warning("deals_lost", deals=sorted(lost), session=self.tenure.lease.session)
            self.tenure.forget(lost)
            self.tell(DealsLost(tuple(lost)))
