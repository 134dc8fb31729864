"""What the engine works on: offers and bids with what is left of them, the money behind them, and the lots it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from voisin.policy.matching.conditions import price_of
from voisin.protocol.ids import ZERO_ADDRESS, Address, OrderHash
from voisin.protocol.orders import AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder
from voisin.protocol.rules import workerpool_stake
from voisin.units import NRLC

OrderT = TypeVar("OrderT", AppOrder, DatasetOrder, WorkerpoolOrder)


@dataclass(frozen=True, slots=True)
class Offer(Generic[OrderT]):
    """
    An order somebody offers.

    Attributes:
        order: The order.
        hash: Its hash.
        remaining: How many tasks are left in it.
        signer: Who signed it; for a workerpool order, whose money is staked on its tasks.
    """

    order: OrderT
    hash: OrderHash
    remaining: int
    signer: Address = ZERO_ADDRESS


@dataclass(frozen=True, slots=True)
class Bid:
    """
    A request, signed or planned.

    Attributes:
        request: The request.
        hash: Its hash.
        remaining: How many tasks are still wanted.
        limit: The most that one task may cost in all [nRLC], instead of the request's three limits: for a request that is not
            signed yet, whose limits can still be spelled to suit the offers. None for a signed one.
    """

    request: RequestOrder
    hash: OrderHash
    remaining: int
    limit: NRLC | None = None

    def worth(self, base: int) -> int:
        """Tell what a task is worth to it beyond what app and dataset cost together [nRLC]; negative when these are too dear."""
        if self.limit is not None:
            return self.limit - base
        request = self.request
        data_limit = request.datasetmaxprice if request.dataset != ZERO_ADDRESS else 0
        return request.appmaxprice + data_limit + request.workerpoolmaxprice - base

    def spelled(self, app: AppOrder, dataset: DatasetOrder | None) -> RequestOrder:
        """Spell the request as it is, or would be, for these offers: each gets its price, the workerpool the rest of the limit."""
        if self.limit is None:
            return self.request
        app_share = min(app.appprice, self.limit)
        data_share = min(dataset.datasetprice if dataset is not None else 0, self.limit - app_share)
        shares = {"appmaxprice": app_share, "datasetmaxprice": data_share, "workerpoolmaxprice": self.limit - app_share - data_share}
        return msgspec.structs.replace(self.request, **shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The open orders of a market, in any order."""

    apps: tuple[Offer[AppOrder], ...] = ()
    datasets: tuple[Offer[DatasetOrder], ...] = ()
    workerpools: tuple[Offer[WorkerpoolOrder], ...] = ()
    bids: tuple[Bid, ...] = ()


@dataclass(frozen=True, slots=True)
class Lot:
    """
    A number of tasks traded between four orders: what the hub makes one deal of.

    Attributes:
        app: The app's offer.
        dataset: The dataset's offer; None without dataset.
        workerpool: The workerpool's offer.
        bid: Who buys.
        volume: Number of tasks: all that is left of the smallest of the orders, for the hub takes no less.
    """

    app: Offer[AppOrder]
    dataset: Offer[DatasetOrder] | None
    workerpool: Offer[WorkerpoolOrder]
    bid: Bid
    volume: int

    @property
    def price(self) -> NRLC:
        """What one task costs: the sum of the asked prices, whatever the bid would have paid [nRLC]."""
        return price_of(self.app.order, self.dataset.order if self.dataset is not None else None, self.workerpool.order)

    @property
    def total(self) -> NRLC:
        """What the lot costs [nRLC]."""
        return NRLC(self.price * self.volume)

    @property
    def stake(self) -> NRLC:
        """What the workerpool's owner locks for it [nRLC]."""
        return workerpool_stake(self.workerpool.order.workerpoolprice, self.volume)

    @property
    def surplus(self) -> NRLC:
        """What the buyer would have paid beyond the price, for all tasks together [nRLC]."""
        return NRLC(self.bid.worth(self.price) * self.volume)


@dataclass(frozen=True, slots=True)
class Unfilled:
    """
    A bid of which something is left.

    Attributes:
        bid: The bid.
        left: Number of tasks.
        why: The reason in words.
        fits_nothing: No offers fit it at all, whoever else bids; `explain` tells what stands between.
    """

    bid: Bid
    left: int
    why: str
    fits_nothing: bool


@dataclass(frozen=True, slots=True)
class Clearing:
    """
    Who trades with whom.

    Attributes:
        lots: The lots, in an order in which the hub makes deals of exactly these volumes.
        unfilled: Bids of which something is left, in order of their hashes.
    """

    lots: tuple[Lot, ...] = ()
    unfilled: tuple[Unfilled, ...] = ()

    @property
    def volume(self) -> int:
        """Number of tasks traded."""
        return sum(lot.volume for lot in self.lots)

    @property
    def surplus(self) -> NRLC:
        """What all buyers together would have paid beyond the prices [nRLC]."""
        return NRLC(sum(lot.surplus for lot in self.lots))
