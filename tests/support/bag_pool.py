"""
A pool that settles bags as a script says, on a real chain: honestly, or with one of the frauds that a requester can meet.

Workers compute nothing; they sign what the pool wants of them, unless the script has the pool invent results.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from voisin.chain import Chain, Sender, bags, follow
from voisin.chain.bags import ShownLeaf, posted_bag
from voisin.errors import RevertError
from voisin.protocol.archive import open_archive
from voisin.protocol.bag_api import BagResult, BagStage, BagView, encode_leaves
from voisin.protocol.bag_settlement import NO_RESULT, Leaf, PostedBag, contribution_digest, in_order, leaf_hash, pack_payouts, window_of
from voisin.protocol.cid import digest_of
from voisin.protocol.events import BagPosted, LeafDemanded
from voisin.protocol.ids import ZERO_ADDRESS, ZERO_HASH, DealId, Hash32, task_id, to_hex
from voisin.protocol.merkle import MerkleTree
from voisin.protocol.records import Deal
from voisin.protocol.results import result_hash, sha256
from voisin.protocol.signatures import KeySigner
from voisin.storage import StorageClient
from voisin.units import NRLC

OTHER = Hash32("0x" + "cd" * 32)
Leaves = list[Leaf]


def _at(place: int, change: Callable[[Leaf], Leaf]) -> Callable[[Leaves], Leaves]:
    return lambda leaves: [change(leaf) if number == place else leaf for number, leaf in enumerate(leaves)]


def _with(**fields: object) -> Callable[[Leaf], Leaf]:
    return lambda leaf: msgspec.structs.replace(leaf, **fields)


def _crowd(leaf: Leaf) -> Leaf:
    return msgspec.structs.replace(leaf, agreed=in_order(KeySigner(bytes([number]) * 32).address for number in range(1, 34)))


FRAUDS: dict[str, Callable[[Leaves], Leaves]] = {
    "little trust": _at(1, lambda leaf: msgspec.structs.replace(leaf, agreed=leaf.agreed[:1])),
    "a worker twice": _at(1, lambda leaf: msgspec.structs.replace(leaf, agreed=leaf.agreed[:1] * 2)),
    "a count too high": _at(1, lambda leaf: msgspec.structs.replace(leaf, done=leaf.done + 1)),
    "paid for nothing": _at(0, _with(digest=NO_RESULT, location=ZERO_HASH, agreed=())),
    "a task left out": lambda leaves: [leaves[0], leaves[0], *leaves[2:]],
    "the last task left out": lambda leaves: leaves[:-1],
    "a result exchanged": _at(1, _with(digest=OTHER)),
    "a leaf that nobody can show": _at(1, _crowd),
    "a tree that is too flat": lambda leaves: leaves[:1],
}
"""What a scheduler does to the leaves; each is for a bag of three tasks."""


@dataclass
class BagScript:
    """
    What the pool does with bags.

    Attributes:
        fraud: Which of the `FRAUDS` it commits; none if empty.
        withholds: Whether it keeps the file of leaves to itself.
        hands_out: Whether it tells results before it posts the bag.
        answers: Whether it shows leaves that are asked for.
        ending: `post`, `give back`, or `nothing`.
        settles: Whether it settles the bag.
        counts: What it says of the number of results, beside what the leaves say.
    """

    fraud: str = ""
    withholds: bool = False
    hands_out: bool = True
    answers: bool = True
    ending: str = "post"
    settles: bool = True
    counts: int = 0


@dataclass
class BagBoard:
    """What the pool tells about its bags, at its address."""

    views: dict[DealId, list[BagResult]] = field(default_factory=dict)
    deals: dict[DealId, Deal] = field(default_factory=dict)
    news: anyio.Event = field(default_factory=anyio.Event)

    def tell(self, deal: DealId, results: list[BagResult]) -> None:
        """Hand results out."""
        self.views[deal] = results
        self.news.set()
        self.news = anyio.Event()

    def route(self) -> HTTPRouteHandler:
        """The route, as a real pool has it."""

        @get("/v1/bags/{deal_id:str}")
        async def bag(deal_id: FromPath[str], after: FromQuery[int] = 0, wait: FromQuery[int] = 0) -> BagView:
            deal = DealId(Hash32(deal_id))
            with anyio.move_on_after(min(wait, 2)):
                while len(self.views.get(deal, [])) <= after:
                    await self.news.wait()
            results = tuple(self.views.get(deal, [])[after:])
            found = self.deals.get(deal)
            return BagView(
                deal_id=deal,
                stage=BagStage.RUNNING,
                first_index=found.bot_first if found else 0,
                volume=found.bot_size if found else 0,
                done=len(results),
                given_back=0,
                why="",
                results=results,
                next=after + len(results),
            )

        return bag


@dataclass
class BagPool:
    """Runs one deal."""

    chain: Chain
    storage: StorageClient
    scheduler: Sender
    workers: Sequence[KeySigner]
    script: BagScript
    board: BagBoard

    async def run(self, deal_id: DealId, deal: Deal, archives: Mapping[int, bytes | None]) -> None:
        """Take a deal from its results to its settlement; None for an archive is a task without result."""
        leaves = [await self._leaf(deal, index, archive) for index, archive in archives.items()]
        leaves = _counted(leaves)
        self.board.deals[deal_id] = deal
        if self.script.hands_out:
            self.board.tell(deal_id, [_told(leaf) for leaf in leaves])
        hub = self.chain.hub_address
        if self.script.ending == "give back":
            await self.scheduler.send(bags.give_back_bag(hub, deal_id))
        if self.script.ending != "post":
            return
        leaves = FRAUDS[self.script.fraud](leaves) if self.script.fraud else leaves
        bag = await self._post(deal_id, deal, leaves)
        async with anyio.create_task_group() as tasks:
            if self.script.answers:
                tasks.start_soon(self._answer, bag, deal, leaves)
            if self.script.settles:
                while await self.chain.block_time() < bag.deadline:
                    await self.chain.heads.wait(await self.chain.block_number(), poll_s=0.1)
                with contextlib.suppress(RevertError):  # somebody proved it wrong
                    await self.scheduler.send(bags.settle_bag(hub, bag))
                tasks.cancel_scope.cancel()

    async def _leaf(self, deal: Deal, index: int, archive: bytes | None) -> Leaf:
        if archive is None:
            return Leaf(index=index, digest=NO_RESULT, location=ZERO_HASH, done=0)
        opened = open_archive(archive)
        location = Hash32(to_hex(digest_of(await self.storage.put_bytes(archive))))
        digest = opened.digest(has_callback=deal.callback != ZERO_ADDRESS)
        return Leaf(index=index, digest=digest, location=location, done=0, agreed=in_order(w.address for w in self.workers[:2]))

    async def _post(self, deal_id: DealId, deal: Deal, leaves: Leaves) -> PostedBag:
        file = encode_leaves(deal_id, leaves)
        if not self.script.withholds:
            await self.storage.put_bytes(file)
        done = leaves[-1].done + self.script.counts
        share = NRLC(deal.workerpool.price * done * 9 // 20)
        payouts = pack_payouts({worker.address: share for worker in self.workers[:2]})
        root = Hash32(to_hex(MerkleTree([leaf_hash(leaf) for leaf in leaves]).root))
        call = bags.post_bag(self.chain.hub_address, deal_id, root=root, leaves=Hash32(to_hex(sha256(file))), done=done, payouts=payouts)
        receipt = await self.scheduler.send(call)
        (event,) = [logged.event for logged in receipt.events if isinstance(logged.event, BagPosted)]
        return posted_bag(event, window_of(deal.params, deal.tag) or 0)

    async def _answer(self, bag: PostedBag, deal: Deal, leaves: Leaves) -> None:
        """Show what is asked for, as far as the workers have signed it: they sign the results that they have, and no others."""
        tree = MerkleTree([leaf_hash(leaf) for leaf in leaves])
        crew = {worker.address: worker for worker in self.workers}
        async for blocks in follow(self.chain, await self.chain.block_number()):
            for logged in blocks.events:
                if not isinstance(logged.event, LeafDemanded) or logged.event.deal_id != bag.deal_id:
                    continue
                place = logged.event.index - deal.bot_first
                if len(leaves) < deal.bot_size or leaves[place].digest == OTHER or not set(leaves[place].agreed) <= crew.keys():
                    continue
                leaf = leaves[place]
                signed = [self._signature(crew[worker], bag.deal_id, leaf) for worker in leaf.agreed]
                await self.scheduler.send(bags.answer_leaf(self.chain.hub_address, bag, ShownLeaf(leaf, tree.proof(place)), signed))

    def _signature(self, worker: KeySigner, deal_id: DealId, leaf: Leaf) -> str:
        said = result_hash(task_id(deal_id, leaf.index), leaf.digest)
        return worker.sign_digest(contribution_digest(self.chain.domain, deal_id, leaf.index, said))


def _counted(leaves: Sequence[Leaf]) -> Leaves:
    done, counted = 0, []
    for leaf in leaves:
        done += leaf.digest != NO_RESULT
        counted.append(msgspec.structs.replace(leaf, done=done))
    return counted


def _told(leaf: Leaf) -> BagResult:
    reason = "" if leaf.digest != NO_RESULT else "nobody can run it"
    return BagResult(index=leaf.index, digest=leaf.digest, location=leaf.location, agreed=leaf.agreed, reason=reason)
