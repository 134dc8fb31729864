"""The ecosystem's lists, case by case as client-surface.md 3.1 tells them, and what is answered to questions that cannot be read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.ecosystem import ECOSYSTEM_ROUTES, Client
from tests.support.order_book import Desk, Trade, open_desk, somewhere
from voisin.errors import UnavailableError
from voisin.protocol.ids import ZERO_ADDRESS
from voisin.protocol.orders import OrderKind
from voisin.protocol.tags import NO_TAG, tag_of

pytestmark = pytest.mark.anyio

ME, YOU = somewhere(1), somewhere(2)
EVERYTHING = {"dataset": "any", "workerpool": "any", "requester": "any", "app": "any"}


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[Client]:
    """A client of the desk."""
    async with desk.http() as http:
        yield Client(http, desk.trade.ledger.domain.chain_id)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {"open"}),
        ({"requester": "any"}, {"open", "mine", "yours"}),
        ({"requester": ME}, {"open", "mine"}),
        ({"requester": ME.lower(), "isRequesterStrict": "true"}, {"mine"}),
        ({"requester": ME, "isRequesterStrict": "false"}, {"open", "mine"}),
        ({"requester": somewhere(3)}, {"open"}),
        ({"requester": somewhere(3), "isRequesterStrict": "true"}, set()),
        ({"requester": "any", "isRequesterStrict": "true"}, {"open", "mine", "yours"}),
        ({"isRequesterStrict": "true"}, {"open"}),
        ({"requester": ZERO_ADDRESS}, {"open"}),
    ],
)
async def test_restrictions(client: Client, desk: Desk, trade: Trade, asked: dict[str, str], expected: set[str]) -> None:
    names = {"open": ZERO_ADDRESS, "mine": ME, "yours": YOU}
    for restriction in names.values():
        await desk.service.publish(trade.app_order(requesterrestrict=restriction))
    shown = await client.get("/apporders", app=trade.app, **asked)
    found = {order["order"]["requesterrestrict"] for order in shown["orders"]}
    assert found == {names[name] for name in expected}
    assert shown["count"] == len(expected)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["", "tee", "tee,tdx", "gpu"]),
        ({"minTag": NO_TAG}, ["", "tee", "tee,tdx", "gpu"]),
        ({"minTag": tag_of(["tee"])}, ["tee", "tee,tdx"]),
        ({"maxTag": NO_TAG}, [""]),
        ({"maxTag": tag_of(["tee", "tdx"])}, ["", "tee", "tee,tdx"]),
        ({"minTag": tag_of(["tee"]), "maxTag": tag_of(["tee", "gpu"])}, ["tee"]),
    ],
)
async def test_tags(client: Client, desk: Desk, trade: Trade, asked: dict[str, str], expected: list[str]) -> None:
    tags = {name: tag_of(name.split(",") if name else []) for name in ("", "tee", "tee,tdx", "gpu")}
    for tag in tags.values():
        await desk.service.publish(trade.app_order(tag=tag))
        await desk.service.publish(trade.pool_order(tag=tag))
    for path, about in (("/apporders", {"app": "any"}), ("/workerpoolorders", {})):
        shown = await client.get(path, **about, **asked)
        assert {order["order"]["tag"] for order in shown["orders"]} == {tags[name] for name in expected}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"maxTag": tag_of(["tee", "tdx"])}, {"tee,tdx,simulated", "tee,tdx", "simulated"}),
        ({"minTag": tag_of(["tee", "tdx"]), "maxTag": tag_of(["tee", "tdx"])}, {"tee,tdx,simulated", "tee,tdx"}),
        ({"maxTag": NO_TAG}, {"simulated"}),
        ({"minTag": tag_of(["simulated"]), "maxTag": tag_of(["tee", "tdx"])}, {"tee,tdx,simulated", "simulated"}),
    ],
)
async def test_offer_is_found_whether_or_not_its_enclaves_are_simulated(trade: Trade, asked: dict[str, str], expected: set[str]) -> None:
    desk = open_desk(trade, allow_simulated=True)
    tags = {name: tag_of(name.split(",")) for name in ("tee,tdx,simulated", "tee,tdx", "simulated", "tee,tdx,gpu,simulated")}
    for tag in tags.values():
        await desk.service.publish(trade.pool_order(tag=tag))
    async with desk.http() as http:
        shown = await Client(http, trade.ledger.domain.chain_id).get("/workerpoolorders", **asked)
    assert {order["order"]["tag"] for order in shown["orders"]} == {tags[name] for name in expected}


async def test_trust_and_volume(client: Client, desk: Desk, trade: Trade) -> None:
    for trust in range(4):
        await desk.service.publish(trade.pool_order(trust=trust, volume=trust + 1))
        await desk.service.publish(trade.request_order(trust=trust, volume=trust + 1))
    for least, expected in ((0, {0, 1, 2, 3}), (1, {0, 1, 2, 3}), (2, {2, 3}), (3, {3}), (4, set())):
        shown = await client.get("/workerpoolorders", minTrust=least)
        assert {order["order"]["trust"] for order in shown["orders"]} == expected
    for most, wanted in ((0, {0}), (1, {0, 1}), (9, {0, 1, 2, 3})):
        shown = await client.get("/requestorders", maxTrust=most, workerpool="any")
        assert {order["order"]["trust"] for order in shown["orders"]} == wanted
    assert (await client.get("/workerpoolorders", minVolume=3))["count"] == 2
    assert (await client.get("/requestorders", minVolume=4))["count"] == 1


async def test_bulk(client: Client, desk: Desk, trade: Trade) -> None:
    for volume, price in ((2**53 - 1, 0), (2**53 - 2, 0), (2**53 - 3, 0), (2**53 - 1, 1), (2**60, 0)):
        await desk.service.publish(trade.dataset_order(volume=volume, price=price))
    shown = await client.get("/datasetorders", dataset=trade.dataset)
    assert sorted((order["order"]["datasetprice"], str(order["order"]["volume"]), order["bulk"]) for order in shown["orders"]) == [
        (0, str(2**60), True),
        (0, str(2**53 - 3), False),
        (0, str(2**53 - 2), True),
        (0, str(2**53 - 1), True),
        (1, str(2**53 - 1), False),
    ]
    assert {type(order["order"]["volume"]) for order in shown["orders"]} == {int, str}, "what is not exact as a number is its digits"
    assert (await client.get("/datasetorders", dataset="any", bulkOnly="true"))["count"] == 3


async def test_order_of_lists(client: Client, desk: Desk, trade: Trade) -> None:
    for at, price in enumerate((5, 3, 5, 4)):
        desk.clock.now = 1_800_000_000 + at  # type: ignore[assignment]
        await desk.service.publish(trade.pool_order(price=price))
        await desk.service.publish(trade.request_order(price=price))
    offers = (await client.get("/workerpoolorders"))["orders"]
    assert [(each["order"]["workerpoolprice"], each["publicationTimestamp"][17:19]) for each in offers] == [
        (3, "01"), (4, "03"), (5, "00"), (5, "02")
    ]  # fmt: skip
    requests = (await client.get("/requestorders"))["orders"]
    assert [(each["order"]["workerpoolmaxprice"], each["publicationTimestamp"][17:19]) for each in requests] == [
        (5, "00"), (5, "02"), (4, "03"), (3, "01")
    ]  # fmt: skip


async def test_owners(client: Client, desk: Desk, trade: Trade) -> None:
    for order in trade.one_of_each():
        await desk.service.publish(order)
    for path, name, owner in (
        ("/apporders", "appOwner", trade.developer),
        ("/datasetorders", "datasetOwner", trade.data_owner),
        ("/workerpoolorders", "workerpoolOwner", trade.scheduler),
    ):
        assert (await client.get(path, **{name: owner.address}))["count"] == 1
        assert (await client.get(path, **{name: trade.stranger.address}))["count"] == 0
    assert (await client.get("/requestorders", beneficiary=trade.requester.address))["count"] == 1
    assert (await client.get("/requestorders", beneficiary=trade.stranger.address))["count"] == 0


async def test_pages(client: Client, desk: Desk, trade: Trade) -> None:
    for price in range(1, 41):
        await desk.service.publish(trade.app_order(price=price))

    async def prices(**paging: int) -> tuple[list[int], int | None]:
        page = await client.get("/apporders", app="any", **paging)
        assert page["count"] == 40
        return [order["order"]["appprice"] for order in page["orders"]], page.get("nextPage")

    assert await prices() == (list(range(1, 21)), 20)
    assert await prices(page=20) == (list(range(21, 41)), 40)
    assert await prices(page=33) == (list(range(34, 41)), None)
    assert await prices(pageIndex=1) == (list(range(21, 41)), 40)
    assert await prices(pageSize=10) == (list(range(1, 11)), 10)
    assert await prices(pageIndex=3, pageSize=10, page=7) == (list(range(31, 41)), 40)
    assert await prices(pageIndex=4, pageSize=10) == ([], None)
    assert await prices(pageIndex=1, pageSize=30) == (list(range(31, 41)), None)
    assert await prices(pageSize=1000) == (list(range(1, 41)), None)


@pytest.mark.parametrize(
    ("path", "query", "words"),
    [
        ("/apporders", {"chainId": ""}, "chainId is a required field"),
        ("/apporders", {"chainId": "7", "app": "any"}, "chainId 7 is not supported"),
        ("/apporders", {}, "app or appOwner is required"),
        ("/datasetorders", {}, "dataset or datasetOwner is required"),
        ("/apporders", {"app": "0x12"}, 'app is neither "any" nor a valid ethereum address'),
        ("/apporders", {"appOwner": "any"}, "appOwner is not a valid ethereum address"),
        ("/apporders", {"app": "any", "pageSize": 9}, "pageSize must be greater than or equal to 10"),
        ("/apporders", {"app": "any", "pageSize": 1001}, "pageSize must be less than or equal to 1000"),
        ("/apporders", {"app": "any", "pageIndex": -1}, "pageIndex must be greater than or equal to 0"),
        ("/apporders", {"app": "any", "pageIndex": "x"}, "pageIndex must be a `number` type, but the final value was: `'x'`"),
        ("/apporders", {"app": "any", "minVolume": 0}, "minVolume must be greater than or equal to 1"),
        ("/apporders", {"app": "any", "minTag": "0x1"}, "minTag must be a bytes32 hexstring"),
        (
            "/apporders",
            {"app": "any", "isRequesterStrict": "maybe"},
            "isRequesterStrict must be a `boolean` type, but the final value was: `'maybe'`",
        ),
        ("/workerpoolorders", {"category": 2**53}, "category must be less than or equal to 9007199254740991"),
        ("/requestorders", {"requester": "me"}, 'requester is neither "any" nor a valid ethereum address'),
        ("/deals", {"requester": "any"}, "requester is not a valid ethereum address"),
        ("/deals", {"apporderHash": "0x12"}, "apporderHash must be a bytes32 hexstring"),
        ("/deals/0x12", {}, "dealid must be a bytes32 hexstring"),
        ("/apporders/0x12", {}, "orderHash must be a bytes32 hexstring"),
        ("/categories/x", {}, "catid must be a `number` type, but the final value was: `'x'`"),
        ("/ohlc", {}, "category is a required field"),
        ("/challenge", {}, "address is a required field"),
        ("/challenge", {"address": "me"}, "address is not a valid ethereum address"),
        ("/metrics", {"chainId": "7"}, "chainId 7 is not supported"),
    ],
)  # fmt: skip
async def test_questions_that_cannot_be_read(client: Client, path: str, query: dict[str, object], words: str) -> None:
    assert (await client.get(path, 400, **query))["error"] == words


async def test_what_is_not_there(client: Client) -> None:
    for path, words in (
        (f"/deals/0x{'11' * 32}", "deal not found"),
        ("/categories/7", "category not found"),
        *((f"/{kind}orders/0x{'11' * 32}", f"{kind}order not found") for kind in OrderKind),
    ):
        assert (await client.get(path, 404))["error"] == words


async def test_unknown_parameters_are_ignored(client: Client) -> None:
    assert (await client.get("/apporders", app="any", nonsense=1))["count"] == 0


async def test_browsers_may_ask_from_anywhere(client: Client) -> None:
    headers = {
        "Origin": "https://example.org",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = await client.http.options("/apporders", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] in ("*", "https://example.org")
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()
    assert "PUT" in answer.headers["access-control-allow-methods"]
    plain = await client.http.get("/version", headers={"Origin": "https://example.org"})
    assert plain.headers["access-control-allow-origin"] in ("*", "https://example.org")


async def test_chain_or_records_away(client: Client, desk: Desk, trade: Trade) -> None:
    async def away() -> None:
        raise UnavailableError("the node does not answer")

    trade.ledger.interrupt = away
    authorization = await client.authorization(trade.developer)
    answer = await client.publish(trade.app_order(), trade.developer, 500, authorization=authorization)
    assert answer["error"] == "Something went wrong, you should retry later."


async def test_body_too_long(client: Client, desk: Desk) -> None:
    answer = await client.http.post("/apporders", params={"chainId": client.chain_id}, content=b"x" * (desk.settings.max_body_bytes + 1))
    assert client.read(answer, 413)["error"] == "Request Entity Too Large"


async def test_routes_are_listed_for_people(client: Client) -> None:
    page = await client.http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path in ECOSYSTEM_ROUTES:
        assert path.replace("/{id}", "/{") in page.text
