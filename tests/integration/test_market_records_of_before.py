"""Records made by the first release of the market: what is brought up to date, and what the chain tells anew."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.order_book import Trade, market_settings
from voisin.market.database import RECORDS
from voisin.market.opening import run_market
from voisin.market.query import DealQuery, OrderQuery
from voisin.protocol.api import OrderStatus
from voisin.protocol.codec import encode
from voisin.protocol.eip712 import order_hash
from voisin.protocol.orders import Order, RequestOrder, order_kind

pytestmark = pytest.mark.anyio

DEADLINE_S = 120.0


async def make_first_release(url: str, fill: Callable[[Connection], None]) -> None:
    """Make a database as the first release did."""
    engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:").replace("postgresql:", "postgresql+asyncpg:"))
    async with engine.begin() as connection:
        await connection.run_sync(fill)
    await engine.dispose()


def filled_with(trade: Trade, orders: list[Order], next_block: int) -> Callable[[Connection], None]:
    """Fill it with orders that are open, and the place that it had reached."""

    def fill(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(RECORDS.migrations))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        hub = trade.ledger.domain
        connection.execute(
            text("INSERT INTO follower (id, chain_id, hub, next_block, last_hash) VALUES (1, :chain, :hub, :next, :hash)"),
            {"chain": hub.chain_id, "hub": hub.hub, "next": next_block, "hash": "0x" + "11" * 32},
        )
        for order in orders:
            signer = order.requester if isinstance(order, RequestOrder) else trade.data_owner.address
            columns = {
                "hash": order_hash(order, hub),
                "kind": order_kind(order).value,
                "content": encode(order).decode(),
                "signer": signer,
                "resource": signer,
                "status": "open",
                "tag": "0" * 256,
                "published_at": 7,
                "owner": signer,
                "is_closed": False,
                "is_removed": False,
                "proven_at": 0,
            }
            columns |= dict.fromkeys(("app", "dataset", "workerpool", "requester"), "0x" + "00" * 20)
            columns |= dict.fromkeys(("rank", "price"), "0" * 78) | dict.fromkeys(("remaining", "stake"), f"{10**18:078d}")
            names = ", ".join(f'"{name}"' for name in columns)
            connection.execute(text(f"INSERT INTO orders ({names}) VALUES ({', '.join(f':{name}' for name in columns)})"), columns)
            moment = {"hash": columns["hash"]}
            connection.execute(text("INSERT INTO moments (order_hash, number, at, what, detail) VALUES (:hash, 0, 7, 'open', '')"), moment)

    return fill


async def test_orders_stay_and_deals_are_told_anew(new_database: Callable[[], str]) -> None:
    trade, url = Trade(), new_database()
    bulk, dear = trade.dataset_order(volume=2**53 - 2), trade.dataset_order(volume=2**53 - 2, price=1)
    request = trade.request_order()
    deal = trade.ledger.match(trade.app_order(), None, trade.pool_order(), trade.request_order())
    await make_first_release(url, filled_with(trade, [bulk, dear, request], await trade.ledger.head() + 1))
    async with run_market(market_settings(database_url=url), trade.ledger) as market:
        store = market.service.store
        with anyio.fail_after(DEADLINE_S):
            while (await store.position()).next_block <= await trade.ledger.head():
                await anyio.lowlevel.checkpoint()
        for order in (bulk, dear, request):
            entry = await store.entry(order_hash(order, trade.ledger.domain))
            assert entry is not None
            assert (entry.order, entry.status, entry.published_at) == (order, OrderStatus.OPEN, 7)
            assert len(await store.story(entry.hash)) == 1
        offered = await store.orders(OrderQuery(bulk=True))
        assert [found.order for found in offered.orders] == [bulk]
        mine = await store.orders(OrderQuery(beneficiary=(trade.requester.address,)))
        assert [found.order for found in mine.orders] == [request]
        (entered,) = (await store.deals(DealQuery(workerpool_owner=(trade.scheduler.address,)))).deals
        assert (entered.deal_id, entered.app_owner, entered.params) == (deal, trade.developer.address, "")
        assert len(await store.categories()) == 5
