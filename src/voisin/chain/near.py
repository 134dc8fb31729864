"""
Nodes that run in this very process and loop, as the box's does: whoever asks one of them by its address needs no network in between.

What comes and goes are the same bytes as on the wire, so that nothing but the way differs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Push = Callable[[bytes], None]
"""Takes a message of the node; never waits."""


@dataclass(frozen=True, slots=True)
class NearNode:
    """
    A node in this process.

    Attributes:
        answer: Answers a JSON-RPC request or batch; None for notifications.
        tell_heads: Tells somebody of new blocks from now on, as `eth_subscribe` does; answers what ends it.
        mourners: Called when the node ends.
    """

    answer: Callable[[bytes], Awaitable[bytes | None]]
    tell_heads: Callable[[Push], Callable[[], None]]
    mourners: set[Callable[[], None]] = field(default_factory=set, compare=False)


_nodes: dict[tuple[asyncio.AbstractEventLoop, str], NearNode] = {}


@contextmanager
def node_at(url: str, node: NearNode) -> Iterator[None]:
    """
    Let a node be found for as long as the context lasts, by whoever runs on the same loop.

    Args:
        url: Its HTTP address.
        node: The node.
    """
    place = asyncio.get_running_loop(), url.rstrip("/")
    _nodes[place] = node
    try:
        yield
    finally:
        del _nodes[place]
        for tell in tuple(node.mourners):
            tell()


def near_node(url: str) -> NearNode | None:
    """Find the node at an address on the running loop; None when it is elsewhere, or gone."""
    return _nodes.get((asyncio.get_running_loop(), url.rstrip("/"))) if _nodes else None
