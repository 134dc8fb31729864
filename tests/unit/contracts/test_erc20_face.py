"""The hub's accounts as an ERC-20 token: transfers, allowances, `approveAndCall`, and the views."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode

from tests.support.compiled import deploy_double, encode_call
from tests.support.evm import reverts
from tests.support.market import RLC, Market, Roles
from tests.support.orders import ZERO


def test_names(market: Market) -> None:
    read = market.hub.read
    assert (read("name"), read("symbol"), read("decimals")) == ("Staked RLC", "SRLC", 9)
    assert read("token") == market.token.address


def test_transfer(market: Market, roles: Roles) -> None:
    requester, stranger = roles.requester.address, roles.stranger.address
    supply = market.hub.read("totalSupply")

    receipt = market.hub.send("transfer", stranger, 5, by=requester)

    assert market.hub_events(receipt) == [("Transfer", requester, stranger, 5)]
    assert market.hub.answer("transfer", receipt.output) == (True,)
    assert market.hub.read("balanceOf", stranger) == 5
    assert market.hub.read("balanceOf", requester) == 1000 * RLC - 5
    assert market.hub.read("totalSupply") == supply


def test_transfer_to_oneself_changes_nothing(market: Market, roles: Roles) -> None:
    requester = roles.requester.address
    market.hub.send("transfer", requester, 7, by=requester)
    assert market.hub.read("balanceOf", requester) == 1000 * RLC


def test_transfer_refusals(market: Market, roles: Roles) -> None:
    requester = roles.requester.address
    with reverts("ERC20: transfer from the zero address"):
        market.hub.send("transfer", requester, 0, by=ZERO)
    with reverts("ERC20: transfer to the zero address"):
        market.hub.send("transfer", ZERO, 1, by=requester)
    with reverts():
        market.hub.send("transfer", roles.stranger.address, 1000 * RLC + 1, by=requester)
    with reverts():
        market.hub.send("transfer", roles.stranger.address, 2**255, by=requester)


def test_approve_and_transfer_from(market: Market, roles: Roles) -> None:
    requester, stranger, worker = roles.requester.address, roles.stranger.address, roles.workers[0].address
    receipt = market.hub.send("approve", stranger, 10, by=requester)
    assert market.hub_events(receipt) == [("Approval", requester, stranger, 10)]
    assert market.hub.answer("approve", receipt.output) == (True,)
    assert market.hub.read("allowance", requester, stranger) == 10

    receipt = market.hub.send("transferFrom", requester, worker, 4, by=stranger)

    assert market.hub_events(receipt) == [("Transfer", requester, worker, 4), ("Approval", requester, stranger, 6)]
    assert market.hub.read("allowance", requester, stranger) == 6
    with reverts():
        market.hub.send("transferFrom", requester, worker, 7, by=stranger)


def test_no_allowance_is_endless(market: Market, roles: Roles) -> None:
    requester, stranger = roles.requester.address, roles.stranger.address
    market.hub.send("approve", stranger, 2**256 - 1, by=requester)
    market.hub.send("transferFrom", requester, stranger, 1, by=stranger)
    assert market.hub.read("allowance", requester, stranger) == 2**256 - 2


def test_transfer_from_names_transfer_reasons_before_allowance(market: Market, roles: Roles) -> None:
    requester, stranger = roles.requester.address, roles.stranger.address
    with reverts("ERC20: transfer from the zero address"):
        market.hub.send("transferFrom", ZERO, stranger, 1, by=stranger)
    with reverts("ERC20: transfer to the zero address"):
        market.hub.send("transferFrom", requester, ZERO, 1, by=stranger)


def test_approve_refusals(market: Market, roles: Roles) -> None:
    with reverts("ERC20: approve from the zero address"):
        market.hub.send("approve", roles.stranger.address, 1, by=ZERO)
    with reverts("ERC20: approve to the zero address"):
        market.hub.send("approve", ZERO, 1, by=roles.stranger.address)


def test_allowances_grow_and_shrink(market: Market, roles: Roles) -> None:
    requester, stranger = roles.requester.address, roles.stranger.address
    receipt = market.hub.send("increaseAllowance", stranger, 10, by=requester)
    assert market.hub_events(receipt) == [("Approval", requester, stranger, 10)]
    receipt = market.hub.send("decreaseAllowance", stranger, 3, by=requester)
    assert market.hub_events(receipt) == [("Approval", requester, stranger, 7)]
    with reverts():
        market.hub.send("decreaseAllowance", stranger, 8, by=requester)
    with reverts():
        market.hub.send("increaseAllowance", stranger, 2**256 - 7, by=requester)


@pytest.fixture
def spender(market: Market, roles: Roles) -> str:
    """A contract that is told of approvals."""
    return deploy_double(market.evm, "Spender", roles.stranger.address)


def test_approve_and_call_tells_the_spender(market: Market, roles: Roles, spender: str) -> None:
    requester = roles.requester.address
    market.evm.send(requester, spender, encode_call("setAnswer(bool)", True))

    receipt = market.hub.send("approveAndCall", spender, 8, b"hello", by=requester)

    assert market.hub_events(receipt) == [("Approval", requester, spender, 8)]
    seen = market.evm.call(spender, encode_call("seen()"))
    told = encode(["address", "uint256", "address", "bytes"], [requester, 8, market.hub.address, b"hello"])
    assert seen == encode(["bytes"], [told])


def test_approve_and_call_refusals(market: Market, roles: Roles, spender: str) -> None:
    with reverts("approval-refused"):
        market.hub.send("approveAndCall", spender, 8, b"", by=roles.requester.address)
    with reverts():
        market.hub.send("approveAndCall", roles.stranger.address, 8, b"", by=roles.requester.address)
    assert market.hub.read("allowance", roles.requester.address, spender) == 0
