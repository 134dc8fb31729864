"""
The pool's offers: for each category one signed workerpool order that stands in the market, and is replaced when it must be.

An offer promises a trust. It is what the known workers can reach together, so it changes when workers come for good or go
for good; one that promises more than the pool can keep, or asks less than the pool wants, is closed on the chain, because
whoever kept a copy could still match it. Orders made by hand are left alone: the keeper knows its own by their salt.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from voisin.policy import reachable_trust
from voisin.pool.heart.book import Book
from voisin.pool.settings import PoolSettings
from voisin.protocol.api import OrderStatus, PublishedWorkerpoolOrder
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, OrderHash, hash32_of, to_hex
from voisin.protocol.introduction import enclave_tag
from voisin.protocol.orders import WorkerpoolOrder
from voisin.protocol.rules import workerpool_stake
from voisin.protocol.tags import ENCLAVE_BITS, NO_TAG, Tag, both_tags, missing_bits, tag_bits
from voisin.protocol.wire_words import EnclaveKind
from voisin.units import NRLC, UnixSeconds, format_amount

MARK = hash32_of(b"offer of a voisin pool")[:18]
"""How the salt of a kept offer begins: `0x` and 8 bytes."""
RENEW_AT = 5
"""A new offer is made when less than one part in this many of the volume is left."""


class MarketBook(Protocol):
    """
    A market as a pool sees it.

    All methods raise `UnavailableError` when the market does not answer, and the market's own errors.
    """

    async def open_orders(self, workerpool: Address) -> list[PublishedWorkerpoolOrder]:
        """List the open orders of a workerpool."""
        ...

    async def publish(self, order: WorkerpoolOrder) -> PublishedWorkerpoolOrder:
        """Put an order into the book; one that is there already stays."""
        ...

    async def unpublish(self, order_hash: OrderHash, at: UnixSeconds) -> None:
        """Take one of the scheduler's orders out of the book."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an offer says."""

    category: int
    price: NRLC
    trust: int
    tag: Tag
    volume: int

    @property
    def line(self) -> tuple[int, int]:
        """Which of the pool's offers it is: one for each category, and one more for each kind of enclaves, by its bits."""
        return self.category, tag_bits(self.tag) & ENCLAVE_BITS

    def fits(self, order: WorkerpoolOrder) -> bool:
        """Tell whether an order says the same, whatever its volume."""
        return (order.category, order.workerpoolprice, order.trust, order.tag) == (self.category, self.price, self.trust, self.tag)

    def is_undercut_by(self, order: WorkerpoolOrder) -> bool:
        """Tell whether an order promises more, or asks less, than these terms."""
        is_generous = order.workerpoolprice < self.price or order.trust > self.trust
        return is_generous or bool(missing_bits(order.tag, self.tag))


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be done about the offers of one category: publish a new one or not, then retire old ones, closing some."""

    is_new_wanted: bool
    retired: tuple[PublishedWorkerpoolOrder, ...] = ()
    closed: tuple[PublishedWorkerpoolOrder, ...] = ()


def decide(wanted: Terms, standing: Sequence[PublishedWorkerpoolOrder]) -> Changes:
    """
    Compare the offers that stand in the market with what they should be.

    Args:
        wanted: What the offer of a category should say now.
        standing: The open offers of this keeper in that category.
    """
    fitting = [offer for offer in standing if wanted.fits(offer.order)]
    others = tuple(offer for offer in standing if not wanted.fits(offer.order))
    is_enough = any(offer.remaining * RENEW_AT >= wanted.volume for offer in fitting)
    closed = tuple(offer for offer in others if wanted.is_undercut_by(offer.order))
    return Changes(not is_enough, others, closed)


def line_of(order: WorkerpoolOrder) -> tuple[int, int]:
    """Say which of a pool's offers an order is: category, and the bits of its enclaves."""
    return order.category, tag_bits(order.tag) & ENCLAVE_BITS


def wanted_terms(book: Book, settings: PoolSettings, volume: int, now: float) -> list[Terms]:
    """
    List what a pool wants to offer: what its machines have in every category, and with the enclaves that some of them have.

    Args:
        book: The workers.
        settings: What is sold.
        volume: Volume of each offer [tasks].
        now: This machine's clock [Unix s].
    """
    offered = [(settings.tag, offered_trust(book, settings, now))]
    if settings.enclave is not EnclaveKind.NONE and settings.vault_url:
        tags = dict.fromkeys(enclave_tag(kind) for kind in EnclaveKind if kind not in (EnclaveKind.NONE, EnclaveKind.HARDWARE))
        trusts = ((tag, offered_trust(book, settings, now, enclaves=tag)) for tag in tags)
        offered += [(both_tags(settings.tag, tag), trust) for tag, trust in trusts if trust]
    return [
        Terms(category=category, price=settings.price, trust=trust, tag=tag, volume=volume)
        for category in settings.categories
        for tag, trust in offered
    ]


def offered_trust(book: Book, settings: PoolSettings, now: float, *, enclaves: Tag = NO_TAG) -> int:
    """
    Say which trust the pool can promise.

    Args:
        book: The workers.
        settings: How long a worker that is gone still counts, and the most that is promised.
        now: This machine's clock [Unix s].
        enclaves: Only workers whose enclaves are offered by this tag count, and without any of them nothing is promised: 0.
    """
    weights: dict[Address, int] = {}
    for address, worker in book.workers.items():
        is_gone = now - worker.record.last_seen > settings.known_s
        is_known = worker.slots > 0 if worker.is_online else worker.record.slots and not is_gone
        if is_known and not worker.record.ban and enclaves in (NO_TAG, enclave_tag(worker.record.enclave)):
            owner = book.owner_of(address)
            weights[owner] = max(weights.get(owner, 0), worker.weight)
    if enclaves != NO_TAG and not weights:
        return 0
    return min(max(reachable_trust(list(weights.values())), 1), settings.trust_max)


def affordable_volume(settings: PoolSettings, stake: NRLC) -> int:
    """Say how many tasks an offer can be for: the scheduler locks a stake for each [tasks]."""
    per_task = workerpool_stake(settings.price, 1)
    return min(settings.volume, stake // per_task) if per_task else settings.volume


def missing_stake(settings: PoolSettings, stake: NRLC) -> str:
    """Say what a scheduler lacks to offer anything."""
    needed = workerpool_stake(settings.price, 1)
    missing = format_amount(NRLC(needed - stake))
    return f"the scheduler has {format_amount(stake)} free in the hub, and locks {format_amount(needed)} for a task: deposit {missing}"


def new_offer(settings: PoolSettings, terms: Terms) -> WorkerpoolOrder:
    """Write an offer, unsigned, with a salt by which the keeper knows it again."""
    return WorkerpoolOrder(
        workerpool=settings.workerpool,
        workerpoolprice=terms.price,
        volume=terms.volume,
        tag=terms.tag,
        category=terms.category,
        trust=terms.trust,
        salt=Hash32(MARK + to_hex(secrets.token_bytes(24)).removeprefix("0x")),
    )


def is_kept(offer: PublishedWorkerpoolOrder, scheduler: Address) -> bool:
    """Tell whether an order in the market is a keeper's offer, and of this scheduler."""
    order = offer.order
    is_plain = (order.apprestrict, order.datasetrestrict, order.requesterrestrict) == (ZERO_ADDRESS,) * 3
    return order.salt.startswith(MARK) and is_plain and offer.signer == scheduler and offer.status is OrderStatus.OPEN
