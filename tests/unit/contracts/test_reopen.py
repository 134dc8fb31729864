"""When nobody of the winners reveals: `reopen`."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak

from tests.support.evm import reverts
from tests.support.market import DIGEST, RLC, Market, Roles, Terms
from tests.support.orders import result_hash

OTHER = keccak(b"a wrong result")


@pytest.fixture
def silent(market: Market, roles: Roles) -> bytes:
    """A task of trust 4 on which workers 0 and 1 agreed and then fell silent; the reveal deadline has passed."""
    task = market.initialize(market.match(Terms(trust=4))[0])
    for worker in roles.workers[:2]:
        market.contribute(task, worker, OTHER)
    market.evm.warp(2 * 300)
    return task


def _reopen(market: Market, task: bytes, by: str | None = None) -> list[tuple[object, ...]]:
    return market.hub_events(market.hub.send("reopen", task, by=by or market.roles.scheduler.address))


def test_reopen_rejects_the_silent_and_opens_the_task(market: Market, roles: Roles, silent: bytes) -> None:
    assert _reopen(market, silent) == [("TaskReopen", silent)]
    state = market.hub.read("viewTask", silent)
    assert (state[0], state[5], state[7], state[8], state[9]) == (1, 0, bytes(32), 0, 0)
    assert state[10] == tuple(worker.address for worker in roles.workers[:2])
    assert [market.hub.read("viewContribution", silent, worker.address)[0] for worker in roles.workers[:2]] == [3, 3]
    assert market.accounts(*(worker.address for worker in roles.workers[:2])) == [(997 * RLC, 3 * RLC)] * 2


def test_reopen_is_the_schedulers(market: Market, roles: Roles, silent: bytes) -> None:
    with reverts():
        _reopen(market, silent, roles.stranger.address)


def test_reopen_waits_for_the_reveal_deadline(market: Market, roles: Roles) -> None:
    task = market.initialize(market.match(Terms(trust=1))[0])
    market.contribute(task, roles.workers[0])
    market.evm.warp(2 * 300 - 1)
    with reverts():
        _reopen(market, task)
    market.evm.warp(1)
    _reopen(market, task)


def test_reopen_needs_that_nobody_revealed(market: Market, roles: Roles) -> None:
    task = market.initialize(market.match(Terms(trust=4))[0])
    for worker in roles.workers[:2]:
        market.contribute(task, worker)
    market.reveal(task, roles.workers[0])
    market.evm.warp(2 * 300)
    with reverts():
        _reopen(market, task)


def test_reopen_ends_with_the_final_deadline(market: Market, silent: bytes) -> None:
    market.evm.warp(8 * 300)
    with reverts():
        _reopen(market, silent)


def test_an_open_task_cannot_be_reopened(market: Market, silent: bytes) -> None:
    _reopen(market, silent)
    with reverts():
        _reopen(market, silent)


def test_the_rejected_may_neither_contribute_nor_reveal_again(market: Market, roles: Roles, silent: bytes) -> None:
    _reopen(market, silent)
    for worker in roles.workers[:2]:
        with reverts():
            market.contribute(silent, worker)
        with reverts():
            market.reveal(silent, worker, OTHER)


def test_a_reopened_task_counts_as_if_the_rejected_had_never_spoken(market: Market, roles: Roles, silent: bytes) -> None:
    """Trust 4 needs two unopposed newcomers; the group of the rejected is gone, so two are enough again."""
    _reopen(market, silent)
    assert market.hub_events(market.contribute(silent, roles.workers[2]))[-1][0] == "TaskContribute"
    assert market.hub_events(market.contribute(silent, roles.workers[3]))[-1] == (
        "TaskConsensus",
        silent,
        result_hash(silent, DIGEST),
    )
    assert market.hub.read("viewTask", silent)[9] == 2


def test_the_same_answer_starts_from_nothing(market: Market, roles: Roles, silent: bytes) -> None:
    """Newcomers that say what the rejected said form a new group; the rejected are no winners."""
    _reopen(market, silent)
    market.contribute(silent, roles.workers[2], OTHER)
    assert market.hub_events(market.contribute(silent, roles.workers[3], OTHER))[-1][0] == "TaskConsensus"
    assert market.hub.read("viewTask", silent)[9] == 2


def test_opposition_stays(market: Market, roles: Roles) -> None:
    """Worker 0 opposes with weight 2. After a reopening, P > (1 + 2)(3 - 1) = 6 still needs three newcomers: 2^3 = 8."""
    task = market.initialize(market.match(Terms(trust=3))[0])
    market.contribute(task, roles.workers[0])
    for worker in roles.workers[1:3]:
        market.contribute(task, worker, OTHER)
    assert market.hub_events(market.contribute(task, roles.workers[3], OTHER))[-1][0] == "TaskConsensus"
    market.evm.warp(2 * 300)
    _reopen(market, task)
    # the group that opposed is alone now: 2 x 2 = 4 > (1 + 0)(3 - 1) = 2
    assert market.hub_events(market.contribute(task, roles.workers[4]))[-1][0] == "TaskConsensus"
    assert market.hub.read("viewTask", task)[9] == 2


def test_a_task_may_be_reopened_again(market: Market, roles: Roles, silent: bytes) -> None:
    _reopen(market, silent)
    for worker in roles.workers[2:4]:
        market.contribute(silent, worker)
    market.evm.warp(2 * 300)
    _reopen(market, silent)
    assert [market.hub.read("viewContribution", silent, worker.address)[0] for worker in roles.workers[:4]] == [3, 3, 3, 3]
