"""
What time it is for a pool: on this machine, and on the chain.

A chain's time is that of its latest block, and stands still while nothing happens; what counts is the time that the next
block will have: this machine's, or, where the chain's clock is ahead (a development chain that was sent into the future), as far
ahead as its last fresh block was. A chain that seems behind has merely not made a block for a while.
"""

from __future__ import annotations

from collections.abc import Callable

from voisin.pool.heart.facts import Instant
from voisin.units import UnixSeconds

TOLERATED_LEAD_S = 2
"""How far a block's time may lie ahead of this machine's clock before it counts as another clock [s]."""


class PoolClock:
    """Tells the time on both clocks."""

    def __init__(self, wall: Callable[[], float]) -> None:
        """
        Args:
            wall: This machine's clock [Unix s].
        """
        self._wall = wall
        self._offset = 0.0
        self._latest = 0

    def see_block(self, time: UnixSeconds, *, is_fresh: bool) -> None:
        """
        Learn the time of a block.

        Args:
            time: The block's time [Unix s].
            is_fresh: Whether the block was made just now; an old one says no more than that it is at least that late.
        """
        self._latest = max(self._latest, time)
        if is_fresh:
            lead = time - self._wall()
            self._offset = lead if lead > TOLERATED_LEAD_S else 0.0

    def now(self) -> Instant:
        """Tell the time."""
        wall = self._wall()
        return Instant(wall, UnixSeconds(max(self._latest, int(wall + self._offset))))
