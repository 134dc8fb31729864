"""
Carrying the pool's own steps to the chain, each so that doing it twice does no harm.

A step that events say is certainly due is sent at once; any other first looks whether it is still due, so a pool that was
killed between sending and remembering pays nothing twice. What the hub refuses goes back to the machine with the reason.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from voisin.errors import VoisinError
from voisin.pool.chain.clock import PoolClock
from voisin.pool.chain.ledger import Ledger
from voisin.pool.heart.commands import ChainStep, Claim, Finalize, GiveBack, Initialize, ReadDeadline, Reopen
from voisin.pool.heart.facts import DeadlineRead, Step, StepFailed
from voisin.protocol.events import TaskInitialized
from voisin.protocol.ids import DealId, TaskId, from_hex, task_id
from voisin.protocol.records import Task, TaskStatus
from voisin.protocol.results import encode_link
from voisin.protocol.rules import FINAL_DEADLINE_RATIO, give_back_cost

GIVE_BACK_MARGIN_S = 60
"""By how much later than now a transaction that gives back may be mined, for what it may cost at most [s]."""

_log = structlog.get_logger()


class StepRunner:
    """
    Sends steps, and tells what became of those that failed; those that succeed show in the chain's events.

    Attributes:
        trouble: Why the last step was refused; empty when it was not.
    """

    def __init__(self, ledger: Ledger, clock: PoolClock, tell: Callable[[StepFailed | DeadlineRead | TaskInitialized], None]) -> None:
        """
        Args:
            ledger: The chain.
            clock: The time.
            tell: Takes facts to the machine.
        """
        self._ledger = ledger
        self._clock = clock
        self._tell = tell
        self.trouble = ""

    async def run(self, command: ChainStep | ReadDeadline) -> str:
        """
        Carry a step out.

        Returns:
            What came of it, in a word: `sent`, `needless`, `early` or `refused`.
        """
        try:
            outcome = await self._send(command)
        except VoisinError as error:
            return self._refuse(command, str(error))
        self.trouble = ""
        _log.info("step", outcome=outcome, **_about(command))
        return outcome

    async def _send(self, command: ChainStep | ReadDeadline) -> str:
        match command:
            case Initialize():
                return await self._initialize(command)
            case Finalize():
                return await self._finalize(command)
            case Reopen():
                return await self._reopen(command)
            case Claim():
                return await self._claim(command)
            case GiveBack():
                return await self._give_back(command)
            case ReadDeadline():
                return await self._read_deadline(command.task_id)

    async def _initialize(self, command: Initialize) -> str:
        indexes = list(command.indexes)
        if not command.is_certain:
            indexes = await self._indexes(command.deal_id, command.indexes, lambda task: task is None)
        if not indexes:
            return "needless"
        for opened in await self._ledger.initialize([(command.deal_id, index) for index in indexes]):
            self._tell(opened)  # sooner than it comes by the chain's follower, which tells it again
        return "sent"

    async def _finalize(self, command: Finalize) -> str:
        if not command.is_certain:
            task = await self._task(command.task_id)
            if task is None or task.status is not TaskStatus.REVEALING:
                return self._judge_absent(command, task)
            is_partial = task.reveal_counter < task.winner_counter
            if is_partial and self._clock.now().chain < task.reveal_deadline:
                self._tell(DeadlineRead(command.task_id, task.reveal_deadline))
                return "early"
        results, callback = encode_link(command.cid), from_hex(command.callback_data)
        await self._ledger.finalize(
            command.task_id, results, callback, has_callback=command.has_callback, contributors=command.contributors
        )
        return "sent"

    async def _reopen(self, command: Reopen) -> str:
        task = await self._task(command.task_id)
        if task is None or task.status is not TaskStatus.REVEALING or task.reveal_counter:
            return self._judge_absent(command, task)
        if self._clock.now().chain < task.reveal_deadline:
            self._tell(DeadlineRead(command.task_id, task.reveal_deadline))
            return "early"
        await self._ledger.reopen(command.task_id)
        return "sent"

    async def _claim(self, command: Claim) -> str:
        absent = await self._indexes(command.deal_id, command.indexes, lambda task: task is None)
        open_ = await self._indexes(command.deal_id, command.indexes, _is_open)
        if absent:
            await self._ledger.initialize_and_claim([(command.deal_id, index) for index in absent])
        if open_:
            await self._ledger.claim([task_id(command.deal_id, index) for index in open_])
        return "sent" if absent or open_ else "needless"

    async def _give_back(self, command: GiveBack) -> str:
        """Give back what is still open and not agreed, at what it costs by now; a contribution in between makes the hub refuse."""
        found = await self._ledger.tasks([task_id(command.deal_id, index) for index in command.indexes])
        fit = {index: task for index, task in zip(command.indexes, found, strict=True) if task is None or task.status is TaskStatus.ACTIVE}
        if not fit:
            return "needless"
        contributors = [len(task.contributors) for task in fit.values() if task is not None]
        forfeited = len(contributors) if command.is_direct else sum(1 for count in contributors if count)
        final_s = FINAL_DEADLINE_RATIO * command.time_ref_s
        late_s = min(max(0, self._clock.now().chain - command.start) + GIVE_BACK_MARGIN_S, final_s)
        others = len(fit) - forfeited
        most = give_back_cost(command.stake, forfeited=forfeited, others=others, late_s=late_s, time_ref_s=command.time_ref_s)
        await self._ledger.give_back(command.deal_id, list(fit), most=most, contributors=sum(contributors))
        return "sent"

    async def _read_deadline(self, task: TaskId) -> str:
        found = await self._task(task)
        if found is not None:
            self._tell(DeadlineRead(task, found.reveal_deadline))
        return "sent"

    def _judge_absent(self, command: Finalize | Reopen, task: Task | None) -> str:
        """A task in another status is either past this step, which the events will tell, or not ready for it."""
        if task is not None and task.status in (TaskStatus.COMPLETED, TaskStatus.FAILED):
            return "needless"
        if isinstance(command, Reopen) and task is not None:
            return "needless"
        return self._refuse(command, "the hub does not see the task as agreed")

    async def _task(self, task: TaskId) -> Task | None:
        return (await self._ledger.tasks([task]))[0]

    async def _indexes(self, deal: DealId, indexes: tuple[int, ...], fits: Callable[[Task | None], bool]) -> list[int]:
        found = await self._ledger.tasks([task_id(deal, index) for index in indexes])
        return [index for index, task in zip(indexes, found, strict=True) if fits(task)]

    def _refuse(self, command: ChainStep | ReadDeadline, reason: str) -> str:
        self.trouble = reason
        _log.warning("step_refused", reason=reason, **_about(command))
        if not isinstance(command, ReadDeadline):
            self._tell(StepFailed(_STEPS[type(command)], command.deal_id, _indexes_of(command), reason))
        return "refused"


_STEPS: dict[type[ChainStep], Step] = {
    Initialize: Step.INITIALIZE,
    Finalize: Step.FINALIZE,
    Reopen: Step.REOPEN,
    Claim: Step.CLAIM,
    GiveBack: Step.GIVE_BACK,
}


def _indexes_of(command: ChainStep) -> tuple[int, ...]:
    return command.indexes if isinstance(command, Initialize | Claim | GiveBack) else (command.index,)


def _about(command: ChainStep | ReadDeadline) -> dict[str, object]:
    """Say in a log what a step is about."""
    told: dict[str, object] = {"step": type(command).__name__.lower()}
    if isinstance(command, Initialize | Claim | GiveBack):
        return told | {"deal_id": command.deal_id, "indexes": list(command.indexes)}
    return told | {"task_id": command.task_id}


def _is_open(task: Task | None) -> bool:
    return task is not None and task.status in (TaskStatus.ACTIVE, TaskStatus.REVEALING)
