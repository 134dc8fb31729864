"""
The running side of bags: takes facts in, many at a time, saves what changed, and only then carries out what the machine asks for.

While a save is under way further facts gather, so a busy pool writes few and large transactions by itself. A bag may be adopted from
the records at any time, and dropped at any time: nothing of it lives here alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import anyio
import structlog
from anyio.abc import TaskGroup

from voisin.errors import VoisinError
from voisin.pool.bags.archives import check_archives
from voisin.pool.bags.book import Bag
from voisin.pool.bags.commands import BagCommand, CheckArchives, GiveReceipts, GiveStatement, Say, deal_in
from voisin.pool.bags.desk import sign_receipts, sign_statement
from voisin.pool.bags.facts import Adopted, ArchivesChecked, BagFact, Dropped, Holding
from voisin.pool.bags.ledger import BagLedger, deal_of, fact_of
from voisin.pool.bags.machine import BagMachine
from voisin.pool.bags.news import BagNews
from voisin.pool.bags.rebuilding import words_of
from voisin.pool.bags.records import BagChanges, BagRecord, BagSnapshot
from voisin.pool.bags.steps import BagSteps
from voisin.pool.bags.store import BagStore
from voisin.pool.heart.book import Book
from voisin.pool.heart.course import params_of
from voisin.pool.heart.facts import Instant
from voisin.pool.heart.records import DealRecord
from voisin.pool.running.tenure import Tenure
from voisin.pool.running.uploads import ResultStore
from voisin.protocol.bag_api import BagStage
from voisin.protocol.bag_wire import BagFromPool, BagOver
from voisin.protocol.eip712 import Domain
from voisin.protocol.events import Event
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, TaskId, task_id
from voisin.protocol.signatures import Signer

RETRY_S = 0.5
CHECKS_AT_ONCE = 32
"""Archives that are looked at at a time."""

_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class BagSurroundings:
    """
    What bags work with.

    Attributes:
        scheduler: Signs receipts and statements.
        domain: The hub.
        ledger: The chain.
        store: The records.
        results: Where results lie, and files of leaves.
        tenure: This scheduler's place among others, which may take its bags over.
        now: The time.
        say: Sends a worker a message.
        ask_holding: Asks all workers what they hold.
    """

    scheduler: Signer
    domain: Domain
    ledger: BagLedger
    store: BagStore
    results: ResultStore
    tenure: Tenure
    now: Callable[[], Instant]
    say: Callable[[Address, BagFromPool], None]
    ask_holding: Callable[[], None]


class BagService:
    """
    The bags that a scheduler runs.

    Attributes:
        machine: Their decisions.
        store: Their records.
        news: What was saved of them a moment ago.
        is_able: Whether the hub settles bags at all, as far as that is known.
    """

    def __init__(self, classic: Book, around: BagSurroundings) -> None:
        """
        Args:
            classic: The pool's book, which knows the workers.
            around: What bags work with.
        """
        self.machine = BagMachine(classic)
        self.store = around.store
        self.news = BagNews(around.store)
        self.is_able = False
        self._settings = classic.settings
        self._around = around
        self._steps = BagSteps(around.ledger, around.store, around.results, self.tell)
        self._checks = anyio.CapacityLimiter(CHECKS_AT_ONCE)
        self._inbox: list[BagFact] = []
        self._came = anyio.Event()
        self._moved: dict[DealId, anyio.Event] = {}
        self._names: dict[DealId, dict[TaskId, int]] = {}
        self._heard: dict[DealId, list[Event]] = {}
        self._adoptions: list[DealRecord] = []

    def tell(self, *facts: BagFact) -> None:
        """Take facts in, in their turn."""
        self._inbox += facts
        self._came.set()

    def adopt(self, terms: DealRecord, *, is_new: bool = False) -> None:
        """
        Run a bag from now on; one that is run already goes on.

        Args:
            terms: The deal.
            is_new: Whether the deal has just been made: then nothing is read, because nothing can have happened to it.
        """
        if is_new:
            self.tell(Adopted(BagSnapshot(record=BagRecord(terms=terms), is_new=True)))
        elif terms.deal_id not in self._heard:
            self._heard[terms.deal_id] = []
            self._adoptions.append(terms)
            self._came.set()

    def drop(self, deals: Iterable[DealId]) -> None:
        """Run bags no more: another scheduler does."""
        self.tell(*(Dropped(deal_id) for deal_id in deals))

    def hear(self, events: Iterable[Event]) -> None:
        """Take in what the hub says of bags that this scheduler runs."""
        for event in events:
            deal = deal_of(event)
            if deal is None:
                continue
            if deal in self._heard:
                self._heard[deal].append(event)
            elif (bag := self.machine.book.bags.get(deal)) is not None and (fact := fact_of(event, bag.record.terms)) is not None:
                self.tell(fact)

    def is_run(self, deal_id: DealId) -> bool:
        """Tell whether this scheduler runs a bag."""
        return deal_id in self.machine.book.bags

    def next_move(self, deal_id: DealId) -> anyio.Event:
        """Give what is set when more of a bag is saved; to be taken before the records are read."""
        return self._moved.setdefault(deal_id, anyio.Event())

    async def wait(self, moved: anyio.Event, seconds: float) -> None:
        """Wait for that, at most so long [s]."""
        with anyio.move_on_after(seconds):
            await moved.wait()

    def place_of(self, task: TaskId) -> tuple[Bag, int] | None:
        """Find the running bag and the index of a task; the names of a bag's tasks are made when somebody asks for one first."""
        for bag in self.machine.book.bags.values():
            names = self._names.get(bag.deal_id)
            if names is None:
                indexes = range(bag.record.first, bag.record.first + bag.record.volume)
                names = self._names[bag.deal_id] = {task_id(bag.deal_id, index): index for index in indexes}
            if task in names:
                return bag, names[task]
        return None

    async def run(self) -> None:
        """
        Work until cancelled.

        Raises:
            UnavailableError: The database failed.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._ask_hub)
            while True:
                await self._came.wait()
                self._came = anyio.Event()
                adoptions, self._adoptions = self._adoptions, []
                for terms in adoptions:
                    tasks.start_soon(self._take_over, terms)
                facts, self._inbox = self._inbox, []
                await self._round(facts, tasks)

    async def _round(self, facts: list[BagFact], tasks: TaskGroup) -> None:
        for fact in facts:
            if isinstance(fact, Dropped):
                self.news.end(fact.deal_id)
            elif isinstance(fact, Holding):
                self._hold(fact, tasks)
        commands = self.machine.handle(*facts, at=self._around.now())
        changes = self.machine.take_changes()
        lost: set[DealId] = set()
        if changes:
            lost = await self._save(changes)
            self._tell_saved(facts, changes, lost)
            for deal_id in {*changes.bags, *(deal for deal, _ in changes.ended)}:
                if deal_id in self._moved:
                    self._moved.pop(deal_id).set()
                if not self.is_run(deal_id):
                    self._names.pop(deal_id, None)
                    self.news.end(deal_id)
        await self._leased()
        for command in commands:
            if deal_in(command) not in lost:
                await self._carry_out(command, tasks)

    def _tell_saved(self, facts: list[BagFact], changes: BagChanges, lost: set[DealId]) -> None:
        self.news.take(changes)
        for deal_id in [fact.snapshot.record.deal_id for fact in facts if isinstance(fact, Adopted)]:
            bag = self.machine.book.bags.get(deal_id)
            if bag is not None and deal_id not in lost:
                self.news.begin(bag.record, bag.done, bag.undone)

    def _hold(self, fact: Holding, tasks: TaskGroup) -> None:
        """See to what a worker holds beside what the machine makes of it."""
        bag = self.machine.book.bags.get(fact.deal_id)
        if bag is None:
            tasks.start_soon(self._answer_stranger, fact)
        elif bag.lacks_votes:
            tasks.start_soon(self._remember, fact)

    async def _save(self, changes: BagChanges) -> set[DealId]:
        """Write changes down; answers the deals that others have taken over, of which nothing was written and nothing may be said."""
        tenure = self._around.tenure
        with tenure.ending(changes.over):
            lost = await self.store.save(changes, tenure.lease)
        if lost:
            _log.warning("bags_lost", deals=len(lost), session=tenure.lease.session)
            tenure.forget(lost)
            self.drop(lost)
        return lost

    async def _leased(self) -> None:
        """Wait while this scheduler's lease is over: others may have taken its bags."""
        while not self._around.tenure.is_valid:  # noqa: ASYNC110  (a lease is renewed now and then; nobody waits for that but this)
            await anyio.sleep(RETRY_S / 10)

    async def _carry_out(self, command: BagCommand, tasks: TaskGroup) -> None:
        match command:
            case Say():
                self._around.say(command.worker, command.message)
            case GiveReceipts():
                self._around.say(command.worker, await sign_receipts(self._around.scheduler, self._around.domain, command))
            case GiveStatement():
                self._around.say(command.worker, sign_statement(self._around.scheduler, self._around.domain, command))
            case CheckArchives():
                tasks.start_soon(self._check, command)
            case _:
                self._steps.start(command, tasks)

    async def _check(self, command: CheckArchives) -> None:
        bag = self.machine.book.bags.get(command.deal_id)
        if bag is None:
            return
        is_encrypted = params_of(bag.record.terms).iexec_result_encryption
        has_callback = bag.deal.callback != ZERO_ADDRESS
        async with self._checks:
            problems = await check_archives(
                self._around.results, self._settings, command.archives, has_callback=has_callback, is_encrypted=is_encrypted
            )
        for archive, problem in problems:
            if problem:
                _log.warning("archive_refused", deal_id=command.deal_id, location=archive.location, reason=problem)
        self.tell(ArchivesChecked(command.deal_id, problems))

    async def _ask_hub(self) -> None:
        while True:
            try:
                self.is_able = await self._around.ledger.is_able()
                return
            except VoisinError as error:
                _log.warning("hub_not_asked", reason=error.message)
                await anyio.sleep(RETRY_S)

    async def _take_over(self, terms: DealRecord) -> None:
        """Read what is known of a bag, here and on the chain."""
        while True:
            try:
                snapshot = await self.store.load(terms.deal_id) or BagSnapshot(record=BagRecord(terms=terms))
                history = await self._around.ledger.history(terms)
                break
            except VoisinError as error:
                _log.warning("bag_not_taken_over", deal_id=terms.deal_id, reason=error.message)
                await anyio.sleep(RETRY_S)
        heard = [fact for event in self._heard.pop(terms.deal_id) if (fact := fact_of(event, terms)) is not None]
        _log.info("bag_taken_over", deal_id=terms.deal_id, stage=snapshot.record.stage.value, ended=len(snapshot.ended))
        self.tell(Adopted(snapshot), *history, *heard)
        self._around.ask_holding()

    async def _remember(self, fact: Holding) -> None:
        """Write down again what a worker signed, in records that were rebuilt without it."""
        votes = words_of(fact, await self.store.ended(fact.deal_id))
        if votes:
            await self._save(BagChanges(votes=[(fact.deal_id, vote) for vote in votes]))

    async def _answer_stranger(self, fact: Holding) -> None:
        """Tell a worker that a deal is over, if it is; another scheduler may run it, or this one in a moment."""
        record = await self.store.record(fact.deal_id)
        if record is not None and (record.is_over or record.stage is BagStage.SETTLED):
            self._around.say(fact.worker, BagOver(fact.deal_id))
