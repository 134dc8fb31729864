"""
The life of an order in the book: what is known of it, what can be learned, and where that leaves it.

An entry keeps facts, and its status follows from them, so facts may arrive late, twice or in another order and the book
still ends in the same place. The first verdict of `VERDICTS` that holds decides:

    CANCELLED   its signer closed it on the chain              for good
    FILLED      nothing of its volume is left                  for good
    REMOVED     its signer took it out of the book             until its signer puts it back
    DEAD        its signer does not own the resource any more  until the resource returns
    DEAD        its signer cannot pay one task                 until the money returns
    DEAD        it asked for offers in the book, which are gone until it is published again
    OPEN        none of these
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from voisin.protocol.api import (
    OrderStatus,
    PublishedAppOrder,
    PublishedDatasetOrder,
    PublishedOrder,
    PublishedRequestOrder,
    PublishedWorkerpoolOrder,
)
from voisin.protocol.ids import MAX_UINT256, Address, OrderHash
from voisin.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from voisin.protocol.rules import workerpool_stake
from voisin.units import NRLC, UnixSeconds, format_amount

FINAL = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED})
"""Where nothing more can happen to an order."""
NEVER = UnixSeconds(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    An order in the book and the facts that decide its status.

    Attributes:
        hash: The order's hash.
        order: The order.
        signer: Who signed it: the resource's owner at that time, or the requester.
        remaining: What is left of the volume [tasks]; never grows.
        published_at: When it was last published.
        owner: The resource's present owner, as last seen.
        stake: The signer's free money in the hub, as last seen [nRLC].
        is_closed: Its signer cancelled it on the chain.
        is_removed: Its signer took it out of the book.
        proven_at: Time of the last proof by which its signer changed the entry; older proofs are refused.
        lacks: Which offer, without which it was not to be in the book, is gone; empty while it lacks none.
        number: Its last publication's place among all of the book, which tells apart what was published in the same second.
    """

    hash: OrderHash
    order: Order
    signer: Address
    remaining: int
    published_at: UnixSeconds
    owner: Address
    stake: NRLC
    is_closed: bool = False
    is_removed: bool = False
    proven_at: UnixSeconds = NEVER
    number: int = 0
    lacks: str = ""
    _verdict: tuple[OrderStatus, str] = field(init=False, repr=False, compare=False)
    """What `verdict` says; it is asked for half a dozen times while an order is published."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_verdict", verdict(self))

    @property
    def status(self) -> OrderStatus:
        """Where the order stands."""
        return self._verdict[0]

    @property
    def why(self) -> str:
        """Why it stands there; empty while it is open."""
        return self._verdict[1]


@dataclass(frozen=True, slots=True)
class Consumed:
    """The chain counts this much of the order's volume as used [tasks]."""

    volume: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The order was cancelled on the chain."""


@dataclass(frozen=True, slots=True)
class OwnerSeen:
    """The order's resource belongs to this account."""

    owner: Address


@dataclass(frozen=True, slots=True)
class StakeSeen:
    """The order's signer has this much free money in the hub [nRLC]."""

    stake: NRLC


@dataclass(frozen=True, slots=True)
class Unpublished:
    """The signer took the order out of the book, by a proof made at `proven_at`."""

    proven_at: UnixSeconds


@dataclass(frozen=True, slots=True)
class OfferGone:
    """The book has no offer any more that the request could be matched with; `words` say of what."""

    words: str


Fact = Consumed | Closed | OwnerSeen | StakeSeen | Unpublished | OfferGone


def learn(entry: Entry, *facts: Fact) -> Entry:
    """Add facts to what is known of an order."""
    for fact in facts:
        match fact:
            case Consumed(volume):
                entry = replace(entry, remaining=min(entry.remaining, max(entry.order.volume - volume, 0)))
            case Closed():
                entry = replace(entry, is_closed=True, remaining=0)
            case OwnerSeen(owner):
                entry = replace(entry, owner=owner)
            case StakeSeen(stake):
                entry = replace(entry, stake=stake)
            case Unpublished(proven_at):
                entry = replace(entry, is_removed=True, proven_at=max(entry.proven_at, proven_at))
            case OfferGone(words):
                entry = replace(entry, lacks=words)
    return entry


def readmit(before: Entry | None, fresh: Entry, *, proven_at: UnixSeconds, number: int) -> Entry:
    """
    Put an order into the book that may have been there before.

    Args:
        before: What was known of it; None for a new order.
        fresh: Its new entry, as the chain stands now.
        proven_at: Time of the proof by which its signer wants it back; 0 where none was needed.
        number: The publication's place among all of the book.
    """
    if before is None:
        return replace(fresh, proven_at=proven_at, number=number)
    remaining = min(before.remaining, fresh.remaining)
    return replace(fresh, remaining=remaining, proven_at=max(before.proven_at, proven_at), number=number)


def price_of(order: Order) -> NRLC:
    """Tell by which price an order is ranked [nRLC per task]: what an offer asks, or what a request pays for the workerpool."""
    match order:
        case AppOrder():
            return order.appprice
        case DatasetOrder():
            return order.datasetprice
        case WorkerpoolOrder():
            return order.workerpoolprice
        case RequestOrder():
            return order.workerpoolmaxprice


def rank_of(order: Order) -> int:
    """Place an order among those of its kind, best price first: the cheapest offer, the dearest request, rank lowest."""
    return MAX_UINT256 - order.workerpoolmaxprice if isinstance(order, RequestOrder) else price_of(order)


def stake_needed(order: Order) -> NRLC:
    """
    Tell how much free money an order's signer must hold for one task [nRLC].

    Source: poco-protocol.md 8.2 (what a match locks).
    """
    match order:
        case RequestOrder():
            return NRLC(order.appmaxprice + order.datasetmaxprice + order.workerpoolmaxprice)
        case WorkerpoolOrder():
            return workerpool_stake(order.workerpoolprice, 1)
        case _:
            return NRLC(0)


def _closed(entry: Entry) -> str:
    return "its signer closed it on the chain" if entry.is_closed else ""


def _used_up(entry: Entry) -> str:
    return "its whole volume is matched" if entry.remaining == 0 else ""


def _taken_out(entry: Entry) -> str:
    return "its signer took it out of the book" if entry.is_removed else ""


def _lost_resource(entry: Entry) -> str:
    return "" if entry.owner == entry.signer else f"its signer {entry.signer} gave the resource to {entry.owner}"


def _short_of_money(entry: Entry) -> str:
    needed = stake_needed(entry.order)
    if entry.stake >= needed:
        return ""
    return f"its signer {entry.signer} holds {format_amount(entry.stake)} free in the hub, one task needs {format_amount(needed)}"


def _lacks_offer(entry: Entry) -> str:
    return entry.lacks


VERDICTS: tuple[tuple[OrderStatus, Callable[[Entry], str]], ...] = (
    (OrderStatus.CANCELLED, _closed),
    (OrderStatus.FILLED, _used_up),
    (OrderStatus.REMOVED, _taken_out),
    (OrderStatus.DEAD, _lost_resource),
    (OrderStatus.DEAD, _short_of_money),
    (OrderStatus.DEAD, _lacks_offer),
)
"""Each status with the question that decides it; the answer is the reason, or empty when it does not hold."""


def verdict(entry: Entry) -> tuple[OrderStatus, str]:
    """Judge an entry by its facts: its status, and the reason, empty while it is open."""
    for status, ask in VERDICTS:
        if why := ask(entry):
            return status, why
    return OrderStatus.OPEN, ""


def published_form(entry: Entry) -> PublishedOrder:
    """Write an entry as the market answers it."""
    order = entry.order
    hash_, signer, remaining, status, at = entry.hash, entry.signer, entry.remaining, entry.status, entry.published_at
    match order:
        case AppOrder():
            return PublishedAppOrder(hash=hash_, signer=signer, remaining=remaining, status=status, published_at=at, order=order)
        case DatasetOrder():
            return PublishedDatasetOrder(hash=hash_, signer=signer, remaining=remaining, status=status, published_at=at, order=order)
        case WorkerpoolOrder():
            return PublishedWorkerpoolOrder(hash=hash_, signer=signer, remaining=remaining, status=status, published_at=at, order=order)
        case RequestOrder():
            return PublishedRequestOrder(hash=hash_, signer=signer, remaining=remaining, status=status, published_at=at, order=order)
