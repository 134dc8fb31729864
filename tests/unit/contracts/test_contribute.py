"""Committing to a result: `contribute`, its checks, authorizations, enclaves, and what it keeps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from tests.support.accounts import Signer
from tests.support.compiled import deploy_double
from tests.support.evm import Receipt, reverts
from tests.support.market import DIGEST, RLC, Market, Roles, Terms
from tests.support.orders import TEE_TAG, ZERO, result_hash, result_seal

PLAIN = Terms(trust=4, price=10 * RLC)


@dataclass(frozen=True)
class Attempt:
    """A call of `contribute`, of which a test changes one thing."""

    task: bytes
    worker: Signer
    authorization: bytes
    hashed: bytes
    seal: bytes
    enclave: str = ZERO
    enclave_sign: bytes = b""

    def send(self, market: Market) -> Receipt:
        """Contribute."""
        return market.hub.send(
            "contribute",
            self.task,
            self.hashed,
            self.seal,
            self.enclave,
            self.enclave_sign,
            self.authorization,
            by=self.worker.address,
        )


def _attempt(market: Market, task: bytes, worker: Signer, *, by: Signer | None = None, enclave: Signer | None = None) -> Attempt:
    hashed, seal = result_hash(task, DIGEST), result_seal(worker.address, task, DIGEST)
    challenge = enclave.address if enclave else ZERO
    sealed = enclave.sign_message(hashed, seal) if enclave else b""
    return Attempt(task, worker, market.authorize(worker, task, challenge, by=by), hashed, seal, challenge, sealed)


@pytest.fixture
def task(market: Market) -> bytes:
    """An open task of trust 4."""
    return market.initialize(market.match(PLAIN)[0])


@pytest.fixture
def enclave_task(market: Market) -> bytes:
    """An open task whose deal demands an enclave."""
    return market.initialize(market.match(replace(PLAIN, tag=TEE_TAG))[0])


def test_a_contribution_locks_stake_and_is_kept(market: Market, roles: Roles, task: bytes) -> None:
    worker, hub = roles.workers[0], market.hub.address
    attempt = _attempt(market, task, worker)

    receipt = attempt.send(market)

    assert market.hub_events(receipt) == [
        ("Transfer", worker.address, hub, 3 * RLC),
        ("Lock", worker.address, 3 * RLC),
        ("TaskContribute", task, worker.address, attempt.hashed),
    ]
    assert receipt.output == b""
    assert market.hub.read("viewContribution", task, worker.address) == (1, attempt.hashed, attempt.seal, ZERO, 1)
    assert market.hub.read("viewContributionABILegacy", task, worker.address) == (1, attempt.hashed, attempt.seal, ZERO)
    assert market.hub.read("viewTask", task)[10] == (worker.address,)
    assert market.accounts(worker.address) == [(997 * RLC, 3 * RLC)]


def test_a_task_that_is_not_open_takes_none(market: Market, roles: Roles) -> None:
    with reverts():
        _attempt(market, bytes(32), roles.workers[0]).send(market)


def test_the_deadline_is_the_first_moment_that_is_too_late(market: Market, roles: Roles, task: bytes) -> None:
    market.evm.warp(7 * 300 - 1)
    _attempt(market, task, roles.workers[0]).send(market)
    market.evm.warp(1)
    with reverts():
        _attempt(market, task, roles.workers[1]).send(market)


def test_a_worker_contributes_once(market: Market, roles: Roles, task: bytes) -> None:
    attempt = _attempt(market, task, roles.workers[0])
    attempt.send(market)
    with reverts():
        attempt.send(market)


def test_only_who_was_sent_may_contribute(market: Market, roles: Roles, task: bytes) -> None:
    attempt = _attempt(market, task, roles.workers[0])
    for wrong in (
        replace(attempt, worker=roles.workers[1]),  # somebody else's word
        replace(attempt, authorization=market.authorize(roles.workers[0], task, by=roles.stranger)),
        replace(attempt, authorization=market.authorize(roles.workers[0], bytes(32))),  # for another task
        replace(attempt, authorization=market.authorize(roles.workers[0], task, roles.enclave.address)),  # for an enclave
    ):
        with reverts():
            wrong.send(market)
    with reverts("invalid-signature-format"):
        replace(attempt, authorization=b"").send(market)
    attempt.send(market)


def test_the_word_of_the_scheduler_of_the_match_counts(market: Market, roles: Roles, task: bytes) -> None:
    market.workerpool_registry.send(
        "transferFrom", roles.scheduler.address, roles.stranger.address, int(market.workerpool, 16), by=roles.scheduler.address
    )
    with reverts():
        _attempt(market, task, roles.workers[0], by=roles.stranger).send(market)
    _attempt(market, task, roles.workers[0]).send(market)


def test_a_worker_without_stake_is_refused(market: Market, roles: Roles, task: bytes) -> None:
    worker = roles.workers[0]
    market.hub.send("withdraw", 997 * RLC + 1, by=worker.address)
    with reverts("IexecEscrow: Transfer amount exceeds balance"):
        _attempt(market, task, worker).send(market)


def test_a_result_hash_of_zero_is_a_result_hash(market: Market, roles: Roles, task: bytes) -> None:
    receipt = replace(_attempt(market, task, roles.workers[0]), hashed=bytes(32)).send(market)
    assert market.hub_events(receipt)[-1] == ("TaskContribute", task, roles.workers[0].address, bytes(32))


def test_a_deal_may_demand_an_enclave(market: Market, roles: Roles, enclave_task: bytes) -> None:
    worker, enclave = roles.workers[0], roles.enclave
    with reverts():
        _attempt(market, enclave_task, worker).send(market)
    _attempt(market, enclave_task, worker, enclave=enclave).send(market)
    assert market.hub.read("viewContribution", enclave_task, worker.address)[3] == enclave.address


def test_an_enclave_is_welcome_anywhere(market: Market, roles: Roles, task: bytes) -> None:
    _attempt(market, task, roles.workers[0], enclave=roles.enclave).send(market)
    assert market.hub.read("viewContribution", task, roles.workers[0].address)[3] == roles.enclave.address


def test_the_enclave_must_have_signed(market: Market, roles: Roles, enclave_task: bytes) -> None:
    attempt = _attempt(market, enclave_task, roles.workers[0], enclave=roles.enclave)
    for wrong in (roles.stranger.sign_message(attempt.hashed, attempt.seal), roles.enclave.sign_message(attempt.seal, attempt.hashed)):
        with reverts():
            replace(attempt, enclave_sign=wrong).send(market)
    with reverts("invalid-signature-format"):
        replace(attempt, enclave_sign=b"").send(market)


def test_a_broker_speaks_for_enclaves_and_for_nothing_else(market: Market, roles: Roles, task: bytes, enclave_task: bytes) -> None:
    broker, (one, two, *_) = roles.stranger, roles.workers
    market.hub.send("setTeeBroker", broker.address, by=roles.owner.address)
    with reverts():
        _attempt(market, enclave_task, one, enclave=roles.enclave).send(market)
    _attempt(market, enclave_task, one, by=broker, enclave=roles.enclave).send(market)
    with reverts():
        _attempt(market, task, two, by=broker).send(market)
    _attempt(market, task, two).send(market)


def test_wallet_contracts_may_be_scheduler_and_enclave(market: Market, roles: Roles) -> None:
    """The scheduler of the deal and the enclave are contracts that sign with the keys of two roles."""
    evm, stranger = market.evm, roles.stranger
    wallet = deploy_double(evm, "Wallet", stranger.address, ("address", roles.scheduler.address))
    enclave_wallet = deploy_double(evm, "Wallet", stranger.address, ("address", roles.enclave.address))
    market.token.send("approve", market.hub.address, 10 * RLC, by=roles.owner.address)
    market.hub.send("depositFor", 10 * RLC, wallet, by=roles.owner.address)
    market.workerpool_registry.send("transferFrom", roles.scheduler.address, wallet, int(market.workerpool, 16), by=roles.scheduler.address)
    task = market.initialize(market.match(replace(PLAIN, tag=TEE_TAG))[0])
    worker = roles.workers[0]
    attempt = _attempt(market, task, worker, enclave=roles.enclave)
    attempt = replace(attempt, enclave=enclave_wallet, authorization=market.authorize(worker, task, enclave_wallet))
    attempt.send(market)
    assert market.hub.read("viewContribution", task, worker.address)[3] == enclave_wallet
    with reverts():
        replace(attempt, worker=roles.workers[1]).send(market)


def test_nobody_contributes_after_consensus(market: Market, roles: Roles) -> None:
    task = market.initialize(market.match(replace(PLAIN, trust=1))[0])
    _attempt(market, task, roles.workers[0]).send(market)
    with reverts():
        _attempt(market, task, roles.workers[1]).send(market)


def test_a_stake_of_nothing_makes_events_of_zero(market: Market, roles: Roles) -> None:
    task = market.initialize(market.match(replace(PLAIN, price=0))[0])
    worker = roles.stranger
    receipt = _attempt(market, task, worker).send(market)
    assert market.hub_events(receipt)[:2] == [("Transfer", worker.address, market.hub.address, 0), ("Lock", worker.address, 0)]
