"""Money in: `deposit`, `depositFor`, `depositForArray`, and what is refused."""

from __future__ import annotations

from tests.support.compiled import deploy_double
from tests.support.contracts import Contract, Event
from tests.support.evm import Evm, reverts
from tests.support.market import RLC, Market, Roles
from tests.support.orders import ZERO
from voisin.chain.deployment.plan import DeploymentTerms, deployment_plan
from voisin.protocol.ids import Address


def _approve(market: Market, account: str, amount: int) -> None:
    market.token.send("transfer", account, amount, by=market.roles.owner.address)
    market.token.send("approve", market.hub.address, amount, by=account)


def test_deposit_moves_tokens_and_credits_the_caller(market: Market, roles: Roles) -> None:
    stranger, hub = roles.stranger.address, market.hub.address
    _approve(market, stranger, 5 * RLC)
    before = market.hub.read("totalSupply")

    receipt = market.hub.send("deposit", 5 * RLC, by=stranger)

    assert market.events(receipt) == [
        Event("token", "Transfer", (stranger, hub, 5 * RLC)),
        Event("hub", "Transfer", (ZERO, stranger, 5 * RLC)),
    ]
    assert market.hub.answer("deposit", receipt.output) == (True,)
    assert market.hub.read("viewAccount", stranger) == (5 * RLC, 0)
    assert market.hub.read("totalSupply") == before + 5 * RLC
    assert market.token.read("balanceOf", stranger) == 0


def test_deposit_without_allowance_or_tokens_reverts_empty(market: Market, roles: Roles) -> None:
    stranger = roles.stranger.address
    with reverts():
        market.hub.send("deposit", 1, by=stranger)
    market.token.send("approve", market.hub.address, 1, by=stranger)
    with reverts():
        market.hub.send("deposit", 1, by=stranger)


def test_deposit_of_nothing_is_an_event_like_any_other(market: Market, roles: Roles) -> None:
    receipt = market.hub.send("deposit", 0, by=roles.stranger.address)
    assert market.hub_events(receipt) == [("Transfer", ZERO, roles.stranger.address, 0)]


def test_deposit_for_credits_the_target(market: Market, roles: Roles) -> None:
    stranger, worker = roles.stranger.address, roles.workers[0].address
    _approve(market, stranger, 7)
    before = market.hub.read("balanceOf", worker)

    receipt = market.hub.send("depositFor", 7, worker, by=stranger)

    assert market.events(receipt) == [
        Event("token", "Transfer", (stranger, market.hub.address, 7)),
        Event("hub", "Transfer", (ZERO, worker, 7)),
    ]
    assert market.hub.read("balanceOf", worker) == before + 7
    assert market.hub.read("balanceOf", stranger) == 0


def test_deposit_for_nobody_is_refused(market: Market, roles: Roles) -> None:
    _approve(market, roles.stranger.address, 7)
    with reverts("ERC20: mint to the zero address"):
        market.hub.send("depositFor", 7, ZERO, by=roles.stranger.address)


def test_deposit_for_array_pulls_and_credits_one_by_one(market: Market, roles: Roles) -> None:
    stranger, (one, two, *_) = roles.stranger.address, [worker.address for worker in roles.workers]
    _approve(market, stranger, 10)

    receipt = market.hub.send("depositForArray", [3, 4], [one, two], by=stranger)

    assert market.events(receipt) == [
        Event("token", "Transfer", (stranger, market.hub.address, 3)),
        Event("hub", "Transfer", (ZERO, one, 3)),
        Event("token", "Transfer", (stranger, market.hub.address, 4)),
        Event("hub", "Transfer", (ZERO, two, 4)),
    ]
    assert market.hub.answer("depositForArray", receipt.output) == (True,)


def test_deposit_for_array_wants_a_target_for_each_amount(market: Market, roles: Roles) -> None:
    with reverts("invalid-array-length"):
        market.hub.send("depositForArray", [1, 2], [roles.stranger.address], by=roles.stranger.address)


def test_a_token_that_says_no_is_believed(roles: Roles) -> None:
    evm = Evm()
    owner = roles.owner.address
    token = deploy_double(evm, "FalseToken", roles.stranger.address)
    plan = deployment_plan(Address(owner), evm.chain_id, terms=DeploymentTerms(token=Address(token)))
    for transaction in plan.transactions:
        evm.send(owner, transaction.to, transaction.data)
    with reverts("failed-transferFrom"):
        Contract(evm, "hub", plan.hub, "Hub").send("deposit", 1, by=owner)


def test_a_supply_too_large_for_the_books_is_refused(market: Market, roles: Roles) -> None:
    """SPEC 3.4: an account's word has 128 bits for its stake. RLC cannot get there, a foreign token could."""
    token_supply_slot, balances_slot = 0, 1
    owner = roles.owner.address
    market.evm.set_storage(market.token.address, token_supply_slot, 2**129)
    market.evm.set_mapping(market.token.address, balances_slot, owner, 2**129)
    market.token.send("approve", market.hub.address, 2**129, by=owner)
    room = 2**128 - 1 - market.hub.read("totalSupply")
    with reverts("supply-out-of-range"):
        market.hub.send("deposit", room + 1, by=owner)
    market.hub.send("deposit", room, by=owner)
    assert market.hub.read("balanceOf", owner) == room
