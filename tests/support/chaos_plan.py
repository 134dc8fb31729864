"""What a run of chaos does, drawn from one seed: which deals are made and when, who is killed and when."""

from __future__ import annotations

import random
from dataclasses import dataclass

SOLD_BY = 0.8
"""The part of the torment after which all deals are made."""


@dataclass(frozen=True, kw_only=True)
class Sale:
    """A deal that is made: its number of tasks, whether it is settled as a bag, and when it is made [s since the start]."""

    volume: int
    is_bag: bool
    at_s: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    What a run does.

    Attributes:
        bag: Tasks of each bag.
        bags: Deals that are settled as a bag; the first is made at once.
        tasks: Tasks that are settled one by one, in all.
        deals: Deals that they are in.
        workers: Workers; the first of every ten, and at least one, lies.
        schedulers: Schedulers that share the pool.
        run_s: How long a run of an app takes, beside what it computes: with none a bag would be over before anybody is killed [s].
        window_s: How long bags may be challenged [s].
        every_s: Mean time between two kills [s].
        kill_s: How long processes are killed [s].
        within_s: How long the whole may take [s].
        seed: Where everything random comes from.
    """

    bag: int = 0
    bags: int = 0
    tasks: int = 0
    deals: int = 0
    workers: int
    schedulers: int = 2
    run_s: float = 0.0
    window_s: int = 20
    every_s: float = 3.0
    kill_s: float = 360.0
    within_s: float = 600.0
    seed: int = 0

    def kills(self) -> list[tuple[float, str]]:
        """Say who is killed and when [s since the start]: one of the kinds of processes, and then one of that kind."""
        dice, at, found = random.Random(self.seed), 0.0, []
        kinds = [
            ["chain"],
            ["storage"],
            ["market"],
            [f"scheduler-{number}" for number in range(self.schedulers)],
            [f"scheduler-{number}" for number in range(self.schedulers)],
            [f"worker-{number}" for number in range(self.workers)],
            [f"worker-{number}" for number in range(self.workers)],
        ]
        while True:
            at += self.every_s * dice.uniform(0.5, 1.5)
            if at >= self.kill_s:
                return found
            found.append((at, dice.choice(dice.choice(kinds))))

    def sales(self) -> list[Sale]:
        """Say which deals are made, in order."""
        bags = [Sale(volume=self.bag, is_bag=True, at_s=self._place(number, self.bags)) for number in range(self.bags)]
        size, rest = divmod(self.tasks, self.deals or 1)
        others = [
            Sale(volume=size + (1 if number < rest else 0), is_bag=False, at_s=self._place(number, self.deals))
            for number in range(self.deals)
        ]
        return sorted([*bags, *others], key=lambda sale: sale.at_s)

    def _place(self, number: int, count: int) -> float:
        return number * SOLD_BY * self.kill_s / count

    @property
    def liars(self) -> int:
        """How many workers lie."""
        return max(1, self.workers // 10)
