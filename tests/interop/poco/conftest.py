"""The original contracts in the place of ours: what the unit tests expect of our hub, they must find there too."""

from __future__ import annotations

import pytest

from tests.support.market import Market, furnish
from tests.support.npm import requires_npm
from tests.support.original import PACKAGES, deploy_original
from tests.unit.contracts.conftest import market, roles

__all__ = ["market", "opened_market", "roles"]


@pytest.fixture(scope="session")
def opened_market() -> Market:
    """The original market, furnished as ours is for the unit tests."""
    requires_npm(*PACKAGES)
    return furnish(deploy_original())
