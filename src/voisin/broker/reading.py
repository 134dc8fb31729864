"""The market's open orders over HTTP, as far as a broker needs them."""

from __future__ import annotations

import httpx
import msgspec

from voisin.errors import UnavailableError
from voisin.protocol.api import OrderPage, OrderStatus, Problem, PublishedOrder, error_of
from voisin.protocol.codec import decode
from voisin.protocol.ids import OrderHash
from voisin.protocol.orders import OrderKind

PAGE = 100


class HttpBook:
    """Reads a market's book."""

    def __init__(self, http: httpx.AsyncClient, market_url: str, *, max_orders: int) -> None:
        """
        Args:
            http: The client; it stays the caller's.
            market_url: The market's address.
            max_orders: The most orders of a kind that are read, the best prices first.
        """
        self._http = http
        self._url = market_url.rstrip("/")
        self._max_orders = max_orders

    async def open_orders(self, kind: OrderKind) -> list[PublishedOrder]:
        """
        List the open orders of a kind, best price first.

        Raises:
            UnavailableError: The market does not answer.
        """
        found: list[PublishedOrder] = []
        query = {"kind": kind.value, "status": OrderStatus.OPEN.value, "limit": str(PAGE)}
        while len(found) < self._max_orders:
            page = decode(await self._ask("/v1/orders", query), OrderPage, "the market's answer")
            found += page.orders
            if page.next is None:
                break
            query = query | {"cursor": page.next}
        return found[: self._max_orders]

    async def order(self, order_hash: OrderHash) -> PublishedOrder:
        """
        Look an order up, whatever its status.

        Raises:
            StateError: The market does not know it.
            UnavailableError: The market does not answer.
        """
        answer = await self._ask(f"/v1/orders/{order_hash}", {})
        try:
            published: PublishedOrder = msgspec.json.decode(answer, type=PublishedOrder)
        except msgspec.MsgspecError as error:
            raise UnavailableError(f"the market's answer is malformed: {error}") from None
        return published

    async def _ask(self, path: str, query: dict[str, str]) -> bytes:
        try:
            answer = await self._http.get(self._url + path, params=query)
        except httpx.HTTPError as error:
            raise UnavailableError(f"the market at {self._url} does not answer: {error or type(error).__name__}") from None
        if answer.is_success:
            return answer.content
        try:
            problem = msgspec.json.decode(answer.content, type=Problem)
        except msgspec.MsgspecError:
            raise UnavailableError(f"the market at {self._url} answers {answer.status_code}") from None
        raise error_of(problem)
