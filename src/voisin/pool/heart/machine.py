"""
The pool's heart: facts in, commands out. No socket, no clock, no randomness.

A fact changes the book by the reaction beside it in the table below; what is to be done then is read off the book
(`plan`, `placement`), so a pool that was killed and reads its records again, or the chain from the start, asks for the
same things as one that never stopped. Until it has caught up with the chain it asks for nothing.

    fact                          reaction
    DealFound                     its tasks are known
    TaskInitialized               NEW -> RUNNING
    TaskContributed               the replica counts, with its worker's weight
    ConsensusReached              RUNNING -> REVEALING; other workers stop
    TaskRevealed                  the replica has revealed
    TaskReopened                  REVEALING -> RUNNING; the silent winners count no more
    TaskFinalized                 -> COMPLETED; workers may forget the task
    TaskClaimed                   -> CLAIMED
    Accurate-, FaultyContribution the worker's score; too many faults, and it gets no more tasks
    DealsTaken, DealsLost         another scheduler worked on them, or does now
    WorkersCaught                 whom another scheduler saw do wrong gets no tasks here either
    WorkerJoined, HoldingTold     it goes on where the chain and its disk say
    WorkerLeft                    what it had not contributed is lost
    WorkerHeard, StageReached     it is alive; its replica is that far
    TakesChanged                  it is given what its owner wants
    UploadReported, UploadChecked the result is looked at, then taken or asked of another worker
    ReplicaFailed                 another worker tries
    StepFailed                    the step is tried again later
    DeadlineRead                  the exact deadline for reveals
    ChallengeGiven, -Failed       the vault's key for a task's enclave: workers can be authorised, or it is asked again
    Ticked                        leases, heartbeats and deadlines
    CaughtUp                      from now on, act
"""

from __future__ import annotations

from voisin.pool.heart import course, crew, plan, takeover
from voisin.pool.heart.book import Book
from voisin.pool.heart.commands import Command
from voisin.pool.heart.facts import (
    CaughtUp,
    ChainFact,
    ChallengeFailed,
    ChallengeGiven,
    DeadlineRead,
    DealFound,
    DealsLost,
    DealsTaken,
    Fact,
    HoldingTold,
    Instant,
    ReplicaFailed,
    StageReached,
    StepFailed,
    TakesChanged,
    Ticked,
    UploadChecked,
    UploadReported,
    WorkerHeard,
    WorkerJoined,
    WorkerLeft,
    WorkersCaught,
)
from voisin.pool.heart.hopeless import give_up_hopeless
from voisin.pool.heart.placement import copy_stragglers, place_all
from voisin.pool.heart.records import ENDS, Changes, Snapshot
from voisin.pool.settings import PoolSettings
from voisin.protocol.events import (
    AccurateContribution,
    ConsensusReached,
    FaultyContribution,
    TaskClaimed,
    TaskContributed,
    TaskFinalized,
    TaskInitialized,
    TaskReopened,
    TaskRevealed,
)
from voisin.protocol.ids import Address


class PoolMachine:
    """All decisions of a pool."""

    def __init__(self, settings: PoolSettings, scheduler: Address) -> None:
        """
        Args:
            settings: The figures to go by.
            scheduler: The wallet that owns the workerpool; deals of another owner are refused.
        """
        self.book = Book(settings, scheduler)

    def restore(self, snapshot: Snapshot, at: Instant) -> None:
        """Go on from saved records; replicas wait a moment for their workers to come back."""
        for record in snapshot.workers:
            self.book.worker(record.address).record = record
        for deal in snapshot.deals:
            takeover.restore_deal(self.book, deal, [file for file in snapshot.tasks if file.task.deal_id == deal.deal_id])
        takeover.await_workers(self.book, at)

    def handle(self, *facts: Fact, at: Instant) -> list[Command]:
        """
        Take in what happened at one moment.

        Args:
            facts: What happened, in order; nothing is planned between them.
            at: When.

        Returns:
            What is to be done, in order.
        """
        for fact in facts:
            self._react(fact, at)
        if self.book.is_live:
            give_up_hopeless(self.book, at)
            plan.plan_all(self.book, at)
            place_all(self.book, at)
            if any(isinstance(fact, Ticked) for fact in facts):
                copy_stragglers(self.book, at)
        commands, self.book.out = self.book.out, []
        return commands if self.book.is_live else []

    @property
    def has_changes(self) -> bool:
        """Whether something has to be saved."""
        return bool(self.book.changes)

    def take_changes(self) -> Changes:
        """Hand out what has to be saved."""
        return self.book.take_changes()

    def forget(self, saved: Changes) -> None:
        """Forget the tasks whose end is saved; one that ended while its earlier state was being saved is kept for the next time."""
        for task_id, record in saved.tasks.items():
            if record.phase in ENDS:
                self.book.closed.pop(task_id, None)

    def _react_to_chain(self, fact: ChainFact, at: Instant) -> None:
        book = self.book
        match fact:
            case DealFound():
                course.deal_found(book, fact, at)
            case TaskInitialized():
                course.task_initialized(book, fact, at)
            case TaskContributed():
                course.task_contributed(book, fact, at)
            case ConsensusReached():
                course.consensus_reached(book, fact, at)
            case TaskRevealed():
                course.task_revealed(book, fact, at)
                crew.upload_revealed(book, fact, at)
            case TaskReopened():
                course.task_reopened(book, fact, at)
            case TaskFinalized():
                course.task_finalized(book, fact, at)
            case TaskClaimed():
                course.task_claimed(book, fact, at)
            case AccurateContribution():
                course.accurate_contribution(book, fact)
            case FaultyContribution():
                course.faulty_contribution(book, fact, at)

    def _react(self, fact: Fact, at: Instant) -> None:
        book = self.book
        match fact:
            case DealsTaken():
                takeover.deals_taken(book, fact, at)
            case DealsLost():
                takeover.deals_lost(book, fact)
            case WorkersCaught():
                takeover.workers_caught(book, fact)
            case WorkerJoined():
                crew.worker_joined(book, fact, at)
                takeover.settle(book, fact.worker)
            case WorkerLeft():
                crew.worker_left(book, fact, at)
                takeover.settle(book, fact.worker)
            case HoldingTold():
                takeover.holding_told(book, fact, at)
            case WorkerHeard():
                crew.worker_heard(book, fact, at)
            case TakesChanged():
                crew.takes_changed(book, fact, at)
            case StageReached():
                crew.stage_reached(book, fact, at)
            case UploadReported():
                crew.upload_reported(book, fact, at)
            case UploadChecked():
                crew.upload_checked(book, fact, at)
            case ReplicaFailed():
                crew.replica_failed(book, fact, at)
            case StepFailed():
                plan.step_failed(book, fact, at)
            case DeadlineRead():
                plan.deadline_read(book, fact)
            case ChallengeGiven():
                plan.challenge_given(book, fact, at)
            case ChallengeFailed():
                plan.challenge_failed(book, fact, at)
            case Ticked():
                crew.silent_workers(book, at)
                takeover.settle_late(book, at)
                for task in book.due(at):
                    book.touch(task)
            case CaughtUp():
                self._go_live(at)
            case _:
                self._react_to_chain(fact, at)

    def _go_live(self, at: Instant) -> None:
        book = self.book
        book.is_live = True
        for worker in book.present.values():
            worker.rejoin_by = 0 if worker.is_online else at.wall + book.settings.reconnect_s
        for task in book.tasks.values():
            book.touch(task)
