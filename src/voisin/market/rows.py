"""Entries, deals and tasks as rows of the tables, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Boolean, RowMapping

from voisin.market.machine import Entry, price_of, rank_of
from voisin.market.query import ACCOUNTS, accounts_of, is_bulk
from voisin.market.schema import orders, short_tag, tag_text
from voisin.protocol.api import CategoryEntry, DealEntry, Moment, TaskEntry
from voisin.protocol.codec import encode
from voisin.protocol.ids import ZERO_ADDRESS, ZERO_HASH, Hash32
from voisin.protocol.orders import ORDER_TYPES, OrderKind, RequestOrder, WorkerpoolOrder, order_kind, resource_of
from voisin.protocol.records import TaskStatus
from voisin.protocol.tags import Tag, tag_bits
from voisin.service.columns import Uint256, uint256_text

Row = dict[str, object]

FACTS = ("hash", "signer", "remaining", "published_at", "owner", "stake", "is_closed", "is_removed", "proven_at", "number", "lacks")
"""What an entry and its row have in common, apart from the order."""


ENTRY_COLUMNS = ("kind", "content", *FACTS)
"""What an entry is read from."""
ORDER_COLUMNS = tuple(column.name for column in orders.columns)


def _as_it_is(value: Any) -> Any:
    return value


@lru_cache(maxsize=1024)
def _tag_values(tag: Tag) -> tuple[str, int]:
    return tag_text(tag), short_tag(tag_bits(tag))


_READERS: tuple[tuple[str, Callable[[Any], Any]], ...] = tuple(
    (name, int if isinstance(orders.c[name].type, Uint256) else bool if isinstance(orders.c[name].type, Boolean) else _as_it_is)
    for name in FACTS
)


def row_of_entry(entry: Entry) -> Row:
    """Write an order's row."""
    order = entry.order
    category, trust = (order.category, order.trust) if isinstance(order, WorkerpoolOrder | RequestOrder) else (None, None)
    row: Row = {
        "kind": order_kind(order).value,
        "content": encode(order).decode(),
        "resource": resource_of(order),
        "status": entry.status.value,
        "price": price_of(order),
        "rank": rank_of(order),
        "category": category,
        "trust": trust,
        "tag": tag_text(order.tag),
        "short_tag": short_tag(tag_bits(order.tag)),
        "beneficiary": order.beneficiary if isinstance(order, RequestOrder) else ZERO_ADDRESS,
        "is_bulk": is_bulk(order),
    }
    row.update(zip(ACCOUNTS, accounts_of(order), strict=True))
    row.update((name, getattr(entry, name)) for name in FACTS)
    return row


def entry_of_row(row: RowMapping) -> Entry:
    """Read an order's row."""
    order = msgspec.json.decode(row["content"], type=ORDER_TYPES[OrderKind(row["kind"])])
    return Entry(order=order, **{name: row[name] for name in FACTS})


def values_of_entry(entry: Entry) -> tuple[object, ...]:
    """Write an order's row as the database's own values, by `ORDER_COLUMNS`."""
    order = entry.order
    category, trust = (order.category, order.trust) if isinstance(order, WorkerpoolOrder | RequestOrder) else (None, None)
    text, short = _tag_values(order.tag)
    return (
        entry.hash,
        order_kind(order).value,
        encode(order).decode(),
        entry.signer,
        resource_of(order),
        entry.status.value,
        uint256_text(rank_of(order)),
        uint256_text(price_of(order)),
        uint256_text(entry.remaining),
        None if category is None else uint256_text(category),
        None if trust is None else uint256_text(trust),
        text,
        short,
        *accounts_of(order),
        order.beneficiary if isinstance(order, RequestOrder) else ZERO_ADDRESS,
        is_bulk(order),
        entry.published_at,
        entry.owner,
        uint256_text(entry.stake),
        entry.is_closed,
        entry.is_removed,
        entry.proven_at,
        entry.number,
        entry.lacks,
    )


def entry_of_values(values: Sequence[Any]) -> Entry:
    """Read an order's row from the database's own values, by `ENTRY_COLUMNS`."""
    kind, content, *facts = values
    order = msgspec.json.decode(content, type=ORDER_TYPES[OrderKind(kind)])
    return Entry(order=order, **{name: read(value) for (name, read), value in zip(_READERS, facts, strict=True)})


def row_of_deal(deal: DealEntry, log_index: int) -> Row:
    """Write a deal's row."""
    return {**msgspec.structs.asdict(deal), "log_index": log_index}


def deal_of_row(row: RowMapping) -> DealEntry:
    """Read a deal's row."""
    return DealEntry(**{name: row[name] for name in DealEntry.__struct_fields__})


def row_of_category(category: CategoryEntry) -> Row:
    """Write a category's row."""
    return msgspec.structs.asdict(category)


def category_of_row(row: RowMapping) -> CategoryEntry:
    """Read a category's row."""
    return CategoryEntry(**row)


def row_of_task(task: TaskEntry) -> Row:
    """Write a task's row."""
    return {**msgspec.structs.asdict(task), "status": int(task.status)}


def task_of_row(row: RowMapping) -> TaskEntry:
    """Read a task's row."""
    values = {name: row[name] for name in TaskEntry.__struct_fields__}
    return TaskEntry(**{**values, "status": TaskStatus(row["status"]), "consensus": consensus_of(row["consensus"])})


def consensus_of(value: Hash32 | None) -> Hash32 | None:
    """Read a consensus: the zero hash stands for one that was withdrawn."""
    return None if value == ZERO_HASH else value


def row_of_moment(moment: Moment) -> Row:
    """Write the columns of a moment that are not about which order's it is."""
    return msgspec.structs.asdict(moment)


def moment_of_row(row: RowMapping) -> Moment:
    """Read a moment's row."""
    return msgspec.convert({name: row[name] for name in Moment.__struct_fields__}, Moment)
