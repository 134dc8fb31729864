"""The real chain behind the worker's `BagLedger`."""

from __future__ import annotations

from voisin.chain import Chain, Sender, bags
from voisin.chain.bags import BagState, ShownLeaf, SignedReceipt
from voisin.protocol.bag_settlement import PostedBag
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import DealId
from voisin.units import NRLC


class ChainBagLedger:
    """
    One worker's view of the hub's bags, and its hand on them.

    Args:
        chain: The chain.
        sender: Sends transactions of the worker's wallet.
    """

    def __init__(self, chain: Chain, sender: Sender) -> None:
        self._chain = chain
        self._sender = sender
        self._times: dict[int, int] = {}

    @property
    def domain(self) -> Domain:
        """Which hub on which chain signed words are for."""
        return self._chain.domain

    async def block(self) -> int:
        """Tell the number of the newest block."""
        return await self._chain.block_number()

    async def category_s(self, number: int) -> int:
        """Tell the reference time of a category [s]; it never changes."""
        if number not in self._times:
            self._times[number] = (await self._chain.hub.category(number)).time_ref_s
        return self._times[number]

    async def bag_state(self, deal_id: DealId) -> BagState:
        """Tell how far a deal's bag is."""
        return await bags.view_bag(self._chain.rpc, self._chain.hub_address, deal_id)

    async def posted_bag(self, deal_id: DealId, *, window_s: int, since_block: int) -> PostedBag | None:
        """Find the bag that was posted for a deal."""
        return await bags.find_posted(self._chain, deal_id, window_s=window_s, since_block=since_block)

    async def prove_contradiction(self, bag: PostedBag, shown: ShownLeaf, receipt: SignedReceipt) -> None:
        """Prove that a leaf says something else of this worker than a receipt."""
        await self._sender.send(bags.prove_contradiction(self._chain.hub_address, bag, shown, receipt))

    async def prove_underpayment(self, bag: PostedBag, amount: NRLC, signature: str) -> None:
        """Prove that a bag pays this worker less than it was told [nRLC]."""
        worker = self._sender.address
        await self._sender.send(bags.prove_underpayment(self._chain.hub_address, bag, worker=worker, amount=amount, signature=signature))

    async def demand_leaf(self, bag: PostedBag, index: int, receipt: SignedReceipt) -> None:
        """Demand a task's leaf, with a receipt, under a bond of the task's price."""
        await self._sender.send(bags.demand_leaf(self._chain.hub_address, bag, index, receipt))

    async def expire_demand(self, bag: PostedBag, index: int) -> None:
        """End a bag whose scheduler did not show a leaf in time."""
        await self._sender.send(bags.expire_demand(self._chain.hub_address, bag, index))

    async def release_demand(self, deal_id: DealId, index: int) -> None:
        """Get the bond back of a demand for a leaf of a bag that has ended."""
        await self._sender.send(bags.release_demand(self._chain.hub_address, deal_id, index))

    async def settle_bag(self, bag: PostedBag) -> None:
        """Have everybody of a bag paid."""
        await self._sender.send(bags.settle_bag(self._chain.hub_address, bag))
