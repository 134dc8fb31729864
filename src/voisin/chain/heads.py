"""
News of new blocks: from a node of this process directly, through a WebSocket where the node has one, otherwise by asking again.

Whoever waits drives the socket; there is no task in the background. A socket that fails is tried again later, and until then
everybody polls.

Source: the Ethereum JSON-RPC specification, `eth_subscribe` with `newHeads`.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

import anyio
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from voisin.chain.near import NearNode, near_node
from voisin.chain.node_values import quantity
from voisin.chain.rpc import is_local
from voisin.errors import UnavailableError

_OPEN_TIMEOUT_S = 3.0
_CLOSE_TIMEOUT_S = 1.0
_NO_SOCKET_RETRY_S = 30.0
_LOST_SOCKET_RETRY_S = 1.0
_SUBSCRIBE = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}).decode()


class _Head(msgspec.Struct):
    number: str


class _News(msgspec.Struct):
    result: _Head


class _Message(msgspec.Struct):
    params: _News | None = None
    error: msgspec.Raw | None = None


_MESSAGE = msgspec.json.Decoder(_Message)


def socket_url(rpc_url: str) -> str:
    """Say where a node's WebSocket usually is: at the same place as its HTTP port."""
    parts = urlsplit(rpc_url)
    return urlunsplit(parts._replace(scheme="wss" if parts.scheme == "https" else "ws"))


class HeadFeed:
    """
    Waits for blocks.

    Args:
        rpc_url: The node's HTTP address; the WebSocket is looked for at the same place.
        has_socket: Whether to look for a WebSocket, or for a node of this process, at all.

    Attributes:
        height: The last block that was told of; -1 before the first. Whether it is there still, only the node can say.
    """

    def __init__(self, rpc_url: str, *, has_socket: bool = True) -> None:
        self._rpc_url = rpc_url if has_socket else ""
        self._near: NearNode | None = None
        self._end_news: Callable[[], None] = lambda: None
        self._told = anyio.Event()
        self._url = socket_url(rpc_url)
        self._socket: ClientConnection | None = None
        self._retry_at = 0.0 if has_socket else float("inf")
        self._turn = anyio.Lock()
        self.height = -1
        self._is_subscribed = False

    @property
    def is_told(self) -> bool:
        """Whether the node tells of its blocks at present: then `height` is the last one, or is about to be."""
        return self._near is not None or self._is_subscribed

    async def wait(self, beyond: int, *, poll_s: float) -> bool:
        """
        Return when there may be a block above `beyond`.

        Args:
            beyond: The last block known.
            poll_s: Longest pause where there is no WebSocket [s]. With one the wait is a hundred times as long at most, so that a
                socket that has silently died does no harm.

        Returns:
            Whether the news told of such a block.
        """
        node = near_node(self._rpc_url) if self._rpc_url else None
        if node is not None:
            await self._wait_near(node, beyond, longest_s=poll_s * 100)
            return self.height > beyond
        if self._socket is None and anyio.current_time() < self._retry_at:
            await anyio.sleep(poll_s)
            return False
        with anyio.move_on_after(poll_s * 100):
            async with self._turn:
                if self.height <= beyond:
                    await self._listen(beyond)
        return self.height > beyond

    async def aclose(self) -> None:
        """Close the socket."""
        self._forsake()
        if self._socket is not None:
            socket, self._socket = self._socket, None
            await socket.close()

    async def _wait_near(self, node: NearNode, beyond: int, *, longest_s: float) -> None:
        """Wait for a node that tells of its blocks without a socket."""
        if node is not self._near:
            self._forsake()
            self._near, self._end_news = node, node.tell_heads(self._hear)
            node.mourners.add(self._wake)
            return  # a block may have come before: look first
        if self.height <= beyond:
            with anyio.move_on_after(longest_s):
                await self._told.wait()

    def _hear(self, message: bytes) -> None:
        self._take(message)
        self._wake()

    def _wake(self) -> None:
        self._told.set()
        self._told = anyio.Event()

    def _forsake(self) -> None:
        """Hear no more of a node of this process."""
        if self._near is not None:
            self._end_news()
            self._near.mourners.discard(self._wake)
            self._near = None

    async def _listen(self, beyond: int) -> None:
        """Read heads until one is above `beyond`; on any failure leave, so that the caller looks for itself."""
        try:
            if self._socket is None:
                self._socket = await self._open()
                await self._socket.send(_SUBSCRIBE)
                return  # a block may have come before the subscription: look first
            while self.height <= beyond:
                self._take(await self._socket.recv())
                self._is_subscribed = True
        except (OSError, TimeoutError, WebSocketException, msgspec.MsgspecError, UnavailableError):
            pause_s = _LOST_SOCKET_RETRY_S if self._is_subscribed else _NO_SOCKET_RETRY_S
            self._is_subscribed = False
            self._retry_at = anyio.current_time() + pause_s
            await self.aclose()

    async def _open(self) -> ClientConnection:
        if is_local(self._url):
            return await connect(self._url, open_timeout=_OPEN_TIMEOUT_S, close_timeout=_CLOSE_TIMEOUT_S, proxy=None)
        return await connect(self._url, open_timeout=_OPEN_TIMEOUT_S, close_timeout=_CLOSE_TIMEOUT_S)

    def _take(self, text: str | bytes) -> None:
        message = _MESSAGE.decode(text)
        if message.error is not None:
            raise UnavailableError("the node offers no news of blocks")
        if message.params is not None:
            self.height = quantity(message.params.result.number)
