"""The desk for the ecosystem's clients: it judges by their rules first, and then lets the market's own desk do the work."""

from __future__ import annotations

import time
from enum import StrEnum

from voisin.errors import StateError
from voisin.market.ecosystem.challenges import Doorkeeper
from voisin.market.ecosystem.questions import everybody, order_query
from voisin.market.ecosystem.rules import (
    check_authority,
    check_count,
    check_money,
    check_new,
    check_published,
    order_word,
)
from voisin.market.inquiry import facts_of
from voisin.market.proof import Consent
from voisin.market.recording import want_offers
from voisin.market.service import MarketService
from voisin.market.settings import MarketSettings
from voisin.market.wanting import offer_query, wanted_of, what_lacks
from voisin.protocol.api import PublishedOrder
from voisin.protocol.eip712 import order_hash as hash_of
from voisin.protocol.ids import Address, OrderHash
from voisin.protocol.orders import Order, OrderKind, RequestOrder, order_kind
from voisin.service.limits import Buckets

MOST_AT_ONCE = 1000
"""Most orders that one wish takes out [orders]."""

RESOURCES = {OrderKind.APP: "app", OrderKind.DATASET: "dataset", OrderKind.WORKERPOOL: "workerpool", OrderKind.REQUEST: "requester"}
"""Who or what an order of each kind is of."""


class Target(StrEnum):
    """Which orders are to be taken out."""

    ONE = "unpublish_orderHash"
    LAST = "unpublish_last"
    ALL = "unpublish_all"


class EcosystemDesk:
    """
    What the market does for the ecosystem's clients.

    Attributes:
        market: The market's own desk.
        doorkeeper: Gives challenges out and checks them.
        buckets: How often each address may ask for something that is written down.
    """

    def __init__(self, market: MarketService, settings: MarketSettings) -> None:
        """
        Args:
            market: The market's own desk.
            settings: How the market is set up.
        """
        self.market = market
        self.doorkeeper = Doorkeeper(market.ledger, market.store, settings)
        rate = settings.requests_per_minute
        self.buckets = Buckets(per_s=rate / 60, burst=rate, clock=time.monotonic)
        self._most_open = settings.max_open_orders

    async def publish(self, order: Order, consent: Consent) -> PublishedOrder:
        """
        Take an order into the book.

        Args:
            order: The signed order.
            consent: Who wants it published.

        Raises:
            TrustError: Its signer did not sign it, or did not consent.
            StateError: It is in the book, used up, not offered for, or one too many.
            FundsError: Its signer cannot pay for all of it.
            InputError: It can never be published.
        """
        ledger, store, kind = self.market.ledger, self.market.store, order_kind(order)
        order_hash = hash_of(order, ledger.domain)
        check_new(await store.entry(order_hash))
        facts = await facts_of(ledger, order_hash, order)
        check_authority(order, facts, consent.account)
        mine = order_query(kind=kind.value, owner=(facts.owner,), **everybody(kind), limit=1)
        check_count(order, facts.owner, count=(await store.orders_from(mine, 0)).count, most=self._most_open)
        check_money(order, facts)
        if isinstance(order, RequestOrder):
            for offered in wanted_of(order):
                found = (await store.orders_from(offer_query(order, offered), 0)).orders
                if words := what_lacks(order, offered, found[0].order if found else None):
                    raise StateError(words)
        published, _ = await self.market.publish(order, consent)
        if isinstance(order, RequestOrder):
            async with store.write() as write:
                await want_offers(write, order_hash, at=consent.at)
        return published

    async def unpublish(self, kind: OrderKind, order_hash: OrderHash, consent: Consent) -> list[OrderHash]:
        """
        Take an order out of the book.

        Raises:
            StateError: It is not in the book.
            TrustError: Somebody else signed it.
        """
        check_published(await self.market.store.entry(order_hash), kind, order_hash, consent.account)
        return [(await self.market.unpublish(order_hash, consent)).hash]

    async def unpublish_of(self, kind: OrderKind, resource: Address, consent: Consent, *, is_last_only: bool) -> list[OrderHash]:
        """
        Take a signer's open orders of an app, dataset, workerpool or requester out of the book, or the last one only.

        Raises:
            StateError: There is none.
        """
        of_resource = {**everybody(kind), RESOURCES[kind]: (resource,)}
        query = order_query(kind=kind.value, owner=(consent.account,), **of_resource, limit=MOST_AT_ONCE)
        names = [found.hash for found in (await self.market.store.orders_from(query, 0)).orders]
        if not names:
            word = order_word(kind)
            raise StateError(f"no open {word} published by signer {consent.account} for {RESOURCES[kind]} {resource}")
        if is_last_only:
            names = [await self._last(names)]
        return [(await self.market.unpublish(name, consent)).hash for name in names]

    async def _last(self, names: list[OrderHash]) -> OrderHash:
        entries = [await self.market.store.entry(name) for name in names]
        return max((entry for entry in entries if entry is not None), key=lambda entry: entry.number).hash
