"""A way to an embedded chain on which the process that asks dies: before its request arrives, or before it hears the answer."""

from __future__ import annotations

import httpx

from voisin.chain import Rpc
from voisin.chain.devnet.node import EmbeddedDevnet


class KilledError(BaseException):
    """Stands for SIGKILL: nothing of the program may catch it."""


class MortalTransport(httpx.AsyncBaseTransport):
    """
    Carries requests until the process has to die.

    Args:
        node: The chain.
        requests: How many requests are answered; the next one is the last.
        method: What counts as a request; any unless given.
        is_heard: Whether the chain still gets that last one.
    """

    def __init__(self, node: EmbeddedDevnet, requests: int, *, method: str, is_heard: bool) -> None:
        self._node = node
        self._left = requests
        self._method = method.encode()
        self._is_heard = is_heard

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        self._left -= self._method in body
        if self._left >= 0:
            return httpx.Response(200, content=await self._node.answer(body))
        if self._is_heard:
            await self._node.answer(body)
        raise KilledError


def mortal_rpc(node: EmbeddedDevnet, requests: int, *, method: str = "", is_heard: bool = False) -> Rpc:
    """Reach a chain for so many requests."""
    return Rpc(node.rpc_url, transport=MortalTransport(node, requests, method=method, is_heard=is_heard))
