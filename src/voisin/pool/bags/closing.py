"""
What the chain says of a bag, and what the pool sends it: the root when all tasks have ended, leaves that are asked for, the settlement.

    running     all tasks ended: post, or give back when none has a result; past its time, the rest end without one
    posted      answer demands; settle after the window
    given back  free the stake after the window
    settled     prove each result, if the deal has a callback
    punished, claimed   the end

Every step is read off the state, and sent again until the chain shows it.
"""

from __future__ import annotations

from dataclasses import replace

from voisin.pool.bags.book import DONE, Bag, BagBook, Member, StepState
from voisin.pool.bags.commands import AnswerDemand, GiveBackBag, PostBag, ProveResults, SettleBag
from voisin.pool.bags.facts import BagStep, BagStepFailed, Posted
from voisin.pool.bags.mail import Mail
from voisin.pool.bags.verdicts import end_badly
from voisin.pool.heart.facts import Instant
from voisin.pool.settings import PoolSettings
from voisin.protocol.bag_api import BagStage
from voisin.protocol.events import BagClaimed, BagSettled, BagSlashed
from voisin.protocol.ids import ZERO_HASH

PROOFS_AT_ONCE = 16
MISFIT_S = 2.0
"""How long a bag that no worker can ever do waits for one that can [s]."""
HOPELESS_AFTER = 3
"""How often in a row each worker must have failed a deal of which nobody has done anything, before it is given up."""
_MAX_PAUSE = 60
"""How much longer than the first the pause after refusals gets."""
_RUNNING, _OPEN_STAGES = BagStage.RUNNING, frozenset({BagStage.RUNNING, BagStage.POSTED, BagStage.GIVEN_BACK})


def plan(book: BagBook, bag: Bag, settings: PoolSettings, mail: Mail, at: Instant) -> None:
    """Ask for what is to be sent to the chain now."""
    match bag.record.stage:
        case BagStage.RUNNING:
            _plan_running(book, bag, settings, mail, at)
        case BagStage.POSTED | BagStage.GIVEN_BACK:
            _plan_posted(bag, settings, mail, at)
        case BagStage.SETTLED:
            _plan_proofs(book, bag, settings, mail, at)


def posted(book: BagBook, bag: Bag, fact: Posted) -> None:
    """The hub has the bag."""
    if bag.record.stage is _RUNNING:
        stage = BagStage.GIVEN_BACK if fact.bag.root == ZERO_HASH else BagStage.POSTED
        book.write(bag, replace(bag.record, stage=stage, posted=fact.bag))


def ended_on_chain(book: BagBook, bag: Bag, fact: BagSettled | BagSlashed | BagClaimed, mail: Mail) -> None:
    """The bag has come to an end; its workers may forget it."""
    if bag.record.stage not in _OPEN_STAGES:
        return
    is_settled = isinstance(fact, BagSettled)
    stage = BagStage.PUNISHED if isinstance(fact, BagSlashed) else BagStage.CLAIMED if isinstance(fact, BagClaimed) else BagStage.SETTLED
    if is_settled and bag.record.stage is BagStage.GIVEN_BACK:
        stage = BagStage.GIVEN_BACK
    is_over = not (stage is BagStage.SETTLED and bag.has_callback and bag.done)
    book.write(bag, replace(bag.record, stage=stage, is_over=is_over))
    for worker in bag.members:
        mail.over(worker, bag.deal_id)


def step_failed(bag: Bag, fact: BagStepFailed, settings: PoolSettings, at: Instant) -> None:
    """Try a refused step again after a pause that grows."""
    state = bag.steps.setdefault((fact.step, fact.index), StepState())
    state.retry_at = at.wall + settings.step_pause_s * min(2**state.refusals, _MAX_PAUSE)
    state.refusals += 1
    state.reason = fact.reason


def why_stuck(bag: Bag) -> str:
    """Say why the tasks that are left have no worker."""
    causes = [task.cause for task in bag.open.values() if task.cause] + [each.cause for each in bag.members.values() if each.cause]
    last = f"; the last cause was {causes[-1]}" if causes else ""
    if any(len(set(task.votes.values())) > 1 for task in bag.open.values()):
        return f"its workers gave different results, and no other worker came to decide{last}"
    if all(each.left_at for each in bag.members.values()):
        return f"no worker is connected that could do it{last}"
    return f"no further worker could do it{last}"


def _plan_running(book: BagBook, bag: Bag, settings: PoolSettings, mail: Mail, at: Instant) -> None:
    if bag.record.why:
        return
    if not bag.is_all_ended and at.chain >= bag.work_until:
        _end_rest(book, bag, "it had no result when the time for its work was over", mail, at)
    elif not bag.is_all_ended and bag.misfit and at.wall >= bag.misfit_since + MISFIT_S and not _is_worked_on(bag):
        _end_rest(book, bag, f"no worker of this pool can do it: {bag.misfit}", mail, at)
    elif not bag.is_all_ended and (_is_stuck(bag, settings, at) or _is_hopeless(bag, settings, at)):
        _end_rest(book, bag, why_stuck(bag), mail, at)
    if not bag.is_all_ended:
        return
    if not bag.done and not bag.earned:
        if _is_due(bag, BagStep.GIVE_BACK, None, settings, at):
            mail.add(GiveBackBag(bag.deal_id))
    elif _is_due(bag, BagStep.POST, None, settings, at):
        mail.add(PostBag(bag.deal_id))


def _is_stuck(bag: Bag, settings: PoolSettings, at: Instant) -> bool:
    """Tell whether nobody works on what is left, and has not for a while."""
    return not _is_worked_on(bag) and at.wall >= bag.moved_at + settings.bag_patience_s


def _is_worked_on(bag: Bag) -> bool:
    return bool(bag.checking) or any(member.held or member.asked for member in bag.members.values())


def _is_hopeless(bag: Bag, settings: PoolSettings, at: Instant) -> bool:
    """Tell whether every worker that is here has failed the deal again and again, and none has ever done a task of it."""
    here = [member for member in bag.members.values() if not member.left_at]
    is_failed = all(_has_failed(member, settings, at) for member in here)
    return bool(here) and is_failed and not any(member.has_voted or member.held for member in bag.members.values())


def _has_failed(member: Member, settings: PoolSettings, at: Instant) -> bool:
    """Tell whether nothing is to be hoped from a worker; one that only misses chain or storage is waited for."""
    if member.is_barred or member.failures < HOPELESS_AFTER:
        return member.is_barred
    return not member.is_cut_off or at.wall >= member.failing_since + settings.bag_patience_s


def _end_rest(book: BagBook, bag: Bag, reason: str, mail: Mail, at: Instant) -> None:
    while bag.has_fresh:
        bag.next_fresh()
    for task in list(bag.open.values()):
        end_badly(book, bag, task, f"{reason}; {task.cause}" if task.cause and task.cause not in reason else reason, mail, at)


def _plan_posted(bag: Bag, settings: PoolSettings, mail: Mail, at: Instant) -> None:
    if bag.record.posted is None:
        return
    for index in sorted(bag.demands):
        if _is_due(bag, BagStep.ANSWER, index, settings, at):
            mail.add(AnswerDemand(bag.record.posted, index))
    if not bag.demands and at.chain >= bag.record.posted.deadline and _is_due(bag, BagStep.SETTLE, None, settings, at):
        mail.add(SettleBag(bag.record.posted))


def _plan_proofs(book: BagBook, bag: Bag, settings: PoolSettings, mail: Mail, at: Instant) -> None:
    """Hand results to the deal's callback, some at a time."""
    if bag.record.posted is None or bag.record.is_over:
        return
    done = [bag.record.first + place for place, end in enumerate(bag.ends) if end == DONE]
    missing = [index for index in done if index not in bag.proven]
    if not missing:
        book.write(bag, replace(bag.record, is_over=True))
        return
    due = tuple(index for index in missing[:PROOFS_AT_ONCE] if _is_due(bag, BagStep.PROVE, index, settings, at))
    if due:
        mail.add(ProveResults(bag.record.posted, due))


def _is_due(bag: Bag, step: BagStep, index: int | None, settings: PoolSettings, at: Instant) -> bool:
    """Tell whether a step may be sent now, and count it as sent if so."""
    state = bag.steps.get((step, index))
    if state is not None and at.wall < (state.retry_at or state.sent_at + settings.resend_s):
        return False
    state = bag.steps.setdefault((step, index), StepState())
    state.sent_at, state.retry_at = at.wall, 0
    return True
