"""A hub whose money is the chain's own coin: 1 nRLC is 1e9 wei. Source: poco-protocol.md 7.3."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from eth_abi.abi import encode

from tests.support.compiled import double_code, encode_call
from tests.support.evm import Receipt, RevertedError, reverts
from tests.support.market import RLC, WEI, Market, Roles, deploy_market, furnish
from tests.support.orders import ZERO

MEEK, GREEDY = 1, 2


@pytest.fixture(scope="session")
def opened_market() -> Market:
    """A furnished market of native coin."""
    return furnish(deploy_market(is_native=True))


@pytest.fixture
def market(opened_market: Market) -> Iterator[Market]:
    """The market, put back as it was at the end; the requester has coin."""
    with opened_market.evm.anchor():
        opened_market.evm.fund(opened_market.roles.requester.address, 100 * RLC * WEI)
        yield opened_market


@pytest.fixture
def roles(market: Market) -> Roles:
    """Who is who in the market."""
    return market.roles


def _purse(market: Market, wei: int) -> str:
    """A contract with coin of its own, which takes none."""
    code = double_code("Purse") + encode(["address"], [market.hub.address])
    purse = market.evm.send(market.roles.stranger.address, None, code).contract
    market.evm.fund(purse, wei)
    return purse


def _spend(market: Market, purse: str, data: bytes, wei: int = 0) -> Receipt:
    return market.evm.send(market.roles.stranger.address, purse, encode_call("spend(bytes,uint256)", data, wei))


def _set(market: Market, purse: str, mode: int, data: bytes = b"") -> None:
    market.evm.send(market.roles.stranger.address, purse, encode_call("setMode(uint256,bytes)", mode, data))


def test_there_is_no_token(market: Market) -> None:
    assert market.hub.read("token") == ZERO
    assert market.hub.read("totalSupply") == 8 * 1_000 * RLC
    assert market.evm.balance(market.hub.address) == 8 * 1_000 * RLC * WEI


@pytest.mark.parametrize("wei", [0, 1, WEI - 1, WEI, 3 * RLC * WEI + 5])
def test_deposit(market: Market, roles: Roles, wei: int) -> None:
    before = market.evm.balance(roles.requester.address)
    receipt = market.hub.send("deposit", by=roles.requester.address, value=wei)
    assert market.hub.answer("deposit", receipt.output) == (True,)
    assert market.hub_events(receipt) == [("Transfer", ZERO, roles.requester.address, wei // WEI)]
    assert before - market.evm.balance(roles.requester.address) == wei - wei % WEI
    assert market.hub.read("balanceOf", roles.requester.address) == 1_000 * RLC + wei // WEI


def test_deposit_for_somebody_else(market: Market, roles: Roles) -> None:
    receipt = market.hub.send("depositFor", roles.stranger.address, by=roles.requester.address, value=7 * WEI + 1)
    assert market.hub_events(receipt) == [("Transfer", ZERO, roles.stranger.address, 7)]
    assert market.evm.balance(roles.requester.address) == (100 * RLC - 7) * WEI
    with reverts("ERC20: mint to the zero address"):
        market.hub.send("depositFor", ZERO, by=roles.requester.address, value=WEI)


@pytest.mark.parametrize("data", [b"", b"\x01", b"\xde\xad\xbe\xef", encode_call("renounceOwnership()"), encode_call("deposit(uint256)", 5)])
def test_coin_that_just_comes_is_a_deposit(market: Market, roles: Roles, data: bytes) -> None:
    receipt = market.evm.send(roles.requester.address, market.hub.address, data, value=5 * WEI + 3)
    assert market.hub_events(receipt) == [("Transfer", ZERO, roles.requester.address, 5)]
    assert market.evm.balance(roles.requester.address) == (100 * RLC - 5) * WEI
    assert receipt.output == b""


def test_deposits_of_several(market: Market, roles: Roles) -> None:
    people = [roles.stranger.address, roles.app_owner.address]
    receipt = market.hub.send("depositForArray", [2, 3], people, by=roles.requester.address, value=9 * WEI + 1)
    assert market.hub.answer("depositForArray", receipt.output) == (True,)
    assert market.hub_events(receipt) == [("Transfer", ZERO, people[0], 2), ("Transfer", ZERO, people[1], 3)]
    assert market.evm.balance(roles.requester.address) == (100 * RLC - 5) * WEI
    assert market.hub_events(market.hub.send("depositForArray", [], [], by=roles.requester.address)) == []


def test_deposits_of_several_refused(market: Market, roles: Roles) -> None:
    requester, stranger = roles.requester.address, roles.stranger.address
    with reverts("invalid-array-length"):
        market.hub.send("depositForArray", [1], [], by=requester, value=WEI)
    with reverts("ERC20: mint to the zero address"):
        market.hub.send("depositForArray", [1], [ZERO], by=requester, value=WEI)
    for amounts in ([1, 2], [3, 0], [2**256 - 1, 0], [2**255, 2**255]):
        with pytest.raises(RevertedError):
            market.hub.send("depositForArray", amounts, [stranger, stranger], by=requester, value=3 * WEI - 1)


def test_withdraw(market: Market, roles: Roles) -> None:
    receipt = market.hub.send("withdraw", 3, by=roles.requester.address)
    assert market.hub.answer("withdraw", receipt.output) == (True,)
    assert market.hub_events(receipt) == [("Transfer", roles.requester.address, ZERO, 3)]
    assert market.evm.balance(roles.requester.address) == (100 * RLC + 3) * WEI
    assert market.hub.read("balanceOf", roles.requester.address) == 1_000 * RLC - 3


def test_withdraw_to_somebody_else(market: Market, roles: Roles) -> None:
    target = "0x" + "ab" * 20
    receipt = market.hub.send("withdrawTo", 4, target, by=roles.requester.address)
    assert market.hub_events(receipt) == [("Transfer", roles.requester.address, ZERO, 4)]
    assert market.evm.balance(target) == 4 * WEI


def test_withdrawals_refused(market: Market, roles: Roles) -> None:
    for amount in (1_000 * RLC + 1, 2**256 - 1):
        with reverts():
            market.hub.send("withdraw", amount, by=roles.requester.address)
        with reverts():
            market.hub.send("withdrawTo", amount, roles.stranger.address, by=roles.requester.address)
    with reverts("native-transfer-failed"):
        market.hub.send("withdrawTo", 1, _purse(market, 0), by=roles.requester.address)


def test_who_takes_no_coin_back_cannot_leave_a_rest(market: Market) -> None:
    purse = _purse(market, 10 * WEI)
    with reverts("native-transfer-failed"):
        _spend(market, purse, encode_call("deposit()"), 2 * WEI + 1)
    _set(market, purse, MEEK)
    _spend(market, purse, encode_call("deposit()"), 2 * WEI + 1)
    assert market.hub.read("balanceOf", purse) == 2
    assert market.evm.balance(purse) == 8 * WEI


def test_who_comes_back_during_a_withdrawal_gets_nothing_more(market: Market) -> None:
    purse = _purse(market, 5 * WEI)
    _set(market, purse, MEEK)
    _spend(market, purse, encode_call("depositFor(address)", purse), 5 * WEI)
    _set(market, purse, GREEDY, encode_call("withdraw(uint256)", 5))
    with reverts("native-transfer-failed"):
        _spend(market, purse, encode_call("withdraw(uint256)", 5))
    _set(market, purse, GREEDY, encode_call("transfer(address,uint256)", market.roles.stranger.address, 2))
    _spend(market, purse, encode_call("withdraw(uint256)", 3))
    assert market.evm.balance(purse) == 3 * WEI
    assert market.hub.read("balanceOf", purse) == 0
    assert market.evm.balance(market.hub.address) == market.hub.read("totalSupply") * WEI


def test_coin_sent_with_other_functions_is_refused(market: Market, roles: Roles) -> None:
    for function, arguments in (("withdraw", (0,)), ("transfer", (roles.stranger.address, 0)), ("claimArray", ([],)), ("totalSupply", ())):
        with reverts():
            market.hub.send(function, *arguments, by=roles.requester.address, value=1)


def test_recover(market: Market, roles: Roles) -> None:
    market.evm.fund(market.hub.address, market.evm.balance(market.hub.address) + 6 * WEI + 5)
    receipt = market.hub.send("recover", by=roles.owner.address)
    assert market.hub.answer("recover", receipt.output) == (6,)
    assert market.hub_events(receipt) == [("Transfer", ZERO, roles.owner.address, 6)]
    assert market.hub_events(market.hub.send("recover", by=roles.owner.address)) == [("Transfer", ZERO, roles.owner.address, 0)]
    with reverts("Ownable: caller is not the owner"):
        market.hub.send("recover", by=roles.stranger.address)
