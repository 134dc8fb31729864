"""
What a pool says of its bags: how far each is, results as they come, and each task as the usual views have it.

What it says has been saved: a result that was shown is a result that will be posted.
"""

from __future__ import annotations

from voisin.pool.bags.archives import cid_at
from voisin.pool.bags.book import Bag, OpenTask
from voisin.pool.bags.closing import why_stuck
from voisin.pool.bags.records import BagRecord, EndedTask
from voisin.pool.bags.service import BagService
from voisin.pool.heart.records import DealRecord, Outcome, Phase, ReplicaRecord, TaskFile, TaskRecord
from voisin.protocol.api import PoolTaskView, ReplicaView
from voisin.protocol.bag_api import BagResult, BagStage, BagView
from voisin.protocol.bag_settlement import unpack_payouts
from voisin.protocol.ids import Address, DealId, Hash32, TaskId, task_id
from voisin.protocol.results import result_hash
from voisin.protocol.wire_words import ReplicaStage
from voisin.units import UnixSeconds

RESULTS_AT_ONCE = 1_000
MAX_WAIT_S = 60.0


async def bag_view(bags: BagService, deal_id: DealId, *, after: int, wait_s: float) -> BagView | None:
    """
    Describe a bag; None for a deal that is none of this pool's.

    Args:
        bags: The pool's bags.
        deal_id: The deal.
        after: How many results are known already.
        wait_s: How long to wait for a further one, or for a change of the stage [s].
    """
    found = await bags.news.standing(deal_id)
    if found is None:
        return None
    moved = bags.next_move(deal_id)
    results = await bags.news.ended_after(deal_id, after, RESULTS_AT_ONCE)
    if not results and wait_s > 0 and not found.record.is_over:
        await bags.wait(moved, min(wait_s, MAX_WAIT_S))
        found = await bags.news.standing(deal_id) or found
        results = await bags.news.ended_after(deal_id, after, RESULTS_AT_ONCE)
    record = found.record
    posted = record.posted
    return BagView(
        deal_id=deal_id,
        stage=record.stage,
        first_index=record.first,
        volume=record.volume,
        done=found.done,
        given_back=found.undone,
        why=why_bag(bags, record, found.done + found.undone),
        results=tuple(_result(task) for task in results),
        next=results[-1].place if results else after,
        leaves=posted.leaves if posted is not None and record.stage is not BagStage.GIVEN_BACK else None,
        deadline=posted.deadline if posted is not None else UnixSeconds(0),
        payouts=unpack_payouts(posted.payouts) if posted is not None else {},
    )


def why_bag(bags: BagService, record: BagRecord, ended: int) -> str:
    """Say what a bag waits for."""
    bag = bags.machine.book.bags.get(record.deal_id)
    if record.why:
        return f"it cannot be done: {record.why}"
    match record.stage:
        case BagStage.RUNNING:
            return _why_running(bag, record, ended)
        case BagStage.POSTED if bag is not None and bag.demands:
            return f"{len(bag.demands)} leaves are asked for and not shown yet"
        case BagStage.POSTED:
            return "its root is on the hub, where it may be challenged until the deadline"
        case BagStage.SETTLED:
            return "everybody is paid"
        case BagStage.GIVEN_BACK:
            return "nothing was done; the requester has the money back"
        case BagStage.PUNISHED:
            return "a fraud was proven; the requester has the money back"
        case BagStage.CLAIMED:
            return "it was not posted in time; the requester has the money back"


async def bag_task(bags: BagService, task: TaskId) -> tuple[TaskFile, DealRecord, str] | None:
    """Find a task of a bag, as the usual records would have it, with its deal and why it stands where it stands; None if there is none."""
    found = await bags.store.ended_task(task)
    if found is not None:
        deal_id, ended = found
        record = await bags.store.record(deal_id)
        return None if record is None else (_ended_file(record, ended), record.terms, _why_ended(record, ended))
    place = bags.place_of(task)
    if place is None:
        return None
    bag, index = place
    return _open_file(bag, index), bag.record.terms, why_task(bag, bag.open.get(index))


async def bag_task_views(bags: BagService, deal_id: DealId) -> list[PoolTaskView]:
    """Describe the tasks of a bag by index; nothing for a deal that is none."""
    record = await bags.store.record(deal_id)
    if record is None:
        return []
    views = {task.index: task_view(_ended_file(record, task), _why_ended(record, task)) for task in await bags.store.ended(deal_id)}
    bag = bags.machine.book.bags.get(deal_id)
    for index in range(record.first, record.first + record.volume):
        if index in views:
            continue
        if bag is None:
            views[index] = task_view(TaskFile(task=_task(record, index)), why_bag(bags, record, len(views)))
        else:
            views[index] = task_view(_open_file(bag, index), why_task(bag, bag.open.get(index)))
    return [views[index] for index in sorted(views)]


def task_view(file: TaskFile, why: str) -> PoolTaskView:
    """Describe a task of a bag."""
    replicas = tuple(
        ReplicaView(worker=each.worker, worker_name="", stage=each.stage, outcome=each.outcome, cause=each.cause) for each in file.replicas
    )
    task = file.task
    phase = task.phase.value
    return PoolTaskView(
        task_id=task.task_id, deal_id=task.deal_id, index=task.index, phase=phase, why=why, result=task.cid, replicas=replicas
    )


def why_task(bag: Bag, task: OpenTask | None) -> str:
    """Say what a task waits for."""
    if bag.record.why:
        return f"it cannot be done: {bag.record.why}"
    last = f"; the last cause was {task.cause}" if task is not None and task.cause else ""
    if task is None:
        return "it waits for a worker; tasks are served in order"
    if task.agreed is not None:
        missing = [worker for worker in task.winners() if worker not in task.shown]
        return (
            f"its workers agree, and {len(missing)} of them have still to show the result" if missing else "its archive is being looked at"
        )
    if task.holders:
        return f"{len(task.holders)} workers compute it, {len(task.votes)} have a result{last}"
    return f"it waits for {bag.wants(task)} further workers{last}"


def _why_running(bag: Bag | None, record: BagRecord, ended: int) -> str:
    if bag is None:
        return "another scheduler of the pool runs it, or this one in a moment"
    if ended == record.volume:
        refused = [step.reason for step in bag.steps.values() if step.reason]
        return f"all tasks have ended; it is being posted{f', which was refused: {refused[-1]}' if refused else ''}"
    held = sum(len(member.held) for member in bag.members.values())
    asked = sum(len(member.asked) for member in bag.members.values())
    if held or asked or bag.checking:
        return f"its workers compute {held} tasks and have {asked} results to show"
    return why_stuck(bag)


def _why_ended(record: BagRecord, ended: EndedTask) -> str:
    if not ended.has_result:
        return f"it has no result, and costs nothing: {ended.reason}"
    count = len(ended.agreed)
    agreed = f"{count} worker{'' if count == 1 else 's'} agreed"
    others = f", {len(ended.others)} said something else" if ended.others else ""
    match record.stage:
        case BagStage.SETTLED:
            return f"completed: {agreed}{others}; the bag is settled"
        case BagStage.POSTED | BagStage.RUNNING:
            return f"done: {agreed}{others}; the bag is {'posted' if record.stage is BagStage.POSTED else 'not posted yet'}"
        case _:
            return f"done, and not paid: {agreed}{others}; the requester has the money back"


def _result(task: EndedTask) -> BagResult:
    return BagResult(
        index=task.index,
        digest=task.digest,
        location=task.location,
        agreed=task.agreed,
        others=len(task.others),
        exit_code=task.exit_code,
        reason=task.reason,
    )


def _task(record: BagRecord, index: int) -> TaskRecord:
    return TaskRecord(task_id=task_id(record.deal_id, index), deal_id=record.deal_id, index=index)


def _ended_file(record: BagRecord, ended: EndedTask) -> TaskFile:
    task = task_id(record.deal_id, ended.index)
    is_paid = record.stage in (BagStage.RUNNING, BagStage.POSTED, BagStage.SETTLED)
    phase = Phase.COMPLETED if ended.has_result and is_paid else Phase.CLAIMED if record.is_over else Phase.FAILED
    consensus = result_hash(task, ended.digest) if ended.has_result else None
    found = TaskRecord(
        task_id=task,
        deal_id=record.deal_id,
        index=ended.index,
        phase=phase,
        reason=ended.reason,
        consensus=consensus,
        digest=ended.digest if ended.has_result else None,
        cid=cid_at(ended.location) if ended.has_result else "",
        callback_data=ended.callback_data or "0x",
    )
    replicas = [_replica(task, worker, Outcome.PROVED, consensus, ended.exit_code) for worker in ended.agreed]
    replicas += [_replica(task, vote.worker, Outcome.FAULTY, vote.result_hash, None) for vote in ended.others]
    return TaskFile(task=found, replicas=tuple(replicas))


def _open_file(bag: Bag, index: int) -> TaskFile:
    task, phase = bag.open.get(index), Phase.NEW
    if task is None:
        return TaskFile(task=_task(bag.record, index))
    phase = Phase.RUNNING if task.agreed is None else Phase.REVEALING
    name = task_id(bag.deal_id, index)
    found = TaskRecord(task_id=name, deal_id=bag.deal_id, index=index, phase=phase, consensus=task.agreed, failures=task.failures)
    replicas = [ReplicaRecord(task_id=name, worker=worker) for worker in task.holders]
    replicas += [_replica(name, worker, Outcome.RUNNING, said, None) for worker, said in task.votes.items()]
    return TaskFile(task=found, replicas=tuple(replicas))


def _replica(task: TaskId, worker: Address, outcome: Outcome, said: Hash32 | None, exit_code: int | None) -> ReplicaRecord:
    stage = ReplicaStage.UPLOADED if outcome is Outcome.PROVED else ReplicaStage.CONTRIBUTED
    cause = "it said something else than was agreed, or did not show its result" if outcome is Outcome.FAULTY else ""
    return ReplicaRecord(
        task_id=task, worker=worker, stage=stage, outcome=outcome, result_hash=said, weight=2, cause=cause, exit_code=exit_code
    )
