"""What a pool sends to the chain for bags, and what it reads there when it takes one over."""

from __future__ import annotations

from typing import Protocol

from voisin.chain import Call, Chain, Sender, bags, events_of
from voisin.chain.bags import BagStatus, ShownLeaf, posted_bag
from voisin.errors import UnavailableError
from voisin.pool.bags.facts import BagChainFact, Posted
from voisin.pool.bags.leaves import Closing
from voisin.pool.heart.records import DealRecord
from voisin.protocol.bag_settlement import PostedBag, window_of
from voisin.protocol.events import BagClaimed, BagEvent, BagPosted, BagSettled, BagSlashed, LeafAnswered, LeafDemanded
from voisin.protocol.ids import Address, DealId, task_id

HEARD = (BagSettled, BagSlashed, BagClaimed, LeafDemanded, LeafAnswered)


class BagLedger(Protocol):
    """
    A chain as bags need it.

    Steps return when their transaction is mined, and raise `RevertError` when the hub refuses it, `FundsError` when the wallet cannot
    pay the gas, `UnavailableError` when the node does not answer.
    """

    async def is_able(self) -> bool:
        """Tell whether the hub settles bags at all: an original does not."""
        ...

    async def history(self, terms: DealRecord) -> list[BagChainFact]:
        """Tell what has happened to a bag on the chain, in order."""
        ...

    async def post(self, terms: DealRecord, closing: Closing) -> PostedBag:
        """Post a bag."""
        ...

    async def give_back(self, terms: DealRecord) -> PostedBag:
        """Give a whole deal back."""
        ...

    async def answer(self, bag: PostedBag, shown: ShownLeaf, signatures: list[str]) -> None:
        """Show a leaf that was asked for, with the contributions of its workers, in its order."""
        ...

    async def settle(self, bag: PostedBag) -> None:
        """Pay everybody, or free the stake of a deal that was given back."""
        ...

    async def is_proven(self, deal: DealId, index: int) -> bool:
        """Tell whether a result is on the chain."""
        ...

    async def prove(self, bag: PostedBag, shown: ShownLeaf, callback: bytes) -> None:
        """Put a result on the chain."""
        ...


class ChainBagLedger:
    """A chain behind a node; see `BagLedger`."""

    def __init__(self, chain: Chain, sender: Sender) -> None:
        """
        Args:
            chain: The open chain.
            sender: Sends the scheduler's transactions.
        """
        self._chain = chain
        self._sender = sender

    async def is_able(self) -> bool:
        """Tell whether the hub settles bags at all."""
        return await bags.settles_bags(self._chain.rpc, self._hub)

    async def history(self, terms: DealRecord) -> list[BagChainFact]:
        """Tell what has happened to a bag on the chain, in order."""
        state = await bags.view_bag(self._chain.rpc, self._chain.hub_address, terms.deal_id)
        if state.status is BagStatus.NONE:
            return []
        events = await events_of(self._chain, terms.block, await self._chain.block_number())
        return [fact for logged in events if (fact := fact_of(logged.event, terms)) is not None]

    async def post(self, terms: DealRecord, closing: Closing) -> PostedBag:
        """Post a bag."""
        call = bags.post_bag(
            self._hub, terms.deal_id, root=closing.root, leaves=closing.location, done=closing.done, payouts=closing.payouts
        )
        return await self._post(terms, call)

    async def give_back(self, terms: DealRecord) -> PostedBag:
        """Give a whole deal back."""
        return await self._post(terms, bags.give_back_bag(self._hub, terms.deal_id))

    async def answer(self, bag: PostedBag, shown: ShownLeaf, signatures: list[str]) -> None:
        """Show a leaf that was asked for."""
        await self._sender.send(bags.answer_leaf(self._hub, bag, shown, signatures))

    async def settle(self, bag: PostedBag) -> None:
        """Pay everybody."""
        await self._sender.send(bags.settle_bag(self._hub, bag))

    async def is_proven(self, deal: DealId, index: int) -> bool:
        """Tell whether a result is on the chain."""
        return (await self._chain.hub.tasks([task_id(deal, index)]))[0] is not None

    async def prove(self, bag: PostedBag, shown: ShownLeaf, callback: bytes) -> None:
        """Put a result on the chain."""
        await self._sender.send(bags.prove_result(self._hub, bag, shown, callback))

    @property
    def _hub(self) -> Address:
        return self._chain.hub_address

    async def _post(self, terms: DealRecord, call: Call) -> PostedBag:
        receipt = await self._sender.send(call)
        for logged in receipt.events:
            fact = fact_of(logged.event, terms)
            if isinstance(fact, Posted):
                return fact.bag
        raise UnavailableError(f"the node does not show what it did for deal {terms.deal_id}")


def fact_of(event: object, terms: DealRecord) -> BagChainFact | None:
    """Make a fact of what the hub said, if it is about a bag."""
    if not isinstance(event, BagEvent) or event.deal_id != terms.deal_id:
        return None
    if isinstance(event, BagPosted):
        window_s = window_of(terms.deal.params, terms.deal.tag)
        return None if window_s is None else Posted(posted_bag(event, window_s))
    return event if isinstance(event, HEARD) else None


def deal_of(event: object) -> DealId | None:
    """Name the deal that an event of a bag is about; None for another event."""
    return event.deal_id if isinstance(event, BagEvent) else None
