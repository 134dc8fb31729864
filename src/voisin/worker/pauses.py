"""Pauses between attempts: each up to twice as long as the one before, spread so that many workers do not come back at once."""

from __future__ import annotations

from collections.abc import Callable


class Pauses:
    """
    The pauses of one thing that is tried again and again.

    Args:
        first_s: Longest first pause [s].
        longest_s: Longest pause of all [s].
        random: A number between 0 and 1 for each call.
    """

    def __init__(self, first_s: float, longest_s: float, random: Callable[[], float]) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._random = random
        self._next_s = first_s

    def next_s(self) -> float:
        """Give the next pause [s]: between half and all of its length."""
        length_s = min(self._next_s, self._longest_s)
        self._next_s = min(2 * length_s, self._longest_s)
        return length_s * (1 + self._random()) / 2

    def note_success(self, lasted_s: float) -> None:
        """Start again with the first pause, if a success lasted as long as the next pause would: a short one may be part of the trouble."""
        if lasted_s >= self._next_s:
            self._next_s = self._first_s
