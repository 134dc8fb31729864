"""Requests that are in the book only while there are offers, in both kinds of database."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.order_book import Clock, Trade, market_settings
from voisin.market.ecosystem.desk import EcosystemDesk
from voisin.market.proof import Consent
from voisin.market.service import MarketService
from voisin.market.store import open_store
from voisin.protocol.api import OrderStatus
from voisin.protocol.orders import OrderKind
from voisin.protocol.signatures import KeySigner

pytestmark = pytest.mark.anyio


async def test_requests_go_with_the_last_offer_and_come_back(new_database: Callable[[], str]) -> None:
    trade, clock, settings = Trade(), Clock(), market_settings()

    def consent(wallet: KeySigner) -> Consent:
        return Consent(wallet.address, clock())

    async with open_store(new_database(), trade.ledger.domain, 0) as store:
        desk = EcosystemDesk(MarketService(trade.ledger, store, settings, clock=clock), settings)
        offers = [await desk.publish(trade.app_order(price=price), consent(trade.developer)) for price in (1, 2)]
        data = await desk.publish(trade.dataset_order(), consent(trade.data_owner))
        plain = await desk.publish(trade.request_order(appmaxprice=2), consent(trade.requester))
        with_data = await desk.publish(trade.request_order(appmaxprice=1, dataset=trade.dataset), consent(trade.requester))

        async def stand() -> list[OrderStatus]:
            entries = [await store.entry(each.hash) for each in (plain, with_data)]
            return [entry.status for entry in entries if entry is not None]

        assert await stand() == [OrderStatus.OPEN, OrderStatus.OPEN]
        await desk.unpublish(OrderKind.APP, offers[0].hash, consent(trade.developer))
        assert await stand() == [OrderStatus.OPEN, OrderStatus.DEAD]  # the second one pays 1 nRLC at most
        await desk.unpublish(OrderKind.DATASET, data.hash, consent(trade.data_owner))
        assert await stand() == [OrderStatus.OPEN, OrderStatus.DEAD]
        assert (await desk.unpublish_of(OrderKind.APP, trade.app, consent(trade.developer), is_last_only=True)) == [offers[1].hash]
        assert await stand() == [OrderStatus.DEAD, OrderStatus.DEAD]
        await desk.publish(trade.app_order(price=2), consent(trade.developer))
        await desk.publish(plain.order, consent(trade.requester))
        assert await stand() == [OrderStatus.OPEN, OrderStatus.DEAD]
