"""
The ecosystem's questions about orders, deals and categories, put to our book.

In a list of orders a restriction that is not named lets only unrestricted orders through; `any` lets all through; an address
lets those through that are open to it, or with `isXStrict` those that are for it alone.

Source: client-surface.md 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from voisin.errors import InputError
from voisin.market.ecosystem.fields import ANY, Fields
from voisin.market.query import RESTRICTED, DealQuery, OrderQuery
from voisin.protocol.ids import OrderHash
from voisin.protocol.orders import OrderKind
from voisin.protocol.tags import NO_TAG, Tag, as_tag, both_tags, tag_of

DEFAULT_SIZE = 20
LEAST_SIZE = 10
GREATEST_SIZE = 1000
SPELLED = {"app_owner": "appOwner", "dataset_owner": "datasetOwner", "workerpool_owner": "workerpoolOwner"}
"""Our names of accounts that are spelled otherwise there."""

_OWNED = {OrderKind.APP: "app", OrderKind.DATASET: "dataset", OrderKind.WORKERPOOL: "workerpool"}
_LEAST_COUNTED_TRUST = 2


@dataclass(frozen=True, slots=True)
class Paging:
    """Which part of a list: `limit` items after the first `skip`."""

    skip: int
    limit: int

    def next_page(self, found: int) -> int | None:
        """Tell where the page after one with so many items begins; None where there is none."""
        return self.skip + self.limit if found == self.limit else None


def read_paging(fields: Fields) -> Paging:
    """Read which part of a list is wanted; `page` is an old spelling of the offset, and counts where nothing else is given."""
    index = fields.number("pageIndex")
    size = fields.number("pageSize", least=LEAST_SIZE, most=GREATEST_SIZE)
    offset = fields.number("page")
    if index is None and size is None:
        return Paging(offset or 0, DEFAULT_SIZE)
    limit = size or DEFAULT_SIZE
    return Paging((index or 0) * limit, limit)


def read_order_query(fields: Fields, kind: OrderKind, limit: int) -> OrderQuery:
    """Read which orders are wanted."""
    resource = _OWNED.get(kind)
    named = {name: _named(fields.address_or_any(name)) for name in ("app", "dataset", "workerpool", "requester")}
    owner = fields.address(f"{resource}Owner") if resource else None
    if kind in (OrderKind.APP, OrderKind.DATASET) and resource and not named[resource] and owner is None:
        raise InputError(f"{resource} or {resource}Owner is required")
    trusts = _trusts(fields, kind)
    is_bulk = kind is OrderKind.DATASET and fields.flag("bulkOnly")
    has_category = kind in (OrderKind.WORKERPOOL, OrderKind.REQUEST)
    least_tag = fields.bytes32("minTag")
    return order_query(
        kind=kind.value,
        **named,
        owner=_named(owner),
        beneficiary=_named(fields.address_or_any("beneficiary")) if kind is OrderKind.REQUEST else (),
        strict=tuple(name for name in RESTRICTED[kind] if fields.flag(f"is{name.capitalize()}Strict")),
        category=fields.number("category") if has_category else None,
        min_tag=None if least_tag == NO_TAG else least_tag,
        max_tag=_greatest_tag(fields, kind),
        min_trust=trusts[0],
        max_trust=trusts[1],
        min_volume=fields.number("minVolume", least=1),
        bulk=True if is_bulk else None,
        limit=limit,
    )


def read_deal_query(fields: Fields, limit: int) -> DealQuery:
    """Read which deals are wanted."""
    accounts = {
        name: _named(fields.address(SPELLED.get(name, name)))
        for name in ("app", "dataset", "workerpool", "requester", "beneficiary", "app_owner", "dataset_owner", "workerpool_owner")
    }
    hashes = {f"{kind}_order": _named(fields.bytes32(f"{kind}orderHash")) for kind in OrderKind}
    return msgspec.convert({**accounts, **hashes, "category": fields.number("category"), "limit": limit}, DealQuery)


def order_query(**values: object) -> OrderQuery:
    """Make a question about orders from values that were read."""
    return msgspec.convert(values, OrderQuery)


def read_order_hash(fields: Fields) -> OrderHash:
    """Read the hash of an order, which must be there."""
    found = fields.bytes32("orderHash", is_required=True)
    assert found is not None
    return OrderHash(found)


def _greatest_tag(fields: Fields, kind: OrderKind) -> Tag | None:
    """Read the greatest tag; that an offer's enclaves are simulated is our own mark, which nobody who asks here can know to allow."""
    asked = fields.bytes32("maxTag")
    if asked is None or kind is not OrderKind.WORKERPOOL:
        return None if asked is None else as_tag(asked)
    return both_tags(as_tag(asked), tag_of(["simulated"]))


def _trusts(fields: Fields, kind: OrderKind) -> tuple[int | None, int | None]:
    """Read the bounds of trust: offers have a least one, which counts from 2 on, requests a greatest one."""
    if kind is OrderKind.WORKERPOOL:
        least = fields.number("minTrust")
        return (least if least is not None and least >= _LEAST_COUNTED_TRUST else None), None
    if kind is OrderKind.REQUEST:
        return None, fields.number("maxTrust")
    return None, None


def _named(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)


def everybody(kind: OrderKind) -> dict[str, tuple[str, ...]]:
    """Ask for orders of a kind whatever their restrictions."""
    return dict.fromkeys(RESTRICTED[kind], (ANY,))
