"""The live feed over real HTTP and WebSocket: everything once, in order, from where a reader left off; and readers that do not read."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import anyio
import httpx
import msgspec
import pytest
from anyio.abc import TaskStatus
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.support.order_book import POOL_PRICE, Clock, Desk, Trade, market_settings
from voisin.client.feed import follow_feed, read_topics
from voisin.client.services import Service
from voisin.errors import InputError
from voisin.market import feed_wire
from voisin.market.api import create_app
from voisin.market.book import EVENTS_KEPT
from voisin.market.memory import MemoryStore
from voisin.market.proof import Wish, sign_wish
from voisin.market.service import MarketService
from voisin.market.store import open_store
from voisin.protocol.api import OrderStatus
from voisin.protocol.eip712 import order_hash
from voisin.protocol.feed import DealNews, FeedEvent, FeedReset, FeedStart, OrderNews, Topic, TradeNews
from voisin.protocol.orders import Order
from voisin.service.serving import serve_app

pytestmark = pytest.mark.anyio

DEADLINE_S = 120.0
EVENT = FeedEvent


def read(text: str | bytes) -> FeedEvent:
    """Read an event."""
    found: FeedEvent = msgspec.json.decode(text, type=FeedEvent)  # type: ignore[arg-type]  (a union)
    return found


@asynccontextmanager
async def open_market(trade: Trade, database_url: str = "", **changes: object) -> AsyncIterator[tuple[Desk, str]]:
    """Serve a market on the twin of a chain; its records in memory, or in a database that several may share."""
    config, clock = market_settings(**changes), Clock()
    async with AsyncExitStack() as stack:
        store = MemoryStore()
        if database_url:
            store = await stack.enter_async_context(open_store(database_url, trade.ledger.domain, 0))  # type: ignore[assignment]
        service = MarketService(trade.ledger, store, config, clock=clock)
        desk = Desk(trade, service, config, clock)
        await stack.enter_async_context(desk.following())
        url = await stack.enter_async_context(serve_app(create_app(service, config)))
        yield desk, url


async def hear(
    url: str, count: int, *topics: Topic, after: int | None = None, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> list[FeedEvent]:
    """Listen as the Python client does, until so many events came, the start among them; started once the start is heard."""
    heard: list[FeedEvent] = []
    with anyio.fail_after(DEADLINE_S):
        async with Service("market", url) as service, aclosing(follow_feed(service, topics, after)) as events:
            async for event in events:
                heard.append(event)
                if len(heard) == 1:
                    task_status.started()
                if len(heard) == count:
                    break
    return heard


def told(event: FeedEvent) -> tuple[str, str, int]:
    """Say what an order's event tells: hash, status, remaining volume."""
    assert isinstance(event, OrderNews)
    return event.order.hash, event.order.status.value, event.order.remaining


async def trade_something(desk: Desk) -> list[tuple[str, str, int]]:
    """Publish, match, take out and close; answers what happens to orders, by hand."""
    trade = desk.trade
    app, pool, request = trade.app_order(volume=10), trade.pool_order(volume=4), trade.request_order(volume=4)
    extra = trade.app_order()

    def name(order: Order) -> str:
        return order_hash(order, trade.ledger.domain)

    for order in (app, pool, request, extra):
        await desk.service.publish(order)
        await desk.service.publish(order)  # again: nothing new
    trade.ledger.match(app, None, pool, request)
    await desk.caught_up()
    header = sign_wish(trade.developer, Wish.UNPUBLISH, order_hash(extra, trade.ledger.domain), desk.clock.now)
    async with desk.http() as http:
        assert (await http.delete(f"/v1/orders/{name(extra)}", headers={"Voisin-Signature": header})).status_code == 200
    trade.ledger.close(app)
    await desk.caught_up()
    return [
        (name(app), "open", 10),
        (name(pool), "open", 4),
        (name(request), "open", 4),
        (name(extra), "open", 10),
        *sorted([(name(app), "open", 6), (name(pool), "filled", 0), (name(request), "filled", 0)]),
        (name(extra), "removed", 10),
        (name(app), "cancelled", 0),
    ]


def grouped(events: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """Put what one block changes into the order of hashes."""
    return [*events[:4], *sorted(events[4:7]), *events[7:]]


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    """A fresh database."""
    return new_database()


async def test_everything_once_and_in_order_in_memory() -> None:
    await tell_everything("")


async def test_everything_once_and_in_order(database_url: str) -> None:
    await tell_everything(database_url)


async def tell_everything(database_url: str) -> None:
    """Trade with listeners to several topics, and compare what they hear with what happens, by hand."""
    async with open_market(Trade(), database_url) as (desk, url):
        heard: dict[str, list[FeedEvent]] = {}
        async with anyio.create_task_group() as listeners:

            async def listen(name: str, count: int, *topics: Topic, task_status: TaskStatus[None]) -> None:
                heard[name] = await hear(url, count, *topics, task_status=task_status)

            for name, count, topics in (("all", 12, ()), ("orders", 10, (Topic.ORDERS,)), ("trades", 2, (Topic.TRADES,))):
                await listeners.start(listen, name, count, *topics)
            expected = await trade_something(desk)
        assert [event.id for event in heard["all"]] == list(range(12))
        assert isinstance(heard["all"][0], FeedStart)
        kinds = [type(event) for event in heard["all"][1:]]
        assert [kind for kind in kinds if kind is not OrderNews] == [TradeNews, DealNews]
        assert grouped([told(event) for event in heard["orders"][1:]]) == expected
        assert [event for event in heard["all"] if isinstance(event, OrderNews)] == heard["orders"][1:]
        (trade_news,) = heard["trades"][1:]
        deal_news = next(event for event in heard["all"] if isinstance(event, DealNews))
        assert isinstance(trade_news, TradeNews)
        assert (trade_news.trade.price, trade_news.trade.volume, trade_news.trade.category) == (POOL_PRICE, 4, 2)
        assert trade_news.trade.deal_id == deal_news.deal.deal_id
        assert deal_news.deal == await desk.service.store.deal(deal_news.deal.deal_id)
        reasons = [
            event.why for event in heard["orders"][1:] if isinstance(event, OrderNews) and event.order.status is not OrderStatus.OPEN
        ]
        assert reasons == ["its whole volume is matched"] * 2 + ["its signer took it out of the book", "its signer closed it on the chain"]
        # whoever was away hears the rest, and nothing twice
        for after in (0, 3, 11):
            late = await hear(url, 12 - after, after=after)
            assert isinstance(late[0], FeedStart)
            assert [event for event in heard["all"] if event.id > after] == late[1:]


async def test_server_sent_events_as_a_browser_reads_them() -> None:
    async with open_market(Trade()) as (desk, url), httpx.AsyncClient(base_url=url) as http:
        order = desk.trade.app_order()
        await desk.service.publish(order)
        headers = {"Last-Event-ID": "0", "Origin": "https://example.org"}
        async with http.stream("GET", "/v1/feed?topic=orders&after=1", headers=headers) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "text/event-stream"
            assert answer.headers["access-control-allow-origin"] in ("*", "https://example.org")
            lines = answer.aiter_lines()
            with anyio.fail_after(DEADLINE_S):
                first = [await anext(lines) for _ in range(4)]
                second = [await anext(lines) for _ in range(4)]
        assert first == ["id: 0", "event: start", f'data: {{"topic":"start","id":0,"at":{desk.clock.now}}}', ""]
        assert second[:2] == ["id: 1", "event: orders"]
        assert told(read(second[2].removeprefix("data: "))) == (order_hash(order, desk.trade.ledger.domain), "open", 10)
        assert second[3] == ""


async def test_web_socket() -> None:
    async with open_market(Trade()) as (desk, url):
        where = url.replace("http", "ws") + "/v1/feed"
        await desk.service.publish(desk.trade.app_order())
        async with connect(f"{where}?after=0&topic=orders&topic=deals", proxy=None) as feed:
            with anyio.fail_after(DEADLINE_S):
                assert isinstance(read(await feed.recv()), FeedStart)
                assert read(await feed.recv()).id == 1
                await feed.send("whatever a reader says")
                await desk.service.publish(desk.trade.pool_order())
                news = read(await feed.recv())
            assert isinstance(news, OrderNews)
            assert news.id == 2
        for question in ("topic=weather", "after=x", "nonsense=1"):
            async with connect(f"{where}?{question}", proxy=None) as feed:
                with pytest.raises(ConnectionClosed) as closed:
                    await feed.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
            assert closed.value.rcvd.reason
    assert desk.service.feed.readers == 0


async def test_questions_that_cannot_be_answered() -> None:
    async with open_market(Trade(), max_feed_readers=1) as (desk, url), httpx.AsyncClient(base_url=url) as http:
        for question, headers in (("topic=weather", {}), ("after=-1", {}), ("after=9999999999999999999", {}), ("", {"Last-Event-ID": "x"})):
            answer = await http.get(f"/v1/feed?{question}", headers=headers)
            assert answer.status_code == 400
            assert answer.json()["hint"]
        async with http.stream("GET", "/v1/feed") as first:
            assert first.status_code == 200
            refused = await http.get("/v1/feed")
            assert refused.status_code == 503
            assert "1 readers" in refused.json()["detail"]
            async with connect(url.replace("http", "ws") + "/v1/feed", proxy=None) as feed:
                with pytest.raises(ConnectionClosed) as closed:
                    await feed.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1013
        with anyio.fail_after(DEADLINE_S):
            while desk.service.feed.readers:  # whoever hangs up makes room
                await anyio.lowlevel.checkpoint()
        with pytest.raises(InputError, match="'weather' is not a topic"):
            read_topics(["trades", "weather"])


async def test_what_is_forgotten_is_said(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setattr("voisin.market.store.EVENTS_KEPT", 3)
    monkeypatch.setattr("voisin.market.store._FORGET_EVERY", 1)
    assert EVENTS_KEPT == 10_000
    async with open_market(Trade(), database_url) as (desk, url):
        for price in range(1, 7):
            await desk.service.publish(desk.trade.app_order(price=price))
        for after, first, ids in ((2, FeedReset, [6]), (3, FeedStart, [3, 4, 5, 6]), (6, FeedStart, [6]), (7, FeedReset, [6])):
            heard = await hear(url, len(ids), after=after)
            assert type(heard[0]) is first
            assert [event.id for event in heard] == ids


async def test_two_processes_on_one_database_tell_the_same(database_url: str) -> None:
    trade = Trade()
    async with (
        open_market(trade, database_url, feed_poll_s=0.01) as (one, _),
        open_market(trade, database_url, feed_poll_s=0.01) as (two, url),
    ):
        async with connect(url.replace("http", "ws") + "/v1/feed", proxy=None) as feed:
            with anyio.fail_after(DEADLINE_S):
                assert isinstance(read(await feed.recv()), FeedStart)
                orders = [trade.app_order(), trade.pool_order(), trade.dataset_order()]
                for order, desk in zip(orders, (one, two, one), strict=True):
                    await desk.service.publish(order)
                news = [read(await feed.recv()) for _ in orders]
        assert [event.id for event in news] == [1, 2, 3]
        assert [told(event)[0] for event in news] == [order_hash(order, trade.ledger.domain) for order in orders]


async def test_reader_that_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_wire, "SEND_S", 0.2)
    async with open_market(Trade(), max_open_orders=10_000) as (desk, url):
        host, port = url.removeprefix("http://").split(":")
        lazy = socket.socket()
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        with lazy:
            await anyio.to_thread.run_sync(lazy.connect, (host, int(port)))
            lazy.sendall(b"GET /v1/feed HTTP/1.1\r\nHost: market\r\n\r\n")
            with anyio.fail_after(DEADLINE_S):
                while desk.service.feed.readers == 0:
                    await anyio.lowlevel.checkpoint()
            eager_has_all = anyio.Event()
            async with anyio.create_task_group() as tasks:

                async def listen() -> None:
                    heard = await hear(url, 40, after=0)
                    assert [event.id for event in heard] == list(range(40))
                    eager_has_all.set()

                tasks.start_soon(listen)
                # the system takes some megabytes for the lazy one before the market notices
                entry = await _long_entry(desk)
                async with desk.service.store.write() as write:
                    for _ in range(400):
                        await write.announce(entry)
                desk.service.feed.poke()
                with anyio.fail_after(DEADLINE_S):
                    await eager_has_all.wait()
                    while desk.service.feed.readers:
                        await anyio.lowlevel.checkpoint()


async def _long_entry(desk: Desk) -> OrderNews:
    """Make an event of about 20 kB."""
    published, _ = await desk.service.publish(desk.trade.request_order(params="x" * 8000))
    return OrderNews(at=desk.clock.now, order=published, why="y" * 12_000)
