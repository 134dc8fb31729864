"""What is to be said to workers, gathered over one round, so that each hears of many tasks in one message."""

from __future__ import annotations

from collections.abc import Iterable

from voisin.pool.bags.commands import BagCommand, GiveReceipts, GiveStatement, Say
from voisin.protocol.bag_wire import AskDigests, BagOver, GiveTasks, TakeBack
from voisin.protocol.ids import Address, DealId, Hash32
from voisin.units import NRLC

Place = tuple[Address, DealId]


class Mail:
    """One round's messages; what a worker is told of a deal comes in the order of the dialogue."""

    def __init__(self) -> None:
        self._receipts: dict[Place, dict[int, Hash32]] = {}
        self._asks: dict[Place, dict[int, None]] = {}
        self._statements: dict[Place, NRLC] = {}
        self._taken_back: dict[tuple[Place, str], dict[int, None]] = {}
        self._given: dict[Place, dict[int, None]] = {}
        self._over: dict[Place, None] = {}
        self._other: list[BagCommand] = []

    def receipt(self, worker: Address, deal: DealId, index: int, said: Hash32) -> None:
        """Promise a worker that the pool has its contribution."""
        self._receipts.setdefault((worker, deal), {})[index] = said

    def ask(self, worker: Address, deal: DealId, indexes: Iterable[int]) -> None:
        """Ask a worker to show results."""
        self._asks.setdefault((worker, deal), {}).update(dict.fromkeys(indexes))

    def statement(self, worker: Address, deal: DealId, amount: NRLC) -> None:
        """Tell a worker what it has earned [nRLC]."""
        self._statements[worker, deal] = amount

    def take_back(self, worker: Address, deal: DealId, index: int, reason: str) -> None:
        """Tell a worker to stop with a task."""
        self._taken_back.setdefault(((worker, deal), reason), {})[index] = None

    def give(self, worker: Address, deal: DealId, index: int) -> None:
        """Give a worker a task."""
        self._given.setdefault((worker, deal), {})[index] = None

    def over(self, worker: Address, deal: DealId) -> None:
        """Tell a worker that a deal is over."""
        self._over[worker, deal] = None

    def add(self, command: BagCommand) -> None:
        """Ask for something else."""
        self._other.append(command)

    def collect(self) -> list[BagCommand]:
        """Make the commands."""
        found: list[BagCommand] = [GiveReceipts(*place, tuple(said.items())) for place, said in self._receipts.items()]
        found += [Say(worker, AskDigests(deal, tuple(asked))) for (worker, deal), asked in self._asks.items()]
        found += [GiveStatement(*place, amount) for place, amount in self._statements.items()]
        found += [Say(worker, TakeBack(deal, tuple(tasks), why)) for ((worker, deal), why), tasks in self._taken_back.items()]
        found += [Say(worker, GiveTasks(deal, tuple(given))) for (worker, deal), given in self._given.items()]
        found += [Say(worker, BagOver(deal)) for worker, deal in self._over]
        return found + self._other
