"""
The open orders as columns of numbers in memory, so that a reader's question takes a fraction of a millisecond.

A database finds the first orders of a list quickly, but it must look at every order that fits to count them, and readers are told how
many there are. Here each kind of orders is a table of 64-bit numbers, one column for all that may be asked for; a question is a handful
of comparisons of whole columns. What the orders say is not kept here, only their hashes; see `voisin.market.shown`.

Numbers of more than 64 bits are kept apart, and stand in their column as the greatest number there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from voisin.market.machine import price_of
from voisin.market.query import ACCOUNTS, ANY, CLASSED_KINDS, OrderPlace, OrderQuery, accounts_of, is_bulk
from voisin.protocol.api import OrderStatus, PublishedOrder
from voisin.protocol.ids import MAX_UINT256, ZERO_ADDRESS, Address, OrderHash
from voisin.protocol.orders import OrderKind, RequestOrder, WorkerpoolOrder, order_kind
from voisin.protocol.tags import as_tag, tag_bits

Column = NDArray[np.uint64]
Slots = NDArray[np.intp]
Mask = NDArray[np.bool_]

GREATEST = 2**64 - 1
NOBODY = -1
"""In place of an account's number: it has none, for no order names it."""
LIMBS = 4
"""Columns of 64 bits that hold a tag."""
FIRST_ROOM = 1024
_HASH_DIGITS = 16
"""Hex digits of a hash that fit a column."""


class Cell(IntEnum):
    """What stands in which column."""

    PRICE = 0
    REMAINING = 1
    CATEGORY = 2
    TRUST = 3
    AT = 4
    HASH = 5
    IS_BULK = 6
    SIGNER = 7
    BENEFICIARY = 8
    ACCOUNT = 9
    TAG = 13


_COLUMNS = Cell.TAG + LIMBS
_EXACT = (Cell.PRICE, Cell.REMAINING, Cell.CATEGORY, Cell.TRUST)
"""What may take more than 64 bits."""


class Listing:
    """The open orders of all kinds."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {ZERO_ADDRESS: 0}
        self._open_of: Counter[int] = Counter()
        self._shelves = {kind: _Shelf(kind, self._numbers, self._open_of) for kind in sorted(OrderKind)}

    def see(self, order: PublishedOrder) -> None:
        """Take an order as it stands now: an open one is listed, another is not any more."""
        shelf = self._shelves[order_kind(order.order)]
        shelf.drop(order.hash)
        if order.status is OrderStatus.OPEN:
            shelf.put(order)

    def counts(self) -> dict[OrderKind, int]:
        """Count the orders of each kind."""
        return {kind: len(shelf) for kind, shelf in self._shelves.items()}

    def counts_of(self, signers: Iterable[Address]) -> dict[Address, int]:
        """Count the orders of each of some signers."""
        return {signer: self._open_of[self._numbers.get(signer, NOBODY)] for signer in signers}

    def find(self, query: OrderQuery, *, skip: int, limit: int) -> tuple[list[OrderHash], int]:
        """
        Find the open orders that fit, best price first.

        Args:
            query: What is asked; its limit and its status do not count here.
            skip: How many to leave out, from the query's place on.
            limit: How many to find.

        Returns:
            Their hashes, and how many fit in all, wherever the list begins.
        """
        place = query.place
        found: list[OrderHash] = []
        count = 0
        for kind, shelf in self._shelves.items():
            if query.kind not in (None, kind):
                continue
            fitting = shelf.fitting(query)
            count += len(fitting)
            if place is not None and kind < place.kind:
                continue
            if place is not None and kind == place.kind:
                fitting = shelf.after(fitting, place)
            if len(found) < limit:
                found += shelf.best(fitting, skip, limit - len(found))
            skip = max(skip - len(fitting), 0)
        return found, count


class _Shelf:
    """The open orders of one kind."""

    def __init__(self, kind: OrderKind, numbers: dict[str, int], open_of: Counter[int]) -> None:
        self._kind = kind
        self._numbers = numbers
        self._open_of = open_of
        self._hashes: list[OrderHash] = []
        self._slots: dict[OrderHash, int] = {}
        self._cells = np.zeros((_COLUMNS, FIRST_ROOM), dtype=np.uint64)
        self._great: dict[Cell, dict[OrderHash, int]] = {cell: {} for cell in _EXACT}
        self._seen_bits = 0
        self._named = [0] * len(ACCOUNTS)
        """How many orders name somebody, for each of the four accounts: where none does, nobody need look."""

    def __len__(self) -> int:
        return len(self._hashes)

    # --- what is listed
    def put(self, published: PublishedOrder) -> None:
        """List an order that is not listed yet."""
        order, name, slot = published.order, published.hash, len(self._hashes)
        if slot == self._cells.shape[1]:
            self._cells = np.concatenate([self._cells, np.zeros_like(self._cells)], axis=1)
        category, trust = (order.category, order.trust) if isinstance(order, WorkerpoolOrder | RequestOrder) else (0, 0)
        exact = (price_of(order), published.remaining, category, trust)
        for cell, number in zip(_EXACT, exact, strict=True):
            if number >= GREATEST:
                self._great[cell][name] = number
        bits = tag_bits(order.tag)
        self._seen_bits |= bits
        beneficiary = order.beneficiary if isinstance(order, RequestOrder) else ZERO_ADDRESS
        signer, reader, *accounts = map(self._number, (published.signer, beneficiary, *accounts_of(order)))
        values = (
            *(min(number, GREATEST) for number in exact),
            *(published.published_at, _hash_cell(name), is_bulk(order), signer, reader),
            *accounts,
            *_limbs(bits),
        )
        self._cells[:, slot] = np.array(values, dtype=np.uint64)
        self._count_named(accounts, 1)
        self._open_of[signer] += 1
        self._hashes.append(name)
        self._slots[name] = slot

    def drop(self, name: OrderHash) -> None:
        """List an order no more; the last one takes its place."""
        slot = self._slots.pop(name, None)
        if slot is None:
            return
        for great in self._great.values():
            great.pop(name, None)
        self._count_named(self._accounts_at(slot).tolist(), -1)
        self._open_of[int(self._cells[Cell.SIGNER, slot])] -= 1
        last = self._hashes.pop()
        if last != name:
            self._cells[:, slot] = self._cells[:, len(self._hashes)]
            self._hashes[slot], self._slots[last] = last, slot

    def _count_named(self, accounts: Sequence[int], step: int) -> None:
        for place, account in enumerate(accounts):
            if account:
                self._named[place] += step

    def _number(self, account: str) -> int:
        return self._numbers.setdefault(account, len(self._numbers))

    # --- what is asked
    def fitting(self, query: OrderQuery) -> Slots:
        """Find the orders that meet a query, whatever page is asked for."""
        if self._kind not in CLASSED_KINDS and any(each is not None for each in (query.category, query.min_trust, query.max_trust)):
            return np.empty(0, dtype=np.intp)
        if self._kind is not OrderKind.REQUEST and _names(query.beneficiary):
            return np.empty(0, dtype=np.intp)
        conditions = chain(self._accounts(query), self._tags(query), self._amounts(query))
        fits = next(conditions, None)
        if fits is None:
            return np.arange(len(self), dtype=np.intp)
        for condition in conditions:
            fits &= condition
        return np.flatnonzero(fits)

    def after(self, slots: Slots, place: OrderPlace) -> Slots:
        """Keep the orders that stand behind a place in the list."""
        price = MAX_UINT256 - int(place.rank) if self._kind is OrderKind.REQUEST else int(place.rank)
        key, at, cell = self._keys(slots), self._cell(Cell.AT)[slots], self._cell(Cell.HASH)[slots]
        level, hash_cell = np.uint64(self._key(price)), np.uint64(_hash_cell(place.hash))
        if price >= GREATEST:
            sure, tied = key > level, key == level
        else:
            same = key == level
            sure = (key > level) | (same & ((at > place.published_at) | ((at == place.published_at) & (cell > hash_cell))))
            tied = same & (at == place.published_at) & (cell == hash_cell)
        behind = self._exact_key(place.rank, place.published_at, place.hash)
        found = [slot for slot in slots[tied].tolist() if self._exact_place(slot) > behind]
        return np.concatenate([slots[sure], np.array(found, dtype=np.intp)])

    def best(self, slots: Slots, skip: int, limit: int) -> list[OrderHash]:
        """Name the first of some orders in the list's order, after those that are left out."""
        if skip >= len(slots) or limit <= 0:
            return []
        chosen = self._least(slots, skip + limit, (self._keys, self._column(Cell.AT), self._column(Cell.HASH)))
        ends = self._key(GREATEST)
        if self._great[Cell.PRICE] and bool((self._keys(chosen) == np.uint64(ends)).any()):
            ordered = sorted(chosen.tolist(), key=self._exact_place)[skip : skip + limit]
        else:
            columns = (self._cell(Cell.HASH)[chosen], self._cell(Cell.AT)[chosen], self._keys(chosen))
            ordered = chosen[np.lexsort(columns)][skip : skip + limit].tolist()
        return [self._hashes[slot] for slot in ordered]

    def _least(self, slots: Slots, count: int, columns: Sequence[Callable[[Slots], Column]]) -> Slots:
        """Choose at least so many of the orders with the least keys; more only where keys are equal, or told apart exactly only."""
        if len(slots) <= count or not columns:
            return slots
        keys = columns[0](slots)
        last = np.partition(keys, count - 1)[count - 1]
        sure, tied = slots[keys < last], slots[keys == last]
        is_exact = columns[0] == self._keys and self._great[Cell.PRICE] and last == np.uint64(self._key(GREATEST))
        return np.concatenate([sure, tied if is_exact else self._least(tied, count - len(sure), columns[1:])])

    # --- conditions
    def _accounts(self, query: OrderQuery) -> Iterable[Mask]:
        for place, account in enumerate(ACCOUNTS):
            allowed = query.allowed(account, self._kind)
            if allowed is not None and (self._named[place] or ZERO_ADDRESS not in allowed):
                yield self._is_one_of(Cell.ACCOUNT + place, allowed)
        for cell, named in ((Cell.SIGNER, query.owner), (Cell.BENEFICIARY, query.beneficiary)):
            if _names(named):
                yield self._is_one_of(cell, named)

    def _is_one_of(self, cell: int, accounts: Iterable[str]) -> Mask:
        numbers = [self._numbers[account] for account in accounts if account in self._numbers]
        column = self._cell(cell)
        fits = np.zeros(len(self), dtype=np.bool_) if not numbers else column == numbers[0]
        for number in numbers[1:]:
            fits |= column == number
        return fits

    def _tags(self, query: OrderQuery) -> Iterable[Mask]:
        needed = [query.bits] if self._kind is OrderKind.WORKERPOOL else []
        allowed = [] if self._kind is OrderKind.WORKERPOOL else [query.bits]
        needed.append(None if query.min_tag is None else tag_bits(as_tag(query.min_tag)))
        allowed.append(None if query.max_tag is None else tag_bits(as_tag(query.max_tag)))
        masks = [(bits, bits) for bits in needed if bits] + [(~bits & self._seen_bits, 0) for bits in allowed if bits is not None]
        for bits, wanted in masks:
            for place, (limb, value) in enumerate(zip(_limbs(bits), _limbs(wanted), strict=True)):
                if limb:
                    yield (self._cell(Cell.TAG + place) & np.uint64(limb)) == np.uint64(value)

    def _amounts(self, query: OrderQuery) -> Iterable[Mask]:
        if query.bulk is not None:
            yield self._cell(Cell.IS_BULK) == int(query.bulk)
        for cell, least, most in (
            (Cell.CATEGORY, query.category, query.category),
            (Cell.TRUST, query.min_trust, query.max_trust),
            (Cell.PRICE, query.min_price, query.max_price),
            (Cell.REMAINING, query.min_volume, None),
        ):
            if least is not None and least == most and least < GREATEST:
                yield self._cell(cell) == np.uint64(least)
                continue
            if least:
                yield self._cell(cell) >= np.uint64(least) if least < GREATEST else self._between(cell, least, MAX_UINT256)
            if most is not None:
                is_small = self._cell(cell) <= np.uint64(min(most, GREATEST - 1))
                yield is_small if most < GREATEST else is_small | self._between(cell, GREATEST, most)

    def _between(self, cell: Cell, least: int, most: int) -> Mask:
        """Find the orders with a number of more than 64 bits that lies between two."""
        fits = np.zeros(len(self), dtype=np.bool_)
        for name, number in self._great[cell].items():
            fits[self._slots[name]] = least <= number <= most
        return fits

    # --- places in the list
    def _accounts_at(self, slot: int) -> Column:
        return self._cells[Cell.ACCOUNT : Cell.ACCOUNT + len(ACCOUNTS), slot]

    def _cell(self, cell: int) -> Column:
        return self._cells[cell, : len(self)]

    def _column(self, cell: Cell) -> Callable[[Slots], Column]:
        return lambda slots: self._cells[cell][slots]

    def _keys(self, slots: Slots) -> Column:
        """Give the keys by which orders are listed first: the cheapest offer, the dearest request, has the least."""
        prices = self._cells[Cell.PRICE][slots]
        keys: Column = np.uint64(GREATEST) - prices if self._kind is OrderKind.REQUEST else prices
        return keys

    def _key(self, price: int) -> int:
        shown = min(price, GREATEST)
        return GREATEST - shown if self._kind is OrderKind.REQUEST else shown

    def _exact_place(self, slot: int) -> tuple[int, int, str]:
        name = self._hashes[slot]
        price = self._great[Cell.PRICE].get(name, int(self._cells[Cell.PRICE, slot]))
        rank = MAX_UINT256 - price if self._kind is OrderKind.REQUEST else price
        return self._exact_key(str(rank), int(self._cells[Cell.AT, slot]), name)

    @staticmethod
    def _exact_key(rank: str, at: int, name: str) -> tuple[int, int, str]:
        return int(rank), at, name


def _names(accounts: Sequence[str]) -> bool:
    """Tell whether a query names some accounts only."""
    return bool(accounts) and ANY not in accounts


@lru_cache(maxsize=1024)
def _limbs(bits: int) -> tuple[int, ...]:
    """Cut a tag into numbers of 64 bits, the lowest first."""
    return tuple(bits >> 64 * place & GREATEST for place in range(LIMBS))


def _hash_cell(name: str) -> int:
    """Write the beginning of a hash as a number that sorts as hashes do."""
    return int(name[2 : 2 + _HASH_DIGITS], 16)
