"""
Following deals by the chain's events: one follower for everything a client waits for, however many tasks that are.

Every task has a stage that only grows, so an event that is seen twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum

import anyio

from voisin.chain import Chain, events_of
from voisin.client.bags.story import BagStory
from voisin.client.invoice import subject
from voisin.errors import UnavailableError, VoisinError
from voisin.protocol.events import (
    BagEvent,
    ConsensusReached,
    Event,
    Logged,
    TaskClaimed,
    TaskContributed,
    TaskFinalized,
    TaskInitialized,
    TaskReopened,
    TaskRevealed,
)
from voisin.protocol.ids import Address, DealId, Hash32, TaskId

PATIENCE_S = 120.0
"""How long the chain may be out of reach before those who wait are told [s]."""
_PAUSE_S = 1.0
_POLL_S = 0.1


class Stage(IntEnum):
    """How far a task has come; the order is that of its life."""

    WAITING = 0
    STARTED = 1
    ANSWERED = 2
    AGREED = 3
    SHOWN = 4
    COMPLETED = 5
    FAILED = 6

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self >= Stage.COMPLETED


@dataclass(slots=True)
class Watched:
    """
    One task that somebody waits for.

    Attributes:
        stage: How far it has come.
        contributors: Workers that contributed, in order.
        provers: Workers that showed the agreed result.
        digest: What the result hashes to, once the chain has told of it.
        results: Where the result lies, as the chain has it; empty before that.
        is_settled: Whether the task is final, or will not be heard of any more.
        error: Why it will not be heard of any more.
    """

    stage: Stage = Stage.WAITING
    contributors: list[Address] = field(default_factory=list)
    provers: list[Address] = field(default_factory=list)
    digest: Hash32 | None = None
    results: bytes = b""
    is_settled: bool = False
    error: VoisinError | None = None
    _callers: list[Callable[[], None]] = field(default_factory=list)

    def give_up(self, error: VoisinError) -> None:
        """Tell those who wait that nothing more will be heard."""
        if not self.stage.is_final:
            self.error = error
            self._settle()

    def when_settled(self, call: Callable[[], None]) -> None:
        """Have something called once the task is settled; at once if it is: who waits for thousands needs no task for each."""
        if self.is_settled:
            call()
        else:
            self._callers.append(call)

    async def until_settled(self) -> None:
        """Wait until the task is settled."""
        if not self.is_settled:
            settled = anyio.Event()
            self.when_settled(settled.set)
            await settled.wait()

    async def final(self) -> Stage:
        """
        Wait for the task's end.

        Raises:
            VoisinError: Nothing more will be heard of the task.
        """
        await self.until_settled()
        if self.error is not None:
            raise self.error
        return self.stage

    def end(self, stage: Stage, workers: Iterable[Address] = ()) -> None:
        """Take into account how the task of a bag ended, which the chain does not say of single tasks."""
        for worker in workers:
            _add(self.contributors, worker)
            _add(self.provers, worker)
        self._reach(stage)
        if self.stage.is_final:
            self._settle()

    def apply(self, event: Event) -> None:
        """Take one of the task's events into account; the same event twice changes nothing."""
        match event:
            case TaskInitialized():
                self._reach(Stage.STARTED)
            case TaskContributed(worker=worker):
                self._reach(Stage.ANSWERED)
                _add(self.contributors, worker)
            case ConsensusReached():
                self._reach(Stage.AGREED)
            case TaskRevealed(worker=worker, digest=digest):
                self._reach(Stage.SHOWN)
                self.digest = digest
                _add(self.provers, worker)
            case TaskReopened():
                self.stage = self.stage if self.stage.is_final else Stage.STARTED
            case TaskFinalized(results=results):
                self.results = results
                self._reach(Stage.COMPLETED)
            case TaskClaimed():
                self._reach(Stage.FAILED)
            case _:
                return
        if self.stage.is_final:
            self._settle()

    def _settle(self) -> None:
        self.is_settled = True
        callers, self._callers = self._callers, []
        for call in callers:
            call()

    def _reach(self, stage: Stage) -> None:
        self.stage = max(self.stage, stage)


def _add(workers: list[Address], worker: Address) -> None:
    if worker not in workers:
        workers.append(worker)


class Watch:
    """
    Follows the hub for all watched tasks.

    `run` is the background task that does it; `add` starts to watch, `changed` waits for the next news of any task.
    """

    def __init__(self, chain: Chain, *, patience_s: float = PATIENCE_S) -> None:
        """
        Args:
            chain: The chain.
            patience_s: How long the chain may be out of reach before those who wait are told [s].
        """
        self._chain = chain
        self._patience_s = patience_s
        self._tasks: dict[TaskId, Watched] = {}
        self._bags: dict[DealId, list[tuple[BagStory, Mapping[TaskId, Watched]]]] = {}
        self._wanted = anyio.Event()
        self._news = anyio.Event()
        self._next_block: int | None = None
        self._trusts_news = False

    @property
    def next_block(self) -> int | None:
        """The first block that was not read yet; None before there was anything to wait for."""
        return self._next_block

    async def add(self, tasks: Iterable[TaskId]) -> Mapping[TaskId, Watched]:
        """Start to watch tasks; what happened to them until now must then be told with `tell`."""
        watched = {task: self._tasks.setdefault(task, Watched()) for task in tasks}
        await self._begin()
        return watched

    async def add_bag(self, story: BagStory, tasks: Iterable[TaskId]) -> Mapping[TaskId, Watched]:
        """Start to watch a bag; how its tasks end is for the caller to say, because the chain does not (`Watched.end`)."""
        watched = {task: Watched() for task in tasks}
        self._bags.setdefault(story.deal_id, []).append((story, watched))
        await self._begin()
        return watched

    def tell(self, logs: Iterable[Logged]) -> None:
        """Take events into account, from the past or from the follower."""
        for logged in logs:
            if isinstance(logged.event, BagEvent):
                for story, _ in self._bags.get(logged.event.deal_id, []):
                    story.apply(logged.event)
            task = subject(logged.event)
            if task is not None and (watched := self._tasks.get(task)) is not None:
                watched.apply(logged.event)
                if watched.stage.is_final:
                    del self._tasks[task]
        self.announce()

    async def changed(self) -> None:
        """Wait until something may have changed."""
        await self._news.wait()

    async def run(self) -> None:
        """Follow the chain from the first wish on, until cancelled; the chain's absence is told to those who wait."""
        while True:
            await self._wanted.wait()
            try:
                await self._follow()
            except VoisinError as error:
                self._wanted = anyio.Event()
                self._give_up(error)

    async def _begin(self) -> None:
        if self._next_block is None:
            self._next_block = await self._chain.block_number() + 1
        self._wanted.set()

    async def _follow(self) -> None:
        """Read block after block; raise once the chain has been out of reach for too long."""
        last_news = anyio.current_time()
        while True:
            try:
                await self._look()
                last_news = anyio.current_time()
            except UnavailableError:
                if anyio.current_time() - last_news > self._patience_s:
                    raise
                await anyio.sleep(_PAUSE_S)

    async def _look(self) -> None:
        """Read what is new, as far as the chain's news tell; where they do not, or tell too early, ask how far the chain is."""
        assert self._next_block is not None
        told = self._chain.heads.height
        if told >= self._next_block:
            with suppress(UnavailableError):
                await self._read_to(told)
                self._trusts_news = True
                return
            self._trusts_news = False
        if not self._trusts_news:
            height = await self._chain.block_number()
            if height >= self._next_block:
                await self._read_to(height)
                return
            if told >= self._next_block:
                await anyio.sleep(_POLL_S)
        self._trusts_news = await self._chain.heads.wait(self._next_block - 1, poll_s=_POLL_S)

    async def _read_to(self, height: int) -> None:
        assert self._next_block is not None
        self.tell(await events_of(self._chain, self._next_block, height, height=height))
        self._next_block = height + 1

    def _give_up(self, error: VoisinError) -> None:
        waiting, self._tasks = self._tasks, {}
        in_bags = [watched for found in self._bags.values() for _, tasks in found for watched in tasks.values()]
        for watched in (*waiting.values(), *in_bags):
            watched.give_up(error)
        self._bags.clear()
        self._next_block = None
        self.announce()

    def announce(self) -> None:
        """Wake who waits for news."""
        self._news.set()
        self._news = anyio.Event()
