"""One worker, one transaction: `contributeAndFinalize`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_hash.auto import keccak

from tests.support.accounts import Signer
from tests.support.evm import Receipt, reverts
from tests.support.market import DIGEST, RLC, Market, Roles, Terms
from tests.support.orders import TEE_TAG, ZERO, result_hash, result_seal

TERMS = Terms(app_price=3 * RLC, price=10 * RLC, trust=1)


def _finish(
    market: Market, task: bytes, worker: Signer, *, enclave: Signer | None = None, results: bytes = b"", callback: bytes = b""
) -> Receipt:
    challenge = enclave.address if enclave else ZERO
    hashed, seal = result_hash(task, DIGEST), result_seal(worker.address, task, DIGEST)
    sealed = enclave.sign_message(hashed, seal) if enclave else b""
    authorization = market.authorize(worker, task, challenge)
    return market.hub.send("contributeAndFinalize", task, DIGEST, results, callback, challenge, sealed, authorization, by=worker.address)


@pytest.fixture
def task(market: Market) -> bytes:
    """An open task without replication."""
    return market.initialize(market.match(TERMS)[0])


def test_all_at_once(market: Market, roles: Roles, task: bytes) -> None:
    worker, scheduler, hub = roles.stranger, roles.scheduler.address, market.hub.address
    hashed = result_hash(task, DIGEST)

    receipt = _finish(market, task, worker, results=b"link")

    assert market.hub_events(receipt) == [
        ("Seize", roles.requester.address, 13 * RLC, task),
        ("Transfer", hub, roles.app_owner.address, 3 * RLC),
        ("Reward", roles.app_owner.address, 3 * RLC, task),
        ("Transfer", hub, scheduler, 3 * RLC),
        ("Unlock", scheduler, 3 * RLC),
        ("Transfer", hub, worker.address, 9_900_000_000),
        ("Reward", worker.address, 9_900_000_000, task),
        ("Transfer", hub, scheduler, 100_000_000),
        ("Reward", scheduler, 100_000_000, task),
        ("TaskContribute", task, worker.address, hashed),
        ("TaskConsensus", task, hashed),
        ("TaskReveal", task, worker.address, DIGEST),
        ("TaskFinalize", task, b"link"),
    ]
    assert receipt.output == b""
    state = market.hub.read("viewTask", task)
    assert state[0] == 3
    assert state[5:13] == (market.evm.time + 600, market.evm.time + 3000, hashed, 1, 1, (worker.address,), DIGEST, b"link")
    assert market.hub.read("viewContribution", task, worker.address) == (
        2,
        hashed,
        result_seal(worker.address, task, DIGEST),
        ZERO,
        0,
    )
    assert market.accounts(worker.address) == [(9_900_000_000, 0)]
    assert market.hub.read("viewScore", worker.address) == 0


def test_only_without_replication(market: Market, roles: Roles) -> None:
    task = market.initialize(market.match(replace(TERMS, trust=2))[0])
    with reverts():
        _finish(market, task, roles.workers[0])


def test_a_trust_of_nothing_is_a_trust_of_one(market: Market, roles: Roles) -> None:
    task = market.initialize(market.match(replace(TERMS, trust=0))[0])
    _finish(market, task, roles.workers[0])


def test_only_as_the_first(market: Market, roles: Roles, task: bytes) -> None:
    """With a trust of 1 the first contribution is the consensus; reopened, the task has a contributor."""
    market.contribute(task, roles.workers[0])
    with reverts():
        _finish(market, task, roles.workers[1])
    market.evm.warp(600)
    market.hub.send("reopen", task, by=roles.scheduler.address)
    with reverts():
        _finish(market, task, roles.workers[1])


def test_once(market: Market, roles: Roles, task: bytes) -> None:
    _finish(market, task, roles.workers[0])
    for worker in roles.workers[:2]:
        with reverts():
            _finish(market, task, worker)


def test_before_the_contribution_deadline(market: Market, roles: Roles, task: bytes) -> None:
    market.evm.warp(7 * 300)
    with reverts():
        _finish(market, task, roles.workers[0])


def test_only_who_was_sent(market: Market, roles: Roles, task: bytes) -> None:
    word = market.authorize(roles.workers[0], task)
    with reverts():
        market.hub.send("contributeAndFinalize", task, DIGEST, b"", b"", ZERO, b"", word, by=roles.workers[1].address)
    with reverts("invalid-signature-format"):
        market.hub.send("contributeAndFinalize", task, DIGEST, b"", b"", ZERO, b"", b"", by=roles.workers[0].address)


def test_enclaves(market: Market, roles: Roles) -> None:
    task = market.initialize(market.match(replace(TERMS, tag=TEE_TAG))[0])
    worker, enclave = roles.workers[0], roles.enclave
    with reverts():
        _finish(market, task, worker)
    word = market.authorize(worker, task, enclave.address)
    wrong = roles.stranger.sign_message(result_hash(task, DIGEST), result_seal(worker.address, task, DIGEST))
    with reverts():
        market.hub.send("contributeAndFinalize", task, DIGEST, b"", b"", enclave.address, wrong, word, by=worker.address)
    _finish(market, task, worker, enclave=enclave)
    assert market.hub.read("viewContribution", task, worker.address)[3] == enclave.address


def test_the_pushed_value_is_bound_by_the_digest(market: Market, roles: Roles) -> None:
    task = market.initialize(market.match(replace(TERMS, callback=roles.stranger.address))[0])
    with reverts():
        _finish(market, task, roles.workers[0])
    with reverts():
        _finish(market, task, roles.workers[0], callback=b"another result")
    assert keccak(b"the right result") == DIGEST
    _finish(market, task, roles.workers[0], callback=b"the right result")
    assert market.hub.read("resultFor", task) == b"the right result"


def test_ratios_of_the_policy(market: Market, roles: Roles) -> None:
    """A scheduler's ratio of 100 % leaves the worker nothing, and says so."""
    market.workerpool_contract.send("changePolicy", 30, 100, by=roles.scheduler.address)
    task = market.initialize(market.match(TERMS)[0])
    events = market.hub_events(_finish(market, task, roles.workers[0]))
    assert ("Reward", roles.workers[0].address, 0, task) in events
    assert ("Reward", roles.scheduler.address, 10 * RLC, task) in events
