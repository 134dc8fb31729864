"""Settlement of an agreed task: `finalize` (SPEC 8.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_hash.auto import keccak

from tests.support.evm import reverts
from tests.support.market import DIGEST, RLC, Market, Roles, Terms

OTHER = keccak(b"a wrong result")
LINK = b'{"storage":"ipfs","location":"/ipfs/QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"}'
TERMS = Terms(app_price=3 * RLC, price=10 * RLC, trust=4)


@pytest.fixture
def revealed(market: Market, roles: Roles) -> bytes:
    """A task on which workers 0 and 1 agreed and revealed."""
    task = market.initialize(market.match(TERMS)[0])
    for worker in roles.workers[:2]:
        market.contribute(task, worker)
    for worker in roles.workers[:2]:
        market.reveal(task, worker)
    return task


def test_two_honest_workers_share(market: Market, roles: Roles, revealed: bytes) -> None:
    """10 RLC, 1 % for the scheduler: 9.9 RLC for the workers, half each, and the rest for the scheduler."""
    hub, scheduler = market.hub.address, roles.scheduler.address
    one, two = (worker.address for worker in roles.workers[:2])

    receipt = market.finalize(revealed, LINK)

    share, stake = 4_950_000_000, 3 * RLC
    assert market.hub_events(receipt) == [
        ("Seize", roles.requester.address, 13 * RLC, revealed),
        ("Transfer", hub, roles.app_owner.address, 3 * RLC),
        ("Reward", roles.app_owner.address, 3 * RLC, revealed),
        ("Transfer", hub, scheduler, 3 * RLC),
        ("Unlock", scheduler, 3 * RLC),
        ("Transfer", hub, one, stake),
        ("Unlock", one, stake),
        ("Transfer", hub, one, share),
        ("Reward", one, share, revealed),
        ("AccurateContribution", one, revealed),
        ("Transfer", hub, two, stake),
        ("Unlock", two, stake),
        ("Transfer", hub, two, share),
        ("Reward", two, share, revealed),
        ("AccurateContribution", two, revealed),
        ("Transfer", hub, scheduler, RLC // 10),
        ("Reward", scheduler, RLC // 10, revealed),
        ("TaskFinalize", revealed, LINK),
    ]
    assert market.accounts(roles.requester.address, roles.app_owner.address, scheduler, one, two, hub) == [
        (987 * RLC, 0),
        (3 * RLC, 0),
        (1000 * RLC + RLC // 10, 0),
        (1000 * RLC + share, 0),
        (1000 * RLC + share, 0),
        (0, 0),
    ]
    assert [market.hub.read("viewScore", worker) for worker in (one, two)] == [1, 1]
    state = market.hub.read("viewTask", revealed)
    assert (state[0], state[8], state[9], state[11], state[12], state[13], state[14]) == (3, 2, 2, DIGEST, LINK, 0, b"")


def test_a_lone_worker_gains_no_score(market: Market, roles: Roles) -> None:
    task = market.initialize(market.match(replace(TERMS, trust=1))[0])
    market.contribute(task, roles.workers[0])
    market.reveal(task, roles.workers[0])
    names = [event[0] for event in market.hub_events(market.finalize(task))]
    assert "AccurateContribution" not in names
    assert market.hub.read("viewScore", roles.workers[0].address) == 0


def test_finalize_is_the_schedulers(market: Market, roles: Roles, revealed: bytes) -> None:
    for who in (roles.stranger, roles.workers[0], roles.requester, roles.owner):
        with reverts():
            market.hub.send("finalize", revealed, b"", b"", by=who.address)


def test_finalize_once(market: Market, revealed: bytes) -> None:
    market.finalize(revealed)
    with reverts():
        market.finalize(revealed)


def test_finalize_of_nothing(market: Market) -> None:
    with reverts():
        market.finalize(bytes(32))


def test_finalize_ends_with_the_final_deadline(market: Market, revealed: bytes) -> None:
    market.evm.warp(10 * 300 - 1)
    with market.evm.anchor():
        market.finalize(revealed)
    market.evm.warp(1)
    with reverts():
        market.finalize(revealed)


def test_all_winners_must_reveal_or_their_time_be_over(market: Market, roles: Roles) -> None:
    task = market.initialize(market.match(TERMS)[0])
    for worker in roles.workers[:2]:
        market.contribute(task, worker)
    with reverts():
        market.finalize(task)
    market.reveal(task, roles.workers[0])
    with reverts():
        market.finalize(task)
    market.evm.warp(2 * 300 - 1)
    with reverts():
        market.finalize(task)
    market.evm.warp(1)
    market.finalize(task)


def test_without_any_reveal_there_is_nothing_to_settle(market: Market, roles: Roles) -> None:
    task = market.initialize(market.match(TERMS)[0])
    for worker in roles.workers[:2]:
        market.contribute(task, worker)
    market.evm.warp(2 * 300)
    with reverts():
        market.finalize(task)


def test_who_does_not_reveal_pays_who_did(market: Market, roles: Roles) -> None:
    """T = 10 + 3 = 13 RLC; worker 1 gets 12.87, the scheduler 0.13; the silent worker 0 loses 3 RLC and a third of its score."""
    silent, diligent = roles.workers[:2]
    task = market.initialize(market.match(TERMS)[0])
    for worker in (silent, diligent):
        market.contribute(task, worker)
    market.reveal(task, diligent)
    market.evm.warp(2 * 300)
    events = market.hub_events(market.finalize(task))
    assert ("Seize", silent.address, 3 * RLC, task) in events
    assert ("FaultyContribution", silent.address, task) in events
    assert market.accounts(silent.address, diligent.address, roles.scheduler.address) == [
        (997 * RLC, 0),
        (1_012_870_000_000, 0),
        (1_000_130_000_000, 0),
    ]


def test_who_was_rejected_pays_in_the_end(market: Market, roles: Roles) -> None:
    task = market.initialize(market.match(replace(TERMS, trust=1))[0])
    market.contribute(task, roles.workers[0], OTHER)
    market.evm.warp(2 * 300)
    market.hub.send("reopen", task, by=roles.scheduler.address)
    market.contribute(task, roles.workers[1])
    market.reveal(task, roles.workers[1])
    events = [event for event in market.hub_events(market.finalize(task)) if event[0].endswith("Contribution")]
    assert events == [
        ("FaultyContribution", roles.workers[0].address, task),
        ("AccurateContribution", roles.workers[1].address, task),
    ]
    assert market.accounts(roles.workers[0].address, roles.workers[1].address) == [(997 * RLC, 0), (1_012_870_000_000, 0)]


def test_with_a_dataset_its_owner_is_paid_after_the_apps(market: Market, roles: Roles) -> None:
    task = market.initialize(market.match(replace(TERMS, trust=1, with_dataset=True, dataset_price=2 * RLC))[0])
    market.contribute(task, roles.workers[0])
    market.reveal(task, roles.workers[0])
    events = market.hub_events(market.finalize(task))
    hub = market.hub.address
    assert events[:5] == [
        ("Seize", roles.requester.address, 15 * RLC, task),
        ("Transfer", hub, roles.app_owner.address, 3 * RLC),
        ("Reward", roles.app_owner.address, 3 * RLC, task),
        ("Transfer", hub, roles.dataset_owner.address, 2 * RLC),
        ("Reward", roles.dataset_owner.address, 2 * RLC, task),
    ]


def test_free_apps_and_datasets_make_no_events(market: Market, roles: Roles) -> None:
    task = market.initialize(market.match(replace(TERMS, trust=1, app_price=0, with_dataset=True))[0])
    market.contribute(task, roles.workers[0])
    market.reveal(task, roles.workers[0])
    names = [event[0] for event in market.hub_events(market.finalize(task))]
    assert names == ["Seize", "Transfer", "Unlock", "Transfer", "Unlock", "Transfer", "Reward", "Transfer", "Reward", "TaskFinalize"]


def test_the_sponsor_pays_not_the_requester(market: Market, roles: Roles) -> None:
    orders = market.sign(market.orders(replace(TERMS, trust=1)))
    deal, _ = market.match_orders(orders, by=roles.sponsor.address, function="sponsorMatchOrders")
    task = market.initialize(deal)
    market.contribute(task, roles.workers[0])
    market.reveal(task, roles.workers[0])
    assert market.hub_events(market.finalize(task))[0] == ("Seize", roles.sponsor.address, 13 * RLC, task)
    assert market.accounts(roles.sponsor.address, roles.requester.address) == [(987 * RLC, 0), (1000 * RLC, 0)]


def test_the_old_scheduler_settles_after_the_pool_was_sold(market: Market, roles: Roles, revealed: bytes) -> None:
    market.workerpool_registry.send(
        "transferFrom", roles.scheduler.address, roles.stranger.address, int(market.workerpool, 16), by=roles.scheduler.address
    )
    with reverts():
        market.hub.send("finalize", revealed, b"", b"", by=roles.stranger.address)
    events = market.hub_events(market.finalize(revealed))
    assert events[-2][:3] == ("Reward", roles.scheduler.address, RLC // 10)


@pytest.mark.parametrize(
    ("kitty", "share"), [(RLC // 2, RLC // 2), (RLC, RLC), (3 * RLC, RLC), (10 * RLC, RLC), (25 * RLC + 9, 2_500_000_000)]
)
def test_the_kitty_gives_a_tenth_but_at_least_one_rlc(market: Market, roles: Roles, revealed: bytes, kitty: int, share: int) -> None:
    """The kitty is filled as a failed task would have: its money is locked, and held by the hub."""
    _fill_kitty(market, kitty)
    events = market.hub_events(market.finalize(revealed))
    place = events.index(("Unlock", roles.scheduler.address, 3 * RLC))
    assert events[place + 1 : place + 4] == [
        ("Seize", "0x99c2268479b93fDe36232351229815DF80837e23", share, revealed),
        ("Transfer", market.hub.address, roles.scheduler.address, share),
        ("Reward", roles.scheduler.address, share, revealed),
    ]
    assert market.hub.read("frozenOf", "0x99c2268479b93fDe36232351229815DF80837e23") == kitty - share


def _fill_kitty(market: Market, amount: int) -> None:
    """Have a scheduler fail on a task whose stake is `amount`: 30 % of the price."""
    price = -(-amount * 100 // 30)
    assert price * 30 // 100 == amount
    start = market.evm.time
    task = market.initialize(market.match(Terms(app_price=0, price=price, salt=b"\x77" * 32))[0])
    market.evm.warp(3000)
    market.hub.send("claim", task, by=market.roles.stranger.address)
    market.evm.time = start


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 84, 4095, 4096])
def test_results_of_every_length_come_back(market: Market, revealed: bytes, size: int) -> None:
    results = bytes(1 + place % 255 for place in range(size))
    receipt = market.finalize(revealed, results)
    assert market.hub_events(receipt)[-1] == ("TaskFinalize", revealed, results)
    assert market.hub.read("viewTask", revealed)[12] == results
    assert market.hub.read("viewTaskABILegacy", revealed)[11] == results


def test_results_beyond_the_bound_revert_empty(market: Market, revealed: bytes) -> None:
    with reverts():
        market.finalize(revealed, bytes(4097))


def test_what_is_pushed_must_be_what_was_agreed_even_without_callback(market: Market, revealed: bytes) -> None:
    with reverts():
        market.finalize(revealed, b"", b"something")
    market.finalize(revealed, b"", b"the right result")
    assert market.hub.read("resultFor", revealed) == b"the right result"
