"""What anybody may do about a deal: look at its bag, challenge it, have it settled or claimed, put one of its results on the chain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import anyio
import msgspec

from voisin.chain import bags
from voisin.chain.bags import ShownLeaf
from voisin.client.bags.guard import Guard
from voisin.client.bags.run import BagRun
from voisin.client.bags.steps import Step, Wait
from voisin.client.bags.story import FRAUDS
from voisin.client.callbacks import Callback, find_callback
from voisin.client.job import AsyncJob, JobDeal, open_job
from voisin.client.links import Links
from voisin.client.requester import Requester
from voisin.client.results import MAX_ARCHIVE_BYTES
from voisin.client.watch import Watch
from voisin.errors import InputError, StateError, VoisinError
from voisin.protocol.archive import open_archive
from voisin.protocol.bag_api import BagStage
from voisin.protocol.bag_settlement import NO_RESULT, PostedBag, unpack_payouts
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, TaskId, as_hash32, task_id
from voisin.protocol.merkle import MerkleTree
from voisin.units import NRLC, UnixSeconds

STAGES = {
    BagStage.RUNNING: "its tasks are being done; nothing is posted yet",
    BagStage.POSTED: "it is posted, and may be challenged until the deadline",
    BagStage.SETTLED: "it is settled: everybody is paid",
    BagStage.GIVEN_BACK: "the pool gave the deal back; the payer has the money back",
    BagStage.PUNISHED: "it was proven wrong; the payer has the money back",
    BagStage.CLAIMED: "nothing was posted in time; the payer has the money back",
}
"""What each stage means, in words."""


class OpenDemand(msgspec.Struct, frozen=True, kw_only=True):
    """A leaf that was asked for: task, who asked, until when it must be shown, whether it was."""

    index: int
    asker: Address
    deadline: UnixSeconds
    is_answered: bool


class BagReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    How a bag stands.

    Attributes:
        deal_id: The deal.
        stage: Where it stands.
        why: The same in words.
        volume: Number of tasks.
        done: Tasks with a result, as far as anybody says.
        window_s: How long it may be challenged [s].
        deadline: From when it may be settled [Unix s]; 0 before it is posted.
        claimable: From when it may be claimed if nothing is posted [Unix s].
        leaves: SHA-256 of the file of leaves; None before it is posted.
        is_checked: Whether the leaves were had and looked at.
        wrong: What of them can be proven wrong, or is doubtful; why they cannot be had.
        demands: Leaves that were asked for.
        payouts: What each worker gets [nRLC].
        acts: What was done just now.
    """

    deal_id: DealId
    stage: BagStage
    why: str
    volume: int
    done: int
    window_s: int
    deadline: UnixSeconds
    claimable: UnixSeconds
    leaves: Hash32 | None
    is_checked: bool
    wrong: tuple[str, ...]
    demands: tuple[OpenDemand, ...]
    payouts: dict[Address, NRLC]
    acts: tuple[str, ...] = ()


class AsyncBags:
    """Deals that are settled as a bag, and what may be done about them."""

    def __init__(self, links: Links, watch: Watch, requester: Callable[[], Awaitable[Requester]]) -> None:
        """
        Args:
            links: The open connections.
            watch: Brings the chain's news.
            requester: Opens the wallet.
        """
        self._links = links
        self._watch = watch
        self._requester = requester

    async def show(self, deal_id: str) -> BagReport:
        """
        Tell how a bag stands, with its leaves looked at if they are posted.

        Args:
            deal_id: The deal.

        Raises:
            StateError: There is no such deal, or its tasks are settled one by one.
        """
        part, run = await self._look(deal_id)
        return report(part, run)

    async def challenge(self, deal_id: str, demand: Sequence[int] = ()) -> BagReport:
        """
        Prove what is wrong with a bag, ask for leaves that are doubtful or withheld, and end it when they were not shown in time.

        Args:
            deal_id: The deal.
            demand: Indexes of tasks whose leaf is asked for in any case, under a bond of the price of a task: it is lost to who shows it.

        Returns:
            How the bag stands then, with what was done.

        Raises:
            StateError: There is no such deal, its tasks are settled one by one, or its bag is not posted, or over.
            RevertError: The hub refuses a demand.
        """
        part, run = await self._look(deal_id)
        bag = _posted(run)
        guard = await self._guard(part, run)
        hub, bond = self._links.chain.hub_address, part.deal.workerpool.price
        for index in demand:
            await guard.take(Step(bags.demand_leaf(hub, bag, index), "it is asked for", bond=bond, is_accusation=True))
        while isinstance(step := await guard.look(), Step) and (step.is_accusation or step.releases is not None):
            await guard.take(step)
        return report(part, run, guard.done)

    async def settle(self, deal_id: str) -> BagReport:
        """
        Have a bag paid whose window has closed; anybody may.

        Args:
            deal_id: The deal.

        Raises:
            StateError: There is no such deal, its tasks are settled one by one, or its bag cannot be settled now; the message says why.
        """
        part, run = await self._look(deal_id)
        _posted(run)
        guard = await self._guard(part, run)
        step = await guard.look()
        if isinstance(step, Step) and step.is_accusation:
            raise StateError(f"the bag is wrong: {step.why}", hint=f"prove it with `voisin deal challenge {deal_id}`")
        if not isinstance(step, Step):
            raise StateError("the bag cannot be settled yet", hint=_when(step))
        await guard.take(step)
        return report(part, run, guard.done)

    async def guard(self, deal_id: str) -> BagReport:
        """
        Guard a bag until its money has moved: challenge, demand, settle or claim when it is time.

        Args:
            deal_id: The deal.

        Raises:
            StateError: There is no such deal, or its tasks are settled one by one.
        """
        part, run = await self._look(deal_id)
        guard = await self._guard(part, run, grace_s=None)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.follow)
            await guard.keep()
            tasks.cancel_scope.cancel()
        return report(part, run, guard.done)

    async def claim(self, deal_id: str) -> str:
        """
        Take the money of a deal back that was not done in time: a bag, or what is open of other deals; anybody may.

        Args:
            deal_id: The deal.

        Returns:
            What was claimed, in words.

        Raises:
            StateError: There is no such deal, it is too early, or nothing is left to claim.
        """
        job = await self._open(deal_id)
        (part,) = job.deals
        sender = (await self._requester()).sender
        if part.bag is None:
            return f"{await job.claim_now(sender)} tasks claimed"
        if part.bag.story.stage is not BagStage.RUNNING:
            raise StateError(f"the bag cannot be claimed: {STAGES[part.bag.story.stage]}", hint="only one that nobody posted can")
        guard = await self._guard(part, part.bag)
        step = await guard.look()
        if not isinstance(step, Step):
            raise StateError("the deal cannot be claimed yet", hint=_when(step))
        await guard.take(step)
        return f"{part.deal.bot_size} tasks claimed, as a bag"

    async def prove(self, task: str, deal_id: str = "") -> Callback:
        """
        Put one result of a settled bag on the chain; if the deal names a contract, it gets the result by that.

        Args:
            task: The task.
            deal_id: Its deal; found through the pool unless given.

        Returns:
            How the task's callback stands then.

        Raises:
            StateError: The bag is not settled, the task has no result, or nobody tells which deal the task is of.
            RevertError: It is proven already.
        """
        name = TaskId(as_hash32(task))
        found, index = await find_place(self._links, name, deal_id)
        _, run = await self._look(found)
        if run.story.stage is not BagStage.SETTLED or run.story.posted is None:
            raise StateError(f"no result of deal {found} can be proven: {STAGES[run.story.stage]}", hint="wait until it is settled")
        if run.leaves is None:
            raise StateError(f"the leaves of deal {found} cannot be had: {run.trouble}", hint="try again later")
        place = index - run.deal.bot_first
        leaf = run.leaves[place]
        if leaf.digest == NO_RESULT:
            raise StateError(f"task {name} has no result", hint="nothing of it can be proven; its price was refunded")
        shown = ShownLeaf(leaf, MerkleTree(run.hashes()).proof(place))
        data = await self._callback_data(run, index) if run.deal.callback != ZERO_ADDRESS else b""
        call = bags.prove_result(self._links.chain.hub_address, run.story.posted, shown, data)
        await (await self._requester()).sender.send(call)
        return await find_callback(self._links.chain, name)

    async def _callback_data(self, run: BagRun, index: int) -> bytes:
        stored = run.stored(index)
        data = await self._links.storage.get_bytes(stored.cid, max_bytes=MAX_ARCHIVE_BYTES)
        return open_archive(data).callback_data()

    async def _open(self, deal_id: str) -> AsyncJob:
        return await open_job(self._links, self._watch, [(DealId(as_hash32(deal_id)), None)])

    async def _look(self, deal_id: str) -> tuple[JobDeal, BagRun]:
        (part,) = (await self._open(deal_id)).deals
        if part.bag is None:
            raise StateError(f"the tasks of deal {deal_id} are settled one by one", hint="look at them with `voisin deal show`")
        await part.bag.look()
        return part, part.bag

    async def _guard(self, part: JobDeal, run: BagRun, grace_s: int | None = 0) -> Guard:
        return Guard(run, await self._requester(), part.deadline, grace_s)


async def find_place(links: Links, task: TaskId, deal_id: str = "") -> tuple[DealId, int]:
    """
    Find out which task of which deal a task is: tasks of bags are not on the chain until their result is proven.

    Args:
        links: The network.
        task: The task.
        deal_id: Its deal, where the caller knows it; else chain and pool are asked.

    Raises:
        StateError: Nobody tells, or the task is not one of the deal.
    """
    if deal_id:
        name = DealId(as_hash32(deal_id))
        deal = await links.chain.hub.deal(name)
        for index in range(deal.bot_first, deal.bot_first + deal.bot_size):
            if task_id(name, index) == task:
                return name, index
        raise StateError(f"deal {name} has no task {task}", hint="check both ids")
    (found,) = await links.chain.hub.tasks([task])
    if found is not None:
        return found.deal_id, found.index
    try:
        view = await links.pool.task(task) if links.pool is not None else None
    except VoisinError:
        view = None
    if view is None or task_id(view.deal_id, view.index) != task:
        hint = "name its deal with --deal: a task of a bag is not on the chain until its result is proven"
        raise StateError(f"unknown task {task}", hint=hint)
    return view.deal_id, view.index


def report(part: JobDeal, run: BagRun, done: Sequence[Step] = ()) -> BagReport:
    """Say how a bag stands, and what was done just now."""
    story = run.story
    why = STAGES[story.stage]
    if story.fraud is not None:
        why = f"{FRAUDS[story.fraud]}: {why}"
    demands = (
        OpenDemand(index=index, asker=demand.asker, deadline=demand.deadline, is_answered=index in story.answered)
        for index, demand in sorted(story.demands.items())
    )
    bag = story.posted
    return BagReport(
        deal_id=part.deal_id,
        stage=story.stage,
        why=why,
        volume=part.deal.bot_size,
        done=bag.done if bag is not None else sum(result.digest != NO_RESULT for result in run.results.values()),
        window_s=story.window_s,
        deadline=bag.deadline if bag is not None else UnixSeconds(0),
        claimable=part.deadline,
        leaves=bag.leaves if bag is not None else None,
        is_checked=run.audit is not None,
        wrong=_wrong(run),
        demands=tuple(demands),
        payouts=unpack_payouts(bag.payouts) if bag is not None else {},
        acts=tuple(f"{step.call.label}: {step.why}" for step in done),
    )


def _wrong(run: BagRun) -> tuple[str, ...]:
    if run.audit is None:
        return (f"the leaves cannot be had: {run.trouble}",) if run.trouble else ()
    found = [doubt.why for doubt in run.audit.doubts]
    return (*([run.audit.challenge.why] if run.audit.challenge is not None else []), *found)


def _posted(run: BagRun) -> PostedBag:
    if run.story.stage is not BagStage.POSTED or run.story.posted is None:
        raise StateError(f"nothing can be done about the bag: {STAGES[run.story.stage]}", hint="look at it with `voisin deal show`")
    return run.story.posted


def _when(step: Wait | None) -> str:
    if step is None:
        raise InputError("nothing is left to be done")
    return f"come back at {step.until} [Unix s]"
