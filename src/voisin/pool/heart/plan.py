"""
What is to be done now: read off the state of a task, not off the last event, so that asking twice gives the same answer.

    NEW         open on the chain, a chunk of tasks at a time, few ahead of the workers
    RUNNING     for an enclave, ask the vault for the task's challenge; replace stalled workers; past the contribution deadline, give up
    REVEALING   ask winners to reveal; ask one that revealed to upload; finalise; nobody revealed in time: reopen
    FAILED      give back, where the hub can; past the final deadline, claim

Source: pool-semantics.md 1.2, 1.6 to 1.8; poco-protocol.md 9.1.
"""

from __future__ import annotations

from dataclasses import replace

from voisin.pool.heart.book import Book, DealState, StepState, TaskState
from voisin.pool.heart.commands import AskChallenge, Finalize, Initialize, ReadDeadline, Reopen, Tell
from voisin.pool.heart.course import fail, tell_online
from voisin.pool.heart.crew import give_up
from voisin.pool.heart.facts import ChallengeFailed, ChallengeGiven, DeadlineRead, Instant, Step, StepFailed
from voisin.pool.heart.records import Phase, ReplicaRecord
from voisin.pool.heart.refunds import Refunds, may_give_back
from voisin.protocol.wire import Abort, AskReveal, AskUpload
from voisin.units import UnixSeconds


def plan_all(book: Book, at: Instant) -> None:
    """Make the plans of all tasks that were touched, and open further tasks for idle workers."""
    refunds = Refunds()
    while book.dirty:
        dirty, book.dirty = book.dirty, {}
        for task_id in dirty:
            task = book.tasks.get(task_id)
            if task is not None:
                _plan(book, task, at, refunds)
                book.feed(task)
    book.out += refunds.commands(book.settings.initialize_chunk)
    _open_tasks(book, at)


def _plan(book: Book, task: TaskState, at: Instant, refunds: Refunds) -> None:
    match task.record.phase:
        case Phase.NEW:
            _plan_new(book, task, at)
        case Phase.RUNNING:
            _plan_running(book, task, at)
        case Phase.REVEALING:
            _plan_revealing(book, task, at)
        case Phase.FAILED:
            _plan_failed(book, task, at, refunds)


def _plan_failed(book: Book, task: TaskState, at: Instant, refunds: Refunds) -> None:
    """Give a task back as soon as that is possible, else claim it at the final deadline."""
    if at.chain >= task.deal.final_deadline:
        if _may_send(book, task, Step.CLAIM, at):
            refunds.claimed.append(task)
        return
    book.wake(task, chain=task.deal.final_deadline)
    if may_give_back(book, task) and _may_send(book, task, Step.GIVE_BACK, at):
        refunds.given_back.append(task)


def _plan_new(book: Book, task: TaskState, at: Instant) -> None:
    if at.chain < task.deal.contribution_deadline:
        book.wake(task, chain=task.deal.contribution_deadline)
        return
    detail = f": {task.deal.opening_step.reason}" if task.deal.opening_step.reason else ""
    fail(book, task, at, f"it was not opened on the chain before the deadline for contributions{detail}")


def _plan_running(book: Book, task: TaskState, at: Instant) -> None:
    if at.chain >= task.deal.contribution_deadline:
        fail(book, task, at, _why_undecided(task))
        return
    if task.lacks_challenge:
        _ask_challenge(book, task, at)
        return
    for replica in list(task.replicas.values()):
        if replica.is_pending and replica.due_at and at.wall >= replica.due_at:
            allowed = task.deal.allowance_s + book.settings.grace_s
            cause = f"stalled: no contribution after {allowed:.0f} s, the time of the task and {book.settings.grace_s:.0f} s"
            give_up(book, task, replica, at, cause, failure=None)
            tell_online(book, replica.worker, Abort(task.record.task_id, cause))
    waits = [replica.due_at for replica in task.replicas.values() if replica.is_pending and replica.due_at]
    if not waits and not book.lacks_worker(task):
        waits.append(_doubt(book, task, at))
    book.wake(task, wall=min(waits, default=0), chain=task.deal.contribution_deadline)


def _ask_challenge(book: Book, task: TaskState, at: Instant) -> None:
    """Ask the vault for the task's challenge, and again when no answer came."""
    if at.wall >= task.challenge_retry_at:
        task.challenge_retry_at = at.wall + book.settings.resend_s
        book.out.append(AskChallenge(task.record.task_id))
    book.wake(task, wall=task.challenge_retry_at, chain=task.deal.contribution_deadline)


def challenge_given(book: Book, fact: ChallengeGiven, at: Instant) -> None:
    """Take a task's challenge, so that workers can be authorised."""
    task = book.tasks.get(fact.task_id)
    if task is not None and task.lacks_challenge:
        task.challenge_trouble = ""
        book.write_task(task, replace(task.record, challenge=fact.challenge))
        book.note(task, at, "the vault made its key", f"for a {task.record.enclave} enclave: {fact.challenge}")


def challenge_failed(book: Book, fact: ChallengeFailed, at: Instant) -> None:
    """Ask the vault again after a pause that grows."""
    task = book.tasks.get(fact.task_id)
    if task is None or not task.lacks_challenge:
        return
    if fact.reason != task.challenge_trouble:
        book.note(task, at, "the vault gave no key", fact.reason)
    task.challenge_trouble = fact.reason
    task.challenge_retry_at = at.wall + book.settings.step_pause_s * 2 ** min(task.challenge_refusals, 6)
    task.challenge_refusals += 1
    book.touch(task)


def _doubt(book: Book, task: TaskState, at: Instant) -> float:
    """
    Doubt an agreement that the chain does not confirm: a score may be counted too high here.

    Returns:
        When to look again [Unix s].
    """
    patience = book.settings.confirm_s
    if not task.is_doubted and task.groups() and at.wall >= task.contributed_at + patience:
        task.is_doubted = True
        book.note(task, at, "not agreed on the chain", "another worker is asked")
    return max(task.contributed_at, at.wall) + patience


def _why_undecided(task: TaskState) -> str:
    """Say why a task's workers did not agree in time."""
    groups = task.groups()
    counted = sum(len(group) for group in groups.values())
    causes = [replica.cause for replica in task.replicas.values() if replica.cause]
    last = f"; the last cause was {causes[-1]}" if causes else ""
    if task.challenge_trouble and not task.replicas:
        return f"the vault gave no key for its enclave before the deadline for contributions: {task.challenge_trouble}"
    if not counted:
        tried = f"none of {len(task.replicas)} workers contributed" if task.replicas else "no worker was free for it"
        return f"{tried} before the deadline for contributions{last}"
    if len(groups) > 1:
        wanted = task.deal.record.deal.trust
        return f"{counted} workers gave {len(groups)} different results, and none of these has enough weight for trust {wanted}"
    return f"{counted} contributed, which is not enough for trust {task.deal.record.deal.trust}; no further worker came in time{last}"


def _plan_revealing(book: Book, task: TaskState, at: Instant) -> None:
    winners = task.winners()
    revealed = [winner for winner in winners if winner.is_revealed]
    if at.chain >= task.deal.final_deadline:
        fail(book, task, at, _why_unfinished(task, len(revealed)))
        return
    is_over = bool(task.record.reveal_deadline) and at.chain >= task.record.reveal_deadline
    if not is_over:
        _ask_reveals(book, task, winners)
    if not revealed and is_over:
        _plan_reopen(book, task, at)
    elif not task.record.reveal_deadline and len(revealed) < len(winners):
        _read_deadline(book, task, at)
    if revealed and not task.record.cid:
        _plan_upload(book, task, revealed, at)
    if revealed and task.record.cid and (is_over or len(revealed) == len(winners)) and _may_send(book, task, Step.FINALIZE, at):
        book.out.append(_finalize(task, is_partial=len(revealed) < len(winners)))
    deadline = task.deal.final_deadline if is_over else task.record.reveal_deadline or task.deal.final_deadline
    book.wake(task, chain=deadline)


def _read_deadline(book: Book, task: TaskState, at: Instant) -> None:
    if at.wall >= task.deadline_asked_at + book.settings.step_pause_s:
        task.deadline_asked_at = at.wall
        book.out.append(ReadDeadline(task.record.task_id))
    book.wake(task, wall=task.deadline_asked_at + book.settings.step_pause_s)


def _why_unfinished(task: TaskState, revealed: int) -> str:
    if not revealed:
        return "the workers agreed, and none of them revealed"
    if not task.record.cid:
        problem = f": {task.upload.problem}" if task.upload.problem else ""
        return f"no worker uploaded the agreed result before the final deadline{problem}"
    reason = f": {task.step.reason}" if task.step and task.step.reason else ""
    return f"it could not be finalised before its final deadline{reason}"


def _ask_reveals(book: Book, task: TaskState, winners: list[ReplicaRecord]) -> None:
    for winner in winners:
        is_here = book.worker(winner.worker).is_online
        if is_here and not winner.is_revealed and winner.worker not in task.asked_reveal and task.record.consensus:
            task.asked_reveal.add(winner.worker)
            deadline = task.record.reveal_deadline or task.deal.final_deadline
            book.out.append(
                Tell(winner.worker, AskReveal(task_id=task.record.task_id, consensus=task.record.consensus, reveal_deadline=deadline))
            )


def _plan_reopen(book: Book, task: TaskState, at: Instant) -> None:
    """Nobody revealed: take contributions again, or give up when it is too late for any."""
    if at.chain >= task.deal.contribution_deadline:
        fail(book, task, at, "the workers agreed, none of them revealed, and it is too late for others")
    elif _may_send(book, task, Step.REOPEN, at):
        book.out.append(Reopen(task.record.deal_id, task.record.index, task.record.task_id))


def _plan_upload(book: Book, task: TaskState, revealed: list[ReplicaRecord], at: Instant) -> None:
    """Give the upload to one worker that revealed, and to the next when its lease is over."""
    upload = task.upload
    if upload.uploader is not None and at.wall >= upload.until:
        book.note(task, at, "did not upload in time", worker=upload.uploader)
        upload.release(at, f"{upload.uploader} did not upload in {book.settings.upload_lease_s:.0f} s")
        upload.checking = ""
    if upload.uploader is None and not upload.checking:
        here = [replica.worker for replica in revealed if book.worker(replica.worker).is_online]
        chosen = min(here, key=upload.turn_of, default=None)
        if chosen is None:
            return
        ready_at = upload.released_at + book.settings.retry_pause_s * (2 ** min(upload.turn_of(chosen)[0], 6) - 1)
        if at.wall < ready_at:
            book.wake(task, wall=ready_at)
            return
        upload.uploader, upload.until = chosen, at.wall + book.settings.upload_lease_s
        upload.asked.append(chosen)
        book.note(task, at, "asked to upload", worker=chosen)
        book.out.append(Tell(chosen, AskUpload(task.record.task_id)))
    book.wake(task, wall=upload.until)


def _finalize(task: TaskState, *, is_partial: bool) -> Finalize:
    return Finalize(
        deal_id=task.record.deal_id,
        index=task.record.index,
        task_id=task.record.task_id,
        cid=task.record.cid,
        callback_data=task.record.callback_data,
        has_callback=task.deal.has_callback,
        contributors=sum(1 for replica in task.replicas.values() if replica.result_hash is not None),
        is_certain=task.is_certain and not is_partial and (task.step is None or not task.step.refusals),
    )


def _may_send(book: Book, task: TaskState, step: Step, at: Instant) -> bool:
    """Tell whether a step is due, and count it as sent if so; it wakes again to see whether it had its effect."""
    state = task.step
    if state is None or state.step is not step:
        task.step = StepState(step, sent_at=at.wall)
    elif state.is_due(at, book.settings.resend_s):
        task.is_certain = False
        state.sent_at, state.retry_at = at.wall, 0
    else:
        book.wake(task, wall=state.retry_at or state.sent_at + book.settings.resend_s)
        return False
    book.wake(task, wall=at.wall + book.settings.resend_s)
    return True


def _open_tasks(book: Book, at: Instant) -> None:
    """Open tasks on the chain, in order, as long as few enough wait for a worker."""
    settings = book.settings
    slots = sum(worker.record.slots for worker in book.present.values() if worker.is_online)
    room = max(settings.initialize_ahead, 2 * slots) - len(book.hungry)
    for deal in [deal for deal_id, deal in book.unopened.items() if not book.is_unfit(deal_id)]:
        _take_back_late(deal, at, settings.resend_s)
        if not deal.fresh and not deal.opening:
            del book.unopened[deal.record.deal_id]
        room -= len(deal.opening)
        while room > 0 and deal.fresh and at.wall >= deal.opening_step.retry_at:
            indexes = _take_chunk(deal, settings.initialize_chunk)
            if indexes:
                deal.opening.update((index, at.wall) for index in indexes)
                room -= len(indexes)
                book.out.append(Initialize(deal.record.deal_id, indexes, deal.is_certain and not deal.opening_step.refusals))
        if room <= 0:
            return


def _take_chunk(deal: DealState, count: int) -> tuple[int, ...]:
    """Take the next indexes that are still to be opened."""
    taken = [deal.fresh.popleft() for _ in range(min(count, len(deal.fresh)))]
    return tuple(index for index in taken if index in deal.tasks and deal.tasks[index].record.phase is Phase.NEW)


def _take_back_late(deal: DealState, at: Instant, resend_s: float) -> None:
    """Take initialisations that had no effect back into the queue."""
    late = [index for index, sent_at in deal.opening.items() if at.wall >= sent_at + resend_s]
    for index in late:
        del deal.opening[index]
    if late:
        deal.is_certain = False
        deal.fresh.extendleft(sorted(late, reverse=True))


def step_failed(book: Book, fact: StepFailed, at: Instant) -> None:
    """Try a refused step again after a pause that grows."""
    deal = book.deals.get(fact.deal_id)
    if deal is None:
        return
    if fact.step is Step.INITIALIZE:
        back = [index for index in fact.indexes if deal.opening.pop(index, None) is not None]
        deal.fresh.extendleft(sorted(back, reverse=True))
        _refuse(book, deal.opening_step, fact, at)
    for task in [deal.tasks[index] for index in fact.indexes if index in deal.tasks]:
        book.note(task, at, f"{fact.step} was refused", fact.reason)
        book.touch(task)
        if task.step is not None and task.step.step is fact.step:
            _refuse(book, task.step, fact, at)
            book.wake(task, wall=task.step.retry_at)


def _refuse(book: Book, step: StepState, fact: StepFailed, at: Instant) -> None:
    pause = book.settings.step_pause_s
    step.retry_at = at.wall + min(pause * 2**step.refusals, 60 * pause)
    step.refusals += 1
    step.reason = fact.reason


def deadline_read(book: Book, fact: DeadlineRead) -> None:
    """Take the exact reveal deadline from the chain."""
    task = book.tasks.get(fact.task_id)
    if task is not None and task.record.phase is Phase.REVEALING and fact.reveal_deadline:
        task.step = None
        book.write_task(task, replace(task.record, reveal_deadline=UnixSeconds(fact.reveal_deadline)))
