"""Money out: `withdraw`, `withdrawTo`, `recover`."""

from __future__ import annotations

from tests.support.compiled import deploy_double
from tests.support.contracts import Event
from tests.support.evm import reverts
from tests.support.market import RLC, Market, Roles, Terms
from tests.support.orders import ZERO
from voisin.chain.artifacts import load_artifact

PANIC_ARITHMETIC = bytes.fromhex("4e487b71") + (0x11).to_bytes(32, "big")


def test_withdraw_pays_out_what_is_free(market: Market, roles: Roles) -> None:
    requester, hub = roles.requester.address, market.hub.address

    receipt = market.hub.send("withdraw", 400 * RLC, by=requester)

    assert market.events(receipt) == [
        Event("hub", "Transfer", (requester, ZERO, 400 * RLC)),
        Event("token", "Transfer", (hub, requester, 400 * RLC)),
    ]
    assert market.hub.answer("withdraw", receipt.output) == (True,)
    assert market.hub.read("viewAccount", requester) == (600 * RLC, 0)
    assert market.token.read("balanceOf", requester) == 400 * RLC
    assert market.hub.read("totalSupply") == market.token.read("balanceOf", hub)


def test_withdraw_more_than_is_there_reverts_empty(market: Market, roles: Roles) -> None:
    with reverts():
        market.hub.send("withdraw", 1000 * RLC + 1, by=roles.requester.address)


def test_a_token_that_says_no_is_heard(market: Market, roles: Roles) -> None:
    """Else the money would be gone from the account and would never arrive."""
    token = deploy_double(market.evm, "FalseToken", roles.stranger.address)
    market.evm.set_storage(market.hub.address, load_artifact("Hub").layout["token"].slot, int(token, 16))
    with reverts("failed-transfer"):
        market.hub.send("withdraw", 1, by=roles.requester.address)


def test_withdraw_cannot_touch_what_is_locked(market: Market, roles: Roles) -> None:
    market.match(Terms(app_price=3 * RLC, price=10 * RLC))
    with reverts():
        market.hub.send("withdraw", 987 * RLC + 1, by=roles.requester.address)
    market.hub.send("withdraw", 987 * RLC, by=roles.requester.address)
    assert market.hub.read("viewAccount", roles.requester.address) == (0, 13 * RLC)


def test_withdraw_by_nobody_is_refused(market: Market) -> None:
    with reverts("ERC20: burn from the zero address"):
        market.hub.send("withdraw", 0, by=ZERO)


def test_withdraw_to_burns_from_the_caller_and_pays_the_target(market: Market, roles: Roles) -> None:
    requester, stranger = roles.requester.address, roles.stranger.address

    receipt = market.hub.send("withdrawTo", 5, stranger, by=requester)

    assert market.events(receipt) == [
        Event("hub", "Transfer", (requester, ZERO, 5)),
        Event("token", "Transfer", (market.hub.address, stranger, 5)),
    ]
    assert market.token.read("balanceOf", stranger) == 5


def test_withdraw_to_more_than_is_there_reverts_empty(market: Market, roles: Roles) -> None:
    with reverts():
        market.hub.send("withdrawTo", 1, roles.requester.address, by=roles.stranger.address)


def test_recover_books_tokens_sent_without_a_deposit(market: Market, roles: Roles) -> None:
    owner = roles.owner.address
    market.token.send("transfer", market.hub.address, 9 * RLC, by=owner)

    receipt = market.hub.send("recover", by=owner)

    assert market.hub_events(receipt) == [("Transfer", ZERO, owner, 9 * RLC)]
    assert market.hub.answer("recover", receipt.output) == (9 * RLC,)
    assert market.hub.read("balanceOf", owner) == 9 * RLC
    again = market.hub.send("recover", by=owner)
    assert market.hub_events(again) == [("Transfer", ZERO, owner, 0)]


def test_recover_is_the_owners(market: Market, roles: Roles) -> None:
    with reverts("Ownable: caller is not the owner"):
        market.hub.send("recover", by=roles.stranger.address)


def test_recover_with_tokens_missing_is_an_arithmetic_panic(market: Market, roles: Roles) -> None:
    balances_slot = 1
    market.evm.set_mapping(market.token.address, balances_slot, market.hub.address, 0)
    with reverts(data=PANIC_ARITHMETIC):
        market.hub.send("recover", by=roles.owner.address)
