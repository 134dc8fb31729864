"""Bags in memory, for tests and simulations: there is one scheduler, and nothing survives the process."""

# ruff: noqa: ARG002  a twin is asked what a database is asked, and needs less

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from voisin.pool.bags.records import BagChanges, BagRecord, BagSnapshot, EndedTask, Vote
from voisin.pool.database.claims import Lease
from voisin.pool.heart.records import DealRecord
from voisin.protocol.ids import Address, DealId, TaskId, task_id
from voisin.units import NRLC


class MemoryBagStore:
    """Bags in memory; see `voisin.pool.bags.store.BagStore`."""

    def __init__(self, forget: Callable[[Collection[DealId]], None]) -> None:
        """
        Args:
            forget: Told which deals are over.
        """
        self._forget = forget
        self._bags: dict[DealId, BagRecord] = {}
        self._votes: dict[tuple[DealId, int, Address], Vote] = {}
        self._ended: dict[tuple[DealId, int], EndedTask] = {}
        self._earned: dict[tuple[DealId, Address], NRLC] = {}

    def begin(self, deals: Iterable[DealRecord]) -> None:
        """Remember deals that are settled as a bag."""
        self._bags = {terms.deal_id: BagRecord(terms=terms) for terms in deals} | self._bags

    def unfinished(self) -> list[DealRecord]:
        """List the deals for which something is left to do."""
        return [record.terms for record in self._bags.values() if not record.is_over]

    async def save(self, changes: BagChanges, lease: Lease) -> set[DealId]:
        """Remember changes; there is nobody who could have taken a deal over."""
        self._bags |= changes.bags
        self._votes = {(deal, vote.index, vote.worker): vote for deal, vote in changes.votes} | self._votes
        self._ended = {(deal, task.index): task for deal, task in changes.ended} | self._ended
        self._earned |= changes.earned
        self._forget(changes.over)
        return set()

    async def record(self, deal_id: DealId) -> BagRecord | None:
        """Find a bag."""
        return self._bags.get(deal_id)

    async def load(self, deal_id: DealId) -> BagSnapshot | None:
        """Give what is needed to go on with a bag."""
        record = self._bags.get(deal_id)
        if record is None:
            return None
        ended = {task.index: task.has_result for task in await self.ended(deal_id)}
        votes = [vote for (deal, index, _), vote in self._votes.items() if deal == deal_id and index not in ended]
        lacks_votes = any(ended.values()) and not any(deal == deal_id for deal, _, _ in self._votes)
        return BagSnapshot(record=record, ended=ended, votes=tuple(votes), earned=await self.earned(deal_id), lacks_votes=lacks_votes)

    async def ended(self, deal_id: DealId) -> list[EndedTask]:
        """List the tasks of a bag that have ended, by index."""
        return sorted((task for (deal, _), task in self._ended.items() if deal == deal_id), key=lambda task: task.index)

    async def ended_after(self, deal_id: DealId, place: int, limit: int) -> list[EndedTask]:
        """List some of those that ended after the `place`-th, in the order in which they did."""
        found = sorted(await self.ended(deal_id), key=lambda task: task.place)
        return [task for task in found if task.place > place][:limit]

    async def count(self, deal_id: DealId) -> tuple[int, int]:
        """Count the tasks of a bag that have ended, with and without a result."""
        ended = await self.ended(deal_id)
        done = sum(task.has_result for task in ended)
        return done, len(ended) - done

    async def ended_task(self, task: TaskId) -> tuple[DealId, EndedTask] | None:
        """Find a task that has ended."""
        return next(((deal, ended) for (deal, index), ended in self._ended.items() if task_id(deal, index) == task), None)

    async def votes(self, deal_id: DealId, index: int) -> list[Vote]:
        """List what was said of a task."""
        return [vote for (deal, at, _), vote in self._votes.items() if (deal, at) == (deal_id, index)]

    async def earned(self, deal_id: DealId) -> dict[Address, NRLC]:
        """Tell what each worker was told that it has earned [nRLC]."""
        return {worker: amount for (deal, worker), amount in self._earned.items() if deal == deal_id}
