"""
Who computes which tasks of bags: the oldest bag first, as many ahead for each worker as keep it busy for a moment.

The workers of one task belong to different owners. Where classic tasks run beside, a bag has what they leave, but never nothing.
At the tail of a bag, tasks that take longer than usual go to one more worker, whose result counts as verification.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice

from voisin.pool.bags.book import Bag, BagBook, Member, OpenTask
from voisin.pool.bags.caution import Caution
from voisin.pool.bags.mail import Mail
from voisin.pool.heart.book import Book, WorkerState
from voisin.pool.heart.facts import Instant
from voisin.pool.heart.fitting import why_not
from voisin.protocol.bag_api import BagStage
from voisin.protocol.ids import Address

AHEAD_S = 1.5
"""For how long a worker gets tasks ahead, if they are short [s]."""
MAX_AHEAD = 1024
"""Most tasks that one worker has ahead [tasks]."""
STRAGGLE = 2.0
"""How many times the usual time a task may take before another worker gets it too."""
STRAGGLE_S = 1.0
"""What is added to that [s]."""


@dataclass(slots=True)
class _Seat:
    """A worker with room: its part in the bag, and how many tasks it still gets now."""

    member: Member
    room: int


def ahead_of(member: Member | None, slots: int, busy: int) -> int:
    """
    Say how many tasks of bags a worker has at a time.

    Args:
        member: Its part in the bag, if it has any.
        slots: Replicas that it takes at a time.
        busy: Those of them that classic tasks have.
    """
    base = max(1, slots - busy)
    if member is None or not member.rate:
        return base
    return max(base, min(MAX_AHEAD, int(member.rate * AHEAD_S)))


class Placer:
    """One round of giving tasks to workers."""

    def __init__(self, book: BagBook, classic: Book, caution: Caution, mail: Mail, at: Instant) -> None:
        """
        Args:
            book: The bags.
            classic: The workers, and what classic tasks they have.
            caution: Knows who may do what with whom.
            mail: Takes what they are told.
            at: Now.
        """
        self._book = book
        self._classic = classic
        self._caution = caution
        self._known = caution.known_here()
        self._mail = mail
        self._at = at

    def place_all(self) -> None:
        """Give the tasks of all bags to workers with room."""
        for bag in sorted(self._book.bags.values(), key=lambda bag: bag.record.terms.seq):
            is_running = bag.record.stage is BagStage.RUNNING and not bag.record.why and self._at.wall >= bag.resume_at
            if not is_running or not (bag.open or bag.has_fresh):
                continue
            seats = self._seats(bag)
            self._place_hungry(bag, seats)
            self._place_fresh(bag, seats)
            if seats and not bag.has_fresh:
                self._copy_stragglers(bag, seats)

    def _seats(self, bag: Bag) -> deque[_Seat]:
        """List the workers that may be given tasks of a bag, those with the most room first."""
        found, lacks = [], []
        working = {address: worker for address, worker in self._classic.present.items() if self._may_work(worker)}
        for address, worker in working.items():
            member = bag.members.get(address)
            lack = why_not(bag.terms, worker, self._at)
            lacks += [lack] if lack else []
            if lack or (member is not None and (member.is_barred or self._at.wall < member.not_before)):
                continue
            ahead = ahead_of(member, worker.slots, len(worker.computing))
            held = self._book.held_by(address)
            if held < ahead and bag.may_join(address):
                found.append((held / ahead, address, _Seat(bag.member(address), ahead - held)))
        misfit = lacks[0] if lacks and len(lacks) == len(working) else ""
        if misfit != bag.misfit:
            bag.misfit, bag.misfit_since = misfit, self._at.wall
        return deque(seat for _, _, seat in sorted(found, key=lambda each: each[:2]))

    def _may_work(self, worker: WorkerState) -> bool:
        record = worker.record
        return worker.is_online and not record.ban and worker.slots > 0 and record.address in self._book.speakers

    def _place_hungry(self, bag: Bag, seats: deque[_Seat]) -> None:
        for index in list(islice(bag.hungry, self._classic.settings.lookahead)):
            if not seats:
                return
            task = bag.open[index]
            self._give(bag, task, seats, bag.wants(task))
            bag.feed(task)

    def _place_fresh(self, bag: Bag, seats: deque[_Seat]) -> None:
        while seats and bag.has_fresh and len(bag.hungry) < self._classic.settings.lookahead:
            task = bag.next_fresh()
            self._give(bag, task, seats, bag.wants(task))
            bag.feed(task)

    def _copy_stragglers(self, bag: Bag, seats: deque[_Seat]) -> None:
        """Give tasks that take longer than usual to one more worker each."""
        if not bag.wait_s:
            return
        since = self._at.wall - STRAGGLE * bag.wait_s - STRAGGLE_S
        for member in list(bag.members.values()):
            for index, given in list(member.held.items()):
                if not seats or given > since:
                    break
                task = bag.open[index]
                if not task.was_copied:
                    task.was_copied = self._give(bag, task, seats, 1) > 0

    def _give(self, bag: Bag, task: OpenTask, seats: deque[_Seat], count: int) -> int:
        """Give a task to some workers of different owners, in turn; answers to how many."""
        given = 0
        for _ in range(len(seats)):
            if given >= count:
                break
            seat = seats.popleft()
            if self._may_take(bag, task, seat.member.address):
                bag.hold(task, seat.member.address, self._at)
                self._mail.give(seat.member.address, bag.deal_id, task.index)
                seat.room -= 1
                given += 1
            if seat.room > 0:
                seats.append(seat)
        return given

    def _may_take(self, bag: Bag, task: OpenTask, worker: Address) -> bool:
        if worker in task.holders or worker in task.votes or task.tried.get(worker, 0) >= self._classic.settings.attempts_max:
            return False
        if (task.holders or task.votes) and self._book.shares_owner(task, worker):
            return False
        return self._caution.may_help(bag, task, worker, self._known, self._at)
