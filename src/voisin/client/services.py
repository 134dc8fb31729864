"""
The market's services over HTTP, as the client sees them: the order book, and a pool's view of its tasks.

Reads are repeated a few times when a service does not answer; a service's problem becomes the error it was.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TypeVar

import anyio
import httpx
import msgspec

from voisin.errors import StateError, UnavailableError, VoisinError
from voisin.protocol.api import (
    DealEntry,
    DealPage,
    OrderPage,
    OrderStatus,
    PoolTaskView,
    PoolView,
    Problem,
    PublishedAppOrder,
    PublishedOrder,
    PublishedWorkerpoolOrder,
    TaskEntry,
    TaskPage,
    error_of,
)
from voisin.protocol.bag_api import BagView
from voisin.protocol.codec import decode, encode
from voisin.protocol.ids import DealId, OrderHash, TaskId
from voisin.protocol.orders import Order, OrderKind, order_kind
from voisin.protocol.signatures import Signer, sign_message
from voisin.units import UnixSeconds

T = TypeVar("T")
Filter = str | int | None
Filters = Mapping[str, Filter]

_TRIES = 4
_FIRST_PAUSE_S = 0.1
_PAGE = 100
_SILENCE_S = 60.0
"""After how long without a line an answer that does not end counts as lost [s]."""


class Service:
    """One HTTP service: JSON in, JSON out, problems raised as errors. Close it, or use it as an async context manager."""

    def __init__(self, what: str, base_url: str, *, timeout_s: float = 30, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """
        Args:
            what: What the service is, for errors, for example `"market"`.
            base_url: Its address.
            timeout_s: Longest wait for one answer [s].
            transport: What carries the requests; the network unless given.
        """
        self.what = what
        self.base_url = base_url
        self._http = httpx.AsyncClient(base_url=base_url, timeout=timeout_s, transport=transport)

    async def __aenter__(self) -> Service:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def read(self, path: str, kind: type[T], filters: Filters | None = None) -> T:
        """
        Get a document; tried again a few times, with growing pauses, while the service does not answer.

        Raises:
            UnavailableError: The service does not answer.
            VoisinError: The service's own problem.
        """
        params = _params(filters)
        for attempt in range(_TRIES):
            try:
                return await self._exchange(httpx.Request("GET", self._url(path), params=params), kind)
            except UnavailableError:
                if attempt == _TRIES - 1:
                    raise
            await anyio.sleep(_FIRST_PAUSE_S * 2**attempt * (0.5 + random.random()))  # noqa: S311  a pause needs no secrecy
        raise AssertionError("the last attempt answers or raises")

    async def find(self, path: str, kind: type[T], filters: Filters | None = None, *, absent: str) -> T | None:
        """
        Get a document that may not be there.

        Args:
            path: Where it is.
            kind: What it is.
            filters: Parameters of the query.
            absent: The code of the problem by which the service says that it is not there.

        Returns:
            The document, or None.

        Raises:
            UnavailableError: The service does not answer.
            VoisinError: The service's own problem.
        """
        response = await self._answer(httpx.Request("GET", self._url(path), params=_params(filters)))
        if response.status_code == httpx.codes.NOT_FOUND and _problem_code(response) == absent:
            return None
        return decode(self._content(response), kind, f"the answer of the {self.what}")

    async def call(
        self, method: str, path: str, kind: type[T], *, filters: Filters | None = None, headers: dict[str, str], content: bytes = b""
    ) -> T:
        """
        Make one request as it is said, never repeated.

        Args:
            method: The method.
            path: The path.
            kind: What the answer is.
            filters: Parameters of the query.
            headers: Its headers.
            content: Its body.

        Raises:
            UnavailableError: The service does not answer.
            VoisinError: The service's own problem.
        """
        request = httpx.Request(method, self._url(path), params=_params(filters), headers=headers, content=content)
        return await self._exchange(request, kind)

    @asynccontextmanager
    async def stream(self, path: str, headers: dict[str, str], timeout: httpx.Timeout) -> AsyncGenerator[httpx.Response, None]:
        """
        Get an answer piece by piece, for as long as the context lasts.

        Args:
            path: The path.
            headers: The request's headers.
            timeout: How long to wait for each piece.

        Raises:
            UnavailableError: The service does not answer, or stops in the middle.
            VoisinError: The service's own problem.
        """
        try:
            async with self._http.stream("GET", self._url(path), headers=headers, timeout=timeout) as response:
                if not response.is_success:
                    await response.aread()
                    raise self._problem(response)
                yield response
        except httpx.TransportError as error:
            message = f"the {self.what} at {self.base_url} does not answer: {error or type(error).__name__}"
            raise UnavailableError(message, hint="see whether it runs with `voisin status`") from None

    async def write(self, path: str, body: object, kind: type[T]) -> T:
        """Post a document and read the answer; never repeated. Raises like `read`."""
        headers = {"content-type": "application/json"}
        return await self._exchange(httpx.Request("POST", self._url(path), content=encode(body), headers=headers), kind)

    async def remove(self, path: str, headers: dict[str, str]) -> None:
        """Delete a document. Raises like `read`."""
        await self._send(httpx.Request("DELETE", self._url(path), headers=headers))

    async def lines(self, path: str, params: Sequence[tuple[str, str]], headers: dict[str, str]) -> AsyncGenerator[str, None]:
        """
        Read an answer that does not end, line by line; what ends it is an error.

        Args:
            path: The path.
            params: Parameters of the query; one may be there several times.
            headers: Its headers.

        Raises:
            UnavailableError: The service does not answer, or not any more.
            VoisinError: The service's own problem.
        """
        timeout = httpx.Timeout(self._http.timeout.connect, read=_SILENCE_S)
        try:
            async with self._http.stream("GET", self._url(path), params=list(params), headers=headers, timeout=timeout) as response:
                if not response.is_success:
                    await response.aread()
                    raise self._problem(response)
                async for line in response.aiter_lines():
                    yield line
        except httpx.TransportError as error:
            raise self._silent(error) from None
        raise UnavailableError(f"the {self.what} at {self.base_url} hung up", hint="see whether it runs with `voisin status`")

    def _url(self, path: str) -> httpx.URL:
        if not self.base_url:
            hint = "run one that follows its hub with `python -m voisin.market`, and name it as the network's market_url"
            raise StateError(f"this network has no {self.what} that Voisin can ask", hint=hint)
        return httpx.URL(self.base_url.rstrip("/") + path)

    async def _exchange(self, request: httpx.Request, kind: type[T]) -> T:
        return decode(await self._send(request), kind, f"the answer of the {self.what}")

    async def _send(self, request: httpx.Request) -> bytes:
        return self._content(await self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._http.send(request)
        except httpx.TransportError as error:
            raise self._silent(error) from None

    def _silent(self, error: httpx.TransportError) -> UnavailableError:
        reason = str(error) or type(error).__name__
        return UnavailableError(
            f"the {self.what} at {self.base_url} does not answer: {reason}", hint="see whether it runs with `voisin status`"
        )

    def _content(self, response: httpx.Response) -> bytes:
        if response.is_success:
            return response.content
        raise self._problem(response)

    def _problem(self, response: httpx.Response) -> VoisinError:
        try:
            return error_of(msgspec.json.decode(response.content, type=Problem))
        except msgspec.MsgspecError:
            return UnavailableError(f"the {self.what} at {self.base_url} answered {response.status_code} without saying why")


def _params(filters: Filters | None) -> dict[str, str]:
    return {name: str(value) for name, value in (filters or {}).items() if value is not None}


def _problem_code(response: httpx.Response) -> str:
    try:
        return msgspec.json.decode(response.content, type=Problem).code
    except msgspec.MsgspecError:
        return ""


class OrderBook:
    """The market's order book: publish, find, withdraw orders; look deals and tasks up."""

    def __init__(self, service: Service) -> None:
        """
        Args:
            service: The market.
        """
        self.service = service

    async def publish(self, order: Order) -> PublishedOrder:
        """
        Put a signed order into the book; an order that is there already stays.

        Raises:
            InputError: The order or its signature is refused; the message says why.
            FundsError: The requester's deposit does not cover the order.
        """
        body = {"kind": order_kind(order).value, "order": order}
        published: PublishedOrder = await self.service.write("/v1/orders", body, PublishedOrder)  # type: ignore[arg-type]  # a union
        return published

    async def find(self, order: OrderHash) -> PublishedOrder:
        """
        Look one order up, whatever its status.

        Raises:
            StateError: The book does not know it.
        """
        found: PublishedOrder = await self.service.read(f"/v1/orders/{order}", PublishedOrder)  # type: ignore[arg-type]  # a union
        return found

    async def orders(
        self, kind: OrderKind, filters: Filters | None = None, *, status: OrderStatus = OrderStatus.OPEN
    ) -> AsyncGenerator[PublishedOrder, None]:
        """
        Go through the orders of one kind, best price first.

        Args:
            kind: Which orders.
            filters: The market's filters by name, for example `{"category": 0, "min_trust": 4}`; None means no filter.
            status: Only orders in this state.
        """
        cursor: str | None = None
        while True:
            query: dict[str, Filter] = {"kind": kind.value, "status": status.value, "limit": _PAGE, "cursor": cursor, **(filters or {})}
            page = await self.service.read("/v1/orders", OrderPage, query)
            for order in page.orders:
                yield order
            if (cursor := page.next) is None:
                return

    async def app_offers(self, filters: Filters | None = None) -> list[PublishedAppOrder]:
        """List the open app orders, cheapest first."""
        return [found async for found in self.orders(OrderKind.APP, filters) if isinstance(found, PublishedAppOrder)]

    async def workerpool_offers(self, filters: Filters | None = None) -> list[PublishedWorkerpoolOrder]:
        """List the open workerpool orders, cheapest first."""
        return [found async for found in self.orders(OrderKind.WORKERPOOL, filters) if isinstance(found, PublishedWorkerpoolOrder)]

    async def unpublish(self, order: OrderHash, signer: Signer, *, now: UnixSeconds) -> None:
        """
        Take an order out of the book; it can still be matched by whoever kept it.

        Args:
            order: The order's hash.
            signer: Who signed the order.
            now: The time, for the proof [Unix s].

        Raises:
            TrustError: The signer did not sign the order.
        """
        proof = sign_message(signer, f"Voisin unpublish {order} {now}".encode())
        await self.service.remove(f"/v1/orders/{order}", {"Voisin-Signature": f"{now}:{proof}"})

    async def deal(self, deal: DealId) -> DealEntry:
        """
        Look one deal up.

        Raises:
            StateError: The market does not know it.
        """
        return await self.service.read(f"/v1/deals/{deal}", DealEntry)

    async def deals(self, filters: Filters | None = None) -> AsyncGenerator[DealEntry, None]:
        """Go through deals, newest first; filters by name, for example `{"requester": address}`."""
        cursor: str | None = None
        while True:
            page = await self.service.read("/v1/deals", DealPage, {"limit": _PAGE, "cursor": cursor, **(filters or {})})
            for deal in page.deals:
                yield deal
            if (cursor := page.next) is None:
                return

    async def tasks(self, deal: DealId) -> tuple[TaskEntry, ...]:
        """List a deal's tasks in order of index."""
        return (await self.service.read(f"/v1/deals/{deal}/tasks", TaskPage)).tasks


class PoolDesk:
    """What a workerpool tells about itself and about the tasks it runs."""

    def __init__(self, service: Service) -> None:
        """
        Args:
            service: The pool.
        """
        self.service = service

    async def pool(self) -> PoolView:
        """Describe the pool and its workers."""
        return await self.service.read("/v1/pool", PoolView)

    async def task(self, task: TaskId) -> PoolTaskView:
        """
        Tell where a task stands and why.

        Raises:
            StateError: The pool does not know it.
        """
        return await self.service.read(f"/v1/tasks/{task}", PoolTaskView)

    async def bag(self, deal: DealId, *, after: int = 0, wait_s: int = 0) -> BagView:
        """
        Tell how far a bag is, with its results in the order in which they came.

        Args:
            deal: The deal.
            after: How many results are known already.
            wait_s: How long to wait for a new one [s].

        Raises:
            StateError: The pool does not know it.
        """
        return await self.service.read(f"/v1/bags/{deal}", BagView, {"after": after, "wait": wait_s})
