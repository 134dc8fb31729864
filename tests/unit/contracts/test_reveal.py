"""Showing the digest behind a contribution: `reveal`."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak

from tests.support.evm import reverts
from tests.support.market import DIGEST, Market, Roles, Terms
from tests.support.orders import ZERO, result_hash, result_seal

OTHER = keccak(b"a wrong result")


@pytest.fixture
def revealing(market: Market, roles: Roles) -> bytes:
    """A task on which worker 0 was wrong, and workers 1 to 4 agree."""
    task = market.initialize(market.match(Terms(trust=4))[0])
    market.contribute(task, roles.workers[0], OTHER)
    for worker in roles.workers[1:]:
        market.contribute(task, worker)
    return task


def test_a_reveal_is_counted_and_kept(market: Market, roles: Roles, revealing: bytes) -> None:
    worker = roles.workers[2]

    receipt = market.reveal(revealing, worker)

    assert market.hub_events(receipt) == [("TaskReveal", revealing, worker.address, DIGEST)]
    assert market.hub.read("viewContribution", revealing, worker.address)[0] == 2
    state = market.hub.read("viewTask", revealing)
    assert (state[0], state[8], state[9], state[11]) == (2, 1, 4, DIGEST)


def test_who_was_wrong_cannot_reveal(market: Market, roles: Roles, revealing: bytes) -> None:
    for digest in (OTHER, DIGEST):
        with reverts():
            market.reveal(revealing, roles.workers[0], digest)


def test_strangers_cannot_reveal(market: Market, roles: Roles, revealing: bytes) -> None:
    with reverts():
        market.reveal(revealing, roles.stranger)


def test_another_digest_is_refused(market: Market, roles: Roles, revealing: bytes) -> None:
    with reverts():
        market.reveal(revealing, roles.workers[1], OTHER)


def test_a_worker_reveals_once(market: Market, roles: Roles, revealing: bytes) -> None:
    market.reveal(revealing, roles.workers[1])
    with reverts():
        market.reveal(revealing, roles.workers[1])


def test_the_deadline_is_the_first_moment_that_is_too_late(market: Market, roles: Roles, revealing: bytes) -> None:
    market.evm.warp(2 * 300 - 1)
    market.reveal(revealing, roles.workers[1])
    market.evm.warp(1)
    with reverts():
        market.reveal(revealing, roles.workers[2])


def test_before_consensus_there_is_nothing_to_reveal(market: Market, roles: Roles) -> None:
    task = market.initialize(market.match(Terms(trust=4))[0])
    market.contribute(task, roles.workers[0])
    with reverts():
        market.reveal(task, roles.workers[0])


def test_a_copied_hash_with_somebody_elses_seal_cannot_be_revealed(market: Market, roles: Roles) -> None:
    """The hash is public once it is on the chain; the seal shows who knew the digest."""
    honest, copycat = roles.workers[:2]
    task = market.initialize(market.match(Terms(trust=4))[0])
    market.contribute(task, honest)
    market.hub.send(
        "contribute",
        task,
        result_hash(task, DIGEST),
        result_seal(honest.address, task, DIGEST),
        ZERO,
        b"",
        market.authorize(copycat, task),
        by=copycat.address,
    )
    market.reveal(task, honest)
    with reverts():
        market.reveal(task, copycat)


def test_a_worker_known_by_another_task_only_cannot_reveal(market: Market, roles: Roles, revealing: bytes) -> None:
    other = market.initialize(market.match(Terms(trust=1, salt=b"\x01" * 32))[0])
    market.contribute(other, roles.workers[1])
    with reverts():
        market.reveal(other, roles.workers[2])
