"""One market for all these tests; each test starts from the same state and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.market import Market, Roles, open_market


@pytest.fixture(scope="session")
def opened_market() -> Market:
    """A market with an app, a dataset, a workerpool, and 1,000 RLC in every account."""
    return open_market()


@pytest.fixture
def market(opened_market: Market) -> Iterator[Market]:
    """The market, put back as it was at the end."""
    with opened_market.evm.anchor():
        yield opened_market


@pytest.fixture
def roles(market: Market) -> Roles:
    """Who is who in the market."""
    return market.roles
