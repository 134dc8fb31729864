"""Keeping the offers alive: looks at the market now and then and whenever workers or deals come, and mends what is missing."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import structlog

from voisin.errors import VoisinError
from voisin.pool.chain.ledger import Ledger
from voisin.pool.heart.book import Book
from voisin.pool.selling.offers import (
    RENEW_AT,
    MarketBook,
    Terms,
    affordable_volume,
    decide,
    is_kept,
    line_of,
    missing_stake,
    new_offer,
    wanted_terms,
)
from voisin.pool.settings import PoolSettings
from voisin.protocol.api import OrderStatus, PublishedWorkerpoolOrder
from voisin.protocol.eip712 import sign_order
from voisin.protocol.orders import WorkerpoolOrder
from voisin.protocol.signatures import Signer
from voisin.protocol.tags import tag_names
from voisin.units import UnixSeconds

LONGEST_SETTLING = 5
"""How many times the settling time is waited for workers that keep coming and going."""

_log = structlog.get_logger()


class OfferKeeper:
    """
    Keeps a pool's offers in a market.

    Attributes:
        trouble: For each category, why its offer does not stand; empty when all do.
        is_draining: Whether the pool takes no new deals: its offers are closed.
        standing: Offers that stood in the market after the last look.
    """

    def __init__(self, settings: PoolSettings, book: Book, ledger: Ledger, market: MarketBook, scheduler: Signer) -> None:
        """
        Args:
            settings: What is offered.
            book: The workers.
            ledger: The chain, asked for the scheduler's stake, and told of closed orders.
            market: The market.
            scheduler: Signs the offers.
        """
        self._settings = settings
        self._book = book
        self._ledger = ledger
        self._market = market
        self._scheduler = scheduler
        self._nudge = anyio.Event()
        self._last: dict[tuple[int, int], WorkerpoolOrder] = {}
        self.trouble: dict[int, str] = {}
        self.is_draining = False
        self.standing = 0

    def nudge(self) -> None:
        """Have the offers looked at soon: workers or deals came or went."""
        self._nudge.set()

    async def run(self, wall: Callable[[], float]) -> None:
        """
        Keep the offers until cancelled.

        Args:
            wall: This machine's clock [Unix s].
        """
        await self._settle()
        while True:
            await self.look(wall())
            with anyio.move_on_after(self._settings.offer_check_s):
                await self._nudge.wait()
                await self._settle()
            self._nudge = anyio.Event()

    async def look(self, now: float) -> None:
        """
        Look at the offers once, and mend what is missing; what cannot be mended is kept as trouble.

        Args:
            now: This machine's clock [Unix s].
        """
        try:
            found = await self._market.open_orders(self._settings.workerpool)
            stake = await self._ledger.stake(self._scheduler.address)
        except VoisinError as error:
            self._note_all(str(error))
            return
        volume = affordable_volume(self._settings, stake)
        wanted = [] if self.is_draining else wanted_terms(self._book, self._settings, volume, now)
        kept = [offer for offer in found if is_kept(offer, self._scheduler.address)]
        self.standing = len(kept)
        troubles = dict.fromkeys(self._settings.categories, "" if volume else missing_stake(self._settings, stake))
        for terms in wanted if volume else ():
            standing = [offer for offer in kept if line_of(offer.order) == terms.line]
            troubles[terms.category] = await self._mend(terms, standing, UnixSeconds(int(now))) or troubles[terms.category]
        for category, trouble in troubles.items():
            self._note(category, trouble)
        lines = {terms.line for terms in wanted}
        await self._retire_strays([offer for offer in kept if line_of(offer.order) not in lines], UnixSeconds(int(now)))

    async def _mend(self, terms: Terms, standing: list[PublishedWorkerpoolOrder], at: UnixSeconds) -> str:
        """Bring the offers of one line to what they should be; answers what stands in the way, empty when nothing does."""
        changes = decide(terms, standing)
        try:
            if changes.is_new_wanted:
                await self._publish(terms)
            for offer in changes.retired:
                await self._retire(offer, at, is_closed=offer in changes.closed)
        except VoisinError as error:
            return str(error)
        return ""

    async def _retire_strays(self, strays: list[PublishedWorkerpoolOrder], at: UnixSeconds) -> None:
        """Close the offers of what is offered no more."""
        for offer in strays:
            try:
                await self._retire(offer, at, is_closed=True)
            except VoisinError as error:
                self._note(offer.order.category, str(error))

    async def _publish(self, terms: Terms) -> None:
        """Put an offer into the market: the last one again if the market lost it, else a new one."""
        last = self._last.get(terms.line)
        if last is not None and terms.fits(last) and await self._stands_again(last, terms):
            return
        order = sign_order(new_offer(self._settings, terms), self._ledger.domain, self._scheduler)
        await self._market.publish(order)
        self._last[terms.line] = order
        told = {"category": terms.category, "price": terms.price, "trust": terms.trust, "tags": tag_names(terms.tag)}
        _log.info("offer_published", volume=order.volume, **told)

    async def _stands_again(self, order: WorkerpoolOrder, terms: Terms) -> bool:
        try:
            published = await self._market.publish(order)
        except VoisinError:
            return False
        is_enough = published.remaining * RENEW_AT >= terms.volume
        return published.status is OrderStatus.OPEN and is_enough

    async def _retire(self, offer: PublishedWorkerpoolOrder, at: UnixSeconds, *, is_closed: bool) -> None:
        """Take an offer back: out of the market, and for good when it promises what the pool would not promise now."""
        await self._market.unpublish(offer.hash, at)
        if is_closed:
            await self._ledger.close_order(offer.order)
        _log.info("offer_retired", category=offer.order.category, order_hash=offer.hash, is_closed=is_closed)

    async def _settle(self) -> None:
        """Wait until nobody came or went for a while."""
        for _ in range(LONGEST_SETTLING):
            self._nudge = anyio.Event()
            with anyio.move_on_after(self._settings.offer_settle_s) as waiting:
                await self._nudge.wait()
            if waiting.cancelled_caught:
                return

    def _note_all(self, trouble: str) -> None:
        for category in self._settings.categories:
            self._note(category, trouble)

    def _note(self, category: int, trouble: str) -> None:
        if trouble and self.trouble.get(category) != trouble:
            _log.warning("offer_does_not_stand", category=category, reason=trouble)
        if trouble:
            self.trouble[category] = trouble
        else:
            self.trouble.pop(category, None)
