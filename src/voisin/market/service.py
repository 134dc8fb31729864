"""The market's desk: takes orders into the book and out of it, on their signers' behalf."""

from __future__ import annotations

import time

import anyio
import msgspec
import structlog

from voisin.errors import StateError, TrustError, UnavailableError, VoisinError
from voisin.market.admission import OrderLimits, check_form
from voisin.market.book import BookStore
from voisin.market.feed import Feed
from voisin.market.follower import Clock, Follower
from voisin.market.ledger import Ledger
from voisin.market.machine import FINAL, Unpublished, learn, published_form
from voisin.market.metrics import MarketMetrics
from voisin.market.proof import Consent, Proof, Wish, check_newer
from voisin.market.publishing import CHAIN_WAIT_S, Publisher, PublishingTerms
from voisin.market.recording import Change, keep
from voisin.market.settings import MarketSettings
from voisin.protocol.api import PublishedOrder
from voisin.protocol.eip712 import order_hash as hash_of
from voisin.protocol.ids import Address, OrderHash
from voisin.protocol.orders import Order, order_kind
from voisin.units import UnixSeconds

_log = structlog.get_logger()


class MarketHealth(msgspec.Struct, frozen=True, kw_only=True):
    """
    How a market is.

    Attributes:
        chain_id: The chain it follows.
        hub: The hub it follows.
        next_block: First block that is not in its records yet.
        head: The chain's latest block.
        lag_blocks: How many blocks its records are behind.
        open_orders: Open orders of each kind.
    """

    chain_id: int
    hub: Address
    next_block: int
    head: int
    lag_blocks: int
    open_orders: dict[str, int]


def wall_clock() -> UnixSeconds:
    """Tell the time."""
    return UnixSeconds(int(time.time()))


class MarketService:
    """
    What a market does for those who come to it.

    Attributes:
        ledger: The chain.
        store: The records, to read from.
        clock: Tells the time.
        metrics: What it counts.
        follower: The loop that follows the chain; whoever opens the market runs it.
        feed: The loop that tells the live feed's readers; whoever opens the market runs it too.
    """

    def __init__(self, ledger: Ledger, store: BookStore, settings: MarketSettings, *, clock: Clock = wall_clock) -> None:
        """
        Args:
            ledger: The chain.
            store: The records.
            settings: How the market is set up.
            clock: Tells the time.
        """
        self.store = store
        self.metrics = MarketMetrics()
        self.feed = Feed(store, poll_s=settings.feed_poll_s, most_readers=settings.max_feed_readers)
        self.follower = Follower(ledger, store, self.metrics, clock=clock, retry_s=settings.retry_s, on_recorded=self.feed.poke)
        terms = PublishingTerms(max_open_orders=settings.max_open_orders, proof_ttl_s=settings.proof_ttl_s)
        self._publisher = Publisher(ledger, store, self.follower.recall, terms, clock=clock)
        self.ledger = ledger
        self._settings = settings
        self._limits = OrderLimits(
            params_bytes=settings.max_params_bytes, sign_bytes=settings.max_sign_bytes, allow_simulated=settings.allow_simulated
        )
        self.clock = clock

    async def publish(self, order: Order, proof: Proof | Consent | None = None) -> tuple[PublishedOrder, bool]:
        """
        Take an order into the book; an order that is open there already is answered as it stands.

        Args:
            order: The signed order.
            proof: Its signer's wish to have it back after it was taken out; a consent counts for any order of its account only.

        Returns:
            The order in the book, and whether it is new there.

        Raises:
            InputError: The order can never be published; the message says what is wrong with it.
            TrustError: It is not signed by whom it must be, or the proof is not its signer's.
            StateError: It is filled, cancelled or taken out, or its signer has too many open orders.
            FundsError: Its signer cannot pay one task; says how much is missing.
        """
        try:
            return await self._publish(order, proof)
        except VoisinError as error:
            self.metrics.refused.labels(error.code).inc()
            raise

    async def unpublish(self, order_hash: OrderHash, proof: Proof | Consent | None) -> PublishedOrder:
        """
        Take an order out of the book; the hub would still match it until it is closed there.

        Args:
            order_hash: The order.
            proof: Its signer's wish.

        Raises:
            StateError: It is unknown, filled or cancelled, or the proof was used before.
            TrustError: There is no proof, it is too old, or not the signer's.
        """
        try:
            return await self._unpublish(order_hash, proof)
        except VoisinError as error:
            self.metrics.refused.labels(error.code).inc()
            raise

    async def health(self) -> MarketHealth:
        """
        Tell how the market is.

        Raises:
            UnavailableError: The database or the chain does not answer, or the market does not get on with the chain.
        """
        if self.follower.failure:
            raise UnavailableError(f"the chain is not followed: {self.follower.failure}", hint="the market goes on trying; see its log")
        next_block = (await self.store.position()).next_block
        open_orders = await self.store.open_orders()
        try:
            with anyio.fail_after(CHAIN_WAIT_S):
                head = await self.ledger.head()
        except (UnavailableError, TimeoutError):
            raise UnavailableError(
                f"the chain does not answer; its blocks before {next_block} are recorded", hint="see whether the node runs"
            ) from None
        return MarketHealth(
            chain_id=self.ledger.domain.chain_id,
            hub=self.ledger.domain.hub,
            next_block=next_block,
            head=head,
            lag_blocks=max(head + 1 - next_block, 0),
            open_orders={kind.value: count for kind, count in open_orders.items()},
        )

    async def _publish(self, order: Order, proof: Proof | Consent | None) -> tuple[PublishedOrder, bool]:
        check_form(order, self._limits)
        order_hash = hash_of(order, self.ledger.domain)
        if proof is None:
            entry, is_new = await self._publisher.publish(order_hash, order)
        else:
            entry, is_new = await self._publisher.enter(await self._publisher.judge(order_hash, order), proof)
        if is_new:
            self.feed.poke()
            self.metrics.published.labels(order_kind(order).value).inc()
        return published_form(entry), is_new

    async def _unpublish(self, order_hash: OrderHash, proof: Proof | Consent | None) -> PublishedOrder:
        known = await self.store.entry(order_hash)
        if known is None:
            raise UnknownError(f"no order {order_hash} was ever published here")
        if proof is None:
            raise TrustError(
                "only its signer may take an order out of the book",
                hint="send the header Voisin-Signature: <unix seconds>:<signature of 'Voisin unpublish <hash> <unix seconds>'>",
            )
        await self._publisher.check_proof(Wish.UNPUBLISH, known, proof)
        async with self.store.write() as write:
            entry = await write.entry(order_hash)
            assert entry is not None, "orders are never deleted"
            if entry.status in FINAL:
                raise StateError(f"the order is {entry.status}: {entry.why}")
            if not entry.is_removed:
                check_newer(proof, entry.proven_at)
                after = learn(entry, Unpublished(proof.at))
                await keep(write, Change(entry, after, self.clock()))
                entry = after
                self.metrics.removed.labels(order_kind(entry.order).value).inc()
                self.feed.poke()
                _log.info("order_removed", order_hash=order_hash, signer=entry.signer)
        return published_form(entry)


class UnknownError(StateError):
    """Nothing of that name is in the records."""
