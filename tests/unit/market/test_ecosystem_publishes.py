"""The ecosystem's way into the book and out of it: challenges, rules in their order and with their words, and what is told after."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest

from tests.support.ecosystem import Client, authorize, posted
from tests.support.order_book import NOW, RLC, Desk, Trade, open_desk, somewhere
from voisin.market.api import create_app
from voisin.protocol.eip712 import order_hash, sign_order
from voisin.protocol.ids import ZERO_ADDRESS, OrderHash
from voisin.protocol.orders import AppOrder, Order, OrderKind
from voisin.protocol.tags import tag_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[Client]:
    """A client of the desk."""
    async with desk.http() as http:
        yield Client(http, desk.trade.ledger.domain.chain_id)


async def test_published_record(client: Client, trade: Trade) -> None:
    order = trade.app_order()
    published = (await client.publish(order, trade.developer))["published"]
    expected = {
        "orderHash": order_hash(order, trade.ledger.domain),
        "chainId": 31337,
        "order": {
            "app": trade.app,
            "appprice": 3 * RLC,
            "volume": 10,
            "tag": "0x" + "00" * 32,
            "datasetrestrict": ZERO_ADDRESS,
            "workerpoolrestrict": ZERO_ADDRESS,
            "requesterrestrict": ZERO_ADDRESS,
            "salt": order.salt,
            "sign": order.sign,
        },
        "remaining": 10,
        "status": "open",
        "publicationTimestamp": "2027-01-15T08:00:00.000Z",
        "signer": trade.developer.address,
    }
    assert NOW == 1_800_000_000
    assert published == expected
    assert await client.get(f"/apporders/{published['orderHash']}") == {"ok": True, **expected, "chainId": "31337"}
    assert await client.get("/apporders", app=trade.app) == {"ok": True, "orders": [expected], "count": 1}


async def test_every_kind(client: Client, trade: Trade) -> None:
    owners = (trade.developer, trade.data_owner, trade.scheduler, trade.requester)
    for order, owner, kind in zip(trade.one_of_each(), owners, OrderKind, strict=True):
        published = (await client.publish(order, owner))["published"]
        assert ("bulk" in published) is (kind is OrderKind.DATASET)
        assert published["order"] == msgspec.structs.asdict(order)
        assert (await client.get(f"/{kind}orders/{published['orderHash']}"))["order"] == published["order"]
        others = [other for other in OrderKind if other is not kind]
        for other in others:
            error = (await client.get(f"/{other}orders/{published['orderHash']}", 404))["error"]
            assert error == f"{other}order not found"


async def test_challenge_is_typed_data(client: Client, trade: Trade) -> None:
    data = (await client.get("/challenge", address=trade.developer.address.lower()))["data"]
    text = data["message"].pop("challenge")
    assert data == {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
            ],
            "Challenge": [{"name": "challenge", "type": "string"}],
        },
        "domain": {"name": "iExec Gateway", "version": "1", "chainId": "31337"},
        "primaryType": "Challenge",
        "message": {},
    }
    start = "Sign this message to log into iExec Gateway: "
    assert text.startswith(start)
    assert len(text) == len(start) + 32
    assert text[len(start) :].isalnum()


async def test_two_challenges_at_a_time(client: Client, trade: Trade) -> None:
    first, second = await client.authorization(trade.developer), await client.authorization(trade.developer)
    assert first != second
    await client.publish(trade.app_order(), trade.developer, authorization=second)
    await client.publish(trade.app_order(), trade.developer, authorization=first)


async def refused(client: Client, order: Order, authorization: str) -> None:
    """See that nobody gets in by this header."""
    path, params = "/apporders", {"chainId": client.chain_id}
    headers = {"authorization": authorization}
    for answer in (
        await client.http.post(path, params=params, json={"order": posted(order)}, headers=headers),
        await client.http.put(path, params=params, json={"orderHash": "0x" + "11" * 32}, headers=headers),
    ):
        assert client.read(answer, 403)["error"] == "invalid authorization"


async def test_replayed_authorization(client: Client, trade: Trade) -> None:
    authorization = await client.authorization(trade.developer)
    await client.publish(trade.app_order(), trade.developer, authorization=authorization)
    await refused(client, trade.app_order(), authorization)


async def test_expired_authorization(client: Client, desk: Desk, trade: Trade) -> None:
    early, late = await client.authorization(trade.developer), await client.authorization(trade.developer)
    desk.clock.now = NOW + desk.settings.challenge_ttl_s - 1  # type: ignore[assignment]
    await client.publish(trade.app_order(), trade.developer, authorization=early)
    desk.clock.now = NOW + desk.settings.challenge_ttl_s  # type: ignore[assignment]
    await refused(client, trade.app_order(), late)


async def test_authorization_of_another_chain(client: Client, trade: Trade) -> None:
    data = (await client.get("/challenge", address=trade.developer.address))["data"]
    foreign = {**data, "domain": {**data["domain"], "chainId": "134"}}
    await refused(client, trade.app_order(), authorize(foreign, trade.developer))
    own, other = authorize(data, trade.developer).split("_"), authorize(foreign, trade.developer).split("_")
    await refused(client, trade.app_order(), "_".join((own[0], other[1], own[2])))
    assert (await client.get("/challenge", 400, chainId="134", address=trade.developer.address))["error"] == "chainId 134 is not supported"


async def test_authorization_of_somebody_else(client: Client, trade: Trade) -> None:
    data = (await client.get("/challenge", address=trade.developer.address))["data"]
    own, other = authorize(data, trade.developer).split("_"), authorize(data, trade.stranger).split("_")
    await refused(client, trade.app_order(), "_".join(other))
    await refused(client, trade.app_order(), "_".join((own[0], other[1], own[2])))
    error = (await client.publish(trade.app_order(), trade.stranger, 403))["error"]
    assert error == f"only order signer {trade.developer.address} can publish an order"
    assert (await client.publish(trade.app_order(), trade.developer, authorization="_".join(own)))["ok"]


@pytest.mark.parametrize("header", ["", "x", "0x12_0x34_0x56", "_".join(["0x" + "11" * 32, "0x" + "22" * 65, "0x" + "33" * 20])])
async def test_malformed_authorization(client: Client, trade: Trade, header: str) -> None:
    await refused(client, trade.app_order(), header)


async def test_one_wallet_publishes_many_orders_at_the_same_time(client: Client, trade: Trade) -> None:
    signed = [await client.authorization(trade.developer) for _ in range(50)]
    orders = [trade.app_order(price=price) for price in range(50)]
    for order, authorization in zip(orders, signed, strict=True):
        await client.publish(order, trade.developer, authorization=authorization)
    assert (await client.get("/apporders", app="any"))["count"] == 50


async def test_asking_in_somebodys_name_does_not_shut_it_out(trade: Trade) -> None:
    desk = open_desk(trade, max_challenges=3)
    async with desk.http() as http:
        client = Client(http, trade.ledger.domain.chain_id)
        signed = [await client.authorization(trade.developer) for _ in range(9)]
        assert len(set(signed)) == 3
        for authorization in sorted(set(signed)):
            await client.publish(trade.app_order(), trade.developer, authorization=authorization)
        # what has less than half of its time left makes room
        for _ in range(3):
            await client.authorization(trade.developer)
        desk.clock.now = NOW + desk.settings.challenge_ttl_s // 2  # type: ignore[assignment]
        late = await client.authorization(trade.developer)
        desk.clock.now = NOW + desk.settings.challenge_ttl_s  # type: ignore[assignment]
        await client.publish(trade.app_order(), trade.developer, authorization=late)


async def test_authorization_of_a_contract(client: Client, trade: Trade) -> None:
    contract = somewhere(0xC7)
    trade.ledger.register(OrderKind.APP, somewhere(0xA2), contract)
    order = trade.app_order(app=somewhere(0xA2))
    data = (await client.get("/challenge", address=contract))["data"]
    digest, signature, _ = authorize(data, trade.stranger).split("_")
    await refused(client, order, f"{digest}_{signature}_{contract}")
    for approved in (digest, order_hash(order, trade.ledger.domain)):
        trade.ledger.approve(contract, approved)  # type: ignore[arg-type]
    published = await client.publish(order, trade.stranger, authorization=f"{digest}_{signature}_{contract}")
    assert published["published"]["signer"] == contract


async def test_rules_and_their_words(client: Client, desk: Desk, trade: Trade) -> None:
    async def error(order: Order, status: int = 403, who: object = None) -> str:
        owner = {OrderKind.APP: trade.developer, OrderKind.DATASET: trade.data_owner, OrderKind.WORKERPOOL: trade.scheduler}
        signer = who or next((owner[kind] for kind in owner if f"{kind}price" in posted(order)), trade.requester)
        return str((await client.publish(order, signer, status))["error"])  # type: ignore[arg-type]

    app = trade.app_order()
    request = trade.request_order()
    assert await error(request) == f"No apporder published for app {trade.app}"
    await client.publish(app, trade.developer)
    assert await error(app) == "order already published"
    assert await error(trade.app_order(app=somewhere(0x77))) == "Resource not deployed"
    assert await error(sign_order(trade.app_order(), trade.ledger.domain, trade.stranger)) == "invalid sign"
    assert await error(trade.pool_order(category=9)) == "category 9 does not exist"

    used = trade.pool_order(volume=1)
    trade.ledger.close(used)
    assert await error(used) == "order already consumed"
    # 30 % of 11 nRLC is 3.3, rounded down 3, for each of 10 tasks; the scheduler holds 1,000 RLC
    trade.ledger.withdraw(trade.scheduler.address, 1_000 * RLC - 29)
    assert await error(trade.pool_order(price=11)) == "workerpool owner's stake is too low to cover required workerpool lock"
    trade.ledger.deposit(trade.scheduler.address, 1)
    await client.publish(trade.pool_order(price=11), trade.scheduler)
    # 4 tasks at 3 + 10 RLC are 52 RLC
    trade.ledger.withdraw(trade.requester.address, 1_000 * RLC - 51 * RLC)
    words = f"requester stake is too low to cover requestorder payment, minimum stake required is {52 * RLC} nRLC"
    assert await error(request) == words
    trade.ledger.deposit(trade.requester.address, RLC)
    await client.publish(request, trade.requester)

    low = trade.request_order(appmaxprice=3 * RLC - 1, workerpoolmaxprice=0)
    assert await error(low) == f"appmaxprice for app {trade.app} is too low, actual best price is {3 * RLC} nRLC"
    tee = trade.request_order(tag=tag_of(["tee"]), workerpoolmaxprice=0)
    assert await error(tee) == f"No tee enabled apporder published for app {trade.app}"
    await client.publish(trade.app_order(tag=tag_of(["tee", "tdx"])), trade.developer)
    await client.publish(tee, trade.requester)
    data = trade.request_order(dataset=trade.dataset, datasetmaxprice=4, workerpoolmaxprice=0)
    assert await error(data) == f"No datasetorder published for dataset {trade.dataset}"
    await client.publish(trade.dataset_order(price=5), trade.data_owner)
    assert await error(data) == f"datasetmaxprice for dataset {trade.dataset} is too low, actual best price is 5 nRLC"
    await client.publish(trade.dataset_order(price=4, requesterrestrict=trade.stranger.address), trade.data_owner)
    assert await error(data) == f"datasetmaxprice for dataset {trade.dataset} is too low, actual best price is 5 nRLC"
    await client.publish(trade.dataset_order(price=4, requesterrestrict=trade.requester.address), trade.data_owner)
    await client.publish(data, trade.requester)
    unknown = trade.request_order(app=somewhere(0x77))
    assert await error(unknown) == f"No apporder published for app {somewhere(0x77)}"
    assert await error(request, who=trade.stranger) == "order already published"


async def test_most_open_orders_of_a_kind(trade: Trade) -> None:
    desk = open_desk(trade, max_open_orders=2)
    async with desk.http() as http:
        client = Client(http, trade.ledger.domain.chain_id)
        for _ in range(2):
            await client.publish(trade.app_order(), trade.developer)
        error = (await client.publish(trade.app_order(), trade.developer, 403))["error"]
        assert error == f"maximum of 2 published open apporder has been reached for wallet {trade.developer.address}"
        await client.unpublish("app", trade.developer, target="unpublish_last", app=trade.app)
        await client.publish(trade.app_order(), trade.developer)


@pytest.mark.parametrize("kind", ["app", "dataset", "workerpool", "request"])
async def test_simulated_enclaves_are_refused_unless_allowed(trade: Trade, kind: str) -> None:
    def order() -> Order:
        tag = tag_of(["tee", "tdx", "simulated"])
        made = {"app": trade.app_order, "dataset": trade.dataset_order, "workerpool": trade.pool_order, "request": trade.request_order}
        return made[kind](tag=tag)

    owner = {"app": trade.developer, "dataset": trade.data_owner, "workerpool": trade.scheduler, "request": trade.requester}[kind]
    for is_allowed in (False, True):
        desk = open_desk(trade, allow_simulated=is_allowed)
        async with desk.http() as http:
            client = Client(http, trade.ledger.domain.chain_id)
            if kind == "request":
                await desk.service.publish(trade.app_order(tag=tag_of(["tee"])))
            answer = await client.publish(order(), owner, 200 if is_allowed else 400)
            assert is_allowed or answer["error"] == "this market takes no orders about simulated enclaves"


async def test_taking_out_one(client: Client, desk: Desk, trade: Trade) -> None:
    order = trade.app_order()
    name = (await client.publish(order, trade.developer))["published"]["orderHash"]
    error = (await client.unpublish("app", trade.stranger, 403, target="unpublish_orderHash", orderHash=name))["error"]
    assert error == f"only order signer {trade.developer.address} can unpublish an order"
    error = (await client.unpublish("dataset", trade.developer, 403, orderHash=name))["error"]
    assert error == f"datasetorder with orderHash {name} is not published"
    assert (await client.unpublish("app", trade.developer, orderHash=name.upper().replace("0X", "0x")))["unpublished"] == [name]
    error = (await client.unpublish("app", trade.developer, 403, orderHash=name))["error"]
    assert error == f"apporder with orderHash {name} is not published"
    assert (await client.get(f"/apporders/{name}", 404))["error"] == "apporder not found"
    assert (await client.get("/apporders", app="any"))["count"] == 0
    assert (await client.publish(order, trade.developer))["published"]["status"] == "open"  # in the same second


async def test_taking_out_the_last_and_all(client: Client, trade: Trade) -> None:
    names = [(await client.publish(trade.app_order(), trade.developer))["published"]["orderHash"] for _ in range(5)]
    trade.ledger.register(OrderKind.APP, somewhere(0xA2), trade.developer.address)
    other = (await client.publish(trade.app_order(app=somewhere(0xA2)), trade.developer))["published"]["orderHash"]
    restricted = trade.app_order(requesterrestrict=somewhere(1), datasetrestrict=somewhere(2), workerpoolrestrict=somewhere(3))
    names.append((await client.publish(restricted, trade.developer))["published"]["orderHash"])
    for expected in names[:3:-1]:
        last = await client.unpublish("app", trade.developer, target="unpublish_last", app=trade.app.lower())
        assert last["unpublished"] == [expected]
    error = (await client.unpublish("app", trade.stranger, 403, target="unpublish_all", app=trade.app))["error"]
    assert error == f"no open apporder published by signer {trade.stranger.address} for app {trade.app}"
    everything = await client.unpublish("app", trade.developer, target="unpublish_all", app=trade.app)
    assert sorted(everything["unpublished"]) == sorted(names[:4])
    error = (await client.unpublish("app", trade.developer, 403, target="unpublish_last", app=trade.app))["error"]
    assert error == f"no open apporder published by signer {trade.developer.address} for app {trade.app}"
    assert [order["orderHash"] for order in (await client.get("/apporders", app="any"))["orders"]] == [other]


async def test_requests_are_taken_out_by_requester(client: Client, trade: Trade) -> None:
    await client.publish(trade.app_order(), trade.developer)
    name = (await client.publish(trade.request_order(), trade.requester))["published"]["orderHash"]
    found = await client.unpublish("request", trade.requester, target="unpublish_all", requester=trade.requester.address)
    assert found["unpublished"] == [name]


async def test_dead_order_is_published_again(client: Client, desk: Desk, trade: Trade) -> None:
    order = trade.app_order()
    name = (await client.publish(order, trade.developer))["published"]["orderHash"]
    trade.ledger.transfer_entry(trade.app, trade.stranger.address)
    await desk.catch_up()
    assert (await client.get(f"/apporders/{name}"))["status"] == "dead"
    again = sign_order(order, trade.ledger.domain, trade.stranger)
    published = (await client.publish(again, trade.stranger))["published"]
    assert (published["orderHash"], published["status"], published["signer"]) == (name, "open", trade.stranger.address)


async def test_closed_order_is_canceled(client: Client, desk: Desk, trade: Trade) -> None:
    order = trade.app_order()
    name = (await client.publish(order, trade.developer))["published"]["orderHash"]
    trade.ledger.close(order)
    await desk.catch_up()
    shown = await client.get(f"/apporders/{name}")
    assert (shown["status"], shown["remaining"]) == ("canceled", 0)
    assert (await client.publish(order, trade.developer, 403))["error"] == "order already published"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"app": None}, "order.app is a required field"),
        ({"app": "0x12"}, "order.app is not a valid ethereum address"),
        ({"appprice": -1}, "order.appprice must be greater than or equal to 0"),
        ({"appprice": 2**53}, "order.appprice must be less than or equal to 9007199254740991"),
        ({"appprice": 1.5}, "order.appprice must be an integer"),
        ({"appprice": "x"}, "order.appprice must be a `number` type, but the final value was: `'x'`"),
        ({"appprice": True}, "order.appprice must be a `number` type, but the final value was: `True`"),
        ({"appprice": []}, "order.appprice must be a `string` type"),
        ({"volume": 0}, "order.volume must be greater than or equal to 1"),
        ({"volume": ""}, "order.volume is a required field"),
        ({"tag": "0x12"}, "order.tag must be a bytes32 hexstring"),
        ({"salt": None}, "order.salt is a required field"),
        ({"sign": "hello"}, "order.sign must be a valid signature"),
        ({"sign": None}, "order.sign is a required field"),
        ({"requesterrestrict": None}, "order.requesterrestrict is a required field"),
    ],
)
async def test_malformed_orders(client: Client, trade: Trade, changes: dict[str, object], words: str) -> None:
    body = {"order": {**posted(trade.app_order()), **changes}}
    authorization = await client.authorization(trade.developer)
    answer = await client.http.post("/apporders", params={"chainId": client.chain_id}, json=body, headers={"authorization": authorization})
    assert client.read(answer, 400)["error"] == words


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 20_000, b'{"order": 7}', b"{}"])
async def test_malformed_bodies(client: Client, body: bytes) -> None:
    for method in ("POST", "PUT"):
        client.read(await client.http.request(method, "/apporders", params={"chainId": client.chain_id}, content=body), 400)


async def test_unknown_fields_are_ignored(client: Client, trade: Trade) -> None:
    body = {"order": {**posted(trade.app_order()), "more": 1}, "most": 2}
    headers = {"authorization": await client.authorization(trade.developer)}
    answer = await client.http.post("/apporders", params={"chainId": client.chain_id, "x": "y"}, json=body, headers=headers)
    assert client.read(answer, 200)["published"]["status"] == "open"


@pytest.mark.parametrize("how", ["closed", "taken out", "used up", "given away"])
async def test_requests_die_with_the_last_offer_of_their_app(client: Client, desk: Desk, trade: Trade, how: str) -> None:
    async def end(order: AppOrder, name: str) -> None:
        if how == "taken out":
            await client.unpublish("app", trade.developer, orderHash=name)
        elif how == "closed":
            trade.ledger.close(order)
        elif how == "used up":
            trade.ledger.match(order, None, trade.pool_order(volume=1), trade.request_order(volume=1))
        else:
            trade.ledger.transfer_entry(trade.app, trade.stranger.address)
        await desk.catch_up()

    first, second = trade.app_order(volume=1), trade.app_order(volume=1)
    names = [(await client.publish(order, trade.developer))["published"]["orderHash"] for order in (first, second)]
    waiting = trade.request_order()
    await desk.service.publish(waiting)  # by our own route: it waits for offers
    order = trade.request_order()
    name = (await client.publish(order, trade.requester))["published"]["orderHash"]
    if how != "given away":
        await end(first, names[0])
        assert (await client.get(f"/requestorders/{name}"))["status"] == "open"
    await end(second, names[1])
    assert (await client.get(f"/requestorders/{name}"))["status"] == "dead"
    assert (await client.get(f"/requestorders/{order_hash(waiting, trade.ledger.domain)}"))["status"] == "open"
    story = await desk.service.store.story(OrderHash(name))
    assert story[-1].detail == f"No apporder published for app {trade.app}"
    assert (await client.publish(order, trade.requester, 403))["error"] == f"No apporder published for app {trade.app}"
    owner = trade.stranger if how == "given away" else trade.developer
    await client.publish(sign_order(trade.app_order(), trade.ledger.domain, owner), owner)
    assert (await client.publish(order, trade.requester))["published"]["status"] == "open"


async def test_requests_die_when_only_dear_or_restricted_offers_are_left(client: Client, desk: Desk, trade: Trade) -> None:
    cheap = (await client.publish(trade.app_order(price=1, tag=tag_of(["tee"])), trade.developer))["published"]["orderHash"]
    await client.publish(trade.app_order(price=0), trade.developer)  # has no enclave
    await client.publish(trade.app_order(price=0, tag=tag_of(["tee"]), workerpoolrestrict=somewhere(7)), trade.developer)
    await client.publish(trade.app_order(price=3, tag=tag_of(["tee"])), trade.developer)
    data = (await client.publish(trade.dataset_order(), trade.data_owner))["published"]["orderHash"]
    named = {"appmaxprice": 2, "tag": tag_of(["tee"]), "workerpoolmaxprice": 0}
    plain = (await client.publish(trade.request_order(**named), trade.requester))["published"]["orderHash"]
    with_data = (await client.publish(trade.request_order(**named, dataset=trade.dataset), trade.requester))["published"]["orderHash"]
    await client.unpublish("dataset", trade.data_owner, orderHash=data)
    assert (await client.get(f"/requestorders/{plain}"))["status"] == "open"
    assert (await client.get(f"/requestorders/{with_data}"))["status"] == "dead"
    await client.unpublish("app", trade.developer, orderHash=cheap)
    assert (await client.get(f"/requestorders/{plain}"))["status"] == "dead"
    story = await desk.service.store.story(OrderHash(plain))
    assert story[-1].detail == f"appmaxprice for app {trade.app} is too low, actual best price is 3 nRLC"


async def test_strangers_are_slowed_down_and_neighbours_are_not(trade: Trade) -> None:
    desk = open_desk(trade, requests_per_minute=3)
    app = create_app(desk.service, desk.settings)
    for host, allowed in (("203.0.113.7", 3), ("2001:db8::7", 3), ("127.0.0.1", 9), ("::1", 9)):
        transport = httpx.ASGITransport(app=app, client=(host, 4711))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://market") as http:
            client = Client(http, trade.ledger.domain.chain_id)
            for _ in range(allowed):
                await client.get("/challenge", address=trade.developer.address)
            assert (await client.get("/apporders", app="any"))["count"] == 0  # reading is free
            if allowed == 3:
                assert (await client.get("/challenge", 429, address=trade.developer.address))["error"] == "Rate limit exceeded"
                await client.publish(trade.app_order(), trade.developer, 429, authorization="whatever")
