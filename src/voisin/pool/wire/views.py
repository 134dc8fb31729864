"""What the pool answers when it is asked: itself, a task, a deal, its workers, how it is."""

from __future__ import annotations

from importlib.metadata import version

import anyio
import msgspec

from voisin.errors import StateError, UnavailableError
from voisin.pool.bags.views import bag_task, bag_task_views
from voisin.pool.bags.views import bag_view as view_of_bag
from voisin.pool.bags.views import task_view as bag_task_view
from voisin.pool.heart.book import TaskState
from voisin.pool.heart.records import DealRecord, TaskFile
from voisin.pool.running.service import PoolService
from voisin.pool.wire.words import PoolWorkerView, closed_task_view, open_task_view, saved_task_view, worker_view
from voisin.protocol.api import PoolTaskView, PoolView
from voisin.protocol.bag_api import BagView
from voisin.protocol.ids import Address, DealId, TaskId

CHAIN_WAIT_S = 5
"""How long the chain may take to answer a question about health [s]."""


class UnknownError(StateError):
    """Nothing of that name is known to this pool."""


class PoolHealth(msgspec.Struct, frozen=True, kw_only=True):
    """
    How a pool is.

    Attributes:
        is_live: Whether it has caught up with the chain and acts.
        chain_id: The chain it follows.
        hub: The hub it follows.
        workerpool: The workerpool it works for.
        next_block: First block that it has not taken in yet.
        head: The chain's latest block.
        lag_blocks: How many blocks it is behind.
        workers_online: Connected workers.
        open_tasks: Tasks not at an end.
        troubles: What stands in its way, in words; empty when nothing does.
    """

    is_live: bool
    chain_id: int
    hub: Address
    workerpool: Address
    next_block: int
    head: int
    lag_blocks: int
    workers_online: int
    open_tasks: int
    troubles: tuple[str, ...]


def pool_view(service: PoolService) -> PoolView:
    """Describe the pool."""
    domain = service.ledger.domain
    return PoolView(
        workerpool=service.settings.workerpool,
        scheduler=service.scheduler,
        hub=domain.hub,
        chain_id=domain.chain_id,
        storage_url=service.settings.storage_url,
        version=version("voisin"),
        workers=tuple(worker_views(service)),
        open_tasks=service.machine.book.open_count(),
        rpc_url=service.settings.public_rpc_url,
        faucet_url=service.settings.faucet_url,
        settles_bags=service.bags.is_able,
    )


def worker_views(service: PoolService) -> list[PoolWorkerView]:
    """Describe the workers that ever joined, those that are connected first."""
    book = service.machine.book
    joined = [address for address, worker in book.workers.items() if worker.record.slots]
    views = [worker_view(book, address, service.desk.notes.get(address, "")) for address in joined]
    return sorted(views, key=lambda view: (not view.online, view.name, view.worker))


async def task_view(service: PoolService, task_id: TaskId) -> PoolTaskView:
    """
    Describe a task.

    Raises:
        UnknownError: It is not this pool's, or not yet.
    """
    task = service.machine.book.tasks.get(task_id)
    if task is not None:
        return open_task_view(service.machine.book, task, service.clock.now().chain)
    closed = service.machine.book.closed.get(task_id)
    file = _file_of(closed) if closed is not None else await service.store.task(task_id)
    if file is None and (found := await bag_task(service.bags, task_id)) is not None:
        return bag_task_view(found[0], found[2])
    if file is None:
        raise UnknownError(f"task {task_id} is not known here", hint="check the id, and that its deal is with this pool")
    return saved_task_view(service.machine.book, file)


async def task_file(service: PoolService, task_id: TaskId) -> tuple[TaskFile, DealRecord]:
    """
    Give a task's records with its deal's.

    Raises:
        UnknownError: It is not this pool's, or not yet.
    """
    task = service.machine.book.tasks.get(task_id) or service.machine.book.closed.get(task_id)
    if task is not None:
        return _file_of(task), task.deal.record
    file = await service.store.task(task_id)
    if file is None and (found := await bag_task(service.bags, task_id)) is not None:
        return found[:2]
    deal = None if file is None else await service.store.deal_record(file.task.deal_id)
    if file is None or deal is None:
        raise UnknownError(f"task {task_id} is not known here", hint="check the id, and that its deal is with this pool")
    return file, deal


async def deal_views(service: PoolService, deal_id: DealId) -> list[PoolTaskView]:
    """
    Describe the tasks of a deal by index.

    Raises:
        UnknownError: It is not this pool's, or not yet.
    """
    saved = await service.store.deal(deal_id)
    book, now = service.machine.book, service.clock.now().chain
    views = {file.task.index: saved_task_view(book, file) for file in saved}
    views |= {task.record.index: closed_task_view(book, _file_of(task)) for task in book.closed.values() if task.record.deal_id == deal_id}
    if deal_id in book.deals:
        views |= {index: open_task_view(book, task, now) for index, task in book.deals[deal_id].tasks.items()}
    if not views and (of_bag := await bag_task_views(service.bags, deal_id)):
        return of_bag
    if not views:
        raise UnknownError(f"deal {deal_id} is not known here", hint="check the id, and that it is with this pool")
    return [views[index] for index in sorted(views)]


async def bag_view(service: PoolService, deal_id: DealId, *, after: int, wait_s: float) -> BagView:
    """
    Describe a bag.

    Raises:
        UnknownError: It is not this pool's, not yet, or no bag.
    """
    found = await view_of_bag(service.bags, deal_id, after=after, wait_s=wait_s)
    if found is None:
        hint = "check the id, and that its deal is with this pool and is settled as a bag"
        raise UnknownError(f"deal {deal_id} is not known here as a bag", hint=hint)
    return found


def _file_of(task: TaskState) -> TaskFile:
    return TaskFile(task=task.record, replicas=tuple(task.replicas.values()), story=tuple(task.story))


async def health(service: PoolService) -> PoolHealth:
    """
    Tell how the pool is.

    Raises:
        UnavailableError: The chain does not answer.
    """
    with anyio.move_on_after(CHAIN_WAIT_S):
        head = await service.ledger.head()
        domain, book, condition = service.ledger.domain, service.machine.book, service.condition
        return PoolHealth(
            is_live=condition.is_live,
            chain_id=domain.chain_id,
            hub=domain.hub,
            workerpool=service.settings.workerpool,
            next_block=condition.next_block,
            head=head,
            lag_blocks=max(0, head + 1 - condition.next_block),
            workers_online=sum(1 for worker in book.present.values() if worker.is_online),
            open_tasks=book.open_count(),
            troubles=tuple(service.troubles()),
        )
    raise UnavailableError(f"the chain did not answer within {CHAIN_WAIT_S} s", hint="see whether its node runs")
