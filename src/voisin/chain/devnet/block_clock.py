"""Which time the next block gets: the wall clock's, shifted as far as tests have shifted it, and never before the block before."""

from __future__ import annotations

from collections.abc import Callable

from voisin.chain.devnet.wire.errors import BadParamsError

WallClock = Callable[[], float]
"""Gives the time now [Unix s]."""

MAX_TIMESTAMP = 2**62


class BlockClock:
    """
    The chain's clock.

    Args:
        wall: Gives the time now [Unix s].
        offset_s: How far the chain is ahead of it [s].
    """

    def __init__(self, wall: WallClock, *, offset_s: int = 0) -> None:
        self._wall = wall
        self.offset_s = offset_s
        self._next: int | None = None

    def now(self, *, not_before: int) -> int:
        """
        Tell the time that a block sealed now would get.

        Args:
            not_before: Time of the block before [Unix s].

        Returns:
            The time [Unix s].
        """
        return self._next if self._next is not None else max(int(self._wall()) + self.offset_s, not_before)

    def was_sealed(self, timestamp: int) -> bool:
        """
        Note that a block was sealed; a time set for it is used up, and the clock goes on from there.

        Args:
            timestamp: Time of the block [Unix s].

        Returns:
            Whether the shift has changed.
        """
        if self._next is None:
            return False
        self._next = None
        self.offset_s = timestamp - int(self._wall())
        return True

    def shift(self, seconds: int) -> None:
        """
        Set the clock ahead.

        Args:
            seconds: How far [s].

        Raises:
            BadParamsError: It would go back, or beyond what a block can hold.
        """
        if seconds < 0:
            raise BadParamsError("time cannot go back", hint="use evm_revert to return to an earlier block")
        if seconds + self.offset_s + int(self._wall()) > MAX_TIMESTAMP:
            raise BadParamsError("the time is too far in the future")
        self.offset_s += seconds

    def set(self, timestamp: int, *, not_before: int) -> None:
        """
        Set the clock, which goes on from there.

        Args:
            timestamp: What it shall show now [Unix s].
            not_before: Time of the block before [Unix s].

        Raises:
            BadParamsError: It lies before the block before, or beyond what a block can hold.
        """
        self.set_next(timestamp, not_before=not_before)
        self._next = None
        self.offset_s = timestamp - int(self._wall())

    def set_next(self, timestamp: int, *, not_before: int) -> None:
        """
        Set the time of the next block.

        Args:
            timestamp: The time [Unix s].
            not_before: Time of the block before [Unix s].

        Raises:
            BadParamsError: It lies before the block before, or beyond what a block can hold.
        """
        if timestamp < not_before:
            raise BadParamsError(f"timestamp {timestamp} is lower than the previous block's timestamp {not_before}")
        if timestamp > MAX_TIMESTAMP:
            raise BadParamsError("the time is too far in the future")
        self._next = timestamp

    def reset(self, offset_s: int) -> None:
        """
        Return to an earlier shift, after the chain itself has returned.

        Args:
            offset_s: How far the chain was ahead then [s].
        """
        self.offset_s = offset_s
        self._next = None
