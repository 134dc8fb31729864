"""Conditions of a dataset's order that the hub enforces itself: each broken once, and kept once (issue: conditions that bite)."""

from __future__ import annotations

from tests.support.evm import reverts
from tests.support.gates import HOUR, PRICE, GateTerms, deploy_gate, give, rent
from tests.support.market import Market, Roles


def refused(code: str) -> str:
    return f"iExecV5-matchOrders-{code}"


def test_out_of_uses(market: Market) -> None:
    for salt in range(2):
        rent(market, salt=salt, volume=2)
    with reverts(refused("0x60")):
        rent(market, salt=2, volume=2)


def test_another_app(market: Market, roles: Roles) -> None:
    other = market.create_app("another", roles.app_owner)
    with reverts(refused("0x16")):
        rent(market, apprestrict=other)
    rent(market, apprestrict=market.app)


def test_an_app_that_is_not_on_the_list(market: Market, roles: Roles) -> None:
    roster = deploy_gate(market, GateTerms())
    roster.send("grantArray", [market.create_app("another", roles.app_owner)], 0, 0, by=roles.dataset_owner.address)
    with reverts(refused("0x16")):
        rent(market, apprestrict=roster.address)
    roster.send("grant", market.app, 0, 0, by=roles.dataset_owner.address)
    rent(market, apprestrict=roster.address)


def test_another_pool(market: Market, roles: Roles) -> None:
    with reverts(refused("0x17")):
        rent(market, workerpoolrestrict=market.create_workerpool("another", roles.scheduler))
    rent(market, workerpoolrestrict=market.workerpool)


def test_another_requester(market: Market, roles: Roles) -> None:
    with reverts(refused("0x18")):
        rent(market, requesterrestrict=roles.stranger.address)
    rent(market, requesterrestrict=roles.requester.address)


def test_no_member(market: Market, roles: Roles) -> None:
    gate = deploy_gate(market, GateTerms())
    with reverts(refused("0x18")):
        rent(market, requesterrestrict=gate.address)
    gate.send("grant", roles.requester.address, 0, 0, by=roles.dataset_owner.address)
    rent(market, requesterrestrict=gate.address)


def test_too_early_and_too_late(market: Market, roles: Roles) -> None:
    now = market.evm.time
    gate = deploy_gate(market, GateTerms(begins=now + HOUR, ends=now + 2 * HOUR, is_public=True))
    with reverts(refused("0x18")):
        rent(market, requesterrestrict=gate.address)
    market.evm.warp(HOUR)
    rent(market, salt=1, requesterrestrict=gate.address, volume=9)
    market.evm.warp(HOUR)
    with reverts(refused("0x18")):
        rent(market, salt=2, requesterrestrict=gate.address, volume=9)


def test_outside_the_time_of_a_member(market: Market, roles: Roles) -> None:
    gate, now = deploy_gate(market, GateTerms()), market.evm.time
    gate.send("grant", roles.requester.address, now, now + HOUR, by=roles.dataset_owner.address)
    rent(market, salt=1, requesterrestrict=gate.address, volume=9)
    market.evm.warp(HOUR)
    with reverts(refused("0x18")):
        rent(market, salt=2, requesterrestrict=gate.address, volume=9)


def test_not_subscribed_subscribed_and_run_out(market: Market, roles: Roles) -> None:
    gate = deploy_gate(market, GateTerms(price=PRICE, period=HOUR))
    with reverts(refused("0x18")):
        rent(market, requesterrestrict=gate.address)
    give(market, roles.requester, PRICE, gate.address)
    gate.send("subscribe", 1, by=roles.requester.address)
    rent(market, salt=1, requesterrestrict=gate.address, volume=9)
    market.evm.warp(HOUR)
    with reverts(refused("0x18")):
        rent(market, salt=2, requesterrestrict=gate.address, volume=9)


def test_revoked(market: Market, roles: Roles) -> None:
    gate, owner = deploy_gate(market, GateTerms()), roles.dataset_owner.address
    gate.send("grant", roles.requester.address, 0, 0, by=owner)
    rent(market, salt=1, requesterrestrict=gate.address, volume=9)
    gate.send("revoke", roles.requester.address, by=owner)
    with reverts(refused("0x18")):
        rent(market, salt=2, requesterrestrict=gate.address, volume=9)


def test_all_revoked(market: Market, roles: Roles) -> None:
    gate, owner = deploy_gate(market, GateTerms()), roles.dataset_owner.address
    gate.send("grant", roles.requester.address, 0, 0, by=owner)
    gate.send("revokeAll", by=owner)
    with reverts(refused("0x18")):
        rent(market, requesterrestrict=gate.address)
