"""A desk to stand at."""

from __future__ import annotations

import pytest

from tests.support.order_book import Desk, Trade, open_desk


@pytest.fixture
def trade() -> Trade:
    """Roles, entries and a twin of the chain."""
    return Trade()


@pytest.fixture
def desk(trade: Trade) -> Desk:
    """A market's desk with records in memory."""
    return open_desk(trade)
