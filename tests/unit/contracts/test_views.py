"""Views: constants, accounts, and the flat forms that older clients read."""

from __future__ import annotations

from eth_hash.auto import keccak

from tests.support.market import DIGEST, KITTY, RLC, Market, Roles, Terms
from tests.support.orders import ZERO


def test_constants_of_the_protocol(market: Market) -> None:
    expected = {
        "contribution_deadline_ratio": 7,
        "reveal_deadline_ratio": 2,
        "final_deadline_ratio": 10,
        "workerpool_stake_ratio": 30,
        "kitty_ratio": 10,
        "kitty_min": 1_000_000_000,
        "groupmember_purpose": 4,
        "callbackgas": 200_000,
        "teebroker": ZERO,
        "kitty_address": KITTY,
    }
    assert {name: market.hub.read(name) for name in expected} == expected
    assert int(KITTY, 16) == int.from_bytes(keccak(b"iExecKitty")[:20], "big") - 1


def test_accounts(market: Market, roles: Roles) -> None:
    market.match(Terms(app_price=3 * RLC, price=10 * RLC))
    account = roles.requester.address
    read = market.hub.read
    assert read("viewAccount", account) == (987 * RLC, 13 * RLC)
    assert read("viewAccountABILegacy", account) == (987 * RLC, 13 * RLC)
    assert (read("balanceOf", account), read("frozenOf", account)) == (987 * RLC, 13 * RLC)
    assert read("balanceOf", market.hub.address) == 16 * RLC


def test_what_is_unknown_reads_as_zeros(market: Market, roles: Roles) -> None:
    read, unknown = market.hub.read, b"\x01" * 32
    nothing = (ZERO, ZERO, 0)
    assert read("viewDeal", unknown) == (nothing, nothing, nothing, 0, 0, bytes(32), ZERO, ZERO, ZERO, "", 0, 0, 0, 0, 0, ZERO)
    assert read("viewTask", unknown) == (0, bytes(32), 0, 0, 0, 0, 0, bytes(32), 0, 0, (), bytes(32), b"", 0, b"")
    assert read("viewContribution", unknown, roles.stranger.address) == (0, bytes(32), bytes(32), ZERO, 0)
    assert (read("viewConsumed", unknown), read("viewPresigned", unknown)) == (0, ZERO)
    assert (read("viewScore", roles.stranger.address), read("viewAccount", roles.stranger.address)) == (0, (0, 0))


def test_flat_forms(market: Market, roles: Roles) -> None:
    terms = Terms(with_dataset=True, dataset_price=RLC, volume=4, category=3, trust=2, params="p", tag=(2).to_bytes(32, "big"))
    deal, _ = market.match(terms)
    task = market.initialize(deal, 2)
    market.contribute(task, roles.workers[0])
    market.reveal(task, roles.workers[0])
    market.finalize(task, b"results")
    read = market.hub.read
    full = read("viewDeal", deal)
    assert read("viewDealABILegacy_pt1", deal) == (*full[0], *full[1], *full[2])
    requester = roles.requester.address
    assert read("viewDealABILegacy_pt2", deal) == (2, terms.tag, requester, requester, ZERO, "p")
    assert read("viewConfigABILegacy", deal) == (3, market.evm.time, 0, 4, 3 * RLC, 1)
    state = read("viewTask", task)
    assert read("viewTaskABILegacy", task) == (*state[:11], state[12])
    assert state[11] == DIGEST
