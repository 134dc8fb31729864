"""
Readers' questions as conditions on the tables.

A condition that many orders meet, such as that an order is open to somebody, is written so that no index is searched by it: SQLite
knows nothing of how many there are, and would take it for a narrow one.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, false, func, literal, or_, tuple_

from voisin.market.query import ACCOUNTS, ANY, DEAL_ACCOUNTS, DEAL_ORDERS, RESTRICTED, DealPlace, DealQuery, OrderPlace, OrderQuery
from voisin.market.schema import NOT_OPEN, SHORT_PLACES, deals, needs_pattern, orders, within_pattern
from voisin.protocol.api import OrderStatus
from voisin.protocol.ids import MAX_UINT256
from voisin.protocol.orders import OrderKind
from voisin.protocol.tags import as_tag, tag_bits
from voisin.service.columns import Uint256

_RESOURCES = {OrderKind.APP: "app", OrderKind.DATASET: "dataset", OrderKind.WORKERPOOL: "workerpool", OrderKind.REQUEST: "requester"}
_ALL_SHORT = (1 << SHORT_PLACES + 1) - 1


def order_conditions(query: OrderQuery) -> ColumnElement[bool]:
    """Write a query as the condition that an order must meet, whatever page is asked for."""
    kinds = OrderKind if query.kind is None else (query.kind,)
    conditions: list[ColumnElement[bool]] = [or_(false(), *(_of_kind(query, kind) for kind in kinds))]
    if query.status != ANY:
        conditions.append((_unsearched(orders.c.status) if _names(query.owner) else orders.c.status) == query.status)
    if query.status not in (ANY, OrderStatus.OPEN):
        conditions.append(NOT_OPEN)
    for account, named in ((orders.c.signer, query.owner), (orders.c.beneficiary, query.beneficiary)):
        if _names(named):
            conditions.append(account.in_(named))
    if query.min_tag is not None:
        conditions.append(_needs(tag_bits(as_tag(query.min_tag))))
    if query.max_tag is not None:
        conditions.append(_is_within(tag_bits(as_tag(query.max_tag))))
    if query.category is not None:
        conditions.append(orders.c.category == query.category)
    if query.bulk is not None:
        conditions.append(orders.c.is_bulk == query.bulk)
    for column, least, greatest in (
        (orders.c.trust, query.min_trust, query.max_trust),
        *_prices(query),
        (orders.c.remaining, query.min_volume, None),
    ):
        if least is not None:
            conditions.append(column >= least)
        if greatest is not None:
            conditions.append(column <= greatest)
    return and_(*conditions)


def after_order(place: OrderPlace | None) -> list[ColumnElement[bool]]:
    """Write the condition that an order stands behind a place in the list."""
    if place is None:
        return []
    columns = tuple_(orders.c.kind, orders.c.rank, orders.c.published_at, orders.c.hash)
    values = (place.kind.value, literal(int(place.rank), Uint256), place.published_at, place.hash)
    return [columns > tuple_(*values)]


def deal_conditions(query: DealQuery) -> ColumnElement[bool]:
    """Write a query as the condition that a deal must meet, whatever page is asked for."""
    named = ((name, getattr(query, name)) for name in (*DEAL_ACCOUNTS, *DEAL_ORDERS))
    conditions: list[ColumnElement[bool]] = [deals.c[name].in_(given) for name, given in named if given and ANY not in given]
    if query.category is not None:
        conditions.append(deals.c.category == query.category)
    return and_(literal(True), *conditions)


def after_deal(place: DealPlace | None) -> list[ColumnElement[bool]]:
    """Write the condition that a deal stands behind a place in the list, newest first."""
    return [] if place is None else [tuple_(deals.c.block, deals.c.log_index) < tuple_(place.block, place.log_index)]


def _prices(query: OrderQuery) -> list[tuple[ColumnElement[int], int | None, int | None]]:
    """Bound prices: by the rank, in whose order the lists are, where it follows from the kind."""
    least, greatest = query.min_price, query.max_price
    if query.kind is None:
        return [(orders.c.price, least, greatest)]
    if query.kind is not OrderKind.REQUEST:
        return [(orders.c.rank, least, greatest)]
    return [(orders.c.rank, _mirrored(greatest), _mirrored(least))]


def _mirrored(price: int | None) -> int | None:
    return None if price is None else MAX_UINT256 - price


def _names(accounts: Sequence[str]) -> bool:
    """Tell whether a query names some accounts only."""
    return bool(accounts) and ANY not in accounts


def _of_kind(query: OrderQuery, kind: OrderKind) -> ColumnElement[bool]:
    is_only = query.kind is not None
    is_narrow = _names(query.owner) or any(_names(getattr(query, name)) for name in ACCOUNTS if name not in RESTRICTED[kind])
    conditions: list[ColumnElement[bool]] = [(orders.c.kind if is_only and not is_narrow else _unsearched(orders.c.kind)) == kind.value]
    for account in ACCOUNTS:
        allowed = query.allowed(account, kind)
        if allowed is not None:
            conditions.append(_named(account, kind, is_only=is_only).in_(sorted(allowed)))
    if query.bits is not None:
        conditions.append(_needs(query.bits) if kind is OrderKind.WORKERPOOL else _is_within(query.bits))
    return and_(*conditions)


def _named(account: str, kind: OrderKind, *, is_only: bool) -> ColumnElement[str]:
    """Where to look for an account: what an order is about has indexes, a restriction has not."""
    if not is_only or account in RESTRICTED[kind]:
        return _unsearched(orders.c[account])
    return orders.c.resource if account == _RESOURCES[kind] else orders.c[account]


def _unsearched(column: ColumnElement[str]) -> ColumnElement[str]:
    """Write a column so that no index is searched by it."""
    return func.coalesce(column, "")


def _needs(bits: int) -> ColumnElement[bool]:
    """Write the condition that a tag has all of these bits; those that the short form knows one by one are looked at there."""
    if bits >> SHORT_PLACES:
        return orders.c.tag.like(needs_pattern(bits))
    return orders.c.short_tag.bitwise_and(bits) == bits


def _is_within(bits: int) -> ColumnElement[bool]:
    """Write the condition that a tag has none but these bits."""
    if bits >> SHORT_PLACES:
        return orders.c.tag.like(within_pattern(bits))
    return orders.c.short_tag.bitwise_and(_ALL_SHORT - bits) == 0
