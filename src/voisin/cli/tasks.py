"""A task as chain and pool know it together."""

from __future__ import annotations

import msgspec
from rich.console import Console

from voisin.cli.show import SIMULATED_WORDS, moment, pairs, table
from voisin.client import AsyncCloud, Callback, CallbackState, Result
from voisin.client.bags.desk import BagReport, find_place, report
from voisin.client.results import require_completed
from voisin.errors import VoisinError
from voisin.protocol.api import PoolTaskView
from voisin.protocol.bag_settlement import NO_RESULT
from voisin.protocol.ids import Address, DealId, Hash32, TaskId
from voisin.protocol.records import ContributionStatus, TaskStatus
from voisin.protocol.wire_words import EnclaveKind
from voisin.units import UnixSeconds


class ContributionLine(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker contributed, as the chain knows it."""

    worker: Address
    status: str
    result_hash: Hash32


class TaskDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A task: its state on the chain, and its pool's account of it where the pool answers."""

    task_id: TaskId
    deal_id: DealId
    index: int
    status: str
    contribution_deadline: UnixSeconds
    reveal_deadline: UnixSeconds
    final_deadline: UnixSeconds
    consensus: Hash32
    contributions: tuple[ContributionLine, ...]
    pool: PoolTaskView | None
    bag: BagReport | None = None


async def describe_task(cloud: AsyncCloud, task: str, deal: str = "") -> TaskDocument:
    """
    Find out where a task stands.

    Args:
        cloud: The market.
        task: The task.
        deal: Its deal, for a task of a bag that the pool does not know.

    Raises:
        StateError: Neither chain nor pool know it.
    """
    task_id = TaskId(Hash32(task))
    pool = await _pool_view(cloud, task_id)
    (found,) = await cloud.links.chain.hub.tasks([task_id])
    if found is None:
        deal_id, index = await find_place(cloud.links, task_id, deal)
        return await _unopened(cloud, task_id, deal_id, index, pool)
    hub = cloud.links.chain.hub
    contributions = [(worker, await hub.contribution(task_id, worker)) for worker in found.contributors]
    lines = (ContributionLine(worker=worker, status=_name(given.status), result_hash=given.result_hash) for worker, given in contributions)
    return TaskDocument(
        task_id=task_id,
        deal_id=found.deal_id,
        index=found.index,
        status=_name(found.status),
        contribution_deadline=found.contribution_deadline,
        reveal_deadline=found.reveal_deadline,
        final_deadline=found.final_deadline,
        consensus=found.consensus,
        contributions=tuple(lines),
        pool=pool,
    )


async def fetch(cloud: AsyncCloud, task: str, deal: str = "") -> Result:
    """
    Fetch one task's verified result, without waiting for it.

    Args:
        cloud: The market.
        task: The task.
        deal: Its deal, for a task of a bag that the pool does not know.

    Raises:
        StateError: The task is unknown, not done, or failed.
        AppFailedError: The app failed.
    """
    task_id = TaskId(Hash32(task))
    deal_id, index = await find_place(cloud.links, task_id, deal)
    job = await cloud.deal(deal_id)
    (part,) = job.deals
    if part.bag is not None:
        await part.bag.look()
        part.bag.stored(index)
    else:
        require_completed(task_id, await cloud.links.chain.hub.task(task_id))
    return await job.result(index - part.deal.bot_first)


def show_task(out: Console, task: TaskDocument) -> None:
    """Print a task."""
    rows = [("Task", str(task.task_id)), ("deal", str(task.deal_id)), ("index", str(task.index)), ("status", task.status)]
    if task.bag is not None:
        rows += [("settled", "as one of a bag: not on the chain until it is proven (voisin task prove)"), ("bag", task.bag.why)]
    elif task.final_deadline:
        rows.append(("contributions until", moment(task.contribution_deadline)))
        rows.append(("refundable from", moment(task.final_deadline)))
    if task.pool is not None:
        rows += [("phase", task.pool.phase), ("why", task.pool.why)]
        if task.pool.enclave is not EnclaveKind.NONE:
            is_played = task.pool.enclave is EnclaveKind.SIMULATED
            rows.append(("enclave", SIMULATED_WORDS if is_played else f"{task.pool.enclave}; `voisin task receipt` has what it showed"))
    out.print(pairs(rows))
    if task.contributions:
        out.print()
        lines = [(line.worker, line.status, line.result_hash) for line in task.contributions]
        out.print(table("Contributions", ("worker", "status", "result hash"), lines))
    if task.pool is not None and task.pool.replicas:
        out.print()
        replicas = [(replica.worker_name, replica.stage.value, replica.outcome, replica.cause) for replica in task.pool.replicas]
        out.print(table("Replicas", ("worker", "stage", "outcome", "cause"), replicas))
    if task.pool is not None and task.pool.story:
        out.print()
        story = [(moment(line.at), line.what, line.detail) for line in task.pool.story]
        out.print(table("Story", ("when", "what", ""), story))


def show_callback(out: Console, found: Callback) -> None:
    """Print how a task's callback stands, and what mends it."""
    rows = [("Task", str(found.task_id)), ("contract", str(found.contract)), ("callback", f"{found.state}: {found.why}")]
    if found.result != "0x":
        rows.append(("result", found.result))
    out.print(pairs(rows))
    if found.state is CallbackState.FAILED:
        out.print(f"[dim]send it again with[/dim] voisin task callback {found.task_id} --retry", soft_wrap=True)


async def _pool_view(cloud: AsyncCloud, task_id: TaskId) -> PoolTaskView | None:
    """Ask the default pool; another pool's task, or no pool at all, is no error."""
    if cloud.links.pool is None:
        return None
    try:
        return await cloud.links.pool.task(task_id)
    except VoisinError:
        return None


async def _unopened(cloud: AsyncCloud, task_id: TaskId, deal_id: DealId, index: int, pool: PoolTaskView | None) -> TaskDocument:
    """Describe a task that is not on the chain: it is waiting to be opened, or one of a bag."""
    job = await cloud.deal(deal_id)
    (part,) = job.deals
    status, bag = "waiting", None
    if part.bag is not None:
        await part.bag.look()
        bag = report(part, part.bag)
        result = part.bag.results.get(index)
        status = "waiting" if result is None else "no result" if result.digest == NO_RESULT else "done"
    zero, never = Hash32("0x" + "00" * 32), UnixSeconds(0)
    return TaskDocument(
        task_id=task_id,
        deal_id=deal_id,
        index=index,
        status=status,
        contribution_deadline=never,
        reveal_deadline=never,
        final_deadline=never,
        consensus=zero,
        contributions=(),
        pool=pool,
        bag=bag,
    )


def _name(status: TaskStatus | ContributionStatus) -> str:
    return status.name.lower()
