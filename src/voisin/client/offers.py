"""
Choosing what to buy: which orders of app, dataset and workerpool cover the tasks most cheaply, and if none do, why.

Pure: it has the engine of `voisin.policy.matching` judge offers that somebody fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from voisin.errors import NoMatchError
from voisin.policy.matching import Bid, Book, Offer, clear, explain, price_of
from voisin.protocol.ids import MAX_UINT256, ZERO_ADDRESS, ZERO_HASH, Address, OrderHash
from voisin.protocol.orders import AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder
from voisin.protocol.tags import NO_TAG, Tag
from voisin.units import NRLC


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOffers:
    """Orders of the dataset that is wanted, with what the chain says of the group contracts that orders name."""

    offers: tuple[Offer[DatasetOrder], ...] = ()
    members: frozenset[tuple[Address, Address]] = frozenset()

    def is_member(self, group: Address, account: Address) -> bool:
        """Tell whether the chain confirmed a membership."""
        return (group, account) in self.members


NO_DATA: Final = DataOffers()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """
    What a requester wants to buy.

    Attributes:
        app: The app to run.
        requester: Who pays.
        volume: Number of tasks.
        category: Class of duration.
        trust: How sure each result must be.
        tag: What the machines must have.
        max_price: The most that one task may cost in all [nRLC]; None for no limit.
        workerpool: The only workerpool allowed; the zero address for any.
        dataset: The dataset that the app gets to see; the zero address for none.
    """

    app: Address
    requester: Address
    volume: int
    category: int = 0
    trust: int = 1
    tag: Tag = NO_TAG
    max_price: NRLC | None = None
    workerpool: Address = ZERO_ADDRESS
    dataset: Address = ZERO_ADDRESS


@dataclass(frozen=True, slots=True)
class Lot:
    """A number of tasks bought from one app order, one workerpool order and, if there is a dataset, one of its orders: one deal."""

    app: AppOrder
    workerpool: WorkerpoolOrder
    volume: int
    dataset: DatasetOrder | None = None

    @property
    def price(self) -> NRLC:
        """Price of one task [nRLC]."""
        return price_of(self.app, self.dataset, self.workerpool)

    @property
    def total(self) -> NRLC:
        """Price of the lot [nRLC]."""
        return NRLC(self.price * self.volume)


def choose_lots(
    wish: Wish, apps: Sequence[Offer[AppOrder]], pools: Sequence[Offer[WorkerpoolOrder]], data: DataOffers = NO_DATA
) -> tuple[Lot, ...]:
    """
    Cover the tasks with the cheapest offers that fit; of two equally cheap ones, the one with more left.

    Raises:
        NoMatchError: The offers that fit do not cover all tasks; the message names the nearest offer, what excludes it and
            by how much, the hint the smallest change that would mend it.
    """
    book = Book(apps=tuple(apps), datasets=data.offers, workerpools=tuple(pools), bids=(draft_bid(wish),))
    found = clear(book, is_member=data.is_member)
    if found.volume < wish.volume:
        raise _no_match(book, data, covered=found.volume)
    return tuple(
        Lot(lot.app.order, lot.workerpool.order, lot.volume, lot.dataset.order if lot.dataset is not None else None) for lot in found.lots
    )


def draft_bid(wish: Wish) -> Bid:
    """Spell a wish as an unsigned request whose limits are still free to suit the offers."""
    request = RequestOrder(
        app=wish.app,
        appmaxprice=NRLC(0),
        dataset=wish.dataset,
        workerpool=wish.workerpool,
        workerpoolmaxprice=NRLC(0),
        requester=wish.requester,
        volume=wish.volume,
        tag=wish.tag,
        category=wish.category,
        trust=wish.trust,
        beneficiary=wish.requester,
        params="",
        salt=ZERO_HASH,
    )
    return Bid(request, OrderHash(ZERO_HASH), wish.volume, limit=wish.max_price if wish.max_price is not None else NRLC(MAX_UINT256))


def _no_match(book: Book, data: DataOffers, *, covered: int) -> NoMatchError:
    (bid,) = book.bids
    if covered:
        words = f"the offers that fit cover {covered} of {bid.remaining} tasks"
        return NoMatchError(words, hint=f"run {covered} tasks now, or try again when more is offered")
    reason = explain(bid, book, is_member=data.is_member)
    return NoMatchError(reason.words, hint=reason.hint)
