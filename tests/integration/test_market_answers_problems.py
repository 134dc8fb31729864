"""Every route of a market under bad input: an RFC 9457 problem with our code, whatever went wrong."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from litestar.routes import HTTPRoute

from tests.support.ecosystem import ECOSYSTEM_ROUTES
from tests.support.order_book import NOW, RLC, Desk, Trade, open_desk, submission
from voisin.errors import FundsError, InputError, StateError, TrustError, UnavailableError
from voisin.market.api import create_app
from voisin.market.proof import Wish, sign_wish
from voisin.protocol.api import Problem, error_of
from voisin.protocol.eip712 import order_hash

pytestmark = pytest.mark.anyio

UNKNOWN = "0x" + "ab" * 32
BAD_IDS = ("0x12", "x" * 66, UNKNOWN + "0", "%00", "..%2f", "é")


@pytest.fixture
def trade() -> Trade:
    """Roles and a twin of the chain."""
    return Trade()


@pytest.fixture
def desk(trade: Trade) -> Desk:
    """A market's desk."""
    return open_desk(trade, max_body_bytes=8192)


@pytest.fixture
async def http(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the desk."""
    async with desk.http() as client:
        yield client


def problem_of(answer: httpx.Response, status: int) -> Problem:
    """Read a problem, and see that it is well-formed."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = msgspec.json.decode(answer.content, type=Problem)
    assert problem.status == status
    assert problem.type == f"urn:voisin:{problem.code}"
    assert problem.title == problem.code
    assert problem.detail
    assert not problem.detail.endswith(".")
    return problem


# the routes, written a second time by hand: method, path, and the statuses that bad input of each sort must give
ROUTES = {
    ("POST", "/v1/orders"): 400,
    ("GET", "/v1/orders"): 400,
    ("GET", "/v1/orders/{id}"): 404,
    ("GET", "/v1/orders/{id}/story"): 404,
    ("DELETE", "/v1/orders/{id}"): 404,
    ("GET", "/v1/deals"): 400,
    ("GET", "/v1/deals/{id}"): 404,
    ("GET", "/v1/deals/{id}/tasks"): 404,
    ("GET", "/v1/tasks/{id}"): 404,
    ("GET", "/v1/feed"): 400,
    ("GET", "/v1/health"): 503,
    ("GET", "/metrics"): 500,
}


def general(path: str) -> str:
    """Write a route's path with `{id}` for whatever it names."""
    return re.sub(r"\{\w+\}", "{id}", path)


def test_no_route_is_forgotten(desk: Desk) -> None:
    routes = [route for route in create_app(desk.service, desk.settings).routes if isinstance(route, HTTPRoute)]
    served = {(method, general(route.path_format)) for route in routes for method in route.methods if method != "OPTIONS"}
    ours = {each for each in served if each[1].startswith("/v1/") or each[1] == "/metrics"}
    assert ours == set(ROUTES)
    named = {(method, general(path)) for path, methods in ECOSYSTEM_ROUTES.items() for method in methods}
    assert {each for each in served - ours if not each[1].startswith("/schema")} == named


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_bad_and_unknown_names(http: httpx.AsyncClient, method: str, path: str) -> None:
    if "{id}" not in path:
        return
    for bad in BAD_IDS:
        answer = await http.request(method, path.replace("{id}", bad))
        assert problem_of(answer, 404 if answer.status_code == 404 else 400).code == "bad-input"
    problem = problem_of(await http.request(method, path.replace("{id}", UNKNOWN)), ROUTES[method, path])
    assert UNKNOWN in problem.detail
    assert type(error_of(problem)) is StateError


@pytest.mark.parametrize("path", [path for method, path in ROUTES if method == "GET" and ROUTES[method, path] == 400])
@pytest.mark.parametrize("query", ["nonsense=1", "limit=0", "limit=x", "limit=1&limit=2", "cursor=%00", "app=0x12", "limit=" + "9" * 5000])
async def test_bad_queries(http: httpx.AsyncClient, path: str, query: str) -> None:
    problem = problem_of(await http.get(f"{path}?{query}"), 400)
    assert type(error_of(problem)) is InputError
    assert problem.hint


async def test_bad_queries_for_tasks(http: httpx.AsyncClient) -> None:
    for query in ("first=-1", "limit=10001", "nonsense=1", f"first={2**256}"):
        problem_of(await http.get(f"/v1/deals/{UNKNOWN}/tasks?{query}"), 400)


@pytest.mark.parametrize("path", [*{path for _, path in ROUTES}, "/schema/openapi.json"])
async def test_wrong_method(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.request("PATCH", path.replace("{id}", UNKNOWN))
    assert problem_of(answer, 405).code == "bad-input"
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/orders", "/v1/orders/a/b/c", "/v1/order", "/favicon.ico"])
async def test_no_such_route(http: httpx.AsyncClient, path: str) -> None:
    assert problem_of(await http.get(path), 404).code == "bad-input"


def broken(trade: Trade, **changes: Any) -> bytes:
    """Write an app order with some fields changed; None leaves a field out."""
    fields = {**msgspec.to_builtins(trade.app_order()), **changes}
    return msgspec.json.encode({"kind": "app", "order": {name: value for name, value in fields.items() if value is not None}})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the order is malformed"),
        (b"null", "the order is malformed"),
        (b"[]", "the order is malformed"),
        (b"{", "the order is malformed"),
        (b"\xff\xfe", "the order is"),
        (b"[" * 4000, "the order is malformed"),
        (b'{"a":' * 1600, "the order is malformed"),
        (b"{}", "missing required field `kind`"),
        (b'{"kind":"task","order":{}}', "Invalid value 'task'"),
        (b'{"kind":"app"}', "missing required field `order`"),
        (b'{"kind":"app","order":{},"more":1}', "the order is malformed"),
        ({"extra": 1}, "unknown field `extra`"),
        ({"salt": None}, "missing required field `salt`"),
        ({"appprice": "100"}, "Expected `int`, got `str`"),
        ({"appprice": 1.5}, "Expected `int`, got `float`"),
        ({"appprice": True}, "Expected `int`, got `bool`"),
        ({"appprice": -1}, "appprice -1 is out of range"),
        ({"volume": 2**256}, "volume"),
        ({"volume": 0}, "volume is 0"),
        ({"app": "0x12"}, "'0x12' is not an address"),
        ({"app": 5}, "Expected `str`, got `int`"),
        ({"salt": "0x00"}, "not a 32-byte hash"),
        ({"tag": "tee"}, "not a 32-byte hash"),
        ({"sign": "0x1"}, "not 0x-prefixed hex"),
        ({"sign": "nonsense"}, "not 0x-prefixed hex"),
    ],
)
async def test_bad_orders(http: httpx.AsyncClient, trade: Trade, body: bytes | dict[str, Any], words: str) -> None:
    content = body if isinstance(body, bytes) else broken(trade, **body)
    problem = problem_of(await http.post("/v1/orders", content=content), 400)
    assert words in problem.detail
    assert type(error_of(problem)) is InputError


async def test_text_that_is_no_unicode(http: httpx.AsyncClient, trade: Trade) -> None:
    content = msgspec.json.encode(submission(trade.request_order(params="PLACE"))).replace(b"PLACE", b"\\ud800")
    problem_of(await http.post("/v1/orders", content=content), 400)


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_body_too_long(http: httpx.AsyncClient, is_chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b" " * 1000

    answer = await http.post("/v1/orders", content=chunks() if is_chunked else b" " * 9000)
    assert "too large" in problem_of(answer, 413).detail


async def test_refusals_keep_their_kind_across_the_wire(http: httpx.AsyncClient, desk: Desk, trade: Trade) -> None:
    forged = msgspec.structs.replace(trade.app_order(), sign="0x" + "11" * 65)
    dear = trade.request_order(workerpoolmaxprice=998 * RLC)
    cancelled = trade.app_order()
    trade.ledger.close(cancelled)
    for order, status, kind, words in (
        (forged, 403, TrustError, "not signed by"),
        (dear, 409, FundsError, "1 RLC missing"),
        (cancelled, 409, StateError, "nothing is left"),
    ):
        problem = problem_of(await http.post("/v1/orders", content=msgspec.json.encode(submission(order))), status)
        assert type(error_of(problem)) is kind
        assert words in problem.detail
    metrics = (await http.get("/metrics")).text
    for line in (
        'refused_total{code="not-proven"} 1.0',
        'refused_total{code="missing-funds"} 1.0',
        'refused_total{code="wrong-state"} 1.0',
    ):
        assert line in metrics


async def test_removal_needs_a_good_header(http: httpx.AsyncClient, desk: Desk, trade: Trade) -> None:
    order = trade.app_order()
    await desk.service.publish(order)
    name = order_hash(order, trade.ledger.domain)
    good = sign_wish(trade.developer, Wish.UNPUBLISH, name, NOW)
    for header in (None, "", "nonsense", good + "00", good.replace(str(NOW), str(NOW + 1)), "0:" + good.split(":")[1]):
        answer = await http.delete(f"/v1/orders/{name}", headers={} if header is None else {"Voisin-Signature": header})
        assert type(error_of(problem_of(answer, 403))) is TrustError
    assert (await http.delete(f"/v1/orders/{name}", headers={"Voisin-Signature": good})).json()["status"] == "removed"
    assert (await http.get(f"/v1/orders/{name}/story")).json()["story"][-1]["what"] == "removed"


async def test_chain_away(http: httpx.AsyncClient, trade: Trade) -> None:
    order = trade.app_order()

    async def away() -> None:
        raise UnavailableError("the node does not answer", hint="see whether it runs")

    trade.ledger.interrupt = away
    for answer in (await http.get("/v1/health"), await http.post("/v1/orders", content=msgspec.json.encode(submission(order)))):
        assert type(error_of(problem_of(answer, 503))) is UnavailableError


async def test_surprises_are_logged_and_not_told(http: httpx.AsyncClient, trade: Trade, capsys: pytest.CaptureFixture[str]) -> None:
    order = trade.app_order()

    async def surprise() -> None:
        raise ZeroDivisionError("the secret of the house")

    trade.ledger.interrupt = surprise
    problem = problem_of(await http.post("/v1/orders", content=msgspec.json.encode(submission(order))), 500)
    assert "secret" not in problem.detail + problem.hint
    assert "the secret of the house" in capsys.readouterr().out


async def test_web_pages_of_any_origin_may_read(http: httpx.AsyncClient) -> None:
    asked = {
        "Origin": "https://example.org",
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "voisin-signature",
    }
    answer = await http.options("/v1/orders/" + UNKNOWN, headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "voisin-signature" in answer.headers["access-control-allow-headers"].lower()
    assert (await http.get("/v1/orders", headers={"Origin": "https://example.org"})).headers["access-control-allow-origin"] == "*"


async def test_description_for_programs_is_whole(http: httpx.AsyncClient) -> None:
    answer = await http.get("/schema/openapi.json")
    described = answer.json()
    documented = {(method.upper(), general(path)) for path, methods in described["paths"].items() for method in methods}
    named = {
        (method, path.replace("{order_hash}", "{id}").replace("{deal_id}", "{id}").replace("{task_id}", "{id}"))
        for method, path in documented
    }
    assert named == set(ROUTES) - {("GET", "/metrics")}
    parameters = {each["name"] for each in described["paths"]["/v1/orders"]["get"]["parameters"]}
    assert parameters >= {
        "kind",
        "app",
        "dataset",
        "workerpool",
        "requester",
        "owner",
        "category",
        "tag",
        "min_trust",
        "max_price",
        "cursor",
    }
    schemas = described["components"]["schemas"]
    references = {part.split('"')[0] for part in answer.text.split("#/components/schemas/")[1:]}
    assert references <= set(schemas)
    assert {"AppOrder", "DatasetOrder", "WorkerpoolOrder", "RequestOrder", "Problem", "OrderPage", "MarketHealth"} <= set(schemas)
    for methods in described["paths"].values():
        for operation in methods.values():
            assert operation["responses"]["400"]["content"] == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }
