"""
How a task comes to its end: enough workers agree, those show their results, an archive is found good, everybody is paid.

A worker that shows something else than it said, or nothing in time, counts as one who said something else; the others are asked on.
"""

from __future__ import annotations

from voisin.pool.bags.book import STRIKES_MAX, Bag, BagBook, OpenTask
from voisin.pool.bags.caution import Caution
from voisin.pool.bags.commands import CheckArchives
from voisin.pool.bags.facts import Archive, ArchivesChecked, Shown
from voisin.pool.bags.mail import Mail
from voisin.pool.bags.records import EndedTask
from voisin.pool.bags.votes import is_still_agreed
from voisin.pool.heart.facts import Instant
from voisin.pool.settings import PoolSettings
from voisin.protocol.bag_settlement import Dissent, dissents_in_order, in_order
from voisin.protocol.bag_wire import ShownDigest
from voisin.protocol.ids import Address, Hash32, from_hex, hash32_of, task_id
from voisin.protocol.results import result_hash
from voisin.units import NRLC

DECIDED = "other workers have agreed on its result"


def look_at(book: BagBook, bag: Bag, task: OpenTask, caution: Caution, mail: Mail, at: Instant) -> None:
    """See how far a task is, and do what is next."""
    caution.discount(bag, task)
    if task.agreed is None or (task.silent and not is_still_agreed(bag.trust, task.votes, task.silent, task.agreed)):
        task.agreed = caution.believed(bag, task, at)
        if task.agreed is None and (quarrel := caution.quarrel(bag, task, at)):
            end_badly(book, bag, task, quarrel, mail, at)
            return
        if task.agreed is None:
            bag.feed(task)
            return
        _decided(bag, task, mail, at)
    winners = task.winners()
    if any(worker not in task.shown for worker in winners):
        return
    archive = _good_archive(bag, task, winners, mail)
    if archive is not None:
        caution.confirm(winners)
        caution.catch(bag, task, winners)
        _end_well(book, bag, task, winners, archive, at)
        _pay(book, bag, winners, mail)


def share_of(bag: Bag, workers: int) -> NRLC:
    """Tell what a result earns each of the workers that agree on it [nRLC]."""
    deal = bag.deal
    return NRLC(deal.workerpool.price * (100 - deal.scheduler_reward_ratio) // (100 * workers))


def end_badly(book: BagBook, bag: Bag, task: OpenTask, reason: str, mail: Mail, at: Instant) -> None:
    """End a task without a result."""
    for worker in task.holders:
        mail.take_back(worker, bag.deal_id, task.index, reason)
    others = dissents_in_order(Dissent(said, worker) for worker, said in task.votes.items())
    book.write_end(bag, task, EndedTask(index=task.index, place=bag.done + bag.undone + 1, others=others, reason=reason), at)


def shown(bag: Bag, fact: Shown, mail: Mail, at: Instant) -> None:
    """Take results that a worker shows; what was shown before is paid already, and said again."""
    member = bag.member(fact.worker)
    for item in fact.digests:
        task = bag.open.get(item.index)
        if task is None:
            if bag.has(item.index) and bag.earned.get(fact.worker):
                mail.statement(fact.worker, bag.deal_id, bag.earned[fact.worker])
            continue
        said = task.votes.get(fact.worker)
        if said is None or fact.worker in task.shown or task.strikes.get(fact.worker, 0) >= STRIKES_MAX:
            continue
        member.asked.pop(item.index, None)
        if is_as_said(bag, item, said):
            task.shown[fact.worker] = item
            task.silent.discard(fact.worker)
        else:
            task.silent.add(fact.worker)
        bag.dirty[item.index] = None
        bag.moved_at = at.wall


def is_as_said(bag: Bag, item: ShownDigest, said: Hash32) -> bool:
    """Tell whether a result is the one that a worker committed to, with its callback's data."""
    if result_hash(task_id(bag.deal_id, item.index), item.digest) != said:
        return False
    return not bag.has_callback or hash32_of(from_hex(item.callback_data or "0x")) == item.digest


def archives_checked(bag: Bag, fact: ArchivesChecked, mail: Mail, at: Instant) -> None:
    """Take what was found of archives; who showed one that is no good is asked again, a few times."""
    for archive, problem in fact.problems:
        if not problem:
            bag.know_good(archive)
        for index in bag.checking.pop(archive, ()):
            task = bag.open.get(index)
            if task is None:
                continue
            bag.dirty[index] = None
            for worker in [each for each, item in task.shown.items() if problem and _archive(item) == archive]:
                _refuse(bag, task, worker, problem, mail, at)


def silence(bag: Bag, address: Address, indexes: list[int]) -> None:
    """Count results that a worker was asked for and did not show."""
    member = bag.member(address)
    for index in indexes:
        member.asked.pop(index, None)
        task = bag.open.get(index)
        if task is not None and address in task.votes and address not in task.shown:
            task.silent.add(address)
            bag.dirty[index] = None


def silent_members(bag: Bag, settings: PoolSettings, at: Instant) -> None:
    """Give up on results that were not shown in time; a worker that is gone has less of it."""
    for member in list(bag.members.values()):
        left = member.left_at + settings.reconnect_s if member.left_at else at.wall + 1
        late = []
        for index, since in member.asked.items():
            if since + settings.upload_lease_s > at.wall and left > at.wall:
                break
            late.append(index)
        if late:
            silence(bag, member.address, late)


def _decided(bag: Bag, task: OpenTask, mail: Mail, at: Instant) -> None:
    """Stop the others, and ask those that agree to show their results."""
    bag.hungry.pop(task.index, None)
    bag.moved_at = at.wall
    for worker in list(task.holders):
        bag.let_go(task, worker)
        mail.take_back(worker, bag.deal_id, task.index, DECIDED)
    for worker in task.winners():
        if worker not in task.shown:
            _ask(bag, task, worker, mail, at)


def _ask(bag: Bag, task: OpenTask, worker: Address, mail: Mail, at: Instant) -> None:
    bag.member(worker).asked[task.index] = at.wall
    if bag.is_forgetful:
        mail.receipt(worker, bag.deal_id, task.index, task.votes[worker])  # it may have been saved and not sent
    mail.ask(worker, bag.deal_id, (task.index,))


def _refuse(bag: Bag, task: OpenTask, worker: Address, problem: str, mail: Mail, at: Instant) -> None:
    del task.shown[worker]
    task.cause = f"{worker}: {problem}"
    task.strikes[worker] = task.strikes.get(worker, 0) + 1
    if task.strikes[worker] >= STRIKES_MAX:
        task.silent.add(worker)
    else:
        _ask(bag, task, worker, mail, at)


def _archive(item: ShownDigest) -> Archive:
    return Archive(item.digest, item.location)


def _good_archive(bag: Bag, task: OpenTask, winners: list[Address], mail: Mail) -> ShownDigest | None:
    """Find a result whose archive is good, or have the first one looked at."""
    items = [task.shown[worker] for worker in winners]
    for item in items:
        if _archive(item) in bag.good:
            return item
    if not any(task.index in bag.checking.get(_archive(item), ()) for item in items):
        archive = _archive(items[0])
        if archive not in bag.checking:
            mail.add(CheckArchives(bag.deal_id, (archive,)))
        bag.checking.setdefault(archive, set()).add(task.index)
    return None


def _end_well(book: BagBook, bag: Bag, task: OpenTask, winners: list[Address], item: ShownDigest, at: Instant) -> None:
    rest = [worker for worker in task.votes if worker not in winners]
    ended = EndedTask(
        index=task.index,
        place=bag.done + bag.undone + 1,
        digest=item.digest,
        location=item.location,
        agreed=in_order(winners),
        others=dissents_in_order(Dissent(task.votes[worker], worker) for worker in rest),
        exit_code=item.exit_code,
        callback_data=item.callback_data if bag.has_callback else "",
    )
    book.write_end(bag, task, ended, at)


def _pay(book: BagBook, bag: Bag, winners: list[Address], mail: Mail) -> None:
    share = share_of(bag, len(winners))
    for worker in winners:
        book.pay(bag, worker, share)
        mail.statement(worker, bag.deal_id, bag.earned[worker])
