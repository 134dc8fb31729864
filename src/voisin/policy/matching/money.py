"""The money behind orders: who can pay for which lot, and what is left after it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from voisin.policy.matching.values import Lot, Offer
from voisin.protocol.ids import Address
from voisin.protocol.orders import WorkerpoolOrder
from voisin.protocol.rules import workerpool_stake
from voisin.units import NRLC


class Purses:
    """
    The free money of accounts at the hub; an account that is not listed has no limit.

    A deal takes all that is left of the smallest of its orders, so who cannot pay for all of that cannot have a part of it.
    """

    def __init__(self, free: Mapping[Address, NRLC], pools: Sequence[Offer[WorkerpoolOrder]]) -> None:
        """
        Args:
            free: For each account what is not locked [nRLC].
            pools: The workerpools' offers, cheapest first; sets of them are the bits of integers.
        """
        self._left: dict[Address, int] = dict(free)
        self._pools = pools
        self._prices = [pool.order.workerpoolprice for pool in pools]

    def can_pay(self, lot: Lot) -> bool:
        """Tell whether requester and workerpool's owner can lock what a lot takes."""
        return all(self._left.get(account, amount) >= amount for account, amount in _locks(lot).items())

    def pay(self, lot: Lot) -> None:
        """Lock it."""
        for account, amount in _locks(lot).items():
            if account in self._left:
                self._left[account] -= amount

    def stakeable(self, room: Sequence[int]) -> list[int]:
        """Tell for how many tasks each workerpool's owner can stake, at most what is left of the offer."""
        return [min(left, self._most(pool)) if pool.signer in self._left else left for pool, left in zip(self._pools, room, strict=True)]

    def too_large(self, room: Sequence[int], volume: int) -> int:
        """Give the offers of which a deal would be for more tasks than their owners can stake, when a bid wants so many."""
        found = 0
        for place, (pool, left) in enumerate(zip(self._pools, room, strict=True)):
            if pool.signer in self._left and min(left, volume) > self._most(pool):
                found |= 1 << place
        return found

    def payable(self, places: int, room: Sequence[int], volume: int, *, requester: Address, base: int) -> int:
        """
        Give those of some offers whose deal a requester can pay.

        Args:
            places: The offers.
            room: What is left of each offer [tasks].
            volume: How many tasks the deal is for, if the offer has so many.
            requester: Who pays.
            base: What app and dataset cost [nRLC per task].
        """
        left = self._left.get(requester)
        if left is None:
            return places
        found = places & ((1 << bisect_right(self._prices, left // volume - base)) - 1)
        doubtful = places & ~found
        while doubtful:
            bit = doubtful & -doubtful
            doubtful ^= bit
            place = bit.bit_length() - 1
            if room[place] < volume and (base + self._prices[place]) * room[place] <= left:
                found |= bit
        return found

    def _most(self, pool: Offer[WorkerpoolOrder]) -> int:
        stake = workerpool_stake(pool.order.workerpoolprice, 1)
        return self._left[pool.signer] // stake if stake else pool.remaining


def _locks(lot: Lot) -> dict[Address, int]:
    """What each account locks; the two may be one."""
    requester, owner = lot.bid.request.requester, lot.workerpool.signer
    if requester == owner:
        return {requester: lot.total + lot.stake}
    return {requester: lot.total, owner: lot.stake}
