"""The gate, function by function (SPEC 20): what each does, and who is refused with which words."""

from __future__ import annotations

import pytest

from tests.support.contracts import Contract
from tests.support.evm import reverts
from tests.support.gates import HOUR, PRICE, GateTerms, deploy_gate, give
from tests.support.market import RLC, Market, Roles
from voisin.protocol.ids import MAX_UINT256

SOLD = GateTerms(price=PRICE, period=HOUR, renewals=2)


def is_member(gate: Contract, account: str) -> bool:
    key = bytes.fromhex(account[2:]).rjust(32, b"\0")
    answer = bool(gate.read("keyHasPurpose", key, 4))
    assert answer == gate.read("isMember", account)
    assert not gate.read("keyHasPurpose", key, 1)
    return answer


def paid(market: Market, account: str) -> int:
    return int(market.token.read("balanceOf", account))


def test_a_gate_is_what_its_constructor_was_told(market: Market) -> None:
    gate = deploy_gate(market, GateTerms(begins=5, ends=9, price=PRICE, period=HOUR, renewals=2))
    names = ("ENTRY", "TOKEN", "BEGINS", "ENDS", "IS_PUBLIC", "PRICE", "PERIOD", "RENEWALS", "is_selling", "round")
    said = (market.dataset, market.token.address, 5, 9, False, PRICE, HOUR, 2, True, 0)
    assert tuple(gate.read(name) for name in names) == said


@pytest.mark.parametrize(
    ("terms", "reason"),
    [(GateTerms(begins=9, ends=9), "empty-window"), (GateTerms(is_public=True, period=1), "nothing-to-sell")],
    ids=lambda value: str(value)[:40],
)
def test_a_gate_that_makes_no_sense_is_not_deployed(market: Market, terms: GateTerms, reason: str) -> None:
    with reverts(reason):
        deploy_gate(market, terms)


def test_the_owner_of_the_entry_owns_the_gate_and_takes_it_along(market: Market, roles: Roles) -> None:
    gate, owner, heir = deploy_gate(market, GateTerms()), roles.dataset_owner.address, roles.stranger.address
    assert gate.read("owner") == owner
    market.dataset_registry.send("transferFrom", owner, heir, int(market.dataset, 16), by=owner)
    assert gate.read("owner") == heir
    gate.send("grant", heir, 0, 0, by=heir)
    with reverts("not-the-owner"):
        gate.send("grant", owner, 0, 0, by=owner)


def test_grants_are_for_a_time(market: Market, roles: Roles) -> None:
    gate, owner, renter = deploy_gate(market, GateTerms()), roles.dataset_owner.address, roles.requester.address
    now = market.evm.time
    assert not is_member(gate, renter)
    receipt = gate.send("grant", renter, now + 10, now + 20, by=owner)
    assert gate.events(receipt) == [("gate", "Granted", (renter, now + 10, now + 20))]
    seen = []
    for _ in range(4):
        seen.append(is_member(gate, renter))
        market.evm.warp(9)
    assert seen == [False, False, True, False], "at 0, 9, 18 and 27 seconds"
    gate.send("grant", renter, 0, 0, by=owner)
    assert is_member(gate, renter)
    assert gate.read("grantOf", renter) == (0, MAX_UINT256)
    with reverts("empty-window"):
        gate.send("grant", renter, now, now, by=owner)


def test_several_are_granted_at_once(market: Market, roles: Roles) -> None:
    gate, many = deploy_gate(market, GateTerms()), [worker.address for worker in roles.workers]
    gate.send("grantArray", many, 0, 0, by=roles.dataset_owner.address)
    assert all(is_member(gate, account) for account in many)


def test_who_is_revoked_passes_no_more_until_granted_anew(market: Market, roles: Roles) -> None:
    gate, owner, renter = deploy_gate(market, GateTerms()), roles.dataset_owner.address, roles.requester.address
    gate.send("grant", renter, 0, 0, by=owner)
    receipt = gate.send("revoke", renter, by=owner)
    assert gate.events(receipt) == [("gate", "Revoked", (renter, 0))]
    assert not is_member(gate, renter)
    gate.send("grant", renter, 0, 0, by=owner)
    assert is_member(gate, renter)


def test_all_grants_are_revoked_at_once(market: Market, roles: Roles) -> None:
    gate, owner = deploy_gate(market, SOLD), roles.dataset_owner.address
    one, two = roles.workers[0].address, roles.workers[1].address
    gate.send("grantArray", [one, two], 0, 0, by=owner)
    receipt = gate.send("revokeAll", by=owner)
    assert gate.events(receipt) == [("gate", "RevokedAll", (1,))]
    assert not is_member(gate, one)
    assert not is_member(gate, two)
    assert not gate.read("is_selling")
    gate.send("grant", one, 0, 0, by=owner)
    assert (is_member(gate, one), is_member(gate, two)) == (True, False)


def test_a_public_gate_lets_all_pass_who_are_not_revoked_in_its_time(market: Market, roles: Roles) -> None:
    now = market.evm.time
    gate = deploy_gate(market, GateTerms(begins=now + 10, ends=now + 20, is_public=True))
    renter, other = roles.requester.address, roles.stranger.address
    gate.send("revoke", other, by=roles.dataset_owner.address)
    seen = []
    for _ in range(4):
        seen.append((is_member(gate, renter), is_member(gate, other)))
        market.evm.warp(9)
    assert seen == [(False, False), (False, False), (True, False), (False, False)]


def test_a_subscriber_pays_the_owner_and_passes_for_the_time(market: Market, roles: Roles) -> None:
    gate, renter, owner = deploy_gate(market, SOLD), roles.requester, roles.dataset_owner.address
    give(market, renter, 2 * PRICE, gate.address)
    now = market.evm.time
    receipt = gate.send("subscribe", 2, by=renter.address)
    assert gate.events(receipt) == [("gate", "Subscribed", (renter.address, now, now + 2 * HOUR, 2 * PRICE))]
    assert (paid(market, owner), paid(market, gate.address), paid(market, renter.address)) == (2 * PRICE, 0, 0)
    market.evm.warp(2 * HOUR - 1)
    assert is_member(gate, renter.address)
    market.evm.warp(1)
    assert not is_member(gate, renter.address)


def test_a_renewal_goes_behind_what_is_paid_and_renewals_are_counted(market: Market, roles: Roles) -> None:
    gate, renter = deploy_gate(market, SOLD), roles.requester
    give(market, renter, 9 * PRICE, gate.address)
    now = market.evm.time
    gate.send("subscribe", 1, by=renter.address)
    market.evm.warp(HOUR // 2)
    gate.send("subscribe", 1, by=renter.address)
    assert gate.read("subscriptions", renter.address) == (now, now + 2 * HOUR, 2)
    market.evm.warp(3 * HOUR)
    gate.send("subscribe", 1, by=renter.address)
    later = market.evm.time
    assert gate.read("subscriptions", renter.address) == (later, later + HOUR, 3)
    with reverts("no-renewal-left"):
        gate.send("subscribe", 1, by=renter.address)


def test_a_subscription_is_paid_in_one_transaction(market: Market, roles: Roles) -> None:
    gate, renter = deploy_gate(market, SOLD), roles.requester
    give(market, renter, 3 * PRICE, gate.address)
    for amount in (PRICE - 1, PRICE + 1):
        with reverts("wrong-amount"):
            market.token.send("approveAndCall", gate.address, amount, b"", by=renter.address)
    market.token.send("approveAndCall", gate.address, 2 * PRICE, b"", by=renter.address)
    assert gate.read("subscriptions", renter.address)[2] == 2
    with reverts("no-period"):
        market.token.send("approveAndCall", gate.address, 0, b"", by=renter.address)
    with reverts("wrong-token"):
        gate.send("receiveApproval", renter.address, PRICE, market.token.address, b"", by=renter.address)


@pytest.mark.parametrize("step", ["unpaid", "unsold", "revoked", "none", "late", "no subscription", "nothing"])
def test_what_is_not_sold(market: Market, roles: Roles, step: str) -> None:
    now, renter, owner = market.evm.time, roles.requester, roles.dataset_owner.address
    terms = {"late": GateTerms(price=PRICE, period=HOUR, ends=now + HOUR), "no subscription": GateTerms()}.get(step, SOLD)
    gate = deploy_gate(market, terms)
    if step != "unpaid":
        give(market, renter, 9 * PRICE, gate.address)
    if step == "unsold":
        gate.send("setSelling", False, by=owner)
    if step == "revoked":
        gate.send("revoke", renter.address, by=owner)
    periods = {"none": 0, "late": 2}.get(step, 1)
    reason = {
        "unsold": "not-selling",
        "revoked": "revoked",
        "none": "no-period",
        "late": "past-the-end",
        "no subscription": "no-subscription",
    }
    if step == "nothing":
        gate.send("subscribe", 1, by=renter.address)
        return
    with reverts(reason.get(step, "")):
        gate.send("subscribe", periods, by=renter.address)
    assert gate.read("subscriptions", renter.address) == (0, 0, 0)


def test_a_sale_is_opened_again(market: Market, roles: Roles) -> None:
    gate, owner = deploy_gate(market, SOLD), roles.dataset_owner.address
    receipt = gate.send("setSelling", False, by=owner)
    assert gate.events(receipt) == [("gate", "Selling", (False,))]
    gate.send("setSelling", True, by=owner)
    assert gate.read("is_selling")
    with reverts("no-subscription"):
        deploy_gate(market, GateTerms()).send("setSelling", True, by=owner)


def test_who_revokes_a_subscriber_gives_back_what_is_not_used(market: Market, roles: Roles) -> None:
    gate, renter, owner = deploy_gate(market, SOLD), roles.requester, roles.dataset_owner
    give(market, renter, 2 * PRICE, gate.address)
    gate.send("subscribe", 2, by=renter.address)
    market.evm.warp(HOUR // 3)
    refund = PRICE * (2 * HOUR - HOUR // 3) // HOUR
    assert gate.read("refundOf", renter.address) == refund
    with reverts():
        gate.send("revoke", renter.address, by=owner.address)  # no allowance
    assert is_member(gate, renter.address)
    data = bytes.fromhex(renter.address[2:]).rjust(32, b"\0")
    with reverts("not-the-owner"):
        market.token.send("approveAndCall", gate.address, refund, data, by=renter.address)
    market.token.send("approveAndCall", gate.address, refund, data, by=owner.address)
    assert not is_member(gate, renter.address)
    assert (paid(market, renter.address), paid(market, owner.address)) == (refund, 2 * PRICE - refund)
    assert gate.read("refundOf", renter.address) == 0


def test_who_buys_more_before_a_revocation_is_revoked_once_the_sale_is_closed(market: Market, roles: Roles) -> None:
    """Who sees the revocation come buys more, so that what the owner lets the gate give back does not suffice."""
    gate, renter, owner = deploy_gate(market, SOLD), roles.requester, roles.dataset_owner
    give(market, renter, 3 * PRICE, gate.address)
    data = bytes.fromhex(renter.address[2:]).rjust(32, b"\0")
    gate.send("subscribe", 1, by=renter.address)
    gate.send("subscribe", 1, by=renter.address)
    with reverts():
        market.token.send("approveAndCall", gate.address, PRICE, data, by=owner.address)
    gate.send("setSelling", False, by=owner.address)
    with reverts("not-selling"):
        gate.send("subscribe", 1, by=renter.address)
    market.token.send("approveAndCall", gate.address, gate.read("refundOf", renter.address), data, by=owner.address)
    assert not is_member(gate, renter.address)
    assert paid(market, gate.address) == 0


def test_who_takes_a_gate_over_owes_what_is_not_used(market: Market, roles: Roles) -> None:
    gate, renter, owner, heir = deploy_gate(market, SOLD), roles.requester, roles.dataset_owner, roles.stranger
    give(market, renter, 2 * PRICE, gate.address)
    gate.send("subscribe", 2, by=renter.address)
    market.dataset_registry.send("transferFrom", owner.address, heir.address, int(market.dataset, 16), by=owner.address)
    market.token.send("approve", gate.address, 2 * PRICE, by=owner.address)
    with reverts():
        gate.send("revoke", renter.address, by=heir.address)
    give(market, heir, 2 * PRICE, gate.address)
    gate.send("revoke", renter.address, by=heir.address)
    assert paid(market, renter.address) + paid(market, heir.address) == 2 * PRICE
    assert paid(market, owner.address) == 2 * PRICE


def test_a_subscription_before_the_beginning_is_given_back_whole(market: Market, roles: Roles) -> None:
    begins = market.evm.time + 10 * HOUR
    gate = deploy_gate(market, GateTerms(begins=begins, price=PRICE, period=HOUR))
    give(market, roles.requester, PRICE, gate.address)
    gate.send("subscribe", 1, by=roles.requester.address)
    assert gate.read("subscriptions", roles.requester.address) == (begins, begins + HOUR, 1)
    assert gate.read("refundOf", roles.requester.address) == PRICE


def test_a_subscription_may_cost_nothing(market: Market, roles: Roles) -> None:
    gate = deploy_gate(market, GateTerms(period=HOUR))
    gate.send("subscribe", 1, by=roles.requester.address)
    assert is_member(gate, roles.requester.address)
    with reverts("wrong-amount"):
        market.token.send("approveAndCall", gate.address, RLC, b"", by=roles.requester.address)


def test_only_the_owner_says_who_passes(market: Market, roles: Roles) -> None:
    gate, other = deploy_gate(market, SOLD), roles.stranger.address
    for call in (("grant", other, 0, 0), ("grantArray", [other], 0, 0), ("revoke", other), ("revokeAll",), ("setSelling", False)):
        with reverts("not-the-owner"):
            gate.send(*call, by=other)
