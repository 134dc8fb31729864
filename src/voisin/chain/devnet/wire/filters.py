"""Filters: what a client polls with eth_getFilterChanges. They live in memory; those that nobody polls make room for new ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from voisin.chain.devnet.wire.errors import LimitError, RpcError
from voisin.chain.devnet.wire.params import BlockRef, Json, LogParams

IDLE_LIMIT_S = 300.0
MAX_FILTERS = 10_000

Kind = Literal["blocks", "transactions"]
Wanted = LogParams | Kind
"""What a filter reports: logs that fit, or the hashes of blocks or of transactions."""
FindLogs = Callable[[int, int, LogParams], Awaitable[list[Json]]]
FindHashes = Callable[[int, int, Kind], Awaitable[list[Json]]]


@dataclass(slots=True)
class _Filter:
    wanted: Wanted
    next_block: int
    used_at: float


class Filters:
    """
    The filters of all clients.

    Args:
        find_logs: Finds logs between two heights.
        find_hashes: Reads the hashes of blocks or transactions between two heights.
        head: Tells the height of the chain.
        now: Tells a time that only rises [s].
    """

    def __init__(self, *, find_logs: FindLogs, find_hashes: FindHashes, head: Callable[[], int], now: Callable[[], float]) -> None:
        self._find_logs = find_logs
        self._find_hashes = find_hashes
        self._head = head
        self._now = now
        self._filters: dict[int, _Filter] = {}
        self._last = 0

    def add(self, wanted: Wanted) -> int:
        """
        Make a filter that begins now.

        Args:
            wanted: Which logs, or what else.

        Returns:
            Its number.

        Raises:
            LimitError: There are too many.
        """
        now = self._now()
        if len(self._filters) >= MAX_FILTERS:
            self._filters = {key: one for key, one in self._filters.items() if now - one.used_at < IDLE_LIMIT_S}
        if len(self._filters) >= MAX_FILTERS:
            raise LimitError("too many filters", hint="uninstall those that are not used")
        self._last += 1
        self._filters[self._last] = _Filter(wanted, self._head() + 1, now)
        return self._last

    def remove(self, number: int) -> bool:
        """
        Drop a filter.

        Args:
            number: Its number.

        Returns:
            Whether there was such a filter.
        """
        return self._filters.pop(number, None) is not None

    async def changes(self, number: int) -> list[Json]:
        """
        Give what is new since the last time.

        Args:
            number: The filter's number.

        Returns:
            Logs or hashes, as JSON.

        Raises:
            RpcError: There is no such filter.
            LimitError: Too much is new; the next poll gives it again.
        """
        found = self._get(number)
        head, first = self._head(), found.next_block
        if first > head:
            found.next_block = head + 1  # the chain may have gone back to a snapshot
            return []
        found.next_block = head + 1
        try:
            if isinstance(found.wanted, str):
                return await self._find_hashes(first, head, found.wanted)
            return await self._find_logs(*_within(found.wanted, first, head), found.wanted)
        except BaseException:
            found.next_block = first
            raise

    async def all_logs(self, number: int) -> list[Json]:
        """
        Give all that a log filter matches, new or not.

        Args:
            number: The filter's number.

        Returns:
            Logs as JSON.

        Raises:
            RpcError: There is no such filter, or it is not one for logs.
            LimitError: Too much matches.
        """
        found = self._get(number)
        if isinstance(found.wanted, str):
            raise RpcError(f"filter not found: it is a filter for {found.wanted}")
        head = self._head()
        first = _height(found.wanted.first, head)
        return await self._find_logs(*_within(found.wanted, first, head), found.wanted)

    def _get(self, number: int) -> _Filter:
        found = self._filters.get(number)
        if found is None:
            raise RpcError("filter not found", hint="make it again; the node may forget filters that are not polled for 5 minutes")
        found.used_at = self._now()
        return found


def _within(wanted: LogParams, first: int, last: int) -> tuple[int, int]:
    """Narrow a range to the heights that the filter itself names."""
    low = wanted.first.number if wanted.first.number is not None else first
    high = wanted.last.number if wanted.last.number is not None else last
    return max(low, first), min(high, last)


def _height(ref: BlockRef, head: int) -> int:
    if ref.number is not None:
        return ref.number
    return 0 if ref.tag == "earliest" else head
