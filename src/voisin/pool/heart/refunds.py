"""
Refunding what will not be done: tasks are given back at once where the hub can do it, and claimed at the final deadline elsewhere.

Source: contracts/SPEC.md 8.4, 8.7.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from voisin.pool.heart.book import Book, DealState, TaskState
from voisin.pool.heart.commands import Claim, GiveBack
from voisin.protocol.ids import DealId
from voisin.protocol.rules import workerpool_stake


@dataclass(slots=True)
class Refunds:
    """Tasks whose requesters are to have their money back now."""

    claimed: list[TaskState] = field(default_factory=list)
    given_back: list[TaskState] = field(default_factory=list)

    def commands(self, chunk: int) -> Iterator[Claim | GiveBack]:
        """
        Make transactions of them, by deal.

        Args:
            chunk: How many tasks one transaction may take.
        """
        for deal, indexes in _chunks(self.claimed, chunk):
            yield Claim(deal.record.deal_id, indexes)
        for deal, indexes in _chunks(self.given_back, chunk):
            terms = deal.record.deal
            yield GiveBack(
                deal_id=deal.record.deal_id,
                indexes=indexes,
                stake=workerpool_stake(terms.workerpool.price, 1),
                start=terms.start_time,
                time_ref_s=deal.record.time_ref_s,
                is_direct=deal.needs_enclave and terms.trust <= 1,
            )


def may_give_back(book: Book, task: TaskState) -> bool:
    """Tell whether a failed task can be given back: the hub lets us, the deal is ours, and its workers have not agreed."""
    return book.gives_back and task.record.consensus is None and task.deal.record.deal.workerpool.owner == book.scheduler


def _chunks(tasks: Sequence[TaskState], size: int) -> Iterator[tuple[DealState, tuple[int, ...]]]:
    by_deal: dict[DealId, list[TaskState]] = {}
    for task in tasks:
        by_deal.setdefault(task.record.deal_id, []).append(task)
    for found in by_deal.values():
        indexes = sorted(task.record.index for task in found)
        for start in range(0, len(indexes), size):
            yield found[0].deal, tuple(indexes[start : start + size])
