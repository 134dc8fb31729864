"""Hearing from a market what changes: its live feed, taken up again where it broke off."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

import anyio

from voisin.chain.rpc import Backoff
from voisin.client.services import Service
from voisin.errors import InputError, UnavailableError
from voisin.protocol.codec import decode
from voisin.protocol.feed import FeedEvent, FeedStart, Topic

PATIENCE_S = 120.0
"""How long the market may be out of reach before whoever listens is told [s]."""
_PATH = "/v1/feed"
_DATA = "data:"


def read_topics(names: Iterable[str]) -> tuple[Topic, ...]:
    """
    Read names of topics.

    Raises:
        InputError: There is no such topic.
    """
    topics = tuple(names)
    if unknown := set(topics) - set(Topic):
        raise InputError(f"{min(unknown)!r} is not a topic of the feed", hint=f"choose {', '.join(Topic)}")
    return tuple(map(Topic, topics))


async def follow_feed(
    market: Service, topics: Iterable[Topic] = (), after: int | None = None, *, patience_s: float = PATIENCE_S
) -> AsyncGenerator[FeedEvent, None]:
    """
    Hear of what changes in a market, for ever; close the generator to stop.

    The first event is a `FeedStart`, or a `FeedReset` when what happened since `after` is forgotten. A lost connection is opened
    again after the last event that was heard; nothing is missed or heard twice, or else a `FeedReset` says so.

    Args:
        market: The market.
        topics: What to hear of; everything unless given.
        after: The last event that was heard before; None to begin with the next one.
        patience_s: How long the market may be out of reach [s].

    Raises:
        InputError: The market does not know a topic.
        UnavailableError: The market is out of reach for too long.
    """
    params = [("topic", topic.value) for topic in topics]
    backoff = Backoff(0.1, 5.0)
    heard_at, is_first = anyio.current_time(), True
    while True:
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        try:
            async with aclosing(market.lines(_PATH, params, headers)) as lines:
                async for line in lines:
                    heard_at = anyio.current_time()
                    backoff.reset()
                    if not line.startswith(_DATA):
                        continue
                    event: FeedEvent = decode(line.removeprefix(_DATA), FeedEvent, "the market's news")  # type: ignore[arg-type]  # a union
                    after = event.id
                    if is_first or not isinstance(event, FeedStart):
                        yield event
                    is_first = False
        except UnavailableError:
            if anyio.current_time() - heard_at > patience_s:
                raise
        await anyio.sleep(backoff.next_s())
