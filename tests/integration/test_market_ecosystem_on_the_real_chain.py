"""The ecosystem's routes over real HTTP, on the embedded chain with the real contracts; and how soon the book follows the chain."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest
import structlog

from tests.support.chain_rig import APP_PRICE, POOL_PRICE, RLC, Rig, open_rig
from tests.support.ecosystem import Client, Json
from tests.support.patience import a_moment
from voisin.chain import Call, calls
from voisin.market import MarketSettings, open_market
from voisin.protocol.eip712 import Operation, order_hash, sign_order
from voisin.protocol.events import OrdersMatched
from voisin.protocol.ids import ZERO_ADDRESS
from voisin.protocol.orders import order_kind
from voisin.protocol.signatures import KeySigner
from voisin.service.serving import serve_app
from voisin.units import NRLC

pytestmark = pytest.mark.anyio

DEADLINE_S = 120.0


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A chain with a hub, and money for requester and scheduler."""
    async with open_rig() as rig:
        for wallet in (rig.requester, rig.scheduler):
            await rig.fund(wallet, 100 * RLC)
        yield rig


@asynccontextmanager
async def open_client(rig: Rig, folder: Path, **changes: object) -> AsyncIterator[Client]:
    """Serve a market on a port, and talk to it."""
    named = {
        "database_url": f"sqlite:///{folder / 'market.sqlite'}",
        "rpc_url": rig.node.rpc_url,
        "hub": rig.chain.hub_address,
        "start_block": rig.deployment.block,
    }
    settings = MarketSettings(**{**named, **changes})  # type: ignore[arg-type]
    async with (
        open_market(settings) as market,
        serve_app(market.app) as url,
        httpx.AsyncClient(base_url=url) as http,
    ):
        yield Client(http, rig.chain.chain_id)


async def until(client: Client, path: str, **wanted: object) -> Json:
    """Ask until the answer has these values."""
    with anyio.move_on_after(DEADLINE_S):
        while True:
            found = await client.get(path)
            if all(found[name] == value for name, value in wanted.items()):
                return found
            await a_moment()
    raise AssertionError(f"after {DEADLINE_S} s it is still {found}")


async def test_from_orders_to_a_deal(rig: Rig, tmp_path: Path) -> None:
    app_entry, pool_entry = await rig.create_app(), await rig.create_pool()
    app, pool, request = rig.orders(app_entry, pool_entry, volume=3, trust=1)
    async with open_client(rig, tmp_path) as client:
        assert (await client.http.get("/version")).json()["ok"] is True
        names = [
            (await client.publish(order, wallet))["published"]["orderHash"]
            for order, wallet in ((app, rig.app_owner), (pool, rig.scheduler), (request, rig.requester))
        ]
        assert names == [order_hash(order, rig.chain.domain) for order in (app, pool, request)]
        offers = await client.get("/workerpoolorders", workerpool="any", category=0, minTrust=1, minVolume=3, pageIndex=0, pageSize=10)
        assert [offer["order"] for offer in offers["orders"]] == [msgspec.structs.asdict(pool)]

        receipt = await rig.send(rig.stranger, calls.match_orders(rig.chain.hub_address, app, None, pool, request))
        deal_id = next(logged.event.deal_id for logged in receipt.events if isinstance(logged.event, OrdersMatched))
        for kind, name in zip(("app", "workerpool", "request"), names, strict=True):
            await until(client, f"/{kind}orders/{name}", status="filled", remaining=0)
        on_chain = await rig.chain.hub.deal(deal_id)
        expected = {
            "dealid": deal_id,
            "chainId": 31337,
            "app": {"pointer": app_entry, "owner": rig.app_owner.address, "price": APP_PRICE},
            "dataset": {"pointer": ZERO_ADDRESS, "owner": ZERO_ADDRESS, "price": 0},
            "workerpool": {"pointer": pool_entry, "owner": rig.scheduler.address, "price": POOL_PRICE},
            "requester": rig.requester.address,
            "beneficiary": rig.requester.address,
            "callback": ZERO_ADDRESS,
            "appHash": names[0],
            "datasetHash": "0x" + "00" * 32,
            "workerpoolHash": names[1],
            "requestHash": names[2],
            "params": "{}",
            "volume": 3,
            "category": 0,
            "tag": "0x" + "00" * 32,
            "trust": 1,
            "startTime": on_chain.start_time,
            "botFirst": 0,
            "botSize": 3,
            "schedulerRewardRatio": on_chain.scheduler_reward_ratio,
            "workerStake": on_chain.worker_stake,
            "blockNumber": receipt.block,
            "blockTimestamp": datetime.fromtimestamp(on_chain.start_time, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "transactionHash": receipt.tx_hash,
        }
        assert await client.get("/deals", requester=rig.requester.address) == {"ok": True, "deals": [expected], "count": 1}
        assert await client.get(f"/deals/{deal_id}") == {"ok": True, **expected, "chainId": "31337"}
        assert (await client.get("/ohlc", category=0))["ohlc"] == [[expected["blockTimestamp"], POOL_PRICE, 3]]
        assert on_chain.start_time == await rig.chain.block_time(receipt.block)
        await check_categories(client, rig)
        metrics = await client.get("/metrics")
        assert metrics["lastBlock"] == metrics["checkpointBlock"] >= receipt.block
        assert {name: count for name, count in metrics.items() if name.endswith("orders")} == dict.fromkeys(
            ("apporders", "datasetorders", "workerpoolorders", "requestorders"), 0
        )


async def check_categories(client: Client, rig: Rig) -> None:
    """See that the categories are those of the chain, and say where they came from."""
    listed = await client.get("/categories")
    on_chain = await rig.chain.hub.categories()
    assert listed["count"] == len(on_chain)
    assert [(each["name"], each["workClockTimeRef"]) for each in listed["categories"]] == [
        (each.name, each.time_ref_s) for each in on_chain
    ]
    one = await client.get("/categories/2")
    assert one == {"ok": True, **listed["categories"][2], "chainId": "31337"}
    assert one["catid"] == 2
    made_at = await rig.chain.block_time(one["blockNumber"])
    assert one["blockTimestamp"] == datetime.fromtimestamp(made_at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert len(one["transactionHash"]) == 66
    assert (await client.get("/categories", minWorkClockTimeRef=1000, maxWorkClockTimeRef=4000))["count"] == 2
    assert (await client.get("/categories/99", 404))["error"] == "category not found"


async def test_orders_are_retired_at_once(rig: Rig, tmp_path: Path) -> None:
    """Money, volume, ownership, closing: whatever on the chain ends an order, the book says so within moments."""
    chain, hub = rig.chain, rig.chain.hub_address
    app, pool, request = rig.orders(await rig.create_app(), await rig.create_pool(), volume=3, trust=1)
    took_s: dict[str, float] = {}

    async def ends(what: str, wallet: KeySigner, call: Call, path: str, **wanted: object) -> None:
        await rig.send(wallet, call)
        began = time.monotonic()
        await until(client, path, **wanted)
        took_s[what] = time.monotonic() - began

    async with open_client(rig, tmp_path) as client:
        for order, wallet in ((app, rig.app_owner), (pool, rig.scheduler), (request, rig.requester)):
            await client.publish(order, wallet)
        of_app, of_pool, of_request = (f"/{order_kind(order)}orders/{order_hash(order, chain.domain)}" for order in (app, pool, request))
        # 12 RLC are left, a task costs 13; 2 RLC are left, a task locks 3
        await ends("withdrawn by the requester", rig.requester, calls.withdraw(hub, NRLC(88 * RLC)), of_request, status="dead")
        await ends("withdrawn by the scheduler", rig.scheduler, calls.withdraw(hub, NRLC(98 * RLC)), of_pool, status="dead")
        for wallet in (rig.requester, rig.scheduler):
            await rig.fund(wallet, 100 * RLC)
        await until(client, of_request, status="open")
        await until(client, of_pool, status="open")
        small = sign_order(msgspec.structs.replace(request, volume=2), chain.domain, rig.requester)
        await client.publish(small, rig.requester)
        matched = calls.match_orders(hub, app, None, pool, small)
        await ends("partly matched", rig.stranger, matched, of_app, status="open", remaining=1)
        await until(client, f"/requestorders/{order_hash(small, chain.domain)}", status="filled", remaining=0)
        given = calls.transfer_entry(chain.app_registry, app.app, owner=rig.app_owner.address, recipient=rig.stranger.address)
        await ends("app given away", rig.app_owner, given, of_app, status="dead")
        await until(client, of_request, status="dead", remaining=3)  # nobody offers the app any more
        closed = calls.manage_order(hub, pool, Operation.CLOSE)
        await ends("closed", rig.scheduler, closed, of_pool, status="canceled", remaining=0)
        assert (await client.get("/apporders", app="any"))["count"] == (await client.get("/workerpoolorders"))["count"] == 0
    structlog.get_logger().info("retired", **{what: f"{seconds * 1000:.0f} ms" for what, seconds in took_s.items()})
