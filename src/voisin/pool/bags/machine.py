"""
The heart of the pool's side of bags: facts in, commands out, many tasks at a time. No socket, no clock, no randomness.

    fact                          reaction
    Adopted, Dropped              this scheduler runs a bag, or does not any more
    WorkerJoined, WorkerLeft      what a worker was asked is asked again; its tasks go to others
    WorkersCaught                 what rests on their word alone is done again
    Contributed                   its word counts, a receipt is due; enough that agree: they are asked to show
    Shown                         results are held against what was said, archives are looked at
    ArchivesChecked               good: the task has ended, its workers have earned; else they are asked again
    TasksGivenUp                  others try
    Holding                       a worker that came back goes on
    Posted ... LeafAnswered       the chain has the bag, asks for leaves, has paid or punished
    Proven                        a result has reached the deal's callback
    BagStepFailed                 tried again later
    Ticked                        what was not done in time goes to others, or ends without a result

Commands are carried out after the changes of their round are saved.
"""

from __future__ import annotations

from dataclasses import replace

from voisin.errors import InputError
from voisin.pool.bags import closing, verdicts, work
from voisin.pool.bags.book import DONE, UNDONE, UNTOUCHED, Bag, BagBook
from voisin.pool.bags.caution import Caution
from voisin.pool.bags.commands import BagCommand
from voisin.pool.bags.facts import (
    Adopted,
    ArchivesChecked,
    BagFact,
    BagStepFailed,
    Contributed,
    Dropped,
    Holding,
    Posted,
    Proven,
    Shown,
    TasksGivenUp,
)
from voisin.pool.bags.mail import Mail
from voisin.pool.bags.placing import Placer
from voisin.pool.bags.records import BagChanges
from voisin.pool.heart.book import Book, DealState
from voisin.pool.heart.course import params_of
from voisin.pool.heart.facts import Instant, Ticked, WorkerJoined, WorkerLeft, WorkersCaught
from voisin.protocol.bag_settlement import window_of
from voisin.protocol.events import BagClaimed, BagSettled, BagSlashed, LeafAnswered, LeafDemanded
from voisin.protocol.records import Deal

BAG_VERSION = 2
"""The first version of the wire that knows bags."""
RESUME_S = 1.0
"""How long a bag that is taken over waits for its workers to tell what they have [s]."""


def refusal_of(deal: Deal, classic: Book) -> str:
    """Say why this pool cannot settle a bag at all; empty when it can."""
    if deal.workerpool.owner != classic.scheduler:
        return f"the deal belongs to the workerpool's owner of that time, {deal.workerpool.owner}, and only that wallet may settle it"
    try:
        window_of(deal.params, deal.tag)
    except InputError as error:
        return f"{error.message}: {error.hint}"
    return ""


class BagMachine:
    """All decisions about the bags that this scheduler runs."""

    def __init__(self, classic: Book, secret: bytes = b"") -> None:
        """
        Args:
            classic: The pool's book, which knows the workers; it is only read, but for who is banned.
            secret: What audits are drawn from; a new one unless given.
        """
        self.book = BagBook(classic.owner_of)
        self._classic = classic
        self._settings = classic.settings
        self._caution = Caution(self.book, classic, secret)

    def handle(self, *facts: BagFact, at: Instant) -> list[BagCommand]:
        """
        Take in what happened at one moment.

        Args:
            facts: What happened, in order; nothing is planned between them.
            at: When.

        Returns:
            What is to be done once the changes are saved, in order.
        """
        mail = Mail()
        for fact in facts:
            self._react(fact, mail, at)
        for bag in list(self.book.bags.values()):
            while bag.dirty:
                dirty, bag.dirty = bag.dirty, {}
                for task in [bag.open[index] for index in dirty if index in bag.open]:
                    verdicts.look_at(self.book, bag, task, self._caution, mail, at)
            closing.plan(self.book, bag, self._settings, mail, at)
            if bag.record.is_over:
                del self.book.bags[bag.deal_id]
        Placer(self.book, self._classic, self._caution, mail, at).place_all()
        return mail.collect()

    def take_changes(self) -> BagChanges:
        """Hand out what has to be saved."""
        return self.book.take_changes()

    def _react(self, fact: BagFact, mail: Mail, at: Instant) -> None:
        match fact:
            case Adopted():
                self._adopt(fact, at)
            case Dropped():
                self.book.bags.pop(fact.deal_id, None)
            case WorkerJoined():
                (self.book.speakers.add if fact.version >= BAG_VERSION else self.book.speakers.discard)(fact.worker)
                for bag in self.book.bags.values():
                    work.here(bag, fact.worker, mail, at)
            case WorkerLeft():
                for bag in self.book.bags.values():
                    work.gone(bag, fact.worker, at)
            case WorkersCaught():
                for worker in fact.workers:
                    self._caution.doubt(worker.address)
            case Ticked():
                for bag in self.book.bags.values():
                    work.stalled(bag, self._settings, mail, at)
                    verdicts.silent_members(bag, self._settings, at)
                    bag.dirty |= {index: None for index, task in bag.open.items() if task.doubted_at and task.agreed is None}
            case _:
                found = self.book.bags.get(fact.bag.deal_id if isinstance(fact, Posted) else fact.deal_id)
                if found is not None:
                    self._react_of(found, fact, mail, at)

    def _react_of(self, bag: Bag, fact: BagFact, mail: Mail, at: Instant) -> None:
        match fact:
            case Contributed():
                work.contributed(self.book, bag, fact, mail, at)
            case Shown():
                verdicts.shown(bag, fact, mail, at)
            case ArchivesChecked():
                verdicts.archives_checked(bag, fact, mail, at)
            case TasksGivenUp():
                work.given_up(self.book, bag, fact, self._settings, mail, at)
            case Holding():
                work.holding(self.book, bag, fact, mail, at)
            case Posted():
                closing.posted(self.book, bag, fact)
            case BagSettled() | BagSlashed() | BagClaimed():
                closing.ended_on_chain(self.book, bag, fact, mail)
            case LeafDemanded():
                bag.demands.add(fact.index)
            case LeafAnswered():
                bag.demands.discard(fact.index)
            case Proven():
                bag.proven.add(fact.index)
            case BagStepFailed():
                closing.step_failed(bag, fact, self._settings, at)

    def _adopt(self, fact: Adopted, at: Instant) -> None:
        snapshot = fact.snapshot
        record, first = snapshot.record, snapshot.record.first
        if record.deal_id in self.book.bags or record.is_over:
            return
        bag = Bag(record, DealState(record.terms, params_of(record.terms)), bytearray([UNTOUCHED]) * record.volume)
        bag.moved_at, bag.is_forgetful, bag.lacks_votes = at.wall, not snapshot.is_new, snapshot.lacks_votes
        bag.resume_at = at.wall + (RESUME_S if bag.is_forgetful else 0)
        for index, has_result in snapshot.ended.items():
            bag.ends[index - first] = DONE if has_result else UNDONE
        bag.done = sum(snapshot.ended.values())
        bag.undone = len(snapshot.ended) - bag.done
        bag.earned = dict(snapshot.earned)
        for vote in snapshot.votes:
            task = bag.open.get(vote.index) or bag.open_task(vote.index)
            task.votes[vote.worker] = vote.said
            member = bag.member(vote.worker)
            member.has_voted, member.unpaid = True, member.unpaid + 1
            bag.dirty[vote.index] = None
        for worker in bag.earned:
            bag.member(worker).has_voted = True
        for address, member in bag.members.items():
            member.left_at = 0 if self._classic.worker(address).is_online else at.wall
        self.book.bags[record.deal_id] = bag
        if snapshot.is_new and (why := refusal_of(record.terms.deal, self._classic)):
            record = replace(record, why=why)
        self.book.write(bag, record)
