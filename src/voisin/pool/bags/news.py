"""
What was saved of running bags a moment ago, kept at hand for those who wait for results: thousands of tasks are told without being read.

Only what is saved is told here, so a result that was shown is a result that will be posted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from voisin.pool.bags.records import BagChanges, BagRecord, EndedTask
from voisin.pool.bags.store import BagStore
from voisin.protocol.ids import DealId

MAX_RECENT: Final = 2_048
"""Ended tasks of one bag that are at hand [tasks]; older ones are read."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A bag as it is saved, with how many of its tasks have ended, with and without a result."""

    record: BagRecord
    done: int
    undone: int


@dataclass(slots=True)
class _Saved:
    record: BagRecord
    done: int
    undone: int
    recent: deque[EndedTask] = field(default_factory=lambda: deque(maxlen=MAX_RECENT))

    def after(self, place: int, limit: int) -> list[EndedTask] | None:
        """List what ended after the `place`-th, by place; None if not all of that is at hand."""
        last = self.done + self.undone
        if place >= last:
            return []
        first = last - len(self.recent) + 1
        if place + 1 < first:
            return None
        start = place + 1 - first
        return [self.recent[at] for at in range(start, min(start + limit, len(self.recent)))]


class BagNews:
    """What is saved of bags: of those that are run here mostly from memory, of others from the records."""

    def __init__(self, store: BagStore) -> None:
        """
        Args:
            store: The records.
        """
        self._store = store
        self._saved: dict[DealId, _Saved] = {}

    def begin(self, record: BagRecord, done: int, undone: int) -> None:
        """A bag is run here from now on, and saved as it is."""
        self._saved[record.deal_id] = _Saved(record, done, undone)

    def end(self, deal_id: DealId) -> None:
        """A bag is run here no more."""
        self._saved.pop(deal_id, None)

    def take(self, changes: BagChanges) -> None:
        """Changes are saved."""
        for deal_id, record in changes.bags.items():
            if deal_id in self._saved:
                self._saved[deal_id].record = record
        for deal_id, task in changes.ended:
            saved = self._saved.get(deal_id)
            if saved is not None:
                saved.done, saved.undone = saved.done + task.has_result, saved.undone + (not task.has_result)
                saved.recent.append(task)

    async def standing(self, deal_id: DealId) -> Standing | None:
        """Tell how a bag stands; None if there is none."""
        saved = self._saved.get(deal_id)
        if saved is not None:
            return Standing(saved.record, saved.done, saved.undone)
        record = await self._store.record(deal_id)
        return None if record is None else Standing(record, *await self._store.count(deal_id))

    async def ended_after(self, deal_id: DealId, place: int, limit: int) -> list[EndedTask]:
        """List some tasks that ended after the `place`-th, in the order in which they did."""
        saved = self._saved.get(deal_id)
        found = saved.after(place, limit) if saved is not None else None
        return found if found is not None else await self._store.ended_after(deal_id, place, limit)
