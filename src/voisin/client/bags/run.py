"""
A bag on its way: results as the pool hands them out, the leaves once they are posted, and what the chain says meanwhile.

A result is taken from the pool as soon as it is there, because its digest can be checked at once; what the pool said is held
against the leaves later (`audit`). Where the pool does not answer, the leaves tell the results too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import structlog

from voisin.client.bags.audit import Audit, audit
from voisin.client.bags.leaves import fetch_leaves
from voisin.client.bags.pools import find_pool
from voisin.client.bags.story import BagStory
from voisin.client.links import Links
from voisin.client.results import Stored
from voisin.client.watch import Stage, Watch, Watched
from voisin.errors import InputError, StateError, TrustError, UnavailableError, VoisinError
from voisin.protocol.bag_api import BagResult, BagStage
from voisin.protocol.bag_settlement import NO_RESULT, Leaf, leaf_hash
from voisin.protocol.cid import cid_from_digest
from voisin.protocol.ids import ZERO_HASH, Hash32, TaskId, as_address, as_hash32, from_hex
from voisin.protocol.merkle import ZERO_NODE
from voisin.protocol.records import Deal

_LONG_POLL_S = 20
_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0
_MANY, _BREATH_S = 50, 0.1
"""After so many results at once the next question waits a little [s]: as many will have come, and each question has its price."""
_LATE_LEAVES_S = 60.0
"""How long the leaves of a settled bag are looked for [s]."""
_ENDINGS = {
    BagStage.GIVEN_BACK: "the pool gave the deal back",
    BagStage.CLAIMED: "the pool settled nothing in time",
    BagStage.PUNISHED: "the bag was proven wrong",
}
_log = structlog.get_logger()


@dataclass(slots=True)
class BagRun:
    """
    One deal that is settled as a bag.

    Attributes:
        links: The network.
        watch: Brings the chain's news.
        deal: The deal.
        story: What the chain says of the bag.
        tasks: The deal's tasks by index.
        watched: What is known of each task.
        results: How tasks ended, by index.
        told: Digests that the pool handed out, by index.
        leaves: The posted leaves; None until they are there.
        audit: What came of looking at them.
        trouble: Why the leaves cannot be had.
    """

    links: Links
    watch: Watch
    deal: Deal
    story: BagStory
    tasks: Mapping[int, TaskId]
    watched: Mapping[TaskId, Watched]
    results: dict[int, BagResult] = field(default_factory=dict)
    told: dict[int, Hash32] = field(default_factory=dict)
    leaves: tuple[Leaf, ...] | None = None
    audit: Audit | None = None
    trouble: str = ""

    async def follow(self) -> None:
        """Follow pool, chain and storage until the bag is over and every task has ended; never raises."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen)
            await self._look_after()
            tasks.cancel_scope.cancel()

    async def look(self) -> None:
        """Ask pool and storage once for what they know; what they do not tell stays unknown."""
        after = 0
        try:
            async with find_pool(self.links, self.deal.workerpool.pointer) as pool:
                while not self.is_known and (view := await pool.bag(self.story.deal_id, after=after)).next > after:
                    self._take_all(view.results, from_pool=True)
                    after = view.next
        except VoisinError as error:
            _log.info("bag_pool_silent", deal=self.story.deal_id, reason=error.message)
        await self._get_leaves()
        self._end_if_over()

    def hashes(self) -> list[bytes]:
        """Hash the leaves, which must be there; what lies at the bottom of the posted tree."""
        assert self.leaves is not None
        hashes = [leaf_hash(leaf) for leaf in self.leaves]
        return [*hashes, *[ZERO_NODE] * (self.deal.bot_size - len(hashes))]

    async def until_over(self) -> None:
        """Wait until the requester's money moves no more."""
        while not self.story.is_over:
            await self.watch.changed()

    async def until_checked(self) -> None:
        """Wait until the leaves are posted and looked at, or the bag is over."""
        while not (self.story.is_over or self.audit is not None):
            await self.watch.changed()

    def stored(self, index: int) -> Stored:
        """
        Tell where a task's result lies.

        Raises:
            StateError: It has none; the message says why.
        """
        result = self.results.get(index)
        if result is None or result.digest == NO_RESULT:
            why = result.reason if result is not None else "it is not done"
            hint = "run it again; its price is refunded when the bag is settled, or was"
            raise StateError(f"task {index} of deal {self.story.deal_id} has no result: {why}", hint=hint)
        return Stored(cid_from_digest(from_hex(result.location)), as_hash32(result.digest))

    @property
    def is_known(self) -> bool:
        """Whether it is known how every task ended."""
        return len(self.results) == len(self.tasks)

    def take(self, result: BagResult, *, from_pool: bool = False) -> None:
        """
        Take into account how a task ended; the first word counts.

        Raises:
            InputError: It is malformed, or about no task of the deal.
        """
        if result.index not in self.tasks:
            raise InputError(f"the deal has no task {result.index}")
        digest, agreed = as_hash32(result.digest), tuple(as_address(worker) for worker in result.agreed)
        as_hash32(result.location)
        if digest != NO_RESULT and not _may_be_enough(len(set(agreed)), self.deal.trust):
            raise InputError(f"{len(set(agreed))} workers agree on task {result.index}, too few for trust {self.deal.trust}")
        if from_pool:
            self.told.setdefault(result.index, digest)
        if result.index in self.results:
            return
        self.results[result.index] = result
        self.watched[self.tasks[result.index]].end(Stage.COMPLETED if digest != NO_RESULT else Stage.FAILED, agreed)

    async def _listen(self) -> None:
        """Take what the pool tells until every task has ended."""
        after, pause = 0, _PAUSE_S
        while not self.is_known:
            try:
                async with find_pool(self.links, self.deal.workerpool.pointer) as pool:
                    view = await pool.bag(self.story.deal_id, after=after, wait_s=_LONG_POLL_S)
            except VoisinError as error:
                _log.info("bag_pool_silent", deal=self.story.deal_id, reason=error.message)
                await anyio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                continue
            self._take_all(view.results, from_pool=True)
            pause = _PAUSE_S
            after = max(after, view.next)
            if not view.results:
                await anyio.sleep(_PAUSE_S)
            elif len(view.results) >= _MANY and after == view.done + view.given_back and not self.is_known:
                await anyio.sleep(_BREATH_S)

    async def _look_after(self) -> None:
        """Wait for the bag's end; get its leaves meanwhile, and if they never come, say so to those who wait."""
        while not self.story.is_over:
            await self._get_leaves()
            with anyio.move_on_after(_PAUSE_S * 2 if self.trouble else None):
                await self.watch.changed()
        with anyio.move_on_after(_LATE_LEAVES_S):
            while self.story.stage is BagStage.SETTLED and not self.is_known:
                await self._get_leaves()
                await anyio.sleep(_PAUSE_S * 2)
        self._end_if_over()
        for index, task in self.tasks.items():
            if index not in self.results:
                words = f"neither the pool nor storage tells where the result of task {index} lies: {self.trouble}"
                self.watched[task].give_up(UnavailableError(words, hint="try again later; the bag is settled"))
        self.watch.announce()

    async def _get_leaves(self) -> None:
        """Try once to get the file of leaves, if it is posted and not here; look at the leaves."""
        bag = self.story.posted
        if bag is None or bag.root == ZERO_HASH or self.leaves is not None:
            return
        try:
            leaves = await fetch_leaves(self.links.storage, bag)
        except (UnavailableError, InputError, TrustError) as error:
            self.trouble = error.message
            _log.info("bag_leaves_missing", deal=self.story.deal_id, reason=error.message)
            return
        self.trouble = ""
        found = await anyio.to_thread.run_sync(audit, self.links.chain.hub_address, self.deal, bag, leaves, dict(self.told))
        self.leaves, self.audit = leaves, found
        self._take_leaves(leaves)
        self.watch.announce()

    def _take_leaves(self, leaves: tuple[Leaf, ...]) -> None:
        """Learn from the leaves how the tasks ended that the pool has not told of."""
        self._take_all(
            BagResult(
                index=leaf.index,
                digest=leaf.digest,
                location=leaf.location,
                agreed=leaf.agreed,
                others=len(leaf.others),
                reason="" if leaf.digest != NO_RESULT else "the pool says that it has no result",
            )
            for leaf in leaves
        )

    def _take_all(self, results: Iterable[BagResult], *, from_pool: bool = False) -> None:
        for result in results:
            try:
                self.take(result, from_pool=from_pool)
            except InputError as error:
                _log.warning("bag_result_refused", deal=self.story.deal_id, index=result.index, reason=error.message)
        self.watch.announce()

    def _end_if_over(self) -> None:
        """Say of every task that will have no result any more why not."""
        why = _ENDINGS.get(self.story.stage)
        missing = [index for index in self.tasks if index not in self.results] if why is not None else []
        self._take_all(BagResult(index=index, digest=NO_RESULT, location=ZERO_HASH, reason=why or "") for index in missing)


def _may_be_enough(agreed: int, trust: int) -> bool:
    """Tell whether so many workers, unopposed, would be enough (contracts/SPEC.md 18.3)."""
    product = 1 << agreed
    return agreed > 0 and product * trust > (1 + product) * (trust - 1)
