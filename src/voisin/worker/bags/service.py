"""Bags at work: carries out what their heart decides, and feeds back what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup, TaskStatus

from voisin.errors import VoisinError
from voisin.protocol.bag_wire import AskDigests, BagFromPool, BagOver, GiveTasks, Receipts, Statement, TakeBack
from voisin.protocol.ids import Address, DealId
from voisin.protocol.signatures import Signer
from voisin.protocol.wire import FromWorker, Takes
from voisin.protocol.wire_words import MachineFailure
from voisin.worker.bags.machine import Heart
from voisin.worker.bags.runs import End
from voisin.worker.bags.store import BagStore
from voisin.worker.bags.watch import End as Ending
from voisin.worker.bags.watch import Guard
from voisin.worker.bags.words import (
    Asked,
    BagTerms,
    Check,
    CheckReceipts,
    CheckStatement,
    Command,
    Compute,
    Drop,
    Event,
    Fetch,
    Given,
    Joined,
    Limited,
    Over,
    Posted,
    Ran,
    ReceiptsCame,
    Refused,
    Release,
    Repeat,
    Restored,
    Say,
    SayAll,
    StatementCame,
    Stopping,
    StopRuns,
    Store,
    TakenBack,
    TasksFailed,
    Ticked,
)
from voisin.worker.bags.workshop import Workshop
from voisin.worker.disk import Disk
from voisin.worker.fetch import Fetcher
from voisin.worker.pauses import Pauses
from voisin.worker.ports import Parts, Storage
from voisin.worker.settings import WorkerSettings
from voisin.worker.store import WorkerFolder
from voisin.worker.vocabulary import BagEnded

TICK_S: Final = 1.0
LOOKS_PER_WINDOW: Final = 5
"""How often the chain is looked at while a bag may be challenged, at least."""

log = structlog.get_logger(__name__)


@dataclass(eq=False)
class _Lane:
    """What is being done for one deal; `idle` says that nothing is."""

    scopes: set[anyio.CancelScope] = field(default_factory=set)
    idle: anyio.Event = field(default_factory=anyio.Event)


class Bags:
    """
    A worker's part in deals that are settled as a bag.

    Args:
        settings: What the worker is told.
        signer: Its wallet.
        parts: The world.
        folder: The worker's files.
        fetcher: Gets apps and inputs.
        disk: What tasks may use of the disk.
        storage: Opens the storage.
        workerpool: Tells the workerpool that the worker joined.
        takes: Tells what the owner wants.
        say: Tells the pool, if it is there.
        tell: Told when a deal is over.
        pauses: Makes the pauses between attempts.
    """

    def __init__(  # noqa: PLR0913  (the worker's parts, handed on)
        self,
        settings: WorkerSettings,
        signer: Signer,
        parts: Parts,
        *,
        folder: WorkerFolder,
        fetcher: Fetcher,
        disk: Disk,
        storage: Callable[[], Awaitable[Storage]],
        workerpool: Callable[[], Address],
        takes: Callable[[], Takes],
        say: Callable[[FromWorker], None],
        tell: Callable[[BagEnded], None],
        pauses: Callable[[], Pauses],
    ) -> None:
        self._settings = settings
        self._workerpool = workerpool
        self._say = say
        self._tell = tell
        self._store = BagStore(folder.folder / "bags")
        self._workshop = Workshop(
            settings,
            signer,
            parts,
            folder=folder,
            fetcher=fetcher,
            disk=disk,
            store=self._store,
            storage=storage,
            takes=takes,
            say=say,
            pauses=pauses,
        )
        self._guard = Guard(
            parts.bag_ledger, parts.ledger.now, store=self._store, commit=self._workshop.commit, worker=signer.address, storage=storage
        )
        self._heart = Heart(settings.slots, unpaid_max=settings.bag_unpaid, statement_s=settings.statement_s)
        self._lanes: dict[DealId, _Lane] = {}
        self._computing: dict[DealId, set[anyio.CancelScope]] = {}
        self._endings: dict[DealId, Ending] = {}
        self._looks: set[DealId] = set()
        self._look_wanted = anyio.Event()
        self._tasks: TaskGroup | None = None

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Work until cancelled.

        Args:
            task_status: Told once everything is known that was before a restart.

        Raises:
            InputError: A record is damaged.
        """
        try:
            records = await anyio.to_thread.run_sync(self._store.restore)
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                self._handle(Restored(records))
                task_status.started()
                tasks.start_soon(self._tick)
                await self._watch()
        finally:
            self._tasks = None
            self._store.close()

    def heard(self, message: BagFromPool) -> None:
        """Take in what the pool says."""
        match message:
            case GiveTasks(deal_id, indexes):
                self._handle(Given(deal_id, indexes))
            case Receipts(deal_id, receipts):
                self._handle(ReceiptsCame(deal_id, receipts))
            case AskDigests(deal_id, indexes):
                self._handle(Asked(deal_id, indexes))
            case Statement():
                self._handle(StatementCame(message))
            case TakeBack(deal_id, indexes):
                self._handle(TakenBack(deal_id, indexes))
            case BagOver(deal_id):
                self._look_at(deal_id)

    def joined(self) -> None:
        """The pool let the worker in: tell it what there is."""
        self._handle(Joined())

    def limit(self, slots: int, closed: str, *, is_urgent: bool) -> None:
        """
        Go by what the owner wants from now on.

        Args:
            slots: Runs at a time.
            closed: Why there are to be none; empty when there may be.
            is_urgent: Whether what runs is to end.
        """
        self._handle(Limited(slots, closed, is_urgent))

    @property
    def is_idle(self) -> bool:
        """Whether the worker has a part in no deal."""
        return self._heart.is_idle

    def stop(self) -> None:
        """The worker is about to end: give back what is not done."""
        self._handle(Stopping())

    def _handle(self, event: Event) -> None:
        if self._tasks is not None:
            for command in self._heart.step(event):
                self._carry_out(command, self._tasks)

    def _carry_out(self, command: Command, tasks: TaskGroup) -> None:
        match command:
            case Say(message):
                self._say(message)
            case Release(deal_id):
                self._workshop.release(deal_id)
            case Drop(deal_id):
                tasks.start_soon(self._drop, deal_id)
            case Compute():
                tasks.start_soon(self._follow, command.deal_id, self._compute, command)
            case StopRuns(deal_id):
                for scope in self._computing.get(deal_id, ()):
                    scope.cancel()
            case _:
                tasks.start_soon(self._follow, command_deal(command), self._perform, command)

    async def _follow(self, deal_id: DealId, work: Callable[[Command], Awaitable[None]], command: Command) -> None:
        """Do something for a deal, unless the deal is dropped meanwhile."""
        lane, scope = self._lanes.setdefault(deal_id, _Lane()), anyio.CancelScope()
        lane.scopes.add(scope)
        try:
            with scope:
                await work(command)
        finally:
            lane.scopes.discard(scope)
            if not lane.scopes:
                lane.idle.set()
                if self._lanes.get(deal_id) is lane:
                    del self._lanes[deal_id]

    async def _compute(self, command: Command) -> None:
        """Run tasks, let go of the lane, and write down what came of them."""
        assert isinstance(command, Compute)
        deal_id = command.deal_id
        ran = Ran(deal_id, (), command.indexes, 0.0)
        failed: TasksFailed | None = None
        end: End | None = None
        scope = anyio.CancelScope()
        self._computing.setdefault(deal_id, set()).add(scope)
        try:
            with scope:
                end = await self._workshop.run(command)
            if end is None:
                return
            done = tuple(result.index for result in end.results)
            ran = Ran(deal_id, done, end.left, end.each_s)
            if end.why is not None:
                failed = TasksFailed(deal_id, end.failed, end.why.failure, end.why.message)
        except Exception as error:
            log.exception("bag_run_broke", deal_id=deal_id, indexes=command.indexes)
            ran = Ran(deal_id, (), (), 0.0)
            failed = TasksFailed(deal_id, command.indexes, MachineFailure.SANDBOX_BROKEN, f"an internal error ({type(error).__name__})")
            end = None
        finally:
            self._computing[deal_id].discard(scope)
            self._handle(ran)
        if failed is not None:
            self._handle(failed)
        if end is not None and end.results:
            self._handle(await self._workshop.write(deal_id, end.results))

    async def _perform(self, command: Command) -> None:
        try:
            await self._attempt(command)
        except Exception as error:
            log.exception("bag_work_broke", deal_id=command_deal(command), work=type(command).__name__)
            if isinstance(command, Check | Fetch):
                detail = f"an internal error ({type(error).__name__})"
                self._handle(Refused(command.deal_id, MachineFailure.SANDBOX_BROKEN, detail))

    async def _attempt(self, command: Command) -> None:
        match command:
            case Check(deal_id):
                self._handle(await self._workshop.check(deal_id, self._workerpool()))
            case Fetch():
                self._handle(await self._workshop.fetch(command.deal_id))
            case CheckReceipts():
                for event in await self._workshop.check_receipts(command):
                    self._handle(event)
            case CheckStatement():
                found = await self._workshop.check_statement(command)
                if found is not None:
                    self._handle(found)
            case Store():
                self._handle(await self._workshop.show(command, anyio.current_time))
            case SayAll():
                await self._workshop.say_all(command)
            case Repeat(deal_id, indexes):
                await self._workshop.repeat(deal_id, indexes)

    async def _drop(self, deal_id: DealId) -> None:
        lane = self._lanes.get(deal_id)
        if lane is not None:
            for scope in lane.scopes:
                scope.cancel()
            await lane.idle.wait()
        self._guard.forget(deal_id)
        self._computing.pop(deal_id, None)
        try:
            await self._workshop.drop(deal_id)
        except OSError as error:
            log.error("bag_not_forgotten", deal_id=deal_id, error=error.strerror)
        ending = self._endings.pop(deal_id, None)
        if ending is not None:
            self._tell(BagEnded(deal_id, ending.how, ending.amount))

    # --- time and chain ---

    async def _tick(self) -> None:
        while True:
            await anyio.sleep(TICK_S)
            self._handle(Ticked(anyio.current_time()))

    def _look_at(self, deal_id: DealId) -> None:
        self._looks.add(deal_id)
        self._look_wanted.set()

    async def _watch(self) -> None:
        """Look after the deals on the chain: all of them now and then, often enough for the shortest window."""
        while True:
            terms = self._heart.terms()
            every_s = min([self._settings.watch_s, *(each.window_s / LOOKS_PER_WINDOW for each in terms)])
            with anyio.move_on_after(max(every_s, self._settings.watch_s / 100)):
                await self._look_wanted.wait()
            wanted, self._looks, self._look_wanted = self._looks, set(), anyio.Event()
            for each in self._heart.terms():
                if not wanted or each.deal_id in wanted:
                    await self._look(each)

    async def _look(self, terms: BagTerms) -> None:
        try:
            found = await self._guard.look(terms)
        except VoisinError as error:
            log.warning("bag_not_seen", deal_id=terms.deal_id, error=error.message)
            return
        except Exception:
            log.exception("bag_look_broke", deal_id=terms.deal_id)
            return
        if isinstance(found, Ending):
            self._endings[terms.deal_id] = found
            self._handle(Over(terms.deal_id))
        elif found:
            self._handle(Posted(terms.deal_id))


def command_deal(command: Command) -> DealId:
    """Say which deal a command is about."""
    if isinstance(command, CheckReceipts | CheckStatement):
        return command.terms.deal_id
    return command.message.deal_id if isinstance(command, Say) else command.deal_id
