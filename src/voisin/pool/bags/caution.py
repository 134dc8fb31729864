"""
What the pool believes of the results of a bag's task: not less than the deal's trust, and what the trust policy wants beyond it.

Where workers say different things the more of them are believed, and while nobody outnumbers the others one more is asked. Whether a
result is audited is drawn from a secret of this process, after its workers have committed. If nobody is there who could do a task
once more, or nobody does it in time, what the deal's trust says has to be enough: the requester asked for no more.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from voisin.policy.trust import draw_of, fewest, is_new
from voisin.pool.bags.book import STRIKES_MAX, Bag, BagBook, OpenTask
from voisin.pool.bags.votes import agreed_on, is_still_agreed
from voisin.pool.heart.book import Book
from voisin.pool.heart.facts import Instant
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
        if self._is_satisfied(bag, task, said) or not self._may_wait(bag, task, at):
            return said
        task.doubted_at = task.doubted_at or at.wall
        return None

    def confirm(self, agreed: Sequence[Address]) -> None:
        """Note that workers have confirmed each other's result."""
        if len(agreed) > 1:
            for worker in agreed:
                self._classic.worker(worker).confirmed += 1

    def catch(self, bag: Bag, task: OpenTask, agreed: Sequence[Address]) -> None:
        """Ban those that said something else than more others did, and have done again what rests on their word."""
        heard = [worker for worker in task.votes if worker not in task.silent]
        liars = [worker for worker in heard if task.votes[worker] != task.agreed]
        is_sure = len(agreed) > len(liars) and len(agreed) > 1
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

    def _is_new(self, workers: Sequence[Address]) -> bool:
        return all(is_new(self._terms, standing_of(self._classic.worker(worker))) for worker in workers)

    def _most_said(self, task: OpenTask, enough: Hash32) -> Hash32:
        """Among different results, find that of most workers; where they are as many, the one that the deal's trust finds first."""
        if len(task.votes) == 1:
            return enough
        said = Counter(said for worker, said in task.votes.items() if worker not in task.silent)
        most = max(said.values())
        return enough if said[enough] == most else next(each for each, count in said.items() if count == most)

    def _is_satisfied(self, bag: Bag, task: OpenTask, said: Hash32) -> bool:
        heard = [(worker, each) for worker, each in task.votes.items() if worker not in task.silent]
        group = [worker for worker, each in heard if each == said]
        others = Counter(each for _, each in heard if each != said) if len(group) < len(heard) else Counter[Hash32]()
        if others and len(group) <= max(others.values()):
            return False
        weights = sum(1 << count for count in others.values())
        enough = next((count for count in range(1, len(group)) if is_agreed(1 << count, weights, bag.trust)), len(group))
        standings = [standing_of(self._classic.worker(worker), self._unsettled(bag, worker)) for worker in group]
        draw = draw_of(self._secret, from_hex(bag.deal_id) + task.index.to_bytes(8, "big"))
        return len(group) >= fewest(self._terms, standings, bag.deal.workerpool.price, enough=enough, draw=draw)

    def _unsettled(self, bag: Bag, worker: Address) -> NRLC:
        member = bag.members.get(worker)
        return NRLC(bag.deal.workerpool.price * (max(member.unpaid - 1, 0) if member is not None else 0))

    def _may_wait(self, bag: Bag, task: OpenTask, at: Instant) -> bool:
        """Tell whether somebody else may still do a task: it has the time, and there is somebody."""
        longest = PATIENCE * bag.allowance_s + PATIENCE_S
        if (task.doubted_at and at.wall - task.doubted_at > longest) or at.chain + longest > bag.work_until or len(task.votes) >= MAX_VOTES:
            return False
        return bool(task.holders) or any(self._could_do(bag, task, address) for address in self._classic.present)

    def _could_do(self, bag: Bag, task: OpenTask, address: Address) -> bool:
        worker = self._classic.present[address]
        if not worker.is_online or worker.record.ban or worker.slots < 1 or address not in self._book.speakers:
            return False
        member = bag.members.get(address)
        is_lost = address in task.votes or task.tried.get(address, 0) >= self._classic.settings.attempts_max
        is_lost = is_lost or (member is not None and member.is_barred)
        return not is_lost and not self._book.shares_owner(task, address)
