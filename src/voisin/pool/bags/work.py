"""
How workers' facts change a bag: what they contribute, give up, bring back, and who comes and goes.

Each may come twice. Only what a worker was given counts, and its first word of a task.
"""

from __future__ import annotations

from collections.abc import Iterable

from voisin.pool.bags.book import STRIKES_MAX, UNTOUCHED, Bag, BagBook, Member, OpenTask
from voisin.pool.bags.facts import Contributed, Holding, TasksGivenUp
from voisin.pool.bags.mail import Mail
from voisin.pool.bags.records import Vote
from voisin.pool.bags.verdicts import DECIDED, end_badly, silence
from voisin.pool.heart.crew import BLAMELESS, FOR_GOOD, WORLDLY
from voisin.pool.heart.facts import Instant
from voisin.pool.settings import PoolSettings
from voisin.protocol.bag_settlement import MAX_VOTES
from voisin.protocol.bag_wire import Contribution
from voisin.protocol.ids import Address

ENDED = "the task has ended"
NOT_GIVEN = "the task was not given to this worker"
MAX_PAUSES = 6
WEIGHT = 0.1
"""How much one message changes the usual time of a task."""


def contributed(book: BagBook, bag: Bag, fact: Contributed, mail: Mail, at: Instant) -> None:
    """Take results of a worker, and measure how quick it is."""
    member = bag.member(fact.worker)
    taken, oldest = 0, at.wall
    for vote in _votes(fact.worker, fact.contributions):
        since = _take(book, bag, vote, mail, at)
        if since is not None:
            taken, oldest = taken + 1, min(oldest, since)
    if taken:
        member.failures, member.not_before, member.cause = 0, 0, ""
        member.count(taken, at.wall)
        waited = at.wall - oldest
        bag.wait_s = bag.wait_s + (waited - bag.wait_s) * WEIGHT if bag.wait_s else waited


def _take(book: BagBook, bag: Bag, vote: Vote, mail: Mail, at: Instant, *, is_back: bool = False) -> float | None:
    """Take one result; answers since when the worker had the task [Unix s], None if it does not count now."""
    worker, task = vote.worker, _task(bag, vote.index)
    if task is None:
        mail.take_back(worker, bag.deal_id, vote.index, ENDED)
        return None
    if worker in task.votes:
        mail.receipt(worker, bag.deal_id, task.index, task.votes[worker])
        if worker in task.silent and task.strikes.get(worker, 0) < STRIKES_MAX:
            mail.ask(worker, bag.deal_id, (task.index,))  # it was away when it was asked: its word counts again once it shows
        return None
    member = bag.member(worker)
    is_given = worker in task.holders or ((is_back or task.index in member.lost) and _may_go_on(book, bag, task, member))
    since = bag.let_go(task, worker)
    if not is_given or task.agreed is not None or len(task.votes) >= MAX_VOTES:
        mail.take_back(worker, bag.deal_id, task.index, DECIDED if is_given else NOT_GIVEN)
        bag.dirty[task.index] = None
        return None
    member.lost.discard(task.index)
    book.write_vote(bag, task, vote)
    mail.receipt(worker, bag.deal_id, task.index, vote.said)
    bag.dirty[task.index] = None
    bag.moved_at = at.wall
    return at.wall if since is None else since


def _votes(worker: Address, contributions: Iterable[Contribution]) -> list[Vote]:
    return [Vote(each.index, worker, each.said, each.signature) for each in contributions]


def _may_go_on(book: BagBook, bag: Bag, task: OpenTask, member: Member) -> bool:
    """Tell whether a worker that came back had a task before, and nobody of its owner has it now."""
    is_known = task.index in member.lost or bag.is_forgetful
    return is_known and bag.may_join(member.address) and not book.shares_owner(task, member.address)


def _task(bag: Bag, index: int) -> OpenTask | None:
    """Find a task that has not ended; one that a worker knows and this pool has forgotten is begun again."""
    task = bag.open.get(index)
    if task is None and bag.is_forgetful and bag.has(index) and bag.end_of(index) == UNTOUCHED:
        task = bag.open_task(index)
        bag.dirty[index] = None
    return task


def given_up(book: BagBook, bag: Bag, fact: TasksGivenUp, settings: PoolSettings, mail: Mail, at: Instant) -> None:
    """Give tasks to others that a worker does not do; it is left alone for a while if it fails one after the other."""
    member = bag.member(fact.worker)
    cause = f"{fact.failure}: {fact.detail}" if fact.detail else str(fact.failure)
    silence(bag, fact.worker, [index for index in fact.indexes if index in member.asked])
    for index in fact.indexes:
        task = bag.open.get(index)
        if task is None or bag.let_go(task, fact.worker) is None:
            continue
        bag.dirty[index] = None
        if fact.failure in BLAMELESS:
            continue
        task.cause = cause
        task.failures += 1
        task.tried[fact.worker] = task.tried.get(fact.worker, 0) + 1
        if task.failures >= settings.failures_max:
            end_badly(book, bag, task, f"{task.failures} attempts failed, the last with {cause}", mail, at)
    member.not_before = at.wall + settings.retry_pause_s * 2 ** min(member.failures, MAX_PAUSES)
    member.failing_since = member.failing_since if member.failures else at.wall
    member.failures += 1
    member.is_cut_off = fact.failure in WORLDLY
    member.is_barred = fact.failure in FOR_GOOD
    member.cause = cause


def holding(book: BagBook, bag: Bag, fact: Holding, mail: Mail, at: Instant) -> None:
    """
    Have a worker that came back go on with what it has.

    Its tasks may have gone to others meanwhile: then several compute them, which counts as verification, and nothing is lost.
    """
    for vote in _votes(fact.worker, fact.contributions):
        _take(book, bag, vote, mail, at, is_back=True)
    member = bag.member(fact.worker)
    for index in fact.waiting:
        task = _task(bag, index)
        if task is None or task.agreed is not None or fact.worker in task.votes or len(task.holders) + len(task.votes) >= MAX_VOTES:
            mail.take_back(fact.worker, bag.deal_id, index, ENDED if task is None else DECIDED)
        elif fact.worker not in task.holders:
            if _may_go_on(book, bag, task, member):
                bag.hold(task, fact.worker, at)
                bag.dirty[index] = None
            else:
                mail.take_back(fact.worker, bag.deal_id, index, NOT_GIVEN)
    if bag.earned.get(fact.worker):
        mail.statement(fact.worker, bag.deal_id, bag.earned[fact.worker])


def here(bag: Bag, worker: Address, mail: Mail, at: Instant) -> None:
    """Ask a worker that came back for what it was asked before; the receipts may have been on their way when it went."""
    member = bag.members.get(worker)
    if member is None:
        return
    gone(bag, worker, at)
    member.left_at, member.not_before, member.failures, member.is_barred = 0, 0, 0, False
    member.asked = dict.fromkeys(member.asked, at.wall)
    for index in member.asked:
        mail.receipt(worker, bag.deal_id, index, bag.open[index].votes[worker])
        mail.ask(worker, bag.deal_id, (index,))


def gone(bag: Bag, worker: Address, at: Instant) -> None:
    """Give a worker's tasks to others; what it contributed stays."""
    member = bag.members.get(worker)
    if member is None:
        return
    member.left_at = at.wall
    for index in list(member.held):
        task = bag.open[index]
        bag.let_go(task, worker)
        member.lost.add(index)
        bag.dirty[index] = None


def stalled(bag: Bag, settings: PoolSettings, mail: Mail, at: Instant) -> None:
    """Take tasks back that a worker has had for longer than it can need for all that it has."""
    for member in bag.members.values():
        if not member.held:
            continue
        allowed = bag.allowance_s * len(member.held) + settings.grace_s
        for index, since in list(member.held.items()):
            if since + allowed > at.wall:
                break
            task, cause = bag.open[index], f"stalled: nothing after {allowed:.0f} s"
            bag.let_go(task, member.address)
            task.failures, task.cause = task.failures + 1, cause
            task.tried[member.address] = task.tried.get(member.address, 0) + 1
            bag.dirty[index] = None
            mail.take_back(member.address, bag.deal_id, index, cause)
