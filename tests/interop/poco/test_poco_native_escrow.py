"""What the unit tests say of a hub of native coin holds for the original too."""

from __future__ import annotations

import pytest

from tests.support.compiled import encode_call
from tests.support.evm import reverts
from tests.support.market import RLC, WEI, Market, Roles, furnish
from tests.support.npm import requires_npm
from tests.support.original import PACKAGES, deploy_original
from tests.unit.contracts.test_native_escrow import *  # noqa: F403
from tests.unit.contracts.test_native_escrow import _purse, _spend


@pytest.fixture(scope="session")
def opened_market() -> Market:
    """The original's market of native coin, furnished as ours."""
    requires_npm(*PACKAGES)
    return furnish(deploy_original(is_native=True))


def test_the_original_calls_a_depositor_for_nothing(market: Market, roles: Roles) -> None:
    """The difference that `contracts/differences.json` lists."""
    purse = _purse(market, RLC * WEI)
    with reverts("native-transfer-failed"):
        _spend(market, purse, encode_call("deposit()"), 2 * WEI)
    with reverts("native-transfer-failed"):
        market.hub.send("withdrawTo", 0, purse, by=roles.requester.address)
