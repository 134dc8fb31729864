"""The hub's bags in memory, for tests of workers: it keeps the rules of contracts/SPEC.md 18 that a worker can meet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import anyio
import anyio.lowlevel

from voisin.chain.bags import BagState, BagStatus, ShownLeaf, SignedReceipt
from voisin.errors import RevertError, UnavailableError
from voisin.protocol.bag_settlement import (
    PostedBag,
    bag_hash,
    earned_digest,
    leaf_hash,
    receipt_digest,
    said_of,
)
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import ZERO_HASH, Address, DealId, Hash32, from_hex, to_hex
from voisin.protocol.merkle import is_under
from voisin.protocol.records import Account
from voisin.protocol.signatures import signed_by
from voisin.units import NRLC, UnixSeconds
from voisin.worker.bags.guard import paid_to
from voisin.worker.memory_hub import MemoryHub

_HASH_BYTES: Final = 30


@dataclass
class MemoryBags:
    """
    All bags of a hub in memory. `ledger` gives one worker's hand on it.

    Attributes:
        hub: The hub; its clock and its deals count.
        posted: The bags.
        status: Where each stands.
        demands: Who demanded which leaf, and until when it may be shown [Unix s].
        slashed: What was proven, by whom: deal, fraud, worker.
        refusal: What the chain says to every transaction; empty: it takes them.
    """

    hub: MemoryHub
    posted: dict[DealId, PostedBag] = field(default_factory=dict)
    status: dict[DealId, BagStatus] = field(default_factory=dict)
    demands: dict[tuple[DealId, int], tuple[Address, UnixSeconds]] = field(default_factory=dict)
    slashed: list[tuple[DealId, str, Address]] = field(default_factory=list)
    refusal: str = ""
    _asked: anyio.Event = field(default_factory=anyio.Event)

    @property
    def domain(self) -> Domain:
        """Which hub signed words are for."""
        return Domain(chain_id=self.hub.chain_id, hub=self.hub.address)

    def post(self, deal: DealId, *, root: Hash32, leaves: Hash32, payouts: bytes, done: int, window_s: int) -> PostedBag:
        """Post a bag, whatever it says."""
        now = UnixSeconds(self.hub.time_s)
        bag = PostedBag(deal, root, leaves, payouts, done, now, UnixSeconds(now + window_s))
        self.posted[deal], self.status[deal] = bag, BagStatus.POSTED
        return bag

    def ledger(self, worker: Address) -> MemoryBagLedger:
        """Give one worker's view."""
        return MemoryBagLedger(self, worker)

    async def changed(self) -> None:
        """Wait until somebody asks or does something."""
        await self._asked.wait()

    def note(self) -> None:
        """Somebody asks or does something."""
        self._asked.set()
        self._asked = anyio.Event()

    def slash(self, bag: PostedBag, fraud: str, worker: Address) -> None:
        """End a bag for a fraud."""
        self.status[bag.deal_id] = BagStatus.ENDED
        self.slashed.append((bag.deal_id, fraud, worker))


class MemoryBagLedger:
    """
    One worker's view of bags in memory.

    Args:
        world: The bags.
        worker: The worker's address.
    """

    def __init__(self, world: MemoryBags, worker: Address) -> None:
        self._world = world
        self._worker = worker

    @property
    def domain(self) -> Domain:
        """Which hub signed words are for."""
        return self._world.domain

    async def _listen(self) -> MemoryBags:
        await anyio.lowlevel.checkpoint()
        self._world.note()
        if self._world.hub.is_silent:
            raise UnavailableError("the node does not answer")
        return self._world

    async def _act(self, bag: PostedBag) -> MemoryBags:
        world = await self._listen()
        if world.refusal or world.posted.get(bag.deal_id) != bag or world.status[bag.deal_id] is not BagStatus.POSTED:
            raise RevertError(world.refusal or "unknown-bag")
        return world

    async def block(self) -> int:
        """Tell the number of the newest block."""
        await self._listen()
        return 0

    async def category_s(self, _number: int) -> int:
        """Tell the reference time of a category [s]."""
        return (await self._listen()).hub.time_ref_s

    async def bag_state(self, deal_id: DealId) -> BagState:
        """Tell how far a deal's bag is."""
        world = await self._listen()
        bag = world.posted.get(deal_id)
        if bag is None:
            return BagState(world.status.get(deal_id, BagStatus.NONE), 0, ZERO_HASH)
        demands = sum(deal == deal_id for deal, _ in world.demands)
        return BagState(world.status[deal_id], demands, Hash32(to_hex(bag_hash(bag)[:_HASH_BYTES] + b"\0\0")))

    async def posted_bag(self, deal_id: DealId, *, window_s: int, since_block: int) -> PostedBag | None:  # noqa: ARG002
        """Find the bag that was posted for a deal."""
        return (await self._listen()).posted.get(deal_id)

    async def prove_contradiction(self, bag: PostedBag, shown: ShownLeaf, receipt: SignedReceipt) -> None:
        """Prove that a leaf says something else than a receipt."""
        world = await self._act(bag)
        deal, leaf = world.hub.deals[bag.deal_id], shown.leaf
        place = leaf.index - deal.bot_first
        digest = receipt_digest(world.domain, bag.deal_id, leaf.index, worker=receipt.worker, said=receipt.said)
        if (
            not is_under(from_hex(bag.root), leaf_hash(leaf), place, deal.bot_size, shown.proof)
            or not signed_by(deal.workerpool.owner, digest, receipt.signature)
            or said_of(leaf, bag.deal_id, receipt.worker) == receipt.said
        ):
            raise RevertError("no-contradiction")
        world.slash(bag, "contradiction", receipt.worker)

    async def prove_underpayment(self, bag: PostedBag, amount: NRLC, signature: str) -> None:
        """Prove that a bag pays this worker less than it was told."""
        world = await self._act(bag)
        scheduler = world.hub.deals[bag.deal_id].workerpool.owner
        is_signed = signed_by(scheduler, earned_digest(world.domain, bag.deal_id, self._worker, amount), signature)
        if not is_signed or paid_to(bag, self._worker) >= amount:
            raise RevertError("not-underpaid")
        world.slash(bag, "underpayment", self._worker)

    async def demand_leaf(self, bag: PostedBag, index: int, receipt: SignedReceipt) -> None:
        """Demand a task's leaf."""
        world = await self._act(bag)
        scheduler = world.hub.deals[bag.deal_id].workerpool.owner
        digest = receipt_digest(world.domain, bag.deal_id, index, worker=receipt.worker, said=receipt.said)
        now = world.hub.time_s
        if now >= bag.deadline or (bag.deal_id, index) in world.demands or not signed_by(scheduler, digest, receipt.signature):
            raise RevertError("window-closed")
        world.demands[bag.deal_id, index] = (self._worker, UnixSeconds(now + bag.deadline - bag.posted))

    async def expire_demand(self, bag: PostedBag, index: int) -> None:
        """End a bag whose scheduler did not show a leaf in time."""
        world = await self._act(bag)
        if (bag.deal_id, index) not in world.demands or world.demands[bag.deal_id, index][1] > world.hub.time_s:
            raise RevertError("not-demanded")
        world.slash(bag, "silence", world.demands.pop((bag.deal_id, index))[0])

    async def release_demand(self, deal_id: DealId, index: int) -> None:
        """Get a bond back."""
        world = await self._listen()
        if world.status.get(deal_id) is not BagStatus.ENDED or (deal_id, index) not in world.demands:
            raise RevertError("not-demanded")
        del world.demands[deal_id, index]

    async def settle_bag(self, bag: PostedBag) -> None:
        """Have everybody paid."""
        world = await self._act(bag)
        if world.hub.time_s < bag.deadline or any(deal == bag.deal_id for deal, _ in world.demands):
            raise RevertError("window-open")
        world.status[bag.deal_id] = BagStatus.SETTLED
        for worker in world.hub.accounts:
            account = world.hub.accounts[worker]
            world.hub.accounts[worker] = Account(NRLC(account.stake + paid_to(bag, worker)), account.locked)
