"""The two ways to write an order's row, column by column and all at once, write the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.order_book import Trade
from voisin.market.machine import Entry
from voisin.market.rows import ENTRY_COLUMNS, ORDER_COLUMNS, entry_of_values, row_of_entry, values_of_entry
from voisin.market.schema import orders
from voisin.protocol.eip712 import order_hash
from voisin.protocol.orders import Order
from voisin.service.columns import Uint256
from voisin.units import NRLC, UnixSeconds


@pytest.fixture(params=["app", "dataset", "pool", "request"])
def entry(request: pytest.FixtureRequest) -> Entry:
    """An order of each kind, with facts that differ from one another."""
    trade = Trade()
    order: Order = getattr(trade, f"{request.param}_order")()
    name, owner = order_hash(order, trade.ledger.domain), trade.stranger.address
    entry = Entry(
        hash=name, order=order, signer=trade.developer.address, remaining=7, published_at=UnixSeconds(8), owner=owner, stake=NRLC(2**70)
    )
    return replace(entry, is_removed=True, proven_at=UnixSeconds(9), number=10, lacks="an offer")


def test_rows_are_the_same(entry: Entry) -> None:
    row = row_of_entry(entry)
    numbers = {column.name for column in orders.columns if isinstance(column.type, Uint256)}
    written = {name: f"{row[name]:078d}" if name in numbers and row[name] is not None else row[name] for name in ORDER_COLUMNS}
    assert dict(zip(ORDER_COLUMNS, values_of_entry(entry), strict=True)) == written


def test_what_is_written_is_read(entry: Entry) -> None:
    values = dict(zip(ORDER_COLUMNS, values_of_entry(entry), strict=True))
    assert entry_of_values([values[name] for name in ENTRY_COLUMNS]) == entry
