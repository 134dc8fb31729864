"""
What the pool believes of the results of a bag's task: not less than the deal's trust, and what the trust policy wants beyond it.

Where workers say different things the more of them are believed, and while nobody outnumbers the others one more is asked. Whether a
result is audited is drawn from a secret of this process, after its workers have committed. If nobody is there who could do a task
once more, or nobody does it in time, what the deal's trust says has to be enough: the requester asked for no more.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from voisin.policy.trust import draw_of, fewest, is_new
from voisin.pool.bags.book import STRIKES_MAX, Bag, BagBook, OpenTask
from voisin.pool.bags.votes import agreed_on, is_still_agreed
from voisin.pool.heart.book import Book
from voisin.pool.heart.facts import Instant
from voisin.pool.heart.fitting import why_not
from voisin.pool.heart.standing import standing_of, terms_of
from voisin.protocol.bag_settlement import MAX_VOTES
from voisin.protocol.ids import Address, Hash32, from_hex
from voisin.protocol.trust import is_agreed
from voisin.units import NRLC

PATIENCE = 2.0
"""How many times an app's longest run an additional result is waited for."""
PATIENCE_S = 30.0
"""What is added to that [s]."""


class Caution:
    """Decides what is believed."""

    def __init__(self, book: BagBook, classic: Book, secret: bytes = b"") -> None:
        """
        Args:
            book: The bags.
            classic: The pool's book, which knows the workers.
            secret: What audits are drawn from; a new one unless given.
        """
        self._book = book
        self._classic = classic
        self._secret = secret or secrets.token_bytes(32)
        self._terms = terms_of(classic.settings)

    def believed(self, bag: Bag, task: OpenTask, at: Instant) -> Hash32 | None:
        """Find the result of a task that is believed; None while more workers have to do it."""
        enough = agreed_on(bag.trust, task.votes, task.silent)
        if enough is None:
            return None
        said = self._most_said(task, enough)
        has_trust = is_still_agreed(bag.trust, task.votes, task.silent, said)
        if has_trust and (self._is_satisfied(bag, task, said, at) or not self._may_wait(bag, task, at)):
            return said
        task.doubted_at = task.doubted_at or at.wall
        return None

    def quarrel(self, bag: Bag, task: OpenTask, at: Instant) -> str:
        """Say why a task without a believed result cannot get one: known workers contradict what has the deal's trust; empty if it can."""
        if not task.doubted_at or self._may_wait(bag, task, at) or agreed_on(bag.trust, task.votes, task.silent) is None:
            return ""
        return "workers that the pool knows contradict what most workers say, and nobody else could do it in time"

    def known_here(self) -> list[Address]:
        """List the connected workers that are not new."""
        return [worker for worker in self._classic.present if not self._is_new((worker,))]

    def may_help(self, bag: Bag, task: OpenTask, worker: Address, known: Sequence[Address], at: Instant) -> bool:
        """
        Tell whether a worker may have a task: new ones do none together, and settle no dispute, where a known worker can be had.

        So a lie of new workers meets a known one before it has another beside it, and costs no more than one wrong word.

        Args:
            bag: The bag.
            task: One of its tasks.
            worker: The worker.
            known: The connected workers that are not new.
            at: Now.
        """
        others = {*task.holders, *task.votes}
        if not others or not known or worker in known:
            return True
        is_doubtful = self._is_new(others) or len(set(task.votes.values())) > 1
        return not is_doubtful or not self._can_have_one(bag, task, known, at)

    def confirm(self, agreed: Sequence[Address]) -> None:
        """Note that workers have confirmed each other's result."""
        if len(agreed) > 1:
            for worker in agreed:
                self._classic.worker(worker).confirmed += 1

    def catch(self, bag: Bag, task: OpenTask, agreed: Sequence[Address]) -> None:
        """Ban those that said something else than more others did, and have done again what rests on their word."""
        heard = [worker for worker in task.votes if worker not in task.silent]
        liars = [worker for worker in heard if task.votes[worker] != task.agreed]
        is_sure = len(agreed) > 1 and (len(agreed) > len(liars) or self._known(agreed) > self._known(liars))
        for liar in liars:
            if is_sure and (not self._is_new(agreed) or self._is_new((liar,))):
                self._ban(liar, f"its result of task {task.index} of deal {bag.deal_id} is not what {len(agreed)} others have found")

    def _ban(self, liar: Address, why: str) -> None:
        worker = self._classic.worker(liar)
        self._classic.write_worker(worker, replace(worker.record, ban=worker.record.ban or why))
        self.doubt(liar)

    def doubt(self, worker: Address) -> None:
        """Look again at whatever is not settled and has a worker's word."""
        for bag in self._book.bags.values():
            bag.dirty |= {task.index: None for task in bag.open.values() if worker in task.votes}

    def discount(self, bag: Bag, task: OpenTask) -> None:
        """
        Count the words of those that are banned as if something else had been said, whatever they show.

        A result that has the deal's trust without them stands; who found it true is paid, too.
        """
        for worker, said in task.votes.items():
            if (worker in task.silent and task.strikes.get(worker, 0) >= STRIKES_MAX) or not self._classic.worker(worker).record.ban:
                continue
            if said != task.agreed or not is_still_agreed(bag.trust, task.votes, {*task.silent, worker}, said):
                task.silent.add(worker)
                task.strikes[worker] = STRIKES_MAX

    def _known(self, workers: Iterable[Address]) -> int:
        return sum(1 for worker in workers if not self._is_new((worker,)))

    def _can_have_one(self, bag: Bag, task: OpenTask, workers: Iterable[Address], at: Instant) -> bool:
        """Tell whether one of these workers does a task or could do it."""
        return any(worker in task.holders or self._could_do(bag, task, worker, at) for worker in workers)

    def _is_new(self, workers: Iterable[Address]) -> bool:
        return all(is_new(self._terms, standing_of(self._classic.worker(worker))) for worker in workers)

    def _most_said(self, task: OpenTask, enough: Hash32) -> Hash32:
        """Find the result of most known workers, then of most workers, then the one that the deal's trust finds first."""
        heard = {worker: said for worker, said in task.votes.items() if worker not in task.silent}
        if len(set(heard.values())) == 1:
            return enough
        count = Counter(heard.values())
        known = Counter(said for worker, said in heard.items() if not self._is_new((worker,)))
        return max(count, key=lambda said: (known[said], count[said], said == enough))

    def _is_satisfied(self, bag: Bag, task: OpenTask, said: Hash32, at: Instant) -> bool:
        heard = [(worker, each) for worker, each in task.votes.items() if worker not in task.silent]
        group = [worker for worker, each in heard if each == said]
        others = Counter(each for _, each in heard if each != said) if len(group) < len(heard) else Counter[Hash32]()
        if others and not self._prevails(group, heard, said):
            return False
        if self._is_new(group) and self._can_have_one(bag, task, self.known_here(), at):
            return False
        weights = sum(1 << count for count in others.values())
        enough = next((count for count in range(1, len(group)) if is_agreed(1 << count, weights, bag.trust)), len(group))
        standings = [standing_of(self._classic.worker(worker), self._unsettled(bag, worker)) for worker in group]
        draw = draw_of(self._secret, from_hex(bag.deal_id) + task.index.to_bytes(8, "big"))
        return len(group) >= fewest(self._terms, standings, bag.deal.workerpool.price, enough=enough, draw=draw)

    def _prevails(self, group: Sequence[Address], heard: Sequence[tuple[Address, Hash32]], said: Hash32) -> bool:
        """Tell whether those that agree are more than those that say any one other thing: the known ones if there are any, else all."""
        known = [(worker, each) for worker, each in heard if not self._is_new((worker,))]
        counted = Counter(each for _, each in known or heard)
        return len(group) > 1 and counted[said] > max((count for each, count in counted.items() if each != said), default=0)

    def _unsettled(self, bag: Bag, worker: Address) -> NRLC:
        member = bag.members.get(worker)
        return NRLC(bag.deal.workerpool.price * (max(member.unpaid - 1, 0) if member is not None else 0))

    def _may_wait(self, bag: Bag, task: OpenTask, at: Instant) -> bool:
        """Tell whether somebody else may still do a task: it has the time, and there is somebody."""
        longest = PATIENCE * bag.allowance_s + PATIENCE_S
        if (task.doubted_at and at.wall - task.doubted_at > longest) or at.chain + longest > bag.work_until or len(task.votes) >= MAX_VOTES:
            return False
        return bool(task.holders) or any(self._could_do(bag, task, address, at) for address in self._classic.present)

    def _could_do(self, bag: Bag, task: OpenTask, address: Address, at: Instant) -> bool:
        worker = self._classic.present[address]
        if not worker.is_online or worker.record.ban or worker.slots < 1 or address not in self._book.speakers:
            return False
        member = bag.members.get(address)
        is_lost = address in task.votes or task.tried.get(address, 0) >= self._classic.settings.attempts_max
        is_lost = is_lost or (member is not None and member.is_barred)
        if is_lost or self._book.shares_owner(task, address):
            return False
        return address in task.holders or not why_not(bag.terms, worker, at)
