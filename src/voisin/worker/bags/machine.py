"""
The heart of bags: what happens goes in, what is to be done comes out. It reads no clock, no disk and no chain.

    deal:   RESTORED -> CHECKING -> FETCHING -> OPEN -> CLOSED -> forgotten, once the chain says that it is over
    task:   waiting -> running -> being written -> said -> has a receipt -> shown

A task is in one of these places; each step of a task waits for the one before, whatever the pool says in between. What is said is on
disk before the pool hears of it, and what has no receipt is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from voisin.protocol.bag_wire import Contributions, Digests, GaveUp
from voisin.protocol.ids import Address, DealId
from voisin.protocol.wire_words import MachineFailure
from voisin.worker.bags.deal import Bag
from voisin.worker.bags.words import (
    Approved,
    Asked,
    BagEvent,
    BagRecord,
    BagTerms,
    Check,
    CheckReceipts,
    CheckStatement,
    Command,
    Compute,
    Distrusted,
    Drop,
    Event,
    Fetch,
    Fetched,
    Given,
    Joined,
    Limited,
    NotStored,
    Over,
    Posted,
    Ran,
    ReceiptsCame,
    ReceiptsKept,
    Refused,
    Release,
    Repeat,
    Restored,
    Say,
    SayAll,
    Stage,
    StatementCame,
    StatementKept,
    Stopping,
    StopRuns,
    Store,
    Stored,
    TakenBack,
    TasksFailed,
    Ticked,
    Written,
)

MAX_DEALS: Final = 256
"""Deals that a worker has a part in at a time."""
MAX_WAITING: Final = 20_000
"""Tasks of one deal that may wait."""
PER_MESSAGE: Final = 250
"""Tasks in one message: it has to fit into what a pool takes."""

T = TypeVar("T")


class Heart:
    """
    Everything a worker decides about bags.

    Args:
        slots: Runs at a time.
        unpaid_max: Results of one deal that may be shown and not yet be paid for.
        statement_s: How long the pool may take to say what a shown result has earned [s].
    """

    def __init__(self, slots: int, *, unpaid_max: int, statement_s: float) -> None:
        self._slots = self._free = slots
        self._closed = ""
        self._unpaid_max = unpaid_max
        self._statement_s = statement_s
        self._bags: dict[DealId, Bag] = {}
        self._paces: dict[Address, float] = {}
        self._is_stopping = False

    def terms(self) -> list[BagTerms]:
        """List the deals that the chain is to be watched for."""
        return [bag.terms for bag in self._bags.values() if bag.terms is not None]

    @property
    def is_idle(self) -> bool:
        """Whether the worker has a part in no deal."""
        return not self._bags

    def step(self, event: Event) -> list[Command]:
        """
        Take in one event.

        Args:
            event: What happened. One that does not fit changes nothing.

        Returns:
            What is to be done, in order.
        """
        match event:
            case Restored(records):
                self._bags |= {record.terms.deal_id: _restored(record) for record in records}
                return []
            case Joined():
                return [SayAll(bag.deal_id, bag.unsaid(), bag.earned) for bag in self._bags.values()]
            case Stopping():
                self._is_stopping = True
                return [each for bag in self._bags.values() for each in _stop(bag)]
            case Limited():
                commands = self._limit(event)
            case Ticked(now_s):
                commands = [each for bag in self._bags.values() for each in self._tick(bag, now_s)]
            case _:
                commands = self._step_bag(event)
        return [*commands, *self._fill_lanes()]

    def _step_bag(self, event: BagEvent) -> list[Command]:
        if isinstance(event, Ran):
            self._free += 1
        bag = self._bags.get(event.deal_id)
        if bag is None:
            return self._admit(event) if isinstance(event, Given) else []
        return _TABLE[type(event)](self, bag, event)

    def _limit(self, event: Limited) -> list[Command]:
        """Go by what the owner wants. A worker that closes hands back what waits, and what runs only if that is urgent."""
        self._free += event.slots - self._slots
        self._slots, self._closed = event.slots, event.closed
        commands: list[Command] = []
        for bag in self._bags.values() if event.closed else ():
            commands += _give_up_all(bag, MachineFailure.PAUSED, event.closed)
            if event.is_urgent and bag.running:
                indexes = tuple(sorted(bag.running))
                bag.running.clear()
                commands += [*_give_up(bag.deal_id, indexes, MachineFailure.PAUSED, event.closed), StopRuns(bag.deal_id)]
        return commands

    def _admit(self, event: Given) -> list[Command]:
        if self._closed:
            return _give_up(event.deal_id, event.indexes, MachineFailure.PAUSED, self._closed)
        if self._is_stopping or len(self._bags) >= MAX_DEALS:
            detail = "it is stopping" if self._is_stopping else f"it works on {MAX_DEALS} deals already"
            return _give_up(event.deal_id, event.indexes, MachineFailure.NO_RESOURCES, detail)
        bag = self._bags[event.deal_id] = Bag(event.deal_id, Stage.CHECKING)
        return [Check(bag.deal_id), *_take(bag, event.indexes)]

    def _fill_lanes(self) -> list[Command]:
        """Start what waits, one deal after the other, as long as lanes are free."""
        commands: list[Command] = []
        for bag in list(self._bags.values()):
            while self._free > 0 and not self._is_stopping and bag.may_run(self._unpaid_max):
                self._free -= 1
                indexes, is_series = bag.next_runs()
                commands.append(Compute(bag.deal_id, indexes, is_series))
            if commands and commands[-1].deal_id == bag.deal_id:  # type: ignore[union-attr]  # it is a Compute
                self._bags[bag.deal_id] = self._bags.pop(bag.deal_id)  # the next turn begins with another deal
        return commands

    def _tick(self, bag: Bag, now_s: float) -> list[Command]:
        """A pool that owes a statement for too long gets its tasks back."""
        bag.note_time(now_s - self._statement_s)
        if not bag.is_owed or not bag.waiting:
            return []
        indexes = tuple(bag.waiting)
        bag.waiting.clear()
        return _give_up(bag.deal_id, indexes, MachineFailure.UNPAID, bag.debt())

    # --- what the pool says ---

    def _given(self, bag: Bag, event: Given) -> list[Command]:
        again = tuple(index for index in event.indexes if index in bag.said)
        fresh = tuple(index for index in event.indexes if not bag.has(index))
        commands: list[Command] = [Repeat(bag.deal_id, part) for part in parts(again)]
        if self._closed:
            return commands + _give_up(bag.deal_id, fresh, MachineFailure.PAUSED, self._closed)
        if bag.stage is Stage.CLOSED:
            return commands + _give_up(bag.deal_id, fresh, *bag.why_closed)
        if bag.is_owed:
            return commands + _give_up(bag.deal_id, fresh, MachineFailure.UNPAID, bag.debt())
        if fresh and bag.stage is Stage.RESTORED:
            bag.stage = Stage.CHECKING
            commands.append(Check(bag.deal_id))
        return commands + _take(bag, fresh)

    def _taken_back(self, bag: Bag, event: TakenBack) -> list[Command]:
        for index in event.indexes:
            bag.waiting.pop(index, None)
        return []

    def _asked(self, bag: Bag, event: Asked) -> list[Command]:
        bag.asked.update(index for index in event.indexes if index in bag.said)
        return self._show(bag)

    def _receipts_came(self, bag: Bag, event: ReceiptsCame) -> list[Command]:
        news = tuple(receipt for receipt in event.receipts if bag.said.get(receipt.index) is False)
        return [CheckReceipts(bag.terms, news)] if news and bag.terms is not None else []

    def _statement_came(self, bag: Bag, event: StatementCame) -> list[Command]:
        return [CheckStatement(bag.terms, event.statement, bag.earned)] if bag.terms is not None else []

    # --- what came of something ---

    def _approved(self, bag: Bag, event: Approved) -> list[Command]:
        bag.terms = event.terms
        bag.each_s = self._paces.get(event.terms.app)
        bag.stage = Stage.FETCHING
        foreign = bag.foreign()
        return [*_give_up(bag.deal_id, foreign, MachineFailure.TASK_NOT_ACTIVE, "the deal has no such task"), Fetch(event.terms)]

    def _fetched(self, bag: Bag, _event: Fetched) -> list[Command]:
        bag.stage = Stage.OPEN
        return []

    def _refused(self, bag: Bag, event: Refused) -> list[Command]:
        commands = _give_up_all(bag, event.failure, event.detail)
        if bag.said:
            bag.stage = Stage.RESTORED
            return [*commands, Release(bag.deal_id)]
        del self._bags[bag.deal_id]
        return [*commands, Drop(bag.deal_id)]

    def _ran(self, bag: Bag, event: Ran) -> list[Command]:
        bag.put_back(event.left)
        bag.finish(event.done)
        if event.done and bag.terms is not None:
            bag.note_pace(event.each_s)
            self._paces[bag.terms.app] = bag.each_s or 0.0
        return []

    def _tasks_failed(self, bag: Bag, event: TasksFailed) -> list[Command]:
        bag.forget(event.indexes)
        return _give_up(bag.deal_id, event.indexes, event.failure, event.detail)

    def _written(self, bag: Bag, event: Written) -> list[Command]:
        for contribution in event.contributions:
            bag.writing.discard(contribution.index)
            bag.said.setdefault(contribution.index, False)
        return [Say(Contributions(bag.deal_id, part)) for part in parts(event.contributions)]

    def _receipts_kept(self, bag: Bag, event: ReceiptsKept) -> list[Command]:
        bag.said |= dict.fromkeys(event.indexes, True)
        return self._show(bag)

    def _show(self, bag: Bag) -> list[Command]:
        """Have shown what is asked for and has a receipt; what is under way already is not begun twice."""
        ready = tuple(sorted(index for index in bag.asked if bag.said[index]))
        bag.asked.difference_update(ready)
        fresh = tuple(index for index in ready if index not in bag.storing)
        bag.storing.update(fresh)
        return [Store(bag.deal_id, part) for part in parts(fresh)]

    def _stored(self, bag: Bag, event: Stored) -> list[Command]:
        bag.show((shown.index for shown in event.digests), event.now_s)
        return [Say(Digests(bag.deal_id, event.digests))] if event.digests else []

    def _not_stored(self, bag: Bag, event: NotStored) -> list[Command]:
        bag.storing.difference_update(event.indexes)
        return []

    def _statement_kept(self, bag: Bag, event: StatementKept) -> list[Command]:
        bag.pay(event.amount)
        return []

    def _distrusted(self, bag: Bag, event: Distrusted) -> list[Command]:
        return self._close(bag, f"the pool is not to be trusted: {event.reason}", MachineFailure.UNPAID)

    def _posted(self, bag: Bag, _event: Posted) -> list[Command]:
        return self._close(bag, "its bag is posted already", MachineFailure.TASK_NOT_ACTIVE)

    def _close(self, bag: Bag, why: str, failure: MachineFailure) -> list[Command]:
        if bag.stage is Stage.CLOSED:
            return []
        bag.stage, bag.why_closed = Stage.CLOSED, (failure, why)
        return [*_give_up_all(bag, failure, why), Release(bag.deal_id)]

    def _over(self, bag: Bag, _event: Over) -> list[Command]:
        del self._bags[bag.deal_id]
        return [Drop(bag.deal_id)]


def parts(items: tuple[T, ...]) -> list[tuple[T, ...]]:
    """Cut a list into pieces that fit into a message each."""
    return [items[start : start + PER_MESSAGE] for start in range(0, len(items), PER_MESSAGE)]


def _restored(record: BagRecord) -> Bag:
    bag = Bag(record.terms.deal_id, Stage.RESTORED)
    bag.terms, bag.said, bag.earned = record.terms, dict(record.said), record.earned
    return bag


def _take(bag: Bag, indexes: Iterable[int]) -> list[Command]:
    refused = []
    for index in indexes:
        if len(bag.waiting) >= MAX_WAITING or not bag.is_own(index):
            refused.append(index)
        else:
            bag.waiting[index] = None
    return _give_up(bag.deal_id, tuple(refused), MachineFailure.NO_RESOURCES, "the deal has no such task, or too many wait already")


def _give_up_all(bag: Bag, failure: MachineFailure, detail: str) -> list[Command]:
    """Give up what waits; what runs already comes to its end."""
    indexes = tuple(bag.waiting)
    bag.waiting.clear()
    return _give_up(bag.deal_id, indexes, failure, detail)


def _stop(bag: Bag) -> list[Command]:
    indexes = bag.unsaid()
    bag.waiting.clear()
    return _give_up(bag.deal_id, indexes, MachineFailure.SHUTTING_DOWN, "the worker was stopped")


def _give_up(deal_id: DealId, indexes: tuple[int, ...], failure: MachineFailure, detail: str) -> list[Command]:
    return [Say(GaveUp(deal_id=deal_id, indexes=part, failure=failure, detail=detail)) for part in parts(indexes)]


_TABLE: dict[type[BagEvent], Callable[..., list[Command]]] = {
    Given: Heart._given,
    TakenBack: Heart._taken_back,
    Asked: Heart._asked,
    ReceiptsCame: Heart._receipts_came,
    StatementCame: Heart._statement_came,
    Approved: Heart._approved,
    Fetched: Heart._fetched,
    Refused: Heart._refused,
    Ran: Heart._ran,
    TasksFailed: Heart._tasks_failed,
    Written: Heart._written,
    ReceiptsKept: Heart._receipts_kept,
    StatementKept: Heart._statement_kept,
    Distrusted: Heart._distrusted,
    Stored: Heart._stored,
    NotStored: Heart._not_stored,
    Posted: Heart._posted,
    Over: Heart._over,
}
"""What each event does to a deal that is known."""
