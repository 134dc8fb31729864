"""
The chain's events in consecutive ranges of blocks, from any block on, without gap or overlap.

The consumer stores `last + 1` in the same database transaction as the effects of a range, and starts there the next time: it
then misses nothing and repeats nothing. A node that is away is waited for. A chain that went back, for whatever reason, is an
error and never a silent gap: each range is tied to the one before by the hash of its last block.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import anyio
import structlog

from voisin.chain.connection import Chain
from voisin.chain.gathering import Gathering
from voisin.chain.logs import decode_logs
from voisin.chain.node_values import RawBlock, RawLog
from voisin.chain.rpc import Backoff, NodeError
from voisin.errors import StateError, UnavailableError
from voisin.protocol.events import Logged
from voisin.protocol.ids import Hash32

_NEWS_RUN_AHEAD_S = 0.05
"""Pause before asking again for a block that the WebSocket told of and the HTTP port does not know yet."""
_log = structlog.get_logger()
_WENT_BACK = "the development chain was reset or reverted, or the chain reorganised: delete the stored position and state, and start again"


class WentBackError(StateError):
    """The chain is not the one that was seen before: it reorganised, or was reset."""

    code = "chain-went-back"


@dataclass(frozen=True, slots=True)
class EventRange:
    """
    The events of consecutive blocks.

    Attributes:
        first: The first block.
        last: The last block; the next range starts after it.
        events: The events of all of them, in order.
        last_hash: Hash of the last block.
    """

    first: int
    last: int
    events: tuple[Logged, ...]
    last_hash: Hash32


@dataclass(frozen=True, slots=True)
class FollowSettings:
    """
    How to follow.

    Attributes:
        poll_s: Longest pause between two looks at a node without WebSocket [s].
        span: Most blocks of one range.
        with_token: Whether the token's own transfers are among the events.
        lag_s: How long a node may know fewer blocks than were seen already before the chain counts as gone back [s]; behind one
            address there may be several nodes that are not equally quick.
        gathering: How long to wait for further blocks when one is there: what is read and recorded together costs less, and whoever is
            in no hurry leaves the machine to those who are.
    """

    poll_s: float = 0.1
    span: int = 1000
    with_token: bool = False
    lag_s: float = 10.0
    gathering: Gathering = field(default_factory=Gathering)


def follow(
    chain: Chain,
    start_block: int,
    *,
    poll_s: float = 0.1,
    span: int = 1000,
    with_token: bool = False,
    parent_hash: Hash32 | None = None,
) -> AsyncIterator[EventRange]:
    """
    Follow the chain for ever.

    Args:
        chain: The chain.
        start_block: The first block of the first range.
        poll_s: Longest pause between two looks at a node without WebSocket [s].
        span: Most blocks of one range.
        with_token: Whether the token's own transfers are among the events.
        parent_hash: Hash of the block before `start_block` (`last_hash` of the range before), to notice a chain that went back
            while nobody looked.

    Returns:
        Ranges, the next one when there are new blocks; a range may hold no event. Iterating raises `StateError` when the chain went
        back, and waits while the node does not answer.
    """
    return Follower(chain, start_block, parent_hash, FollowSettings(poll_s, span, with_token))


async def events_of(chain: Chain, first: int, last: int, *, with_token: bool = False, height: int | None = None) -> list[Logged]:
    """
    Read the events of a stretch of blocks once.

    Args:
        chain: The chain.
        first: The first block.
        last: The last block.
        with_token: Whether the token's own transfers are among the events.
        height: How many blocks the chain has, if that was heard a moment ago; asked for unless given.

    Raises:
        StateError: The chain has no such block, or went back meanwhile.
        UnavailableError: The node does not answer.
    """
    if last > (height := await chain.block_number() if height is None else height):
        raise StateError(f"block {last} is not there yet: the chain has {height}")
    return [logged async for part in ranges_of(chain, first, last, with_token=with_token) for logged in part.events]


async def ranges_of(
    chain: Chain, first: int, last: int, *, parent_hash: Hash32 | None = None, with_token: bool = False
) -> AsyncIterator[EventRange]:
    """
    Read a stretch of blocks once, range by range, each tied to the one before.

    Args:
        chain: The chain, which has these blocks.
        first: The first block.
        last: The last block.
        parent_hash: Hash of the block before `first`, to notice a chain that went back since it was read.
        with_token: Whether the token's own transfers are among the events.

    Raises:
        WentBackError: The chain went back.
        UnavailableError: The node does not answer.
    """
    reader = _RangeReader(chain, FollowSettings(with_token=with_token), parent_hash)
    while first <= last:
        part = await reader.read(first, last)
        yield part
        first = part.last + 1


class Follower(AsyncIterator[EventRange]):
    """
    Follows the chain; see `follow`.

    Args:
        chain: The chain.
        start_block: The first block of the first range.
        parent_hash: Hash of the block before it, when known.
        settings: How to follow.
    """

    def __init__(self, chain: Chain, start_block: int, parent_hash: Hash32 | None = None, settings: FollowSettings | None = None) -> None:
        self._chain = chain
        self._next = start_block
        self._settings = settings or FollowSettings()
        self._reader = _RangeReader(chain, self._settings, parent_hash)
        self._behind_since: float | None = None
        self._is_away = False
        self._has_news = False
        self._trusts_news = False

    def __aiter__(self) -> Follower:
        return self

    async def __anext__(self) -> EventRange:
        backoff = Backoff(self._settings.poll_s)
        while True:
            try:
                found = await self._look()
            except UnavailableError as error:
                await self._stay_away(error, backoff)
                continue
            if self._is_away:
                self._is_away = False
                _log.info("node_back", block=self._next)
            if found is not None:
                self._next = found.last + 1
                return found

    async def _look(self) -> EventRange | None:
        """Read the next range; when there is none, wait for one and answer None."""
        heads = self._chain.heads
        if self._next <= heads.height < self._next + self._settings.span:
            await self._settings.gathering.wait()
        if (found := await self._read_told(heads.height)) is not None:
            return found
        if not self._trusts_news:
            height = await self._chain.block_number()
            self._judge(height)
            if height >= self._next:
                self._has_news = False
                return await self._reader.read(self._next, height)
            if self._has_news:
                await anyio.sleep(min(self._settings.poll_s, _NEWS_RUN_AHEAD_S))
        self._has_news = self._trusts_news = await heads.wait(self._next - 1, poll_s=self._settings.poll_s)
        return None

    async def _read_told(self, height: int) -> EventRange | None:
        """
        Read as far as the news tells, without asking first how far the chain is; what comes after that will be told, too.

        The news may be of a block that the HTTP port does not know yet, or of one that is not there any more: then the chain is asked.
        """
        if height < self._next:
            return None
        try:
            found = await self._reader.read(self._next, height)
        except UnavailableError:
            self._trusts_news = False
            return None
        self._has_news, self._trusts_news = False, True
        return found

    def _judge(self, height: int) -> None:
        """A node that knows fewer blocks than were seen already is either slow, or on a chain that went back."""
        if height >= self._next - 1:
            self._behind_since = None
            return
        now = anyio.current_time()
        self._behind_since = self._behind_since or now
        if now - self._behind_since >= self._settings.lag_s:
            raise WentBackError(f"the chain has {height} blocks, but block {self._next - 1} was seen already", hint=_WENT_BACK)

    async def _stay_away(self, error: UnavailableError, backoff: Backoff) -> None:
        if not self._is_away:
            self._is_away = True
            _log.warning("node_away", reason=error.message, block=self._next)
        await anyio.sleep(backoff.next_s())


class _RangeReader:
    """Reads ranges, each tied to the one before; asks for fewer blocks at a time where the node finds it too much."""

    def __init__(self, chain: Chain, settings: FollowSettings, parent_hash: Hash32 | None) -> None:
        self._chain = chain
        self._span = self._most = settings.span
        self._parent_hash = parent_hash
        self._sources = chain.contracts if settings.with_token else tuple(each for each in chain.contracts if each != chain.token_address)

    async def read(self, first: int, height: int) -> EventRange:
        """Read the range from `first` on, at most up to `height`."""
        while True:
            last = min(height, first + self._span - 1)
            try:
                found = await self._read(first, last)
            except NodeError as error:
                if last == first:
                    raise UnavailableError(error.message) from None
                self._span = max(1, (last - first + 1) // 2)
                continue
            self._span = min(self._most, self._span * 2)
            return found

    async def _read(self, first: int, last: int) -> EventRange:
        filter_ = {"fromBlock": hex(first), "toBlock": hex(last), "address": list(self._sources)}
        is_tied = self._parent_hash is not None and first < last  # a single block names the one before itself
        logs, end, *before = await self._chain.rpc.ask(
            [
                ("eth_getLogs", (filter_,)),
                ("eth_getBlockByNumber", (hex(last), False)),
                *([("eth_getBlockByNumber", (hex(first - 1), False))] if is_tied else []),
            ]
        )
        block = end.read_optional(RawBlock)
        last_hash = _hash_of(block, last)
        if before:
            self._check_parent(first - 1, _hash_of(before[0].read_optional(RawBlock), first - 1))
        elif self._parent_hash is not None and block is not None:
            self._check_parent(first - 1, block.parent)
        events = decode_logs(logs.read(tuple[RawLog, ...]), sources=self._sources)
        events.sort(key=lambda logged: (logged.block, logged.log_index))
        if any(not first <= logged.block <= last for logged in events):
            raise UnavailableError("the node answered logs of blocks that were not asked for")
        self._parent_hash = last_hash
        return EventRange(first, last, tuple(events), last_hash)

    def _check_parent(self, block: int, found: Hash32 | None) -> None:
        if found is None:
            raise UnavailableError(f"the node does not say which block comes before block {block + 1}")
        if found != self._parent_hash:
            raise WentBackError(
                f"block {block} is another one than was seen: its hash was {self._parent_hash}, now {found}", hint=_WENT_BACK
            )


def _hash_of(block: RawBlock | None, number: int) -> Hash32:
    if block is None or block.name is None:
        raise UnavailableError(f"the node does not know block {number} yet")
    return block.name
