"""Talking to services: reads are repeated, writes are not, problems become the errors they were, nonsense is refused."""

from __future__ import annotations

import httpx
import msgspec
import pytest

from tests.unit.client import stories as s
from voisin.client.services import OrderBook, PoolDesk, Service
from voisin.errors import InputError, NoMatchError, StateError, UnavailableError
from voisin.protocol.api import OrderPage, OrderStatus, PoolView, Problem, PublishedAppOrder
from voisin.protocol.ids import ZERO_HASH, OrderHash
from voisin.protocol.orders import AppOrder, OrderKind
from voisin.protocol.signatures import KeySigner, message_digest, recover_signer
from voisin.units import NRLC, UnixSeconds

pytestmark = pytest.mark.anyio

ORDER = AppOrder(app=s.APP, appprice=NRLC(5), volume=3, salt=ZERO_HASH)


def published(number: int) -> PublishedAppOrder:
    return PublishedAppOrder(
        hash=OrderHash(s.hash_of(number)),
        signer=s.APP_OWNER,
        remaining=3,
        status=OrderStatus.OPEN,
        published_at=UnixSeconds(1),
        order=ORDER,
    )


class Server:
    """Answers as it is told, and keeps what it was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, content=answer.content)

    def service(self, what: str = "market") -> Service:
        return Service(what, "http://there", transport=httpx.MockTransport(self))


def json(value: object, status: int = 200) -> httpx.Response:
    return httpx.Response(status, content=msgspec.json.encode(value))


def problem(code: str, status: int) -> httpx.Response:
    return json(Problem(type=f"urn:voisin:{code}", title=code, status=status, detail="so it is", code=code, hint="do that"), status)


async def test_a_read_is_repeated_while_the_service_is_away() -> None:
    server = Server(httpx.ConnectError("refused"), httpx.Response(502), json(published(1)))
    async with server.service() as service:
        assert await OrderBook(service).find(OrderHash(s.hash_of(1))) == published(1)
    assert len(server.asked) == 3


async def test_a_service_that_stays_away_is_named() -> None:
    server = Server(httpx.ConnectError("refused"))
    async with server.service("pool") as service:
        with pytest.raises(UnavailableError, match="the pool at http://there does not answer: refused"):
            await PoolDesk(service).pool()
    assert len(server.asked) == 4


async def test_a_write_is_never_repeated() -> None:
    server = Server(httpx.ReadTimeout("slow"))
    async with server.service() as service:
        with pytest.raises(UnavailableError):
            await OrderBook(service).publish(ORDER)
    assert len(server.asked) == 1
    assert msgspec.json.decode(server.asked[0].content) == {"kind": "app", "order": msgspec.to_builtins(ORDER)}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(problem("wrong-state", 409), StateError), (problem("no-match", 409), NoMatchError), (problem("bad-input", 400), InputError)],
)
async def test_problems_become_the_errors_they_were(answer: httpx.Response, kind: type[Exception]) -> None:
    async with Server(answer).service() as service:
        with pytest.raises(kind) as caught:
            await OrderBook(service).find(OrderHash(s.hash_of(1)))
    assert str(caught.value) == "so it is: do that"


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b"<html>"])
async def test_nonsense_is_refused(content: bytes) -> None:
    async with Server(httpx.Response(200, content=content)).service() as service:
        with pytest.raises(InputError, match="the answer of the market"):
            await OrderBook(service).find(OrderHash(s.hash_of(1)))


async def test_pages_are_followed_to_the_end() -> None:
    first = OrderPage(orders=(published(1), published(2)), count=3, next="after-2")
    server = Server(json(first), json(OrderPage(orders=(published(3),), count=3)))
    async with server.service() as service:
        found = [order.hash async for order in OrderBook(service).orders(OrderKind.APP, {"app": s.APP, "min_volume": None})]
    assert found == [s.hash_of(1), s.hash_of(2), s.hash_of(3)]
    assert dict(server.asked[0].url.params) == {"kind": "app", "status": "open", "limit": "100", "app": s.APP}
    assert server.asked[1].url.params["cursor"] == "after-2"


async def test_unpublishing_is_proven_by_the_signer() -> None:
    server, signer, name = Server(json({})), KeySigner(b"\x11" * 32), OrderHash(s.hash_of(7))
    async with server.service() as service:
        await OrderBook(service).unpublish(name, signer, now=UnixSeconds(1_700_000_000))
    (request,) = server.asked
    at, _, signature = request.headers["Voisin-Signature"].partition(":")
    assert (request.method, request.url.path, at) == ("DELETE", f"/v1/orders/{name}", "1700000000")
    assert recover_signer(message_digest(f"Voisin unpublish {name} 1700000000".encode()), signature) == signer.address


async def test_a_pool_describes_itself() -> None:
    view = PoolView(workerpool=s.POOL, scheduler=s.SCHEDULER, hub=s.HUB, chain_id=1, storage_url="http://s", version="1")
    async with Server(json(view)).service("pool") as service:
        assert await PoolDesk(service).pool() == view
