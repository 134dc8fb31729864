"""
Carrying out what the machine asks for: words to workers at once, steps on chain, vault and storage beside the loop.

Each answer comes back as a fact. While the lease is over nothing is carried out: it waits, and is done later for what is still held.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

import anyio
import structlog
from anyio.abc import TaskGroup

from voisin.errors import StateError, UnavailableError, VoisinError
from voisin.pool.chain.steps import StepRunner
from voisin.pool.heart.book import Book
from voisin.pool.heart.commands import (
    AskChallenge,
    AssignReplica,
    ChainStep,
    CheckUpload,
    Claim,
    Command,
    Drop,
    Finalize,
    GiveBack,
    Initialize,
    ReadDeadline,
    Reopen,
    Retire,
    Tell,
)
from voisin.pool.heart.facts import ChallengeFailed, ChallengeGiven, Fact, UploadChecked
from voisin.pool.heart.records import ENDS
from voisin.pool.running.desk import WorkerDesk
from voisin.pool.running.metrics import PoolMetrics
from voisin.pool.running.surroundings import Condition, Surroundings
from voisin.pool.running.tenure import Tenure
from voisin.pool.running.uploads import check_upload
from voisin.pool.settings import PoolSettings
from voisin.protocol.wire import Release

_log = structlog.get_logger()


@dataclass(kw_only=True)
class CommandRunner:
    """
    Carries a pool's commands out.

    Attributes:
        settings: How the pool is set up.
        around: What it works with.
        book: What it remembers, which says whose deal a task is.
        desk: Its workers' connections.
        tenure: Says whether the lease counts, and which deals are held.
        steps: Takes steps to the chain.
        metrics: Its figures.
        condition: How it is.
        tell: Takes what came of a command.
    """

    settings: PoolSettings
    around: Surroundings
    book: Book
    desk: WorkerDesk
    tenure: Tenure
    steps: StepRunner
    metrics: PoolMetrics
    condition: Condition
    tell: Callable[[Fact], None]
    _held_back: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._limit = anyio.CapacityLimiter(self.settings.steps_at_once)

    def carry_out(self, command: Command, tasks: TaskGroup) -> None:
        """Carry a command out, now or in a task of the group; or keep it until the lease counts again."""
        if not self.tenure.is_valid:
            self._held_back.append(command)
            return
        match command:
            case Tell():
                self.desk.say(command.worker, command.message)
            case AssignReplica():
                self.desk.assign(command)
            case Drop():
                self.desk.drop(command.worker, command.why)
            case Retire():
                tasks.start_soon(self._retire, command)
            case AskChallenge():
                tasks.start_soon(self._ask_challenge, command)
            case CheckUpload():
                tasks.start_soon(self._check_upload, command)
            case Initialize() | Finalize() | Reopen() | Claim() | GiveBack() | ReadDeadline():
                tasks.start_soon(self._step, command)
            case _:
                assert_never(command)

    def go_on(self, tasks: TaskGroup) -> None:
        """Do what was held back while the lease was over, as far as it is still this scheduler's."""
        waiting, self._held_back = self._held_back, []
        for command in waiting:
            if self._is_held(command):
                self.carry_out(command, tasks)

    def _is_held(self, command: Command) -> bool:
        if isinstance(command, Tell | Retire | Drop):
            return True
        if isinstance(command, Initialize | Finalize | Reopen | Claim | GiveBack | AssignReplica):
            return command.deal_id in self.tenure.lease.epochs
        task = self.book.tasks.get(command.task_id)
        return task is not None and task.record.deal_id in self.tenure.lease.epochs

    async def _retire(self, command: Retire) -> None:
        """Have a worker forget a task that is over, or of which nobody knows."""
        try:
            file = await self.around.store.task(command.task_id)
        except UnavailableError as error:
            _log.warning("task_not_looked_up", task_id=command.task_id, reason=error.message)
            return
        is_alone = len(self.tenure.company.peers) <= 1
        if (file is None and is_alone) or (file is not None and file.task.phase in ENDS):
            self.desk.say(command.worker, Release(command.task_id))

    async def _step(self, command: ChainStep | ReadDeadline) -> None:
        async with self._limit:
            outcome = await self.steps.run(command)
        self.metrics.steps.labels(type(command).__name__.lower(), outcome).inc()
        self.condition.step_trouble = self.steps.trouble

    async def _ask_challenge(self, command: AskChallenge) -> None:
        try:
            if self.around.vault is None:
                raise StateError("this pool has no vault", hint="set VOISIN_POOL_VAULT_URL")
            async with self._limit:
                challenge = await self.around.vault.challenge(command.task_id)
        except VoisinError as error:
            _log.warning("challenge_not_given", task_id=command.task_id, reason=error.message)
            self.tell(ChallengeFailed(command.task_id, error.message))
            return
        _log.info("challenge_given", task_id=command.task_id, enclave="simulated", challenge=challenge)
        self.tell(ChallengeGiven(command.task_id, challenge))

    async def _check_upload(self, command: CheckUpload) -> None:
        problem = await check_upload(self.around.results, self.settings, command)
        self.metrics.uploads.labels("refused" if problem else "good").inc()
        self.tell(UploadChecked(command.worker, command.task_id, command.cid, command.callback_data, problem))
