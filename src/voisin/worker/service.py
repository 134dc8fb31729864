"""The worker at work: it carries out what its heart decides, feeds back what came of it, and keeps the link to its pool."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import assert_never

import anyio
import msgspec
import structlog
from anyio.abc import TaskGroup

from voisin.errors import StateError, UnavailableError, VoisinError
from voisin.protocol.bag_wire import BagFromPool
from voisin.protocol.ids import TaskId
from voisin.protocol.signatures import Signer
from voisin.protocol.wire import FromPool, Heartbeat, Held, Takes
from voisin.protocol.wire_words import MachineFailure
from voisin.units import NRLC
from voisin.worker.bags import Bags
from voisin.worker.enclave.introducing import Introducer
from voisin.worker.life.machine_use import ThisMachine
from voisin.worker.life.steward import Steward
from voisin.worker.life.words import Holding, Stance, WorkerStatus
from voisin.worker.link import Greeting, Listener, PoolLink, resources_of
from voisin.worker.links import PoolLinks
from voisin.worker.machine import State, step
from voisin.worker.membership import Membership, event_of
from voisin.worker.pauses import Pauses
from voisin.worker.ports import Parts, Storage
from voisin.worker.refusal import RefusalError
from voisin.worker.room import SharedRunner
from voisin.worker.settings import WorkerSettings
from voisin.worker.settle import Settlement
from voisin.worker.store import WorkerFolder
from voisin.worker.treasury import Treasury
from voisin.worker.vocabulary import (
    EARLY,
    STAGES,
    Activity,
    BagEnded,
    Check,
    Claim,
    ClaimFailed,
    Command,
    Connected,
    Contribute,
    Disconnected,
    Drop,
    Event,
    Failed,
    Fetch,
    GaveUp,
    Joined,
    Limited,
    Look,
    Moved,
    News,
    Phase,
    Replica,
    Restored,
    Reveal,
    RevealMissed,
    Run,
    Save,
    Say,
    Settled,
    Stopping,
    TaskEvent,
    Tell,
    Upload,
    UploadFailed,
    Vanished,
)
from voisin.worker.work import Ties, Work

GOODBYE_S = 3.0
LOOKS_AT_A_TIME = 8
EVENTS_WAITING = 1_000
MAX_CONTENT = 512
"""Files of the cache that are named in a greeting."""
MAX_HELD = 400
"""Replicas that a greeting lists: it has to fit into one message."""
_FACTS: dict[type[News], str] = {
    Connected: "pool_joined",
    Disconnected: "pool_lost",
    Moved: "replica_moved",
    Failed: "replica_failed",
    Settled: "task_settled",
    BagEnded: "bag_ended",
}
"""How the log calls the news."""
_WATCHED = frozenset(Phase) - EARLY - {Phase.CONTRIBUTING, Phase.REVEALING, Phase.CLAIMING}

log = structlog.get_logger(__name__)


@dataclass(eq=False)
class Lane:
    """What is being done for one task; cancelling `scope` ends it, `done` says that it has ended."""

    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)


class Worker:
    """
    One worker of one pool. Its folder must be held by the caller.

    Args:
        settings: What it is told.
        signer: Its wallet.
        folder: Its files.
        parts: The world.
        steward: Keeps to what its owner wants.
        on_news: Told what happens; must not block.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        signer: Signer,
        *,
        folder: WorkerFolder,
        parts: Parts,
        steward: Steward | None = None,
        on_news: Callable[[News], None] | None = None,
    ) -> None:
        self._settings = settings
        self._signer = signer
        self._folder = folder
        self._runner = SharedRunner(parts.runner, settings.memory_bytes)
        self._parts = parts = replace(parts, runner=self._runner)
        self._on_news = on_news
        self.steward = steward or Steward(settings, ThisMachine())
        self._treasury = Treasury(parts.ledger, folder, settings.deposit_cap if settings.hub else NRLC(0))
        self._work = Work(
            settings,
            parts,
            folder=folder,
            treasury=self._treasury,
            ties=Ties(worker=signer.address, takes=lambda: self.steward.takes, print_out=lambda printed: self._link.say(printed)),
        )
        self._settlement = Settlement(parts.ledger, folder, pauses=self._pauses)
        self._state = State(settings.slots, settings.memory_bytes)
        self._inbox, self._outbox = anyio.create_memory_object_stream[tuple[Event, Lane | None]](EVENTS_WAITING)
        self._lanes: dict[TaskId, Lane] = {}
        self._looks: set[TaskId] = set()
        self._look_wanted = anyio.Event()
        self._stopped = anyio.Event()
        self.left = anyio.Event()
        self._trouble, self._is_connected = "", False
        self._storages = AsyncExitStack()
        self._open_storage_url = ""
        self._storage_now: Storage | None = None
        self._membership = Membership(settings, signer, folder=folder, ledger=parts.ledger)
        self._link = self._make_link()
        self._bags = Bags(
            settings,
            signer,
            parts,
            folder=folder,
            fetcher=self._work.fetcher,
            disk=self._work.disk,
            storage=self._storage,
            workerpool=lambda: self._membership.workerpool,
            takes=lambda: self.steward.takes,
            say=self._link.say,
            tell=self._bag_ended,
            pauses=self._pauses,
        )

    async def run(self) -> None:
        """
        Work until cancelled, or until the worker has left. On the way out, tasks that have nothing at stake are given back to the pool.

        Raises:
            VoisinError: The folder belongs to another wallet or pool, or is damaged.
        """
        serving = anyio.CancelScope(shield=True)
        async with self._storages:
            try:
                async with anyio.create_task_group() as outer:
                    outer.start_soon(self._serve, serving)
                    try:
                        await self.left.wait()
                    finally:
                        await self._say_goodbye()
                        serving.cancel()
            finally:
                self._inbox.close()
                self._outbox.close()

    async def _serve(self, scope: anyio.CancelScope) -> None:
        try:
            with scope:
                await self._restore()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._handle_events, tasks)
                    tasks.start_soon(self._watch)
                    await tasks.start(self._bags.run)
                    tasks.start_soon(self._link.run)
                    tasks.start_soon(self.steward.mind, self._running, self._limit)
        finally:
            self._stopped.set()

    async def _restore(self) -> None:
        await self._membership.load()
        replicas = await anyio.to_thread.run_sync(self._folder.restore)
        for replica in replicas:
            if replica.phase not in EARLY:
                self._work.adopt(replica.task_id, await anyio.to_thread.run_sync(self._folder.size_bytes, replica.task_id))
            if replica.phase is Phase.CONTRIBUTING:
                self._treasury.promise(replica.task_id, replica.worker_stake)
        self._inbox.send_nowait((Restored(replicas), None))

    async def _say_goodbye(self) -> None:
        with anyio.CancelScope(shield=True), anyio.move_on_after(GOODBYE_S):
            await self._inbox.send((Stopping(), None))
            await self._stopped.wait()
            self._bags.stop()
            await self._link.flush()

    # --- events and commands ---

    async def _handle_events(self, tasks: TaskGroup) -> None:
        async for event, lane in self._outbox:
            if lane is not None and self._lanes.get(_task_of(event)) is not lane:
                continue  # of a task that was dropped meanwhile
            await self._handle(event, tasks)
            if isinstance(event, Stopping):
                self._stopped.set()
            self._leave_if_done()

    def _leave_if_done(self) -> None:
        if self.steward.stance is Stance.LEAVING and self._state.closed and not self._state.replicas and self._bags.is_idle:
            self.steward.stance = Stance.LEFT
            self.left.set()

    def _bag_ended(self, news: BagEnded) -> None:
        self._tell(news)
        self._leave_if_done()

    async def _handle(self, event: Event, tasks: TaskGroup) -> None:
        self._state, commands = step(self._state, event)
        self._link.note_work()
        for command in commands:
            if isinstance(command, Save) and not await self._save(command.replica):
                detail = "the disk does not take the task's record"
                await self._handle(GaveUp(command.replica.task_id, MachineFailure.NO_RESOURCES, detail), tasks)
                return
            await self._carry_out(command, tasks)

    async def _carry_out(self, command: Command, tasks: TaskGroup) -> None:
        match command:
            case Save():
                pass
            case Say(message):
                self._link.say(message)
            case Tell(news):
                self._tell(news)
            case Look(task_id):
                self._looks.add(task_id)
                self._look_wanted.set()
            case Drop(task_id):
                await self._drop(task_id)
            case _:
                lane = self._lanes[command.replica.task_id] = Lane()
                tasks.start_soon(self._follow_lane, lane, command)

    async def _save(self, replica: Replica) -> bool:
        """Put a replica on disk; False when it must not go on without."""
        try:
            await anyio.to_thread.run_sync(self._folder.keep, replica)
        except OSError as error:
            log.error("record_not_written", task_id=replica.task_id, error=error.strerror)
            return replica.phase not in EARLY | {Phase.CONTRIBUTING}
        return True

    async def _drop(self, task_id: TaskId) -> None:
        lane = self._lanes.pop(task_id, None)
        if lane is not None:
            lane.scope.cancel()
            await lane.done.wait()
        self._work.forget(task_id)
        self._treasury.release(task_id)
        await anyio.to_thread.run_sync(self._folder.drop, task_id)

    def _tell(self, news: News) -> None:
        log.info(_FACTS[type(news)], **msgspec.to_builtins(news))
        if self._on_news is not None:
            self._on_news(news)

    # --- what takes time ---

    async def _follow_lane(self, lane: Lane, activity: Activity) -> None:
        try:
            with lane.scope:
                event = await self._perform(activity)
                await self._inbox.send((event, lane))
        finally:
            lane.done.set()

    async def _perform(self, activity: Activity) -> TaskEvent:
        pauses = self._pauses()
        while True:
            try:
                return await self._attempt(activity)
            except RefusalError as error:
                return GaveUp(activity.replica.task_id, error.failure, str(error))
            except Exception as error:
                log.exception("activity_broke", task_id=activity.replica.task_id, activity=type(activity).__name__)
                if not isinstance(activity, Contribute):
                    return _broken(activity, error)
            await anyio.sleep(pauses.next_s())

    async def _attempt(self, activity: Activity) -> TaskEvent:
        replica = activity.replica
        match activity:
            case Check():
                return await self._work.check(replica, self._membership.workerpool)
            case Fetch():
                return await self._work.fetch(replica, self._storage)
            case Run():
                return await self._work.run(replica, self._membership.vault_url)
            case Contribute():
                event = await self._settlement.contribute(replica)
                self._treasury.release(replica.task_id)
                return event
            case Reveal():
                return await self._settlement.reveal(replica, self._storage)
            case Upload():
                return await self._settlement.upload(replica, self._storage)
            case Claim():
                return await self._settlement.claim(replica)
        assert_never(activity)

    async def _watch(self) -> None:
        """Look after the contributions: those that somebody asked for at once, all of them now and then."""
        while True:
            with anyio.move_on_after(self._settings.watch_s):
                await self._look_wanted.wait()
            wanted = self._looks or {replica.task_id for replica in self._state.in_phase(*_WATCHED)}
            self._looks, self._look_wanted = set(), anyio.Event()
            known = (self._state.replicas.get(task_id) for task_id in wanted)
            await self._look_at(replica for replica in known if replica is not None and replica.phase in _WATCHED)

    async def _look_at(self, replicas: Iterable[Replica]) -> None:
        limiter = anyio.Semaphore(LOOKS_AT_A_TIME)
        async with anyio.create_task_group() as tasks:
            for replica in replicas:
                await limiter.acquire()
                tasks.start_soon(self._look, replica, limiter)

    async def _look(self, replica: Replica, limiter: anyio.Semaphore) -> None:
        try:
            try:
                event: TaskEvent = await self._settlement.observe(replica)
            except StateError:
                event = Vanished(replica.task_id, await self._parts.ledger.now())
            await self._inbox.send((event, None))
        except VoisinError as error:
            log.warning("chain_not_seen", task_id=replica.task_id, error=error.message)
        except Exception:
            log.exception("look_broke", task_id=replica.task_id)
        finally:
            limiter.release()

    def _pauses(self) -> Pauses:
        return Pauses(self._settings.retry_s, self._settings.max_retry_s, self._parts.random)

    async def _storage(self) -> Storage:
        url = self._membership.storage_url
        if not url:
            raise UnavailableError("where storage is, is not known yet", hint="the pool says it, or the setting storage_url")
        if self._storage_now is None or self._open_storage_url != url:
            self._open_storage_url = url
            self._storage_now = await self._storages.enter_async_context(self._parts.open_storage(url))
        return self._storage_now

    # --- the owner ---

    def _running(self) -> int:
        return len(self._state.in_phase(Phase.RUNNING))

    async def _limit(self, takes: Takes, is_urgent: bool) -> None:
        """Go by what the owner wants from now on, and tell the pool."""
        self._link.say(takes)
        self._runner.memory_bytes = takes.memory_bytes
        self._bags.limit(takes.slots, takes.why, is_urgent=is_urgent)
        await self._inbox.send((Limited(takes.slots, takes.memory_bytes, takes.why, is_urgent), None))

    def status(self) -> WorkerStatus:
        """Tell its owner how it is."""
        steward, takes = self.steward, self.steward.takes
        return WorkerStatus(
            worker=self._signer.address,
            name=self._settings.name,
            pid=os.getpid(),
            pool_url=self._settings.pool_url,
            workerpool=self._membership.workerpool,
            hub=self._parts.ledger.hub,
            chain_id=self._parts.ledger.chain_id,
            is_connected=self._is_connected,
            trouble=self._trouble,
            stance=steward.stance,
            why=takes.why,
            slots=takes.slots,
            memory_bytes=takes.memory_bytes,
            tasks=tuple(
                Holding(task_id=each.task_id, phase=each.phase, final_deadline=each.final_deadline)
                for each in self._state.replicas.values()
            ),
            rules_file=str(steward.rules_file),
            rules_trouble=steward.rules_trouble,
            enclave=self._parts.enclave_kind,
        )

    async def withdraw(self, amount: NRLC | None) -> NRLC:
        """
        Move money that no task needs from the hub into the wallet; answers how much [nRLC].

        Raises:
            FundsError: Less is free.
            VoisinError: The chain does not take it.
        """
        return await self._treasury.withdraw(amount)

    # --- the pool ---

    def _make_link(self) -> PoolLinks:
        settings = self._settings
        resources = resources_of(settings, self._parts.enclave_kind, self._work.cache.held(MAX_CONTENT))
        greeting = Greeting(
            signer=self._signer,
            name=settings.name,
            resources=resources,
            holding=self._holding,
            approve=self._membership.approve,
            evidence=Introducer(self._parts.enclaves, self._signer.address).evidence,
        )
        listener = Listener(joined=self._joined, heard=self._heard, lost=self._lost, asked=lambda: self._bags.joined())
        return PoolLinks(settings.pool_url, greeting, listener, make=self._make_one, busy=self._busy)

    def _make_one(self, url: str, greeting: Greeting, listener: Listener, beat: Callable[[], Heartbeat]) -> PoolLink:
        return PoolLink(url, greeting, listener, pauses=self._pauses(), handshake_s=self._settings.handshake_s, beat=beat)

    def _busy(self) -> list[TaskId]:
        """List the tasks that take slots."""
        return [replica.task_id for replica in self._state.in_phase(*EARLY)]

    def _holding(self) -> tuple[Held, ...]:
        """List the replicas for the greeting; if they are too many for one message, those that somebody else could do instead first."""
        early_first = sorted(self._state.replicas.values(), key=lambda replica: replica.phase not in EARLY)
        return tuple(Held(replica.task_id, STAGES[replica.phase]) for replica in early_first[:MAX_HELD])

    async def _joined(self) -> None:
        self._is_connected, self._trouble = True, ""
        self._link.say(self.steward.takes)
        self._tell(Connected(self._membership.workerpool, self._parts.ledger.hub))
        await self._inbox.send((Joined(), None))
        self._bags.joined()

    def _lost(self, reason: str, retry_s: float) -> None:
        self._is_connected, self._trouble = self._link.is_up, reason
        self._tell(Disconnected(reason, round(retry_s, 3)))

    async def _heard(self, message: FromPool) -> None:
        if isinstance(message, BagFromPool):
            self._bags.heard(message)
            return
        event = event_of(message)
        if event is not None:
            await self._inbox.send((event, None))


def _task_of(event: Event) -> TaskId:
    assert not isinstance(event, Restored | Joined | Stopping | Limited)
    return event.task_id


def _broken(activity: Activity, error: Exception) -> TaskEvent:
    """Say what an activity that broke in an unforeseen way means for its replica."""
    task_id, detail = activity.replica.task_id, f"an internal error ({type(error).__name__})"
    match activity:
        case Reveal():
            return RevealMissed(task_id, detail)
        case Upload():
            return UploadFailed(task_id, detail)
        case Claim():
            return ClaimFailed(task_id, detail)
        case _:
            return GaveUp(task_id, MachineFailure.SANDBOX_BROKEN, detail)
