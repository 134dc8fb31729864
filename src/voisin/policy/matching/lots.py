"""
From trades to lots: in which order the hub must be asked so that it makes exactly the deals that an auction found.

Nobody can tell the hub a volume: a deal takes all that is left of the smallest of its orders. Trades that share bidders and places
therefore need an order in which each one is, when its turn comes, just as large as what is left of one of its two sides. There is one
when the trades, seen as the edges of a graph, form trees with at most one side each of which something stays left: leaves first, that
side last. Trades become such trees without loss. Around a cycle, volume moves until one trade is gone, for the surplus depends on the
two ends of a trade alone; and along the path between two sides that both have something left, volume moves in the direction that does
not lose until one of them has nothing left, or a trade on the way is gone. As a gift there are fewer deals than bidders and places.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from voisin.policy.matching.auction import Auction

Node = tuple[int, int]
"""A bidder `(0, number)` or a place `(1, number)`."""
Trade = tuple[int, int, int]
"""Bidder, place and volume."""


def in_order(auction: Auction) -> list[Trade]:
    """Put the trades of an auction into an order in which the hub makes just these deals; their surplus does not shrink."""
    forest = _Forest(auction)
    for bidder, place, volume in auction.trades():
        forest.add((0, bidder), (1, place), volume)
    ordered: list[Trade] = []
    for tree in forest.trees_with_one_left():
        ordered += forest.leaves_first(tree)
    return ordered


class _Forest:
    """
    Trades without cycles.

    Attributes:
        partners: For each node with whom it trades how much.
    """

    def __init__(self, auction: Auction) -> None:
        self.partners: dict[Node, dict[Node, int]] = {}
        self._auction = auction
        self._joined: dict[Node, Node] = {}

    def add(self, bidder: Node, place: Node, volume: int) -> None:
        """Add a trade; a cycle that it closes is undone."""
        heads = self._head(bidder), self._head(place)
        path = self._path(bidder, place) if heads[0] == heads[1] else None
        self._joined[heads[0]] = heads[1]
        if path is not None:
            moved = min(self.partners[one][other] for one, other in zip(path[::2], path[1::2], strict=True))
            self._shift(path, -moved)
            volume += moved
        self._change(bidder, place, volume)

    def trees_with_one_left(self) -> Iterator[list[Node]]:
        """Give the trees, each beginning with the one node that may have something left, after moving volume where two have."""
        waiting = sorted(self.partners, reverse=True)
        seen: set[Node] = set()
        stuck: set[Node] = set()  # bidders that share a stock cannot always use up what each of them has left
        while waiting:
            first = waiting.pop()
            if first in seen or not self.partners[first]:
                continue
            tree = self._tree(first)
            left = [node for node in sorted(tree) if node not in stuck and self._left(node)]
            if len(left) > 1:
                if not self._settle(left[0], left[1]):
                    stuck.add(left[1])
                waiting += sorted(tree, reverse=True)
                continue
            yield self._tree(left[0]) if left else tree
            seen.update(tree)

    def leaves_first(self, tree: list[Node]) -> Iterator[Trade]:
        """List the trades of a tree, each after those that hang on it."""
        place_of = {node: number for number, node in enumerate(tree)}
        for node in reversed(tree[1:]):
            (parent,) = (other for other in self.partners[node] if place_of[other] < place_of[node])
            bidder, place = sorted((node, parent))
            yield bidder[1], place[1], self.partners[node][parent]

    def _settle(self, one: Node, other: Node) -> bool:
        """
        Move volume along the path between two nodes with something left, in the direction that does not lose.

        Returns:
            Whether one of them has nothing left now, or a trade is gone.
        """
        path = self._path(one, other)
        assert path is not None, "both belong to one tree"
        are_unlike = one[0] != other[0]
        gain = self._gain(one) + (self._gain(other) if are_unlike else -self._gain(other))
        if gain < 0 and not are_unlike:
            path, one, other = path[::-1], other, one
        sign = -1 if gain < 0 and are_unlike else 1
        shrinking = zip(path[1::2], path[2::2], strict=False) if sign > 0 else zip(path[::2], path[1::2], strict=False)
        trades = [self.partners[a][b] for a, b in shrinking]
        ends = [] if sign < 0 else [self._left(one), self._left(other)] if are_unlike else [self._left(one)]
        moved = sign * min(trades + ends)
        self._shift(path, moved)
        self._use(one, moved)
        self._use(other, moved if are_unlike else -moved)
        return abs(moved) in trades or not self._left(one) or not self._left(other)

    def _shift(self, path: list[Node], volume: int) -> None:
        """Trade more on the first edge of a path, less on the second, and so on."""
        for number, (one, other) in enumerate(pairwise(path)):
            self._change(one, other, volume if number % 2 == 0 else -volume)

    def _change(self, one: Node, other: Node, volume: int) -> None:
        now = self.partners.setdefault(one, {}).get(other, 0) + volume
        for node, partner in ((one, other), (other, one)):
            if now:
                self.partners.setdefault(node, {})[partner] = now
            else:
                self.partners[node].pop(partner, None)

    def _path(self, start: Node, end: Node) -> list[Node] | None:
        came_from: dict[Node, Node] = {start: start}
        waiting = [start]
        while waiting:
            node = waiting.pop()
            if node == end:
                path = [node]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            for partner in self.partners.get(node, {}):
                if partner not in came_from:
                    came_from[partner] = node
                    waiting.append(partner)
        return None

    def _tree(self, root: Node) -> list[Node]:
        """List the nodes of a tree, each after the one that it hangs on."""
        found, known = [root], {root}
        for node in found:
            for partner in sorted(self.partners[node], reverse=True):  # they are gone through from the last on
                if partner not in known:
                    known.add(partner)
                    found.append(partner)
        return found

    def _head(self, node: Node) -> Node:
        """Name the group that a node was ever joined to: nodes of different groups have no path between them."""
        while (above := self._joined.get(node, node)) != node:
            self._joined[node] = self._joined.get(above, above)
            node = above
        return node

    def _left(self, node: Node) -> int:
        side, number = node
        if side:
            return self._auction.room[number]
        return min(self._auction.stocks[stock] for stock in self._auction.bidders[number].draws)

    def _gain(self, node: Node) -> int:
        side, number = node
        return -self._auction.prices[number] if side else self._auction.bidders[number].worth

    def _use(self, node: Node, volume: int) -> None:
        side, number = node
        if side:
            self._auction.room[number] -= volume
            return
        for stock in self._auction.bidders[number].draws:
            self._auction.stocks[stock] -= volume
