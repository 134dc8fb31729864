"""
The broker's loop: look at the open requests, match them with the open offers, send the matches, remember what became of them.

It keeps nothing that it could not find again: orders are in the market's book, deals on the chain. Killed anywhere, it starts again by
looking. A match that the chain refuses costs nothing, for it is tried before it is sent; what others took first is seen at the next look.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio
import structlog

from voisin.broker.ledger import Ledger, MadeDeal
from voisin.broker.memory import Memory
from voisin.broker.metrics import BrokerMetrics
from voisin.broker.plan import Memberships, accounts_of, book_of, waves
from voisin.broker.reading import HttpBook
from voisin.broker.settings import BrokerSettings
from voisin.errors import FundsError, InputError, RevertError, UnavailableError, VoisinError
from voisin.policy.matching import Book, Clearing, Lot, clear, explain
from voisin.protocol.api import BrokeredDeal, BrokerHealth, BrokerView, OrderStatus, PublishedOrder, PublishedRequestOrder
from voisin.protocol.ids import Address, OrderHash
from voisin.protocol.orders import OrderKind
from voisin.units import UnixSeconds

MOST_MEMBERSHIPS = 500
"""The most memberships of groups that are asked for in one look."""
_GONE = ("0x60", "exceeds balance")
"""Ends of the hub's reasons that say somebody was quicker: the next look sees it."""
Clock = Callable[[], UnixSeconds]
_log = structlog.get_logger()


def wall_clock() -> UnixSeconds:
    """Tell the time."""
    return UnixSeconds(int(time.time()))


class BrokerService:
    """
    Fills requests.

    Attributes:
        metrics: What it counts.
        failure: Why it does not get on at present; empty while it does.
    """

    def __init__(self, address: Address, book: HttpBook, ledger: Ledger, settings: BrokerSettings, *, clock: Clock = wall_clock) -> None:
        """
        Args:
            address: The broker's wallet, which pays the gas.
            book: The market.
            ledger: The chain.
            settings: How it is set up.
            clock: Tells the time.
        """
        self.metrics = BrokerMetrics()
        self.failure = ""
        self._address = address
        self._book = book
        self._ledger = ledger
        self._settings = settings
        self._clock = clock
        self._memory = Memory(settings.remembered)
        self._barred: dict[OrderHash, UnixSeconds] = {}
        self._seen: frozenset[OrderHash] = frozenset()
        self._quiet_looks = 0
        self._skipped_looks = 0
        self._looked_at = UnixSeconds(0)

    async def run(self) -> None:
        """Look for ever; a failure is logged, and tried again."""
        while True:
            try:
                await self.look()
                self.failure = ""
            except VoisinError as error:
                self._note_failure(str(error))
            except Exception as error:  # noqa: BLE001  (the top of a service loop: whatever it is, requests must go on being filled)
                _log.exception("look_failed")
                self._note_failure(f"{type(error).__name__}: {error}")
            await anyio.sleep(self._settings.poll_s)

    async def look(self) -> int:
        """
        Fill what can be filled now.

        Returns:
            How many deals were made.

        Raises:
            UnavailableError: Market or chain do not answer.
            FundsError: The broker cannot pay its gas.
        """
        now = self._clock()
        requests = [each for each in await self._book.open_orders(OrderKind.REQUEST) if self._is_due(each, now)]
        self.metrics.waiting.set(len(requests))
        self._looked_at = now
        names = frozenset(each.hash for each in requests)
        if not requests or (names == self._seen and not self._is_time()):
            return 0
        self._seen = names
        book = await self._read(requests, now)
        plan, members = await self._plan(book)
        made = await self._carry_out(plan)
        for each in plan.unfilled:
            reason = explain(each.bid, book, is_member=members) if each.fits_nothing else None
            self._memory.note(each.bid.hash, reason.words if reason else each.why, reason.hint if reason else "", now)
        self._quiet_looks = 0 if made else self._quiet_looks + 1
        return made

    async def view(self, order_hash: OrderHash) -> BrokerView:
        """
        Tell what became of a request.

        Raises:
            StateError: The market does not know it.
            InputError: It is no request.
            UnavailableError: The market does not answer.
        """
        published = await self._book.order(order_hash)
        if not isinstance(published, PublishedRequestOrder):
            raise InputError(f"{order_hash} is no request", hint="ask for the hash of a request order")
        known = self._memory.of(order_hash)
        remaining = published.remaining if published.status is OrderStatus.OPEN else 0
        is_open = remaining > 0
        return BrokerView(
            request=order_hash,
            status=published.status,
            remaining=remaining,
            deals=known.deals,
            why=(known.why or "it has not been matched yet") if is_open else "",
            hint=known.hint if is_open else "",
            looked_at=known.looked_at,
        )

    def health(self) -> BrokerHealth:
        """
        Tell how the broker is.

        Raises:
            UnavailableError: It does not get on.
        """
        if self.failure:
            raise UnavailableError(f"the broker does not get on: {self.failure}", hint="it goes on trying; see its log")
        domain = self._ledger.domain
        return BrokerHealth(
            broker=self._address,
            hub=domain.hub,
            chain_id=domain.chain_id,
            open_requests=len(self._seen),
            deals=self.metrics.count_of_deals,
            looked_at=self._looked_at,
        )

    # --- looking -----------------------------------------------------------------------------------------------------

    def _is_due(self, published: PublishedOrder, now: UnixSeconds) -> bool:
        return now - published.published_at >= self._settings.patience_s

    def _is_time(self) -> bool:
        """Tell whether requests that found nothing are to be matched again: ever more seldom, as long as no new ones come."""
        self._skipped_looks += 1
        if self._skipped_looks < min(2**self._quiet_looks, self._settings.idle_s / self._settings.poll_s):
            return False
        self._skipped_looks = 0
        return True

    async def _read(self, requests: list[PublishedOrder], now: UnixSeconds) -> Book:
        published: list[PublishedOrder] = list(requests)
        for kind in (OrderKind.APP, OrderKind.DATASET, OrderKind.WORKERPOOL):
            published += await self._book.open_orders(kind)
        self._barred = {order: until for order, until in self._barred.items() if until > now}
        return book_of(published, await self._ledger.consumed({each.hash for each in published}), self._barred)

    async def _plan(self, book: Book) -> tuple[Clearing, Memberships]:
        """Match, in a thread; group memberships that the engine asks for are looked up, and it is run again."""
        free = await self._ledger.free(accounts_of(book))
        members = Memberships()
        plan = await anyio.to_thread.run_sync(lambda: clear(book, free, is_member=members))
        for group, who in sorted(members.asked)[:MOST_MEMBERSHIPS]:
            members.known[group, who] = await self._ledger.is_member(group, who)
        if any(members.known.values()):
            plan = await anyio.to_thread.run_sync(lambda: clear(book, free, is_member=members))
        return plan, members

    # --- making deals ------------------------------------------------------------------------------------------------

    async def _carry_out(self, plan: Clearing) -> int:
        """Send the lots; after a refusal, later lots of the same orders wait for the next look, which sees what is left."""
        spoilt: set[OrderHash] = set()
        made = 0
        for wave in waves(plan.lots):
            lots = [lot for lot in wave if not _orders_of(lot) & spoilt]
            deals = await self._match_all(lots)
            made += sum(deal is not None for deal in deals)
            spoilt.update(*(_orders_of(lot) for lot, deal in zip(lots, deals, strict=True) if deal is None))
        return made

    async def _match_all(self, lots: list[Lot]) -> list[MadeDeal | None]:
        """Send some lots at a time; None stands for one that was refused."""
        deals: list[MadeDeal | None] = [None] * len(lots)
        failures: list[VoisinError] = []
        limit = anyio.CapacityLimiter(self._settings.parallel)

        async def match(number: int) -> None:
            async with limit:
                try:
                    deals[number] = await self._match(lots[number])
                except VoisinError as error:
                    failures.append(error)

        async with anyio.create_task_group() as matching:
            for number in range(len(lots)):
                matching.start_soon(match, number)
        if failures:
            raise failures[0]
        return deals

    async def _match(self, lot: Lot) -> MadeDeal | None:
        try:
            deal = await self._ledger.match(lot)
        except RevertError as error:
            self._note_refusal(lot, error)
            return None
        except FundsError as error:
            raise FundsError(f"the broker cannot pay its gas: {error.message}", hint=error.hint) from None
        made = BrokeredDeal(
            deal_id=deal.deal_id, workerpool_order=lot.workerpool.hash, volume=deal.volume, price=lot.price, tx_hash=deal.tx_hash
        )
        self._memory.add_deal(lot.bid.hash, made, self._clock())
        self.metrics.deal_made(deal.volume)
        _log.info("deal_made", deal_id=deal.deal_id, request=lot.bid.hash, volume=deal.volume, price=lot.price)
        return deal

    def _note_refusal(self, lot: Lot, error: RevertError) -> None:
        self.metrics.refused.inc()
        _log.info("match_refused", request=lot.bid.hash, workerpool_order=lot.workerpool.hash, reason=error.reason)
        if error.reason.endswith(_GONE):
            self._quiet_looks = 0
            return
        guilty = _guilty(lot, error.reason)
        self._barred[guilty] = UnixSeconds(self._clock() + round(self._settings.refusal_s))
        self._memory.note(lot.bid.hash, f"the hub refused the match: {error.reason or error.message}", error.hint, self._clock())

    def _note_failure(self, failure: str) -> None:
        self.failure = failure
        self.metrics.failures.inc()
        _log.warning("broker_does_not_get_on", failure=failure)


def _orders_of(lot: Lot) -> set[OrderHash]:
    return {lot.bid.hash, lot.workerpool.hash}


def _guilty(lot: Lot, reason: str) -> OrderHash:
    """Tell which order the hub complains of: by the first digit of its code, and the request when it says nothing that is known."""
    orders = {"0x2": lot.app.hash, "0x4": lot.workerpool.hash}
    if lot.dataset is not None:
        orders["0x3"] = lot.dataset.hash
    return orders.get(reason.rpartition("-")[2][:3], lot.bid.hash)
