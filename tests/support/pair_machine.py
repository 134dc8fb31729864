"""A sequence of calls on both hubs: what all machines of `pair_steps_*` begin with."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any
from zlib import crc32

from hypothesis.stateful import RuleBasedStateMachine

from tests.support.evm import Receipt, RevertedError
from tests.support.orders import task_id
from tests.support.pair import Outcome
from tests.support.pair_world import Party, Task, World

ACTIVE, REVEALING, COMPLETED, FAILED = 1, 2, 3, 4
STATUS_AFTER = {
    "TaskInitialize": ACTIVE,
    "TaskConsensus": REVEALING,
    "TaskReopen": ACTIVE,
    "TaskFinalize": COMPLETED,
    "TaskClaimed": FAILED,
}


@cache
def the_world() -> World:
    """The one world on which all sequences of this process run; each leaves it as it was."""
    return World()


class PairMachine(RuleBasedStateMachine):
    """Steps on both hubs, and what they have touched."""

    def __init__(self) -> None:
        super().__init__()
        self.world = the_world()
        self.pair, self.market = self.world.pair, self.world.market
        self.roles = self.market.roles
        self.marks = [evm.mark() for evm in self.pair.evms]
        self.before = (self.world.count, list(self.world.deals), list(self.world.tasks), dict(self.world.owners))
        self.world.tasks = [Task(task.deal, task.index) for task in self.world.tasks]
        self.touched_tasks: dict[bytes, Task] = {}
        self.seen_orders: list[dict[str, dict[str, Any]]] = []
        self.luck = 0
        self.allowances: set[tuple[str, str]] = set()
        self.hashes: set[bytes] = set()

    def teardown(self) -> None:
        """Compare all that was touched once more, and put the world back."""
        try:
            self.compare_records()
        finally:
            for evm, mark in zip(self.pair.evms, self.marks, strict=True):
                evm.rewind(mark)
            self.world.count, self.world.deals, self.world.tasks, self.world.owners = self.before

    def compare_records(self) -> None:
        """Every view of what this sequence has touched."""
        ask = self.pair.ask
        for deal in {task.deal.identity for task in self.touched_tasks.values()}:
            for view in ("viewDeal", "viewDealABILegacy_pt1", "viewDealABILegacy_pt2", "viewConfigABILegacy"):
                ask(view, deal)
        for task, note in self.touched_tasks.items():
            for view in ("viewTask", "viewTaskABILegacy", "resultFor"):
                ask(view, task)
            for worker in note.votes:
                ask("viewContribution", task, worker)
                ask("viewContributionABILegacy", task, worker)
        for pair in sorted(self.allowances):
            ask("allowance", *pair)
        for digest in sorted(self.hashes):
            ask("viewConsumed", digest)
            ask("viewPresigned", digest)

    # --- choices
    def dice(self, seed: int) -> Random:
        """Chance that depends on a seed and on all that was done before, so that an equal seed seldom means an equal step."""
        return Random(f"{seed} {self.luck}")

    def person(self, number: int) -> Party:
        """Somebody."""
        return self.world.people[number % len(self.world.people)]

    def task(self, number: int, *likely: int) -> Task:
        """A task: mostly one for which the step makes sense, now and then any."""
        tasks = self.world.tasks
        fitting = [task for task in tasks if task.status in likely]
        choice = fitting if fitting and number % 8 else tasks
        return choice[number // 8 % len(choice)]

    # --- steps
    def do(self, function: str, *arguments: Any, by: str) -> Outcome:
        """A call of the hub; what it does to tasks is noted and compared."""
        self.luck = crc32(repr((function, arguments, by)).encode(), self.luck)
        outcome = self.pair.do(function, *arguments, by=by)
        if isinstance(outcome, RevertedError):
            return outcome
        changed = []
        for event in self.market.hub_events(outcome):
            if event[0] in STATUS_AFTER and not function.endswith("Boost"):
                task = self._task_of(event[1])
                task.status = STATUS_AFTER[event[0]]
                if event[0] == "TaskConsensus":
                    task.reveal_deadline = self.pair.time + 2 * task.deal.time_ref
                changed.append(event[1])
        for identity in dict.fromkeys(changed):
            self.pair.ask("viewTask", identity)
        return outcome

    def did(self, outcome: Outcome) -> bool:
        """Tell whether a step was done."""
        return isinstance(outcome, Receipt)

    def _task_of(self, identity: bytes) -> Task:
        """Find the note of a task by its id; the tasks of a sequence are few."""
        found = self.touched_tasks.get(identity)
        if found is None:
            found = next(task for task in self.world.tasks if task_id(task.deal.identity, task.index) == identity)
            self.touched_tasks[identity] = found
        return found
