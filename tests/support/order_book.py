"""A market to trade in without a chain: roles with keys, entries, and orders that are right until a test changes them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

import anyio
import anyio.lowlevel
import httpx
from eth_utils import keccak

from voisin.market import MarketSettings
from voisin.market.api import create_front
from voisin.market.book import BookWrite
from voisin.market.machine import Entry, published_form
from voisin.market.memory import MemoryStore
from voisin.market.service import MarketService
from voisin.market.twin import TwinLedger
from voisin.protocol.eip712 import sign_order
from voisin.protocol.feed import OrderNews
from voisin.protocol.ids import Address, Hash32, as_address, to_hex
from voisin.protocol.orders import AppOrder, DatasetOrder, Order, OrderKind, RequestOrder, WorkerpoolOrder, order_kind
from voisin.protocol.signatures import KeySigner
from voisin.units import NRLC, UnixSeconds

RLC: Final = 10**9
NOW: Final = UnixSeconds(1_800_000_000)
DEADLINE_S: Final = 120.0

APP_PRICE: Final = NRLC(3 * RLC)
POOL_PRICE: Final = NRLC(10 * RLC)
# what a match of one task locks, by hand: the requester pays 3 + 10 RLC, the scheduler stakes 30 % of 10 RLC
REQUEST_NEEDS: Final = NRLC(13 * RLC)
POOL_NEEDS: Final = NRLC(3 * RLC)


async def put(write: BookWrite, entry: Entry) -> None:
    """Write an order down whatever the chain says of it; readers are told."""
    await write.save(entry)
    await write.announce(OrderNews(at=entry.published_at, order=published_form(entry)))


def somebody(name: str) -> KeySigner:
    """Make the wallet of a role from its name."""
    return KeySigner(keccak(text=f"voisin order book: {name}"))


def somewhere(byte: int) -> Address:
    """Make the address of an entry."""
    return as_address("0x" + f"{byte:02x}" * 20)


@dataclass
class Clock:
    """A clock that only tests move."""

    now: UnixSeconds = NOW

    def __call__(self) -> UnixSeconds:
        """Tell the time."""
        return self.now


@dataclass
class Trade:
    """Who trades what, on a twin of the chain; everybody who must pay holds 1,000 RLC."""

    ledger: TwinLedger = field(default_factory=TwinLedger)
    developer: KeySigner = field(default_factory=lambda: somebody("developer"))
    data_owner: KeySigner = field(default_factory=lambda: somebody("data owner"))
    scheduler: KeySigner = field(default_factory=lambda: somebody("scheduler"))
    requester: KeySigner = field(default_factory=lambda: somebody("requester"))
    stranger: KeySigner = field(default_factory=lambda: somebody("stranger"))
    app: Address = field(default_factory=lambda: somewhere(0xA1))
    dataset: Address = field(default_factory=lambda: somewhere(0xD1))
    workerpool: Address = field(default_factory=lambda: somewhere(0xF1))
    salts: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.ledger.register(OrderKind.APP, self.app, self.developer.address)
        self.ledger.register(OrderKind.DATASET, self.dataset, self.data_owner.address)
        self.ledger.register(OrderKind.WORKERPOOL, self.workerpool, self.scheduler.address)
        for payer in (self.scheduler, self.requester):
            self.ledger.deposit(payer.address, 1_000 * RLC)

    def salt(self) -> Hash32:
        """Make a salt that was not used before."""
        return Hash32(to_hex(keccak(text=f"salt {next(self.salts)}")))

    def app_order(self, *, price: int = APP_PRICE, volume: int = 10, **changes: object) -> AppOrder:
        """Sign an app order."""
        order = AppOrder(**{"app": self.app, "appprice": price, "volume": volume, "salt": self.salt(), **changes})  # type: ignore[arg-type]
        return sign_order(order, self.ledger.domain, self.developer)

    def dataset_order(self, *, price: int = 0, volume: int = 10, **changes: object) -> DatasetOrder:
        """Sign a dataset order."""
        named = {"dataset": self.dataset, "datasetprice": price, "volume": volume, "salt": self.salt()}
        return sign_order(DatasetOrder(**{**named, **changes}), self.ledger.domain, self.data_owner)  # type: ignore[arg-type]

    def pool_order(self, *, price: int = POOL_PRICE, volume: int = 10, **changes: object) -> WorkerpoolOrder:
        """Sign a workerpool order of category 2, up to trust 5."""
        named = {"workerpool": self.workerpool, "workerpoolprice": price, "volume": volume, "category": 2, "trust": 5, "salt": self.salt()}
        return sign_order(WorkerpoolOrder(**{**named, **changes}), self.ledger.domain, self.scheduler)  # type: ignore[arg-type]

    def request_order(self, *, price: int = POOL_PRICE, volume: int = 4, **changes: object) -> RequestOrder:
        """Sign a request order of category 2 that pays what the others ask."""
        named = {"app": self.app, "appmaxprice": APP_PRICE, "workerpoolmaxprice": price, "volume": volume, "category": 2, "trust": 3}
        whom = {"requester": self.requester.address, "beneficiary": self.requester.address, "params": "", "salt": self.salt()}
        return sign_order(RequestOrder(**{**named, **whom, **changes}), self.ledger.domain, self.requester)  # type: ignore[arg-type]

    def one_of_each(self) -> list[Order]:
        """Sign an order of each kind."""
        return [self.app_order(), self.dataset_order(), self.pool_order(), self.request_order()]


@dataclass
class Desk:
    """A market's desk on a twin of the chain, with records in memory."""

    trade: Trade
    service: MarketService
    settings: MarketSettings
    clock: Clock

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the chain, and tell the feed's readers, for as long as the context lasts."""
        async with anyio.create_task_group() as running:
            running.start_soon(self.service.follower.run)
            running.start_soon(self.service.feed.run)
            try:
                yield
            finally:
                running.cancel_scope.cancel()

    async def catch_up(self) -> None:
        """Record what the chain has, as the follower would."""
        async with self.following():
            await self.caught_up()

    async def caught_up(self) -> None:
        """Wait until everything on the chain is recorded."""
        with anyio.fail_after(DEADLINE_S):
            while (await self.service.store.position()).next_block <= await self.trade.ledger.head():
                await anyio.lowlevel.checkpoint()

    @asynccontextmanager
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        """Talk to the desk as a client of its wire does."""
        transport = httpx.ASGITransport(app=create_front(self.service, self.settings), raise_app_exceptions=False)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://market") as client:
            yield client


def market_settings(folder: Path | str = "", **changes: object) -> MarketSettings:
    """Set a market up that follows the twin's hub, its records in a folder."""
    named = {"database_url": f"sqlite:///{folder}/market.sqlite", "hub": TwinLedger().domain.hub, "retry_s": 0.001}
    return MarketSettings(**{**named, **changes})  # type: ignore[arg-type]


def open_desk(trade: Trade, **changes: object) -> Desk:
    """Open a desk with records in memory."""
    clock = Clock()
    settings = market_settings(**changes)
    return Desk(trade, MarketService(trade.ledger, MemoryStore(), settings, clock=clock), settings, clock)


def submission(order: Order) -> dict[str, object]:
    """Wrap an order as the market takes it."""
    return {"kind": order_kind(order).value, "order": order}
