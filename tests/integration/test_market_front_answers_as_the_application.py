"""What is answered at the market's doors is what its application behind them answers, to the byte."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.order_book import Trade, market_settings
from voisin.market.api import create_app, create_front
from voisin.market.memory import MemoryStore
from voisin.market.service import MarketService
from voisin.protocol.codec import encode
from voisin.protocol.orders import order_kind

pytestmark = pytest.mark.anyio

READS = (
    "/v1/orders",
    "/v1/orders?kind=app&limit=1",
    "/v1/orders?limit=1&limit=2",
    "/v1/orders?nonsense=%ff",
    "/v1/orders?app=&kind=",
    "/v1/orders?cursor=%00",
    "/apporders?chainId=TWIN&app=any",
    "/apporders?chainId=TWIN",
    "/workerpoolorders?chainId=TWIN&pageSize=10&pageIndex=1",
    "/datasetorders?chainId=1&dataset=any",
    "/requestorders?chainId=TWIN&category=1&category=0",
)
BODIES = (b"", b"{}", b"\xff", b'{"kind":"app"}', b"[" * 2000, b"x" * 70_000)


@pytest.fixture
async def both() -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient, Trade]]:
    """A market with and without its doors, on the same records."""
    trade, settings = Trade(), market_settings()
    service = MarketService(trade.ledger, MemoryStore(), settings)
    for order in (trade.app_order(), trade.pool_order(), trade.request_order()):
        await service.publish(order)
    apps = (create_front(service, settings), create_app(service, settings))
    transports = [httpx.ASGITransport(app=app, raise_app_exceptions=False) for app in apps]  # type: ignore[arg-type]
    async with (
        httpx.AsyncClient(transport=transports[0], base_url="http://market") as front,
        httpx.AsyncClient(transport=transports[1], base_url="http://market") as behind,
    ):
        yield front, behind, trade


def same(first: httpx.Response, second: httpx.Response) -> None:
    """Compare answers; whether a body's type is told with a character set is no matter."""
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert first.headers["content-type"].split(";")[0] == second.headers["content-type"].split(";")[0]
    assert first.headers["content-length"] == second.headers["content-length"]


@pytest.mark.parametrize("path", READS)
async def test_lists(both: tuple[httpx.AsyncClient, httpx.AsyncClient, Trade], path: str) -> None:
    front, behind, trade = both
    path = path.replace("TWIN", str(trade.ledger.domain.chain_id))
    same(await front.get(path), await behind.get(path))


@pytest.mark.parametrize("body", BODIES)
async def test_publications_that_are_refused(both: tuple[httpx.AsyncClient, httpx.AsyncClient, Trade], body: bytes) -> None:
    front, behind, _ = both
    same(await front.post("/v1/orders", content=body), await behind.post("/v1/orders", content=body))


async def test_publications(both: tuple[httpx.AsyncClient, httpx.AsyncClient, Trade]) -> None:
    front, behind, trade = both
    order = trade.app_order(volume=9)
    body = encode({"kind": order_kind(order).value, "order": order})
    assert (await front.post("/v1/orders", content=body)).status_code == 201
    same(await front.post("/v1/orders", content=body), await behind.post("/v1/orders", content=body))
    bad = {"Voisin-Signature": "nonsense"}
    same(await front.post("/v1/orders", content=body, headers=bad), await behind.post("/v1/orders", content=body, headers=bad))


async def test_pages_of_other_origins_are_let_in(both: tuple[httpx.AsyncClient, httpx.AsyncClient, Trade]) -> None:
    front, _, _ = both
    answer = await front.get("/v1/orders", headers={"Origin": "https://elsewhere.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    answer = await front.options("/v1/orders", headers={"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"})
    assert answer.status_code == 204


async def test_bodies_in_pieces(both: tuple[httpx.AsyncClient, httpx.AsyncClient, Trade]) -> None:
    front, behind, trade = both

    order = trade.app_order(volume=8)
    body = encode({"kind": order_kind(order).value, "order": order})

    async def pieces() -> AsyncIterator[bytes]:
        for part in (body[:100], body[100:]):
            yield part

    assert (await front.post("/v1/orders", content=pieces())).status_code == 201
    same(await front.post("/v1/orders", content=pieces()), await behind.post("/v1/orders", content=pieces()))
