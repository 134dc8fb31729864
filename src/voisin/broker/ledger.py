"""The chain as a broker needs it: what is left of orders, who has how much money, and making deals."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from voisin.chain import Chain, Sender, calls
from voisin.errors import StateError
from voisin.policy.matching import Lot
from voisin.protocol.eip712 import Domain, order_hash
from voisin.protocol.events import OrdersMatched
from voisin.protocol.ids import Address, DealId, Hash32, OrderHash
from voisin.units import NRLC


@dataclass(frozen=True, slots=True)
class MadeDeal:
    """A deal that was made: its id, its number of tasks, its transaction."""

    deal_id: DealId
    volume: int
    tx_hash: Hash32


class Ledger(Protocol):
    """
    The chain.

    All methods raise `UnavailableError` when it does not answer.
    """

    @property
    def domain(self) -> Domain:
        """What orders are signed for."""
        ...

    async def consumed(self, orders: Collection[OrderHash]) -> dict[OrderHash, int]:
        """Tell how much of each order is used up [tasks]."""
        ...

    async def free(self, accounts: Collection[Address]) -> dict[Address, NRLC]:
        """Tell how much free money each account has at the hub [nRLC]."""
        ...

    async def is_member(self, group: Address, who: Address) -> bool:
        """Tell whether somebody is a member of a group contract."""
        ...

    async def match(self, lot: Lot) -> MadeDeal:
        """
        Make a deal.

        Raises:
            RevertError: The hub refuses.
            FundsError: The broker cannot pay the gas.
        """
        ...


class ChainLedger:
    """The chain through a node; the broker's wallet sends."""

    def __init__(self, chain: Chain, sender: Sender) -> None:
        """
        Args:
            chain: The chain.
            sender: Sends from the broker's wallet.
        """
        self._chain = chain
        self._sender = sender

    @property
    def domain(self) -> Domain:
        """What orders are signed for."""
        return self._chain.domain

    async def consumed(self, orders: Collection[OrderHash]) -> dict[OrderHash, int]:
        """Tell how much of each order is used up [tasks]."""
        named = list(orders)
        return dict(zip(named, await self._chain.hub.consumptions(named), strict=True)) if named else {}

    async def free(self, accounts: Collection[Address]) -> dict[Address, NRLC]:
        """Tell how much free money each account has at the hub [nRLC]."""
        named = list(accounts)
        held = await self._chain.hub.accounts(named) if named else []
        return {account: each.stake for account, each in zip(named, held, strict=True)}

    async def is_member(self, group: Address, who: Address) -> bool:
        """Tell whether somebody is a member of a group contract."""
        return await self._chain.is_authorized(group, who)

    async def match(self, lot: Lot) -> MadeDeal:
        """Make a deal; see `Ledger.match`."""
        dataset = lot.dataset.order if lot.dataset is not None else None
        call = calls.match_orders(self._chain.hub_address, lot.app.order, dataset, lot.workerpool.order, lot.bid.request)
        receipt = await self._sender.send(call)
        name = order_hash(lot.bid.request, self.domain)
        for logged in receipt.events:
            if isinstance(logged.event, OrdersMatched) and logged.event.request_hash == name:
                return MadeDeal(logged.event.deal_id, logged.event.volume, receipt.tx_hash)
        raise StateError(f"the transaction {receipt.tx_hash} made no deal", hint="look at it on the chain")
