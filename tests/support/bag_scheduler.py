"""The scheduler of bags, as a test wants it: over the scripted pool, honest unless told otherwise, the only one to know the truth."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from tests.support.worker_bench import Bench
from voisin.protocol.bag_api import encode_leaves
from voisin.protocol.bag_settlement import (
    NO_RESULT,
    Leaf,
    PostedBag,
    contribution_digest,
    earned_digest,
    pack_payouts,
    receipt_digest,
    tree_of,
)
from voisin.protocol.bag_wire import (
    AskDigests,
    Contributions,
    Digests,
    GaveUp,
    GiveTasks,
    HoldsBag,
    Receipt,
    Receipts,
    ShownDigest,
    Statement,
)
from voisin.protocol.ids import DealId, Hash32, to_hex
from voisin.protocol.results import sha256
from voisin.protocol.signatures import recover_signer
from voisin.units import NRLC

WINDOW_S = 600
PARAMS = '{"voisin_window":"000600"}'
SHARE = 9
"""What a result earns the only worker that agrees: the price of 10 without the scheduler's part of 1 percent, rounded down."""


@dataclass
class BagScheduler:
    """
    One scheduler with one worker.

    Attributes:
        bench: The world.
        said: What the worker said, by deal and task.
        shown: What it showed.
        gave_up: What it gave up.
        held: What it says that it has.
        lie: Changes what is about to be sent; None sends nothing.
        is_asking: Whether results are asked for as soon as there is a receipt.
        share: What each result earns [nRLC].
    """

    bench: Bench
    said: dict[tuple[DealId, int], Hash32] = field(default_factory=dict)
    shown: dict[tuple[DealId, int], ShownDigest] = field(default_factory=dict)
    gave_up: list[GaveUp] = field(default_factory=list)
    held: list[HoldsBag] = field(default_factory=list)
    contributed: list[int] = field(default_factory=list)
    lie: Callable[[Any], Any] = lambda message: message
    is_asking: bool = True
    share: int = SHARE
    _read: int = 0

    def deal(self, volume: int, *, params: str = PARAMS, **changes: Any) -> DealId:
        """Make a deal that is settled as a bag."""
        return self.bench.deal(initialize=False, bot_size=volume, params=params, **changes)

    async def give(self, deal: DealId, indexes: range | tuple[int, ...]) -> None:
        """Give the worker tasks."""
        await self.bench.pool.say(GiveTasks(deal, tuple(indexes)))

    async def until(self, condition: Callable[[], bool], what: str = "what the test waits for") -> None:
        """Wait until something is so."""
        await self.bench.pool.until(condition, what)

    async def shows(self, deal: DealId, count: int) -> None:
        """Wait until the worker has shown so many results of a deal."""
        await self.until(lambda: sum(each == deal for each, _ in self.shown) >= count, f"{count} results of {deal}")

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[BagScheduler]:
        """Answer the worker meanwhile."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._serve)
            yield self
            tasks.cancel_scope.cancel()

    async def _serve(self) -> None:
        pool = self.bench.pool
        while True:
            changed = pool._changed
            while self._read < len(pool.heard):
                self._read += 1
                await self._answer(pool.heard[self._read - 1])
                pool.wake()
                changed = pool._changed
            await changed.wait()

    async def _answer(self, message: object) -> None:
        domain, me = self.bench.bags.domain, self.bench.me
        match message:
            case Contributions(deal, contributions):
                for each in contributions:
                    digest = contribution_digest(domain, deal, each.index, each.said)
                    assert recover_signer(digest, each.signature) == me
                    assert self.said.setdefault((deal, each.index), each.said) == each.said
                    self.contributed.append(each.index)
                await self._say(Receipts(deal, tuple(self.receipt(deal, each.index, each.said) for each in contributions)))
                if self.is_asking:
                    await self._say(AskDigests(deal, tuple(each.index for each in contributions)))
            case Digests(deal, digests):
                for each in digests:
                    self.shown[deal, each.index] = each
                await self._say(self.statement(deal, self.earned(deal)))
            case GaveUp():
                self.gave_up.append(message)
            case HoldsBag():
                self.held.append(message)
            case _:
                pass

    async def _say(self, message: Any) -> None:
        said = self.lie(message)
        if said is not None:
            await self.bench.pool.say(said)

    def earned(self, deal: DealId) -> int:
        """What the worker has earned in a deal."""
        return self.share * sum(each == deal for each, _ in self.shown)

    def receipt(self, deal: DealId, index: int, said: Hash32) -> Receipt:
        """Sign a receipt."""
        digest = receipt_digest(self.bench.bags.domain, deal, index, worker=self.bench.me, said=said)
        return Receipt(index, said, self.bench.scheduler.sign_digest(digest))

    def statement(self, deal: DealId, amount: int) -> Statement:
        """Sign a statement of earnings [nRLC]."""
        digest = earned_digest(self.bench.bags.domain, deal, self.bench.me, NRLC(amount))
        return Statement(deal_id=deal, amount=NRLC(amount), signature=self.bench.scheduler.sign_digest(digest))

    def leaves(self, deal: DealId) -> list[Leaf]:
        """How the tasks of a deal ended, truly."""
        terms, done, leaves = self.bench.hub.deals[deal], 0, []
        for index in range(terms.bot_first, terms.bot_first + terms.bot_size):
            shown = self.shown.get((deal, index))
            done += shown is not None
            nothing = Leaf(index=index, digest=NO_RESULT, location=NO_RESULT, done=done)
            leaves.append(
                nothing
                if shown is None
                else Leaf(index=index, digest=shown.digest, location=shown.location, done=done, agreed=(self.bench.me,))
            )
        return leaves

    def post(self, deal: DealId, leaves: list[Leaf] | None = None, *, paid: int | None = None, is_withheld: bool = False) -> PostedBag:
        """Post a bag, as it is unless told otherwise."""
        posted = self.leaves(deal) if leaves is None else leaves
        file = encode_leaves(deal, posted)
        if not is_withheld:
            self.bench.storage.add(file)
        amount = NRLC(self.earned(deal) if paid is None else paid)
        return self.bench.bags.post(
            deal,
            root=Hash32(to_hex(tree_of(posted).root)),
            leaves=Hash32(to_hex(sha256(file))),
            payouts=pack_payouts({self.bench.me: amount} if amount else {}),
            done=posted[-1].done,
            window_s=WINDOW_S,
        )
