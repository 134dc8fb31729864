"""
A job: the tasks of one run, spread over one or more deals, on the way to their results.

Results are fetched as tasks finish. A bag is guarded until its money has moved (`bags.guard`). Of other deals, a task that its
pool has not finished by the deal's final deadline is claimed, which gives its price back.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio

from voisin.chain import Sender, bags, calls
from voisin.client.bags.run import BagRun
from voisin.client.bags.story import BagStory, deal_window
from voisin.client.history import deal_events, deal_invoice, task_ids, with_enclave
from voisin.client.invoice import Invoice
from voisin.client.links import Links
from voisin.client.results import Finished, Result, Stored, fetch_result, open_result
from voisin.client.settlement import task_price
from voisin.client.shelf import Shelf
from voisin.client.terms import Progress
from voisin.client.watch import Stage, Watch, Watched
from voisin.errors import RevertError, StateError, UnavailableError, VoisinError
from voisin.protocol.ids import DealId, TaskId
from voisin.protocol.records import Deal
from voisin.protocol.rules import final_deadline
from voisin.units import NRLC, UnixSeconds

FETCHES_AT_ONCE = 4
_LOOK_S = 10.0
_CLAIMS_AT_ONCE = 20
_CLAIM_TRIES = 30


@dataclass(frozen=True, slots=True)
class JobDeal:
    """One deal of a job: its tasks with their indexes, when they can be claimed, where it began, and its bag if it is settled as one."""

    deal_id: DealId
    deal: Deal
    tasks: Mapping[TaskId, int]
    deadline: UnixSeconds
    block: int | None
    bag: BagRun | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How one task ended: with a result, or with an error that says why not."""

    index: int
    result: Result | None = None
    error: VoisinError | None = None


@dataclass(frozen=True)
class AsyncJob:
    """
    The tasks of a run.

    Attributes:
        links: The network.
        watch: Brings the chain's news.
        deals: The deals that the tasks are spread over, in order of index.
        watched: What is known of each task.
    """

    links: Links
    watch: Watch
    deals: tuple[JobDeal, ...]
    watched: Mapping[TaskId, Watched]
    _order: tuple[tuple[JobDeal, TaskId], ...] = field(repr=False)
    _shelf: Shelf = field(default_factory=Shelf, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self._order)

    @property
    def deal_ids(self) -> tuple[DealId, ...]:
        """The deals' ids; `cloud.deal` finds the results by them later."""
        return tuple(part.deal_id for part in self.deals)

    @property
    def price(self) -> NRLC:
        """What all tasks cost [nRLC]."""
        return NRLC(sum(task_price(part.deal) * part.deal.bot_size for part in self.deals))

    def progress(self) -> Progress:
        """Tell how far the tasks have come."""
        counts = [0] * len(Stage)
        for watched in self.watched.values():
            counts[watched.stage] += 1
        return Progress(
            total=len(self.watched),
            answered=sum(counts[Stage.ANSWERED :]),
            agreed=sum(counts[Stage.AGREED : Stage.FAILED]),
            completed=counts[Stage.COMPLETED],
            failed=counts[Stage.FAILED],
        )

    @property
    def bags(self) -> tuple[BagRun, ...]:
        """The deals that are settled as a bag."""
        return tuple(part.bag for part in self.deals if part.bag is not None)

    async def settled(self) -> None:
        """Wait until nothing more can be done about any task or bag: everything is paid, or refunded."""
        for bag in self.bags:
            await bag.until_over()
        await self._all_settled([task for part in self.deals if part.bag is None for task in part.tasks])

    async def checked(self) -> None:
        """Wait until the leaves of every bag are posted and looked at, or the bag is over."""
        for bag in self.bags:
            await bag.until_checked()

    async def result(self, index: int) -> Result:
        """
        Wait for one task and fetch its result.

        That of a task in a bag comes as soon as its workers agree, before the bag is settled.

        Args:
            index: The task's place in the job, from 0.

        Raises:
            AppFailedError: The app failed; the error carries what it left.
            StateError: The task was not done and its price was refunded; the message has the pool's reason.
            TrustError: The stored result is not the one that was agreed.
            UnavailableError: The chain or storage is out of reach.
        """
        if not 0 <= index < len(self._order):
            raise StateError(f"the job has no task {index}", hint=f"its tasks are 0 to {len(self._order) - 1}")
        part, task = self._order[index]
        watched = self.watched[task]
        await watched.final()
        workers = tuple(watched.provers)
        finished = Finished(deal_id=part.deal_id, deal=part.deal, task_id=task, place=index, workers=workers, price=task_price(part.deal))
        if part.bag is not None:
            return await open_result(self.links.storage, finished, part.bag.stored(part.tasks[task]), self.links.keys, shelf=self._shelf)
        try:
            if watched.stage is Stage.COMPLETED and watched.digest is not None:
                stored = Stored.told(watched.results, watched.digest)
                return await open_result(self.links.storage, finished, stored, self.links.keys)
            return await fetch_result(self.links.chain, self.links.storage, finished, self.links.keys)
        except StateError as error:
            raise await self._explained(error, task) from None

    async def _explained(self, error: StateError, task: TaskId) -> StateError:
        """Add what the pool says of a task that has no result; where the pool is silent the error stays as it is."""
        if self.links.pool is None:
            return error
        try:
            view = await self.links.pool.task(task)
        except VoisinError:
            return error
        return StateError(f"{error.message}; the pool says: {view.why}", hint=error.hint)

    async def collect(self, tell: Callable[[Ending], Awaitable[None]]) -> None:
        """
        Hand out every task's ending as soon as it is there.

        Args:
            tell: Called with each ending, one at a time, in the order in which they come; what it raises ends the collecting.
        """
        put, ready = anyio.create_memory_object_stream[int](len(self._order))
        turn, failures = anyio.Lock(), list[Exception]()
        left = len(self._order)

        def settled(index: int) -> None:
            nonlocal left
            left -= 1
            with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # nobody collects any more
                put.send_nowait(index)
                if not left:
                    put.close()

        async def fetch() -> None:
            async for index in ready:
                ending = await self._ending(index)
                async with turn:
                    try:
                        await tell(ending)
                    except Exception as error:  # noqa: BLE001  the caller's own callback may raise anything, and the caller gets it
                        failures.append(error)
                        tasks.cancel_scope.cancel()

        with put, ready:
            for index, (_, task) in enumerate(self._order):
                self.watched[task].when_settled(partial(settled, index))
            async with anyio.create_task_group() as tasks:
                for _ in range(FETCHES_AT_ONCE if self._order else 0):
                    tasks.start_soon(fetch)
        if failures:
            raise failures[0]

    async def results(self) -> list[Result]:
        """
        Wait for all tasks.

        Returns:
            The results in the order of the tasks.

        Raises:
            VoisinError: What the first task without result raised, as in `result`; the others' results stay available.
        """
        endings: dict[int, Ending] = {}

        async def keep(ending: Ending) -> None:
            endings[ending.index] = ending

        await self.collect(keep)
        failed = next((endings[index].error for index in sorted(endings) if endings[index].error is not None), None)
        if failed is not None:
            raise failed
        return [ending.result for _, ending in sorted(endings.items()) if ending.result is not None]

    async def report(self, tell: Callable[[Progress], None]) -> None:
        """Call `tell` with the progress now and whenever it changes, until all tasks are over."""
        last = None
        while True:
            progress = self.progress()
            if progress != last:
                tell(progress)
                last = progress
            if progress.completed + progress.failed == progress.total:
                return
            await self.watch.changed()

    async def invoices(self) -> list[Invoice]:
        """
        Write the invoice of each deal.

        Raises:
            TrustError: The sums do not add up.
        """
        written = [await deal_invoice(self.links.chain, self.links.storage, part.deal_id, first_block=part.block) for part in self.deals]
        return [await with_enclave(self.links.book, invoice) for invoice in written]

    async def claim_late(self, sender: Sender) -> None:
        """
        Wait for the end of every deal, and claim what is not done by its final deadline; bags have guards of their own.

        Args:
            sender: Sends the claims.

        Raises:
            StateError: The hub does not let them be claimed.
            UnavailableError: The chain is out of reach.
        """
        for part in sorted((part for part in self.deals if part.bag is None), key=lambda part: part.deadline):
            looks = 0
            while waiting := [task for task in part.tasks if not self.watched[task].is_settled]:
                left = part.deadline - max(int(time.time()), await self.links.chain.block_time())
                if left <= 0:
                    looks += 1
                    await self._claim(part, waiting, sender)
                if looks > _CLAIM_TRIES:
                    raise StateError(f"{len(waiting)} tasks of deal {part.deal_id} cannot be claimed", hint="claim them later")
                with anyio.move_on_after(min(left, _LOOK_S) if left > 0 else _LOOK_S):
                    await self._all_settled(waiting)

    async def claim_now(self, sender: Sender) -> int:
        """
        Claim what is open of deals past their final deadline.

        Returns:
            How many tasks were claimed.

        Raises:
            StateError: It is too early, or nothing is open.
            RevertError: The hub refuses.
        """
        claimed = 0
        for part in self.deals:
            waiting = [task for task in part.tasks if not self.watched[task].is_settled]
            left = part.deadline - max(int(time.time()), await self.links.chain.block_time())
            if waiting and left > 0:
                raise StateError(f"deal {part.deal_id} cannot be claimed yet", hint=f"come back in {left} s")
            await self._send_claims(part, waiting, sender)
            claimed += len(waiting)
        if not claimed:
            raise StateError("nothing is left to claim", hint="look at the deal with `voisin deal show`")
        return claimed

    async def _all_settled(self, tasks: Sequence[TaskId]) -> None:
        for task in tasks:
            await self.watched[task].until_settled()

    async def _claim(self, part: JobDeal, tasks: Sequence[TaskId], sender: Sender) -> None:
        """Claim tasks; when the chain's clock is behind ours or others were faster, the next look decides."""
        with contextlib.suppress(RevertError, UnavailableError):
            await self._send_claims(part, tasks, sender)

    async def _send_claims(self, part: JobDeal, tasks: Sequence[TaskId], sender: Sender) -> None:
        hub = self.links.chain.hub_address
        for first in range(0, len(tasks), _CLAIMS_AT_ONCE):
            some = tasks[first : first + _CLAIMS_AT_ONCE]
            known = [task for task in some if self.watched[task].stage >= Stage.STARTED]
            unknown = [(part.deal_id, part.tasks[task]) for task in some if self.watched[task].stage < Stage.STARTED]
            if known:
                await sender.send(calls.claim_array(hub, known))
            if unknown:
                await sender.send(calls.initialize_and_claim_array(hub, unknown))

    async def _ending(self, index: int) -> Ending:
        try:
            return Ending(index, result=await self.result(index))
        except VoisinError as error:
            return Ending(index, error=error)


async def open_job(links: Links, watch: Watch, deals: Sequence[tuple[DealId, int | None]]) -> AsyncJob:
    """
    Take up deals, new or old.

    Args:
        links: The network.
        watch: Brings the chain's news.
        deals: The deals' ids in order of index, each with the block of its match if it is known.

    Raises:
        StateError: There is no such deal.
    """
    parts = []
    watched: dict[TaskId, Watched] = {}
    for deal_id, block in deals:
        deal = await links.chain.hub.deal(deal_id)
        deadline = final_deadline(deal.start_time, (await links.chain.hub.category(deal.category)).time_ref_s)
        ids = task_ids(deal_id, deal)
        bag = await _open_bag(links, watch, deal_id, deal)
        watched |= bag.watched if bag is not None else await watch.add(ids)
        watch.tell(await deal_events(links.chain, deal_id, deal, first_block=block))
        parts.append(JobDeal(deal_id, deal, ids, deadline, block, bag))
    order = tuple((part, task) for part in parts for task in part.tasks)
    return AsyncJob(links, watch, tuple(parts), watched, order)


async def _open_bag(links: Links, watch: Watch, deal_id: DealId, deal: Deal) -> BagRun | None:
    window_s = deal_window(deal)
    if window_s is None or not await bags.settles_bags(links.chain.rpc, links.chain.hub_address):
        return None
    story, ids = BagStory(deal_id, window_s), task_ids(deal_id, deal)
    watched = await watch.add_bag(story, ids)
    return BagRun(links, watch, deal, story, {index: task for task, index in ids.items()}, watched)
