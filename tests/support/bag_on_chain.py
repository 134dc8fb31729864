"""A scheduler of bags on a real chain that does whatever a test wants, with our own leaves; nobody computes anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support.chain_rig import DIGEST, Rig
from voisin.chain import Call, Receipt, bags
from voisin.chain.bags import ShownLeaf, posted_bag
from voisin.protocol.bag_settlement import NO_RESULT, Leaf, PostedBag, contribution_digest, in_order, leaf_hash, pack_payouts
from voisin.protocol.events import BagPosted
from voisin.protocol.ids import ZERO_HASH, Address, DealId, Hash32, task_id, to_hex
from voisin.protocol.merkle import MerkleTree
from voisin.protocol.results import result_hash
from voisin.protocol.signatures import KeySigner
from voisin.units import NRLC

WINDOW_S = 600
PARAMS = '{"voisin_window":"000600"}'
LOCATION = Hash32("0x" + "10" * 32)
LEAVES = Hash32("0x" + "1e" * 32)


@dataclass
class BagScheduler:
    """Posts what it is told for a deal; `nodes` are hashes at the bottom of the tree where they are not those of the leaves."""

    rig: Rig
    deal: DealId
    leaves: list[Leaf] = field(default_factory=list)
    nodes: list[bytes] = field(default_factory=list)
    bag: PostedBag | None = None

    def honest(self, volume: int, *, missing: Sequence[int] = (), digest: Hash32 = DIGEST, workers: int = 2) -> None:
        """Have all workers agree on each task but the missing ones."""
        done = 0
        agreed = in_order(worker.address for worker in self.rig.workers[:workers])
        self.leaves = []
        for index in range(volume):
            if index in missing:
                self.leaves.append(Leaf(index=index, digest=NO_RESULT, location=ZERO_HASH, done=done))
                continue
            done += 1
            self.leaves.append(Leaf(index=index, digest=digest, location=LOCATION, done=done, agreed=agreed))

    @property
    def hashes(self) -> list[bytes]:
        """What lies at the bottom of the tree."""
        return self.nodes or [leaf_hash(leaf) for leaf in self.leaves]

    @property
    def posted(self) -> PostedBag:
        """The bag on the chain."""
        assert self.bag is not None
        return self.bag

    def shown(self, place: int) -> ShownLeaf:
        """A leaf with its proof."""
        return ShownLeaf(self.leaves[place], self.proof(place))

    def proof(self, place: int) -> tuple[bytes, ...]:
        """The way from a place to the root."""
        return MerkleTree(self.hashes).proof(place)

    async def post(self, payouts: dict[Address, NRLC] | None = None, *, done: int | None = None, leaves: Hash32 = LEAVES) -> Receipt:
        """Post the leaves as they are."""
        count = self.leaves[-1].done if done is None else done
        root = Hash32(to_hex(MerkleTree(self.hashes).root))
        hub = self.rig.chain.hub_address
        call = bags.post_bag(hub, self.deal, root=root, leaves=leaves, done=count, payouts=pack_payouts(payouts or {}))
        return await self._post(call)

    async def give_back(self) -> Receipt:
        """Give the deal back."""
        return await self._post(bags.give_back_bag(self.rig.chain.hub_address, self.deal))

    def contribution(self, worker: KeySigner, index: int, digest: Hash32 = DIGEST) -> str:
        """What a worker signed."""
        said = result_hash(task_id(self.deal, index), digest)
        return worker.sign_digest(contribution_digest(self.rig.chain.domain, self.deal, index, said))

    async def _post(self, call: Call) -> Receipt:
        receipt = await self.rig.send(self.rig.scheduler, call)
        (event,) = [logged.event for logged in receipt.events if isinstance(logged.event, BagPosted)]
        self.bag = posted_bag(event, WINDOW_S)
        return receipt
