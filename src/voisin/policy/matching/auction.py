"""
The auction: which bidder gets how much of which lot, so that the surplus is the greatest.

Every bidder has a worth for a unit of whatever it can use, every place (an offer, cheapest first) a price and room for so many units.
A trade brings worth minus price, so money matters only at the two ends, and an augmenting path between a bidder and a place with room
gains exactly the worth of its first node minus the price of its last, however many earlier trades it moves to other places on its way.
Bidders come one after another, the dearest first. Each takes the cheapest place that it can reach, directly or by having earlier
bidders move on; a move costs these nothing that anybody would notice, for a surplus counts once, wherever it arises. As no later
bidder is worth more than an earlier one, nobody is ever put out again, and after each bidder the trades are the best there are: this is
the method of successive shortest paths (Busacker and Gowen 1960; Ahuja, Magnanti, Orlin, "Network Flows", 9.7), and the answer is the
optimum of the linear programme, not near it.

Bidders may share stocks (the variants of one request, an app order that many want). As long as no stock runs out the answer is exact.
When one may, a trade needs three scarce things at once, which is NP-hard; `rents.py` then auctions the stocks too.

Sets of places are the bits of integers. What is known about how cheaply places can be left again only grows, and is kept, so that no
region is searched twice for the same hope.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Bidder:
    """
    Who wants units.

    Attributes:
        worth: What a unit is worth, before the price of the place.
        reach: The places it can use, as bits.
        draws: The stocks that each of its units is taken from: first what it wants itself, then what it shares with others.
    """

    worth: int
    reach: int
    draws: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Search:
    """What a bidder can reach: the cheapest place with room, and by which places each further place was found."""

    place: int
    steps: list[tuple[int, int]]


@dataclass
class Auction:
    """
    An auction of places to bidders.

    Attributes:
        bidders: Who bids. Equal worths are served in the order given, so give them in an order that means something.
        prices: Price of each place, ascending.
        room: Units that each place has left.
        stocks: Units that each stock has left.
        held: For each place, how much of it each bidder holds.
    """

    bidders: Sequence[Bidder]
    prices: Sequence[int]
    room: list[int]
    stocks: list[int]
    held: list[dict[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.held = [{} for _ in self.prices]
        self._open = sum(1 << place for place, room in enumerate(self.room) if room > 0)
        self._taken = 0
        self._ever = 0  # what holders reach, all together; a search that has all of it cannot find more
        self._beyond = [0] * len(self.prices)
        self._known = _Levels(len(self.prices))

    @property
    def surplus(self) -> int:
        """What all trades bring together."""
        return sum(volume * (self.bidders[bidder].worth - self.prices[place]) for bidder, place, volume in self.trades())

    def run(self) -> None:
        """Let all bidders take what brings a surplus, or at least none below zero, the dearest first."""
        for bidder in sorted(range(len(self.bidders)), key=lambda each: -self.bidders[each].worth):
            while self._wanted(bidder) > 0 and (found := self._search(bidder)) is not None:
                self._take(bidder, found)

    def run_by_gain(self, rents: Mapping[int, int]) -> dict[int, int]:
        """
        Let bidders take what brings them a gain after rent, whoever gains most first.

        What a bidder can gain only shrinks, so an old figure is looked at again when it comes up.

        Args:
            rents: What a unit of a stock costs, besides the place.

        Returns:
            For each shared stock that ran out, what the first bidder who came too late would have gained by a unit.
        """
        late: dict[int, int] = {}
        if not self.prices:
            return late
        due = [sum(rents.get(stock, 0) for stock in bidder.draws) for bidder in self.bidders]
        queue = [(self.prices[0] + due[each] - bidder.worth, each) for each, bidder in enumerate(self.bidders)]
        heapq.heapify(queue)
        while queue and queue[0][0] <= 0:
            loss, bidder = heapq.heappop(queue)
            if self._wanted(bidder) <= 0:
                self._note_late(bidder, -loss, late)
                continue
            if (found := self._search(bidder)) is None:
                continue
            now = self.prices[found.place] + due[bidder] - self.bidders[bidder].worth
            if now == loss:
                self._take(bidder, found)
            heapq.heappush(queue, (now, bidder))
        return late

    def _note_late(self, bidder: int, gain: int, late: dict[int, int]) -> None:
        own, *shared = self.bidders[bidder].draws
        if self.stocks[own] > 0:
            for stock in shared:
                if self.stocks[stock] <= 0:
                    late.setdefault(stock, gain)

    def _wanted(self, bidder: int) -> int:
        return min(self.stocks[stock] for stock in self.bidders[bidder].draws)

    def _search(self, bidder: int) -> _Search | None:
        """Find the cheapest place with room that a bidder reaches and that is worth its price; None when there is none."""
        mine = self.bidders[bidder]
        bound = bisect_right(self.prices, mine.worth)
        best = min(_lowest(mine.reach & self._open), bound)
        reach, steps = mine.reach, list[tuple[int, int]]()
        hopeful = ~self._known.at_least(best)
        todo = reach & self._taken & hopeful
        while todo and self._ever & ~reach:
            bit = todo & -todo
            todo ^= bit
            place = bit.bit_length() - 1
            new = self._beyond[place] & ~reach
            if new:
                reach |= new
                steps.append((new, place))
                todo |= new & self._taken & hopeful
                if (cheaper := _lowest(new & self._open)) < best:
                    best = cheaper
                    hopeful = ~self._known.at_least(best)
                    todo &= hopeful
        self._known.raise_to(best, reach)
        return _Search(best, steps) if best < bound else None

    def _take(self, bidder: int, found: _Search) -> None:
        """Trade along the path that a search found: as much as the bidder wants, the place has room for, and others can move."""
        moves: list[tuple[int, int, int]] = []
        at = found.place
        for new, place in reversed(found.steps):
            if new >> at & 1:
                holders = self.held[place]
                other = max((each for each in holders if self.bidders[each].reach >> at & 1), key=lambda each: (holders[each], -each))
                moves.append((other, place, at))
                at = place
        volume = min([self._wanted(bidder), self.room[found.place], *(self.held[place][other] for other, place, _ in moves)])
        for other, place, onward in moves:
            self._move(other, place, -volume)
            self._move(other, onward, volume)
        self._move(bidder, at, volume)
        self._ever |= self.bidders[bidder].reach
        for stock in self.bidders[bidder].draws:
            self.stocks[stock] -= volume
        self.room[found.place] -= volume
        if self.room[found.place] == 0:
            self._open ^= 1 << found.place

    def _move(self, bidder: int, place: int, volume: int) -> None:
        holders = self.held[place]
        now = holders.get(bidder, 0) + volume
        if now:
            holders[bidder] = now
            self._beyond[place] |= self.bidders[bidder].reach
            self._taken |= 1 << place
            return
        del holders[bidder]
        self._beyond[place] = 0
        for each in holders:
            self._beyond[place] |= self.bidders[each].reach
        if not holders:
            self._taken ^= 1 << place

    def trades(self) -> Iterator[tuple[int, int, int]]:
        """List who holds what: bidder, place, volume; by place, then bidder."""
        for place, holders in enumerate(self.held):
            for bidder in sorted(holders):
                yield bidder, place, holders[bidder]


class _Levels:
    """
    Remembers for each place below which place none with room is reached from it.

    It is kept as a Fenwick tree of sets, so that all places of a level or above are read with few operations.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._sets = [0] * (size + 2)

    def at_least(self, level: int) -> int:
        """The places from which nothing below a level is reached."""
        found, at = 0, self._size - level + 1
        while at > 0:
            found |= self._sets[at]
            at -= at & -at
        return found

    def raise_to(self, level: int, places: int) -> None:
        """Note that nothing below a level is reached from some places."""
        at = self._size - level + 1
        while at <= self._size + 1:
            self._sets[at] |= places
            at += at & -at


def _lowest(places: int) -> int:
    """The lowest of some places; beyond all when there are none."""
    return (places & -places).bit_length() - 1 if places else 1 << 62
