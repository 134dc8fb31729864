"""
The broker's plan, pure: from the market's open orders to lots, and in which order these are sent.

What the market says of an order's volume may be late; the chain's word counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from voisin.policy.matching import Bid, Book, Lot, Offer
from voisin.protocol.api import PublishedAppOrder, PublishedDatasetOrder, PublishedOrder, PublishedRequestOrder, PublishedWorkerpoolOrder
from voisin.protocol.ids import Address, OrderHash
from voisin.protocol.orders import AppOrder, DatasetOrder, WorkerpoolOrder


def book_of(published: Iterable[PublishedOrder], consumed: Mapping[OrderHash, int], barred: Collection[OrderHash]) -> Book:
    """
    Make the engine's book.

    Args:
        published: Open orders of all kinds.
        consumed: What the chain counts as used of each order [tasks].
        barred: Orders that are left out for now.
    """
    apps: list[Offer[AppOrder]] = []
    datasets: list[Offer[DatasetOrder]] = []
    pools: list[Offer[WorkerpoolOrder]] = []
    bids: list[Bid] = []
    for each in published:
        left = min(each.remaining, each.order.volume - consumed.get(each.hash, 0))
        if left <= 0 or each.hash in barred:
            continue
        match each:
            case PublishedAppOrder():
                apps.append(Offer(each.order, each.hash, left, each.signer))
            case PublishedDatasetOrder():
                datasets.append(Offer(each.order, each.hash, left, each.signer))
            case PublishedWorkerpoolOrder():
                pools.append(Offer(each.order, each.hash, left, each.signer))
            case PublishedRequestOrder():
                bids.append(Bid(each.order, each.hash, left))
    return Book(apps=tuple(apps), datasets=tuple(datasets), workerpools=tuple(pools), bids=tuple(bids))


def accounts_of(book: Book) -> set[Address]:
    """List whose money the matches of a book are made with."""
    return {bid.request.requester for bid in book.bids} | {pool.signer for pool in book.workerpools}


def waves(lots: Sequence[Lot]) -> Iterator[list[Lot]]:
    """
    Split lots into groups to be sent together: lots that share an order or a purse stay in their order, one after another.

    A deal takes all that is left of the smallest of its orders, so of two lots with a common order the first must be mined first.
    """
    waiting = list(lots)
    while waiting:
        busy: set[str] = set()
        wave: list[Lot] = []
        later: list[Lot] = []
        for lot in waiting:
            needs = _needs(lot)
            (later if needs & busy else wave).append(lot)
            busy |= needs
        yield wave
        waiting = later


def _needs(lot: Lot) -> set[str]:
    found: set[str] = {lot.bid.hash, lot.workerpool.hash}
    if lot.app.remaining < lot.volume * _AMPLE:
        found.add(lot.app.hash)
    if lot.dataset is not None and lot.dataset.remaining < lot.volume * _AMPLE:
        found.add(lot.dataset.hash)
    return found


_AMPLE = 1000
"""An order of an app or a dataset with so many times the volume of a lot does not run out in a wave: lots that share it may go together."""


@dataclass
class Memberships:
    """
    Who is a member of which group, as far as it is known; what was asked for and is not known is listed.

    The engine asks at once and takes no answer later, so it is run, its questions are asked on the chain, and it is run again.
    """

    known: dict[tuple[Address, Address], bool] = field(default_factory=dict)
    asked: set[tuple[Address, Address]] = field(default_factory=set)

    def __call__(self, group: Address, who: Address) -> bool:
        """Tell whether somebody is a member, no for now when that is not known."""
        found = self.known.get((group, who))
        if found is None:
            self.asked.add((group, who))
        return bool(found)
