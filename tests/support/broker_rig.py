"""A market on an embedded chain with its people, orders in its book, and brokers to fill them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import anyio
import httpx
import msgspec

from tests.support.chain_rig import RLC, Rig, open_rig
from tests.support.patience import a_moment
from voisin.broker import Broker, BrokerSettings, open_broker
from voisin.market import MarketSettings, open_market
from voisin.protocol.api import BrokerView
from voisin.protocol.codec import encode
from voisin.protocol.eip712 import order_hash, sign_order
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, OrderHash
from voisin.protocol.orders import AppOrder, Order, RequestOrder, WorkerpoolOrder, order_kind
from voisin.protocol.signatures import KeySigner
from voisin.service.serving import serve_app
from voisin.units import NRLC

DEADLINE_S = 120
FUNDS = 1000 * RLC


@dataclass
class BrokerRig:
    """A market whose requesters may go away."""

    rig: Rig
    market_url: str
    http: httpx.AsyncClient
    app: Address
    pool: Address
    salts: count[int] = field(default_factory=lambda: count(1))

    @property
    def poorest(self) -> KeySigner:
        """A wallet with coin for gas and without any RLC: the broker's."""
        return self.rig.workers[0]

    def settings(self, **changes: object) -> BrokerSettings:
        """Set a broker up that looks often."""
        given = {"market_url": self.market_url, "rpc_url": self.rig.node.rpc_url, "hub": self.rig.chain.hub_address, "poll_s": 0.05}
        return BrokerSettings(**{**given, "idle_s": 0.05, **changes})  # type: ignore[arg-type]

    @asynccontextmanager
    async def broker(self, wallet: KeySigner | None = None, **changes: object) -> AsyncIterator[tuple[Broker, str]]:
        """Run a broker and serve it."""
        settings = self.settings(**changes)
        async with open_broker(settings, wallet or self.poorest) as broker, serve_app(broker.app) as url:  # type: ignore[arg-type]
            yield broker, url

    async def publish(self, order: Order, signer: KeySigner) -> OrderHash:
        """Sign an order and put it into the book."""
        signed = sign_order(order, self.rig.chain.domain, signer)
        answer = await self.http.post(f"{self.market_url}/v1/orders", content=encode({"kind": order_kind(order).value, "order": signed}))
        assert answer.is_success, answer.text
        return order_hash(signed, self.rig.chain.domain)

    def salt(self) -> Hash32:
        return Hash32(f"0x{next(self.salts):064x}")

    async def offer_app(self, *, price: int = 0, volume: int = 10**6) -> OrderHash:
        order = AppOrder(app=self.app, appprice=NRLC(price), volume=volume, salt=self.salt())
        return await self.publish(order, self.rig.app_owner)

    async def offer_pool(self, *, price: int = RLC, volume: int = 10, category: int = 0) -> OrderHash:
        order = WorkerpoolOrder(
            workerpool=self.pool, workerpoolprice=NRLC(price), volume=volume, category=category, trust=1, salt=self.salt()
        )
        return await self.publish(order, self.rig.scheduler)

    async def request(self, *, most: int = RLC, volume: int = 1, category: int = 0, app_most: int = 0) -> OrderHash:
        """Publish a request of the requester."""
        me = self.rig.requester.address
        order = RequestOrder(
            app=self.app, appmaxprice=NRLC(app_most), workerpool=ZERO_ADDRESS, workerpoolmaxprice=NRLC(most), requester=me, volume=volume,
            category=category, trust=1, beneficiary=me, params="{}", salt=self.salt(),
        )  # fmt: skip
        return await self.publish(order, self.rig.requester)

    async def until_consumed(self, requests: Sequence[OrderHash], volume: int) -> None:
        """Wait until so many tasks of each request are matched on the chain."""
        with anyio.fail_after(DEADLINE_S):
            while any(used < volume for used in await self.rig.chain.hub.consumptions(requests)):
                await a_moment()

    async def view(self, broker_url: str, request: OrderHash) -> BrokerView:
        """Ask a broker about a request."""
        answer = await self.http.get(f"{broker_url}/v1/broker/requests/{request}")
        assert answer.is_success, answer.text
        return msgspec.json.decode(answer.content, type=BrokerView)

    async def until_explained(self, broker_url: str, request: OrderHash, words: str) -> BrokerView:
        """Wait until a broker says something about a request."""
        with anyio.fail_after(DEADLINE_S):
            while words not in (view := await self.view(broker_url, request)).why:
                await a_moment()
        return view

    async def accounts(self) -> dict[str, tuple[int, int, int]]:
        """For each person: free and locked at the hub, and in the wallet [nRLC]."""
        people = [self.rig.owner, self.rig.requester, self.rig.scheduler, self.rig.app_owner, self.rig.stranger, *self.rig.workers]
        held = await self.rig.chain.hub.accounts([person.address for person in people])
        names = ["owner", "requester", "scheduler", "app_owner", "stranger", "broker", *(f"worker-{n}" for n in range(2, 6))]
        return {
            name: (account.stake, account.locked, await self.rig.chain.token.balance(person.address))
            for name, person, account in zip(names, people, held, strict=False)
        }


@asynccontextmanager
async def open_broker_rig(folder: Path) -> AsyncIterator[BrokerRig]:
    """Bring chain and market up; requester and scheduler have 1,000 RLC each at the hub."""
    async with open_rig() as rig, httpx.AsyncClient(timeout=30, headers={"content-type": "application/json"}) as http:
        await rig.fund(rig.requester, FUNDS)
        await rig.fund(rig.scheduler, FUNDS)
        market = MarketSettings(
            database_url=f"sqlite:///{folder / 'market.db'}",
            rpc_url=rig.node.rpc_url,
            hub=rig.chain.hub_address,
            start_block=rig.deployment.block,
        )
        async with open_market(market) as opened, serve_app(opened.app) as market_url:  # type: ignore[arg-type]
            yield BrokerRig(rig, market_url, http, await rig.create_app(), await rig.create_pool())
