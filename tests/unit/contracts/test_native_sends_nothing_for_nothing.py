"""Where no coin is due nobody is called: a contract that takes none can still use a hub of native coin (SPEC 16.2)."""

from __future__ import annotations

from tests.support.compiled import encode_call
from tests.support.market import WEI, Market
from tests.unit.contracts.test_native_escrow import _purse, _spend, market, opened_market, roles

__all__ = ["market", "opened_market", "roles"]


def test_a_contract_that_takes_no_coin_may_deposit(market: Market) -> None:
    purse = _purse(market, 10 * WEI)
    _spend(market, purse, encode_call("deposit()"), 2 * WEI)
    _spend(market, purse, encode_call("depositFor(address)", purse), WEI)
    _spend(market, purse, b"", 4 * WEI)
    _spend(market, purse, encode_call("withdraw(uint256)", 0))
    assert market.hub.read("balanceOf", purse) == 7
