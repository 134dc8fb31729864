"""
What a market's live feed tells: orders that come, change and go; trades; deals.

Each event has an id, one more than that of the event before it. A reader that was away goes on after the last id that it saw;
what a market has forgotten by then it answers with `FeedReset`, after which the book must be read anew.

An order's event carries all that is known of it, so a reader keeps a copy of the book by three rules: an open order replaces
what was known of it, any other leaves the copy, and an event that comes twice does no harm.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from voisin.protocol.api import DealEntry, PublishedOrder
from voisin.protocol.ids import Address, DealId
from voisin.protocol.tags import Tag
from voisin.units import NRLC, UnixSeconds


class Topic(StrEnum):
    """What one may hear of."""

    ORDERS = "orders"
    TRADES = "trades"
    DEALS = "deals"


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """A deal in the few figures that make a price: what the workerpool gets per task [nRLC], for how many tasks."""

    deal_id: DealId
    app: Address
    dataset: Address
    workerpool: Address
    category: int
    trust: int
    tag: Tag
    price: NRLC
    volume: int


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="topic"):
    id: int = 0
    at: UnixSeconds


class OrderNews(_Event, frozen=True, kw_only=True, tag="orders"):
    """An order was published, or its status or its remaining volume changed; `why` says why it is not open."""

    order: PublishedOrder
    why: str = ""


class TradeNews(_Event, frozen=True, kw_only=True, tag="trades"):
    """Orders were matched, in figures."""

    trade: Trade


class DealNews(_Event, frozen=True, kw_only=True, tag="deals"):
    """Orders were matched, in full."""

    deal: DealEntry


class FeedStart(_Event, frozen=True, kw_only=True, tag="start"):
    """The feed begins after the event with this id; what happens from now on will be told."""


class FeedReset(_Event, frozen=True, kw_only=True, tag="reset"):
    """What happened between the reader's last event and the one with this id is not known any more: read the book anew."""


News = OrderNews | TradeNews | DealNews
FeedEvent = OrderNews | TradeNews | DealNews | FeedStart | FeedReset


def trade_of(deal: DealEntry) -> Trade:
    """Take the figures out of a deal."""
    return Trade(
        deal_id=deal.deal_id,
        app=deal.app,
        dataset=deal.dataset,
        workerpool=deal.workerpool,
        category=deal.category,
        trust=deal.trust,
        tag=deal.tag,
        price=deal.workerpool_price,
        volume=deal.volume,
    )
