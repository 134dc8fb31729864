"""Readers' questions as conditions on the tables."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, false, literal, or_, tuple_

from voisin.columns import Uint256
from voisin.market.query import ACCOUNTS, ANY, DEAL_ACCOUNTS, DEAL_ORDERS, DealPlace, DealQuery, OrderPlace, OrderQuery
from voisin.market.schema import deals, needs_pattern, orders, within_pattern
from voisin.protocol.orders import OrderKind
from voisin.protocol.tags import as_tag, tag_bits


def order_conditions(query: OrderQuery) -> ColumnElement[bool]:
    """Write a query as the condition that an order must meet, whatever page is asked for."""
    kinds = OrderKind if query.kind is None else (query.kind,)
    conditions: list[ColumnElement[bool]] = [or_(false(), *(_of_kind(query, kind) for kind in kinds))]
    if query.status != ANY:
        conditions.append(orders.c.status == query.status)
    for account, named in ((orders.c.signer, query.owner), (orders.c.beneficiary, query.beneficiary)):
        if named and ANY not in named:
            conditions.append(account.in_(named))
    if query.min_tag is not None:
        conditions.append(orders.c.tag.like(needs_pattern(tag_bits(as_tag(query.min_tag)))))
    if query.max_tag is not None:
        conditions.append(orders.c.tag.like(within_pattern(tag_bits(as_tag(query.max_tag)))))
    if query.bulk is not None:
        conditions.append(orders.c.is_bulk == query.bulk)
    for column, least, greatest in (
        (orders.c.category, query.category, query.category),
        (orders.c.trust, query.min_trust, query.max_trust),
        (orders.c.price, query.min_price, query.max_price),
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


def _of_kind(query: OrderQuery, kind: OrderKind) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [orders.c.kind == kind.value]
    for account in ACCOUNTS:
        allowed = query.allowed(account, kind)
        if allowed is not None:
            conditions.append(orders.c[account].in_(sorted(allowed)))
    if query.bits is not None:
        pattern = needs_pattern(query.bits) if kind is OrderKind.WORKERPOOL else within_pattern(query.bits)
        conditions.append(orders.c.tag.like(pattern))
    return and_(*conditions)
