"""The protocol's worked example (12.4), to the nRLC and in the order of its events."""

from __future__ import annotations

from eth_hash.auto import keccak

from tests.support.market import DIGEST, KITTY, Market, Roles, Terms

BAD = keccak(b"bad")
TERMS = Terms(
    app_price=3_000_000_000,
    dataset_price=2_000_000_000,
    price=1_000_000_007,
    volume=2,
    trust=10,
    category=2,
    with_dataset=True,
)
STAKE = 350_000_002
FULL = 10**12  # what everybody has at first


def test_worked_example(market: Market, roles: Roles) -> None:
    a, b, c, d = roles.workers[:4]
    for worker, score in ((a, 30), (b, 0), (c, 10), (d, 17)):
        market.set_score(worker.address, score)
    market.workerpool_contract.send("changePolicy", 35, 5, by=roles.scheduler.address)
    requester, scheduler, hub = roles.requester.address, roles.scheduler.address, market.hub.address

    deal, _ = market.match(TERMS)

    assert market.accounts(requester, scheduler) == [(FULL - 12_000_000_014, 12_000_000_014), (FULL - 600_000_004, 600_000_004)]
    assert market.hub.read("viewDeal", deal)[13:15] == (STAKE, 5)

    task = market.initialize(deal, 0)
    endings = [
        market.hub_events(market.contribute(task, worker, digest))[-1][0]
        for worker, digest in ((c, BAD), (a, DIGEST), (b, DIGEST), (d, DIGEST))
    ]
    assert endings == ["TaskContribute"] * 3 + ["TaskConsensus"]
    assert market.hub.read("viewTask", task)[9] == 3
    assert market.accounts(a.address, b.address, c.address, d.address) == [(FULL - STAKE, STAKE)] * 4
    for worker in (a, b, d):
        market.reveal(task, worker)

    events = market.hub_events(market.finalize(task))

    def paid(worker: str, amount: int) -> list[tuple[object, ...]]:
        return [
            ("Transfer", hub, worker, STAKE),
            ("Unlock", worker, STAKE),
            ("Transfer", hub, worker, amount),
            ("Reward", worker, amount, task),
            ("AccurateContribution", worker, task),
        ]

    assert events == [
        ("Seize", requester, 6_000_000_007, task),
        ("Transfer", hub, roles.app_owner.address, 3_000_000_000),
        ("Reward", roles.app_owner.address, 3_000_000_000, task),
        ("Transfer", hub, roles.dataset_owner.address, 2_000_000_000),
        ("Reward", roles.dataset_owner.address, 2_000_000_000, task),
        ("Transfer", hub, scheduler, 300_000_002),
        ("Unlock", scheduler, 300_000_002),
        ("Seize", c.address, STAKE, task),
        ("FaultyContribution", c.address, task),
        *paid(a.address, 641_250_004),
        *paid(b.address, 213_750_001),
        *paid(d.address, 427_500_002),
        ("Transfer", hub, scheduler, 67_500_002),
        ("Reward", scheduler, 67_500_002, task),
        ("TaskFinalize", task, b""),
    ]
    assert [market.hub.read("viewScore", worker.address) for worker in (a, b, c, d)] == [31, 1, 6, 18]

    failing = market.initialize(deal, 1)
    market.contribute(failing, c)
    market.evm.warp(10 * 3600)
    events = market.hub_events(market.hub.send("claim", failing, by=roles.stranger.address))
    assert events == [
        ("Transfer", hub, requester, 6_000_000_007),
        ("Unlock", requester, 6_000_000_007),
        ("Seize", scheduler, 300_000_002, failing),
        ("Reward", KITTY, 300_000_002, failing),
        ("Lock", KITTY, 300_000_002),
        ("Transfer", hub, c.address, STAKE),
        ("Unlock", c.address, STAKE),
        ("TaskClaimed", failing),
    ]
    assert market.accounts(requester, scheduler, KITTY, a.address, b.address, c.address, d.address) == [
        (FULL - 6_000_000_007, 0),
        (FULL + 67_500_002 - 300_000_002, 0),
        (0, 300_000_002),
        (FULL + 641_250_004, 0),
        (FULL + 213_750_001, 0),
        (FULL - STAKE, 0),
        (FULL + 427_500_002, 0),
    ]
    assert market.hub.read("viewScore", c.address) == 6
    assert market.token.read("balanceOf", hub) == market.hub.read("totalSupply")
