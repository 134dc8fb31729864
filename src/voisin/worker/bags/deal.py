"""What a worker knows of one deal, and how it counts what it is owed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from voisin.protocol.ids import DealId
from voisin.protocol.wire_words import MachineFailure
from voisin.units import NRLC, format_amount
from voisin.worker.bags.words import BagTerms, Stage

SHORT_S: Final = 0.1
"""Tasks that are quicker than this are run in series [s]."""
TURN_S: Final = 0.05
"""How long a series should take [s]: long enough to be worth it, short enough for a first result."""
MAX_SERIES: Final = 250
_NEWEST: Final = 0.3
"""How much the newest measure of a task's duration counts."""


@dataclass(slots=True)
class Bag:
    """
    One deal.

    Attributes:
        deal_id: The deal.
        stage: Where the worker stands with it.
        terms: What the chain says of it, once it was asked.
        waiting: Tasks to do, in the order in which they are wanted.
        running: Tasks that are being done.
        writing: Tasks whose results are on their way to the disk.
        said: Tasks that have a result, and whether there is a receipt for it.
        asked: Of these, those that the pool wants to see, and that have no receipt yet.
        storing: Those that are on their way into storage.
        shown: Those that were shown since the worker started.
        earned: The last statement [nRLC].
        each_s: How long a task takes [s]; None before the first has ended.
        why_closed: Why it takes no more tasks.
    """

    deal_id: DealId
    stage: Stage
    terms: BagTerms | None = None
    waiting: dict[int, None] = field(default_factory=dict)
    running: set[int] = field(default_factory=set)
    writing: set[int] = field(default_factory=set)
    said: dict[int, bool] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)
    storing: set[int] = field(default_factory=set)
    shown: set[int] = field(default_factory=set)
    earned: NRLC = NRLC(0)
    each_s: float | None = None
    why_closed: tuple[MachineFailure, str] = (MachineFailure.TASK_NOT_ACTIVE, "the deal is over")
    _due: deque[tuple[float, int]] = field(default_factory=deque)
    _overdue: int = 0

    def has(self, index: int) -> bool:
        """Tell whether a task is anywhere."""
        return index in self.said or index in self.waiting or index in self.running or index in self.writing

    def is_own(self, index: int) -> bool:
        """Tell whether the deal has a task, as far as is known."""
        return self.terms is None or self.terms.first_index <= index < self.terms.first_index + self.terms.volume

    def foreign(self) -> tuple[int, ...]:
        """Take out waiting tasks that the deal does not have."""
        found = tuple(index for index in self.waiting if not self.is_own(index))
        for index in found:
            del self.waiting[index]
        return found

    def unsaid(self) -> tuple[int, ...]:
        """List the tasks that were given and have no result yet."""
        return (*self.waiting, *sorted(self.running))

    # --- running ---

    def may_run(self, unpaid_max: int) -> bool:
        """Tell whether a task can be begun now."""
        return self.stage is Stage.OPEN and bool(self.waiting) and not self.is_owed and self.unpaid <= unpaid_max

    def next_runs(self) -> tuple[tuple[int, ...], bool]:
        """Take the next tasks, and tell whether they go into a series."""
        is_series = self.each_s is not None and self.each_s < SHORT_S
        count = max(1, min(MAX_SERIES, int(TURN_S / max(self.each_s or 0.0, 1e-6)))) if is_series else 1
        indexes = tuple(index for index, _ in zip(self.waiting, range(count), strict=False))
        for index in indexes:
            del self.waiting[index]
        self.running.update(indexes)
        return indexes, is_series

    def put_back(self, indexes: Iterable[int]) -> None:
        """Have tasks wait again, before all others."""
        back = dict.fromkeys(index for index in indexes if index in self.running)
        self.running.difference_update(back)
        self.waiting = {**back, **self.waiting}

    def finish(self, indexes: Iterable[int]) -> None:
        """Tasks have come to a result, which is being written down."""
        self.running.difference_update(indexes)
        self.writing.update(indexes)

    def forget(self, indexes: Iterable[int]) -> None:
        """Tasks were given up."""
        for index in indexes:
            self.waiting.pop(index, None)
            self.running.discard(index)
            self.writing.discard(index)

    def note_pace(self, each_s: float) -> None:
        """Take a measure of how long a task takes [s]."""
        self.each_s = each_s if self.each_s is None else (1 - _NEWEST) * self.each_s + _NEWEST * each_s

    # --- money ---

    @property
    def unpaid(self) -> int:
        """Results that were shown, and are not in a statement."""
        share = self.terms.least_share if self.terms is not None else 0
        return max(0, len(self.shown) - self.earned // share) if share else 0

    @property
    def is_owed(self) -> bool:
        """Whether a statement is missing, or too low, for longer than a pool may take."""
        return self.terms is not None and self.earned < self._overdue * self.terms.least_share

    def debt(self) -> str:
        """Say what is owed."""
        least = NRLC(self._overdue * (self.terms.least_share if self.terms is not None else 0))
        return f"the pool owes a statement of {format_amount(least)} at least, and has signed {format_amount(self.earned)}"

    def show(self, indexes: Iterable[int], now_s: float) -> None:
        """Results were shown; a statement is due for each that was not before."""
        before = len(self.shown)
        for index in indexes:
            self.storing.discard(index)
            self.shown.add(index)
        if len(self.shown) > before:
            self._due.append((now_s, len(self.shown)))

    def pay(self, amount: NRLC) -> None:
        """A statement came."""
        self.earned = max(self.earned, amount)

    def note_time(self, until_s: float) -> None:
        """What was shown before this time is overdue [s]."""
        while self._due and self._due[0][0] <= until_s:
            self._overdue = self._due.popleft()[1]
