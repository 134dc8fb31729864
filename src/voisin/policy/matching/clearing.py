"""
Batch matching: many bids against many offers, for the greatest surplus.

What is maximised is the sum, over all tasks that are traded, of what the buyer would have paid less what app, dataset and workerpool
ask. The hub charges the asked prices, so who trades with whom decides at what price; ties are broken by what the orders say, what is
left of them, and their hashes, never by the order in which they come.

How the four kinds of orders enter:

- Workerpool orders are what is auctioned (`auction.py`): each is a place with room for what is left of it, or for as many tasks as its
  owner can stake.
- A bid names its app and its dataset, so their orders are not chosen freely. For each bid the orders that fit it are combined, the
  cheapest first, into variants that bid side by side and share the bid's volume: dearer ones only where the cheaper may run out or fit
  other workerpools. As long as the first variant serves, the surplus is the optimum; scarce orders of apps and datasets are auctioned
  too (`rents.py`), near the optimum.
- Money is a limit, not a price: a bid uses only workerpools that its requester can pay, a lot that somebody cannot pay is left out.

The trades are put into an order in which the hub makes the same deals (`lots.py`), and then made one by one as the hub would; what is
left over is cleared again, until nothing more is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from voisin.policy.matching.auction import Auction, Bidder
from voisin.policy.matching.compatibility import WorkerpoolSets
from voisin.policy.matching.conditions import Membership, no_groups
from voisin.policy.matching.lots import in_order
from voisin.policy.matching.money import Purses
from voisin.policy.matching.rents import run_with_rents
from voisin.policy.matching.values import Book, Clearing, Lot, Offer, OrderT, Unfilled
from voisin.policy.matching.variants import Resources, Variant
from voisin.protocol.ids import Address
from voisin.protocol.tags import tag_bits
from voisin.units import NRLC

ROUNDS = 4
"""How often what is left over is cleared again; after the first round there is little left, and the next call goes on with it."""


def clear(book: Book, free: Mapping[Address, NRLC] | None = None, *, is_member: Membership = no_groups) -> Clearing:
    """
    Match all bids with all offers.

    Args:
        book: The orders; one that is given twice counts once.
        free: The free money of requesters and owners of workerpools at the hub [nRLC]; an account that is not listed has no limit.
        is_member: Knows the members of group contracts.

    Returns:
        The lots, and what could not be filled. Every lot satisfies the hub's conditions, no order is used beyond what is left of it, no
        account beyond its money, and no lot costs more than its bid pays.
    """
    desk = _Desk(book, free or {}, is_member)
    for _ in range(ROUNDS):
        if not desk.clear_once():
            break
    return Clearing(tuple(desk.lots), tuple(desk.unfilled()))


@dataclass(frozen=True, slots=True)
class _Taker:
    """A variant of a bid, and what it can use and pay now."""

    variant: Variant
    bidder: Bidder


class _Desk:
    """Clears a book, round by round."""

    def __init__(self, book: Book, free: Mapping[Address, NRLC], is_member: Membership) -> None:
        self.lots: list[Lot] = []
        self._is_member = is_member
        self._bids = sorted({bid.hash: bid for bid in sorted(book.bids, key=lambda bid: -bid.remaining)}.values(), key=lambda bid: bid.hash)
        self._pools = _cheapest_first(book.workerpools, lambda order: order.workerpoolprice)
        apps = _cheapest_first(book.apps, lambda order: order.appprice)
        datasets = _cheapest_first(book.datasets, lambda order: order.datasetprice)
        self._resources = Resources(self._bids, apps, datasets)
        self._sets = WorkerpoolSets(self._pools, is_member)
        self._purses = Purses(free, self._pools)
        self._prices = [pool.order.workerpoolprice for pool in self._pools]
        self._room = [pool.remaining for pool in self._pools]
        self._stocks = list(self._resources.stocks)
        self._barred = [0] * len(self._bids)

    def clear_once(self) -> bool:
        """
        Auction what is left.

        Returns:
            Whether another round may find more.
        """
        takers = list(self._takers())
        bidders = [taker.bidder for taker in takers]
        room = self._purses.stakeable(self._room)

        def fresh() -> Auction:
            return Auction(bidders, self._prices, list(room), list(self._stocks))

        is_plain = len({taker.variant.bid for taker in takers}) == len(takers) and all(taker.variant.is_plenty for taker in takers)
        if is_plain:
            auction = fresh()
            auction.run()
        else:
            auction = run_with_rents(fresh, bidders=len(bidders))
        trades = in_order(auction)
        is_as_planned = self._carry_out([(takers[bidder].variant, place, volume) for bidder, place, volume in trades])
        return bool(trades) and not (is_plain and is_as_planned)

    def _carry_out(self, trades: list[tuple[Variant, int, int]]) -> bool:
        """
        Make lots of trades, each when what the hub would take is what was planned, as far as that is possible.

        Shared orders of apps and datasets may spoil the order in which the trades come; then the one that is nearest is made.

        Returns:
            Whether everything came as planned.
        """
        is_as_planned = True
        while trades:
            waiting: list[tuple[Variant, int, int]] = []
            for variant, place, planned in trades:
                if self._possible(variant, place) > planned:
                    waiting.append((variant, place, planned))
                else:
                    is_as_planned &= self._make(variant, place) == planned
            if len(waiting) == len(trades):
                nearest = min(range(len(waiting)), key=lambda each: self._possible(*waiting[each][:2]) - waiting[each][2])
                self._make(*waiting.pop(nearest)[:2])
                is_as_planned = False
            trades = waiting
        return is_as_planned

    def _possible(self, variant: Variant, place: int) -> int:
        """How many tasks the hub would take."""
        return min(self._room[place], *(self._stocks[stock] for stock in variant.draws))

    def unfilled(self) -> Iterator[Unfilled]:
        """List what is left, and why."""
        for number, bid in enumerate(self._bids):
            if self._stocks[number] > 0:
                fits_nothing, why = self._why(number)
                yield Unfilled(bid, self._stocks[number], why, fits_nothing)

    def _takers(self) -> Iterator[_Taker]:
        """Everybody who can use and pay something now."""
        wanted = self._resources.wanted(self._stocks)
        open_places = sum(1 << place for place, room in enumerate(self._room) if room > 0)
        too_large: dict[int, int] = {}
        for number, bid in enumerate(self._bids):
            if self._stocks[number] <= 0:
                continue
            for variant in self._variants(number, wanted):
                volume = min(self._stocks[stock] for stock in variant.draws)
                if volume not in too_large:
                    too_large[volume] = self._purses.too_large(self._room, volume)
                places = variant.usable & open_places & ~self._barred[number] & ~too_large[volume]
                if places := self._payable(variant, places, volume):
                    yield _Taker(variant, Bidder(bid.worth(variant.base), places, variant.draws))

    def _payable(self, variant: Variant, places: int, volume: int) -> int:
        requester = self._bids[variant.bid].request.requester
        return self._purses.payable(places, self._room, volume, requester=requester, base=variant.base)

    def _variants(self, number: int, wanted: dict[Address, int]) -> Iterator[Variant]:
        return self._resources.variants(number, self._stocks, wanted, sets=self._sets, is_member=self._is_member)

    def _make(self, variant: Variant, place: int) -> int:
        """Make a lot as the hub would make the deal; a lot that somebody cannot pay is left out, and not tried again."""
        volume = self._possible(variant, place)
        if volume <= 0:
            return 0
        lot = Lot(variant.app, variant.dataset, self._pools[place], self._bids[variant.bid], volume)
        if not self._purses.can_pay(lot):
            self._barred[variant.bid] |= 1 << place
            return 0
        self._purses.pay(lot)
        self._room[place] -= volume
        for stock in variant.draws:
            self._stocks[stock] -= volume
        self.lots.append(lot)
        return volume

    def _why(self, number: int) -> tuple[bool, str]:
        """Tell whether a bid fits no offers at all, and in words why something of it is left."""
        bid, everything = self._bids[number], self._resources.stocks
        if next(self._resources.pairs(bid, everything, self._is_member), None) is None:
            return True, "no order of its app or its dataset fits it"
        variants = list(self._resources.variants(number, everything, {}, sets=self._sets, is_member=self._is_member))
        if not variants:
            return True, "no workerpool's order fits it"
        if self._barred[number] or not any(self._payable(variant, variant.usable, self._stocks[number]) for variant in variants):
            return False, "the money of its requester, or of the workerpools that fit, does not suffice"
        return False, "what fits it is sold to requests that bring more, or is sold out"


def _cheapest_first(offers: Sequence[Offer[OrderT]], price: Callable[[OrderT], NRLC]) -> list[Offer[OrderT]]:
    """
    Sort offers by price. Of equal ones comes first what has the fewest tags, so that rare machines stay for those who need them, then
    what has more left, which saves deals. What is there twice counts once.
    """

    def rank(offer: Offer[OrderT]) -> tuple[int, int, int, str]:
        return price(offer.order), tag_bits(offer.order.tag).bit_count(), -offer.remaining, offer.hash

    once = {offer.hash: offer for offer in sorted(offers, key=lambda offer: -offer.remaining)}
    return sorted((offer for offer in once.values() if offer.remaining > 0), key=rank)
