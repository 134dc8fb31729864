"""The example `Vault`: it pays once, to the payee, for exactly the agreed computation; else the payer has the money back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_hash.auto import keccak

from tests.support.contracts import Contract, deploy_example
from tests.support.dapps import number, revealed, said, salted, settled
from tests.support.evm import FIRST_TIME, reverts
from tests.support.market import RLC, Market, Roles, Terms

AMOUNT = 500 * RLC
LEAST = 100
DEADLINE = FIRST_TIME + 10_000
QUESTION = '{"iexec_args":"how much has been built"}'


@pytest.fixture
def vault(market: Market, roles: Roles) -> Contract:
    """500 RLC of the sponsor for the enclave, if the market's app says 100 or more, with a trust of 2."""
    payer, payee = roles.sponsor.address, roles.enclave.address
    agreement = (payer, payee, market.app, market.workerpool, 2, keccak(QUESTION.encode()), LEAST, DEADLINE)
    contract = deploy_example(market.evm, "Vault.vy", payer, market.hub.address, agreement)
    market.token.send("transfer", contract.address, AMOUNT, by=roles.owner.address)
    return contract


@pytest.fixture
def terms(vault: Contract) -> Terms:
    """The agreed computation; anybody may order it."""
    return Terms(trust=2, callback=vault.address, params=QUESTION)


def _balances(market: Market, vault: Contract) -> tuple[int, int, int]:
    """Of vault, payee, payer."""
    people = vault.address, market.roles.enclave.address, market.roles.sponsor.address
    found = [market.token.read("balanceOf", account) for account in people]
    return found[0], found[1], found[2]


@pytest.mark.parametrize("value", [LEAST, LEAST + 1, 2**255 - 1])
def test_the_settlement_of_the_task_pays(market: Market, roles: Roles, vault: Contract, terms: Terms, value: int) -> None:
    task = revealed(market, market.match(terms)[0], number(value))
    receipt = market.finalize(task, b"link", number(value))
    assert said(receipt, vault) == [("Vault", "Paid", (roles.enclave.address, AMOUNT))]
    assert _balances(market, vault) == (0, AMOUNT, 0)
    assert vault.read("is_closed") is True


def test_anybody_may_show_a_proof(market: Market, roles: Roles, vault: Contract, terms: Terms) -> None:
    task = settled(market, replace(terms, callback=roles.stranger.address), number(LEAST))
    vault.send("release", task, by=roles.stranger.address)
    assert _balances(market, vault) == (0, AMOUNT, 0)


@pytest.mark.parametrize("value", [LEAST - 1, 0, -1, -(2**255)])
def test_a_number_that_is_too_small_pays_nothing(market: Market, roles: Roles, vault: Contract, terms: Terms, value: int) -> None:
    task = settled(market, terms, number(value))
    with reverts("condition-not-met"):
        vault.send("release", task, by=roles.stranger.address)
    assert _balances(market, vault) == (AMOUNT, 0, 0)


def test_words_of_somebody_who_plays_the_hub_are_not_believed(market: Market, roles: Roles, vault: Contract, terms: Terms) -> None:
    task = settled(market, terms, number(0))
    with reverts("condition-not-met"):
        vault.send("receiveResult", task, number(LEAST), by=roles.enclave.address)
    with reverts("task-not-completed"):
        vault.send("receiveResult", bytes(32), number(LEAST), by=roles.enclave.address)


def test_the_agreed_question_and_no_other(market: Market, roles: Roles, vault: Contract, terms: Terms) -> None:
    for turn, params in enumerate(("", QUESTION + " ", '{"iexec_args":"something easy"}')):
        task = settled(market, salted(replace(terms, params=params), turn), number(LEAST))
        with reverts("another-question"):
            vault.send("release", task, by=roles.enclave.address)


def test_without_an_input_that_the_agreement_does_not_know(market: Market, roles: Roles, vault: Contract, terms: Terms) -> None:
    task = settled(market, replace(terms, with_dataset=True), number(LEAST))
    with reverts("another-input"):
        vault.send("release", task, by=roles.enclave.address)


def test_trust_that_is_too_small(market: Market, roles: Roles, vault: Contract, terms: Terms) -> None:
    task = settled(market, replace(terms, trust=1), number(LEAST))
    with reverts("too-little-trust"):
        vault.send("release", task, by=roles.enclave.address)


def test_an_app_that_failed_proves_nothing(market: Market, roles: Roles, vault: Contract, terms: Terms) -> None:
    """What its contract gets then is the line of text under the failure's digest."""
    task = settled(market, terms, f"{64 * 'e'}  error.json\n".encode())
    with reverts("not-a-number"):
        vault.send("release", task, by=roles.enclave.address)


@pytest.mark.parametrize("kind", ["app", "workerpool"])
def test_a_payee_with_an_app_or_a_pool_of_its_own(market: Market, roles: Roles, vault: Contract, terms: Terms, kind: str) -> None:
    before = market.app, market.workerpool
    try:
        if kind == "app":
            market.app = market.create_app("it says what I like", roles.app_owner)
        else:
            market.workerpool = market.create_workerpool("it says what I like", roles.scheduler)
        task = settled(market, terms, number(LEAST))
    finally:
        market.app, market.workerpool = before
    with reverts(f"another-{kind}"):
        vault.send("release", task, by=roles.enclave.address)


def test_it_pays_once(market: Market, roles: Roles, vault: Contract, terms: Terms) -> None:
    task = settled(market, terms, number(LEAST))
    market.token.send("transfer", vault.address, 5, by=roles.owner.address)
    another = settled(market, salted(terms, 1), number(LEAST))
    for proof in (task, another):
        with reverts("closed"):
            vault.send("release", proof, by=roles.enclave.address)
    assert _balances(market, vault) == (5, AMOUNT, 0)
    vault.send("refund", by=roles.stranger.address)
    assert _balances(market, vault) == (0, AMOUNT, 5)


def test_the_payer_has_it_back_after_the_deadline_and_not_before(market: Market, roles: Roles, vault: Contract, terms: Terms) -> None:
    task = settled(market, replace(terms, callback=roles.stranger.address), number(LEAST))
    market.evm.warp(DEADLINE - FIRST_TIME - 1)
    with reverts("too-early"):
        vault.send("refund", by=roles.sponsor.address)
    market.evm.warp(1)
    with market.evm.anchor():
        vault.send("release", task, by=roles.stranger.address)
        assert _balances(market, vault) == (0, AMOUNT, 0)
    receipt = vault.send("refund", by=roles.stranger.address)
    assert said(receipt, vault) == [("Vault", "Paid", (roles.sponsor.address, AMOUNT))]
    assert _balances(market, vault) == (0, 0, AMOUNT)
    with reverts("closed"):
        vault.send("release", task, by=roles.enclave.address)


def test_an_empty_vault_cannot_be_closed_by_an_early_proof(market: Market, roles: Roles, terms: Terms) -> None:
    payer, payee = roles.sponsor.address, roles.enclave.address
    agreement = (payer, payee, market.app, market.workerpool, 2, keccak(QUESTION.encode()), LEAST, DEADLINE)
    empty = deploy_example(market.evm, "Vault.vy", payer, market.hub.address, agreement)
    task = settled(market, terms, number(LEAST))
    with reverts("nothing-to-pay"):
        empty.send("release", task, by=roles.stranger.address)
    market.token.send("transfer", empty.address, AMOUNT, by=roles.owner.address)
    empty.send("release", task, by=roles.stranger.address)
    assert empty.read("is_closed") is True
