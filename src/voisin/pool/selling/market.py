"""A market over HTTP, as far as a pool needs it."""

from __future__ import annotations

import httpx
import msgspec

from voisin.errors import UnavailableError
from voisin.protocol.api import OrderPage, Problem, PublishedOrder, PublishedWorkerpoolOrder, error_of
from voisin.protocol.codec import decode, encode
from voisin.protocol.ids import Address, OrderHash
from voisin.protocol.orders import WorkerpoolOrder
from voisin.protocol.signatures import Signer, sign_message
from voisin.units import UnixSeconds

PAGE = 100
MAX_PAGES = 20


class HttpMarket:
    """A market service; see `voisin.pool.selling.offers.MarketBook`."""

    def __init__(self, http: httpx.AsyncClient, market_url: str, scheduler: Signer) -> None:
        """
        Args:
            http: The client; it stays the caller's.
            market_url: The market's address.
            scheduler: Signs removals.
        """
        self._http = http
        self._url = market_url.rstrip("/")
        self._scheduler = scheduler

    async def open_orders(self, workerpool: Address) -> list[PublishedWorkerpoolOrder]:
        """List the open orders of a workerpool."""
        found: list[PublishedWorkerpoolOrder] = []
        query: dict[str, str] = {"kind": "workerpool", "workerpool": workerpool, "status": "open", "limit": str(PAGE)}
        for _ in range(MAX_PAGES):
            page = decode(await self._ask("GET", "/v1/orders", params=query), OrderPage, "the market's answer")
            found += [order for order in page.orders if isinstance(order, PublishedWorkerpoolOrder)]
            if page.next is None:
                break
            query = query | {"cursor": page.next}
        return found

    async def publish(self, order: WorkerpoolOrder) -> PublishedWorkerpoolOrder:
        """Put an order into the book."""
        body = encode({"kind": "workerpool", "order": order})
        return _workerpool_order(await self._ask("POST", "/v1/orders", content=body))

    async def unpublish(self, order_hash: OrderHash, at: UnixSeconds) -> None:
        """Take one of the scheduler's orders out of the book."""
        signature = sign_message(self._scheduler, f"Voisin unpublish {order_hash} {at}".encode())
        await self._ask("DELETE", f"/v1/orders/{order_hash}", headers={"Voisin-Signature": f"{at}:{signature}"})

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        try:
            answer = await self._http.request(method, self._url + path, params=params, content=content, headers=headers)
        except httpx.HTTPError as error:
            raise UnavailableError(f"the market at {self._url} does not answer: {error or type(error).__name__}") from None
        if answer.is_success:
            return answer.content
        try:
            problem = msgspec.json.decode(answer.content, type=Problem)
        except msgspec.MsgspecError:
            raise UnavailableError(f"the market at {self._url} answers {answer.status_code}") from None
        raise error_of(problem)


def _workerpool_order(content: bytes) -> PublishedWorkerpoolOrder:
    try:
        published: PublishedOrder = msgspec.json.decode(content, type=PublishedOrder)
    except msgspec.MsgspecError as error:
        raise UnavailableError(f"the market's answer is malformed: {error}") from None
    if not isinstance(published, PublishedWorkerpoolOrder):
        raise UnavailableError("the market answered with an order of another kind")
    return published
