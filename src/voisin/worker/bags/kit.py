"""What all tasks of a deal have in common, fetched once; from it to a single task it is a small step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from voisin.errors import StateError, UnavailableError
from voisin.protocol.ids import DealId, TaskId, from_hex, task_id
from voisin.protocol.params import Bag, DealParams
from voisin.protocol.wire_words import MachineFailure
from voisin.sandbox import Job, Turn
from voisin.worker.checks import Terms
from voisin.worker.fetch import Fetcher
from voisin.worker.plan import (
    Inputs,
    RequestError,
    bag_cid,
    bag_entry,
    check_texts,
    own_environment,
    plan_args,
    plan_environment,
    plan_inputs,
)
from voisin.worker.ports import Storage
from voisin.worker.refusal import RefusalError
from voisin.worker.store import WorkerFolder


@dataclass
class Kit:
    """
    A deal, ready to be worked on.

    Attributes:
        deal_id: The deal.
        terms: What the chain says of it.
        job: A run with what the deal gives to every task; None when there is a fault.
        params: The deal's parameters.
        bag: What each task gets beside; None without a bag file.
        fault: What the requester got wrong, so that every task fails; None when nothing is.
        is_series: Whether its tasks may be run in series.
        common_bytes: What the variables take that all tasks have alike [bytes].
        holds: What is to be given back once no more tasks run.
    """

    deal_id: DealId
    terms: Terms
    job: Job | None
    params: DealParams
    bag: Bag | None
    fault: RequestError | None = None
    is_series: bool = True
    common_bytes: int = 0
    holds: ExitStack = field(default_factory=ExitStack)

    def has_own_inputs(self, index: int) -> bool:
        """Tell whether a task has inputs that others do not have."""
        return self.bag is not None and index < len(self.bag.tasks) and bool(self.bag.tasks[index].inputs)

    def turn(self, index: int) -> Turn:
        """
        Say what a task without inputs of its own has of its own.

        Raises:
            RequestError: The requester asked for what cannot be done.
        """
        job, name = self._job(), task_id(self.deal_id, index)
        args = job.args + bag_entry(self.bag, index).args
        own = own_environment(name, index)
        check_texts(args, own, beside_bytes=self.common_bytes)
        return Turn(args=args, env=own, seed=from_hex(name))

    def alone(self, index: int, folder: WorkerFolder) -> Job:
        """
        Make the run of a task without inputs of its own.

        Raises:
            RequestError: The requester asked for what cannot be done.
        """
        turn, job = self.turn(index), self._job()
        name = TaskId(task_id(self.deal_id, index))
        return replace(job, args=turn.args, env={**job.env, **turn.env}, seed=turn.seed, output_dir=folder.outputs(name))

    def _job(self) -> Job:
        if self.fault is not None:
            raise self.fault
        assert self.job is not None
        return self.job


async def fetch_kit(
    deal_id: DealId, terms: Terms, storage: Callable[[], Awaitable[Storage]], *, fetcher: Fetcher, folder: WorkerFolder
) -> Kit:
    """
    Get what all tasks of a deal need.

    Args:
        deal_id: The deal.
        terms: What the chain says of it.
        storage: Where content comes from.
        fetcher: Gets it.
        folder: The worker's files.

    Raises:
        RefusalError: This machine cannot get it.
    """
    kit = Kit(deal_id, terms, None, terms.params or DealParams(), None)
    try:
        await _fill(kit, await storage(), fetcher, folder)
    except RequestError as error:
        kit.fault = error
    except UnavailableError as error:
        raise RefusalError(MachineFailure.CHAIN_UNREACHABLE, error.message) from None
    except StateError as error:
        raise RefusalError(MachineFailure.INPUT_UNAVAILABLE, error.message) from None
    except OSError as error:
        raise RefusalError(MachineFailure.NO_RESOURCES, f"the inputs cannot be written: {error.strerror}") from None
    finally:
        if kit.job is None:
            kit.holds.close()
    return kit


async def fetch_alone(kit: Kit, index: int, storage: Storage, *, fetcher: Fetcher, folder: WorkerFolder, holds: ExitStack) -> Job:
    """
    Make the run of a task with inputs of its own.

    Args:
        kit: What its deal gives.
        index: The task.
        storage: Where content comes from.
        fetcher: Gets it.
        folder: The worker's files.
        holds: Takes what must be given back after the run.

    Raises:
        RequestError: The requester asked for what cannot be done.
        RefusalError: This machine cannot get it.
    """
    name, entry = task_id(kit.deal_id, index), bag_entry(kit.bag, index)
    inputs = plan_inputs(kit.params, entry, allow_web=kit.terms.deal.trust <= 1)
    job = kit.alone(index, folder)
    environment = plan_environment(name, kit.deal_id, kit.terms.deal, index=index, inputs=inputs)
    check_texts(job.args, environment)
    await fetcher.lay_out(name, kit.terms, inputs, storage, holds=holds)
    return replace(job, env=environment, input_dir=folder.inputs(name))


async def _fill(kit: Kit, storage: Storage, fetcher: Fetcher, folder: WorkerFolder) -> None:
    terms = kit.terms
    if terms.params is None:
        raise RequestError(terms.fault)
    kit.bag = await fetcher.bag(bag_cid(terms.params), storage)
    inputs: Inputs = plan_inputs(terms.params, bag_entry(None, 0), allow_web=terms.deal.trust <= 1)
    first = TaskId(task_id(kit.deal_id, terms.deal.bot_first))
    environment = plan_environment(first, kit.deal_id, terms.deal, index=terms.deal.bot_first, inputs=inputs)
    args, own = plan_args(terms.params, bag_entry(None, 0)), own_environment(first, terms.deal.bot_first)
    kit.common_bytes = check_texts((), {name: value for name, value in environment.items() if name not in own})
    module = await fetcher.module(terms, storage, kit.holds)
    await fetcher.lay_out(kit.deal_id, terms, inputs, storage, holds=kit.holds)
    kit.job = Job(
        module=module,
        module_sha256=(terms.app.sha256 or b"").hex(),
        args=args,
        env=environment,
        input_dir=folder.inputs(TaskId(kit.deal_id)),
        output_dir=folder.outputs(TaskId(kit.deal_id)),
        limits=terms.limits,
        clock_unix_s=terms.deal.start_time,
    )
