"""How often one address may ask."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import ClassVar

from voisin.errors import UnavailableError

MAX_ADDRESSES = 10_000
"""Addresses that are told apart; the one that was quiet longest is forgotten first."""


class TooOftenError(UnavailableError):
    """One address asks more often than the service allows."""

    code: ClassVar[str] = "too-many-requests"


class Buckets:
    """A bucket of tokens for each address: it fills at a rate up to a size, and a request takes a token."""

    def __init__(self, *, per_s: float, burst: int, clock: Callable[[], float]) -> None:
        """
        Args:
            per_s: Tokens that a bucket gains [tokens/s].
            burst: Tokens in a full bucket.
            clock: A clock that never goes back [s].
        """
        self._per_s = per_s
        self._burst = float(burst)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> None:
        """
        Take a token of an address.

        Raises:
            TooOftenError: Its bucket is empty.
        """
        now = self._clock()
        tokens, at = self._buckets.pop(address, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_s)
        enough = tokens >= 1
        self._buckets[address] = (tokens - 1 if enough else tokens, now)
        if len(self._buckets) > MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        if not enough:
            raise TooOftenError("too many requests from this address", hint="wait a moment, and send fewer at a time")
