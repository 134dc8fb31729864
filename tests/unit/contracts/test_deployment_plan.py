"""The plan by which a market is brought up: pure, short, with addresses and gas that come true."""

from __future__ import annotations

import pytest
import rlp
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from tests.support.contracts import Contract
from tests.support.evm import Evm
from tests.support.market import Roles
from voisin.chain.deployment.plan import DEFAULT_TERMS, FACETS, DeploymentTerms, contract_address, deployment_plan, facet_cuts
from voisin.protocol.ids import Address
from voisin.protocol.records import Category

OWNER = Address(Roles().owner.address)


@pytest.mark.parametrize("nonce", [0, 1, 0x7F, 0x80, 0xFF, 0x100, 2**40])
def test_addresses_of_new_contracts(nonce: int) -> None:
    expected = to_checksum_address(keccak(rlp.encode([bytes.fromhex(OWNER[2:]), nonce]))[12:])
    assert contract_address(OWNER, nonce) == expected


def _carry_out(evm: Evm, terms: DeploymentTerms = DEFAULT_TERMS) -> None:
    plan = deployment_plan(OWNER, evm.chain_id, nonce=evm.nonce(OWNER), terms=terms)
    for transaction in plan.transactions:
        assert transaction.gas is not None
        receipt = evm.send(OWNER, transaction.to, transaction.data, gas=transaction.gas)
        assert receipt.gas_used <= transaction.gas, transaction.label


def test_the_plan_comes_true() -> None:
    evm = Evm(chain_id=77)
    plan = deployment_plan(OWNER, 77)
    assert len(plan.transactions) == len(FACETS) + 8
    _carry_out(evm)
    hub = Contract(evm, "hub", plan.hub, "Hub")
    assert hub.read("owner") == OWNER
    assert hub.read("token") == plan.token
    assert hub.read("appregistry") == plan.app_registry
    assert hub.read("datasetregistry") == plan.dataset_registry
    assert hub.read("workerpoolregistry") == plan.workerpool_registry
    assert hub.read("domain") == ("iExecODB", "5.0.0", 77, plan.hub)
    assert hub.read("eip712domain_separator") != bytes(32)
    assert hub.read("countCategory") == 5
    for kind, address in (("App", plan.app_registry), ("Dataset", plan.dataset_registry), ("Workerpool", plan.workerpool_registry)):
        registry = Contract(evm, kind, address, f"{kind}Registry")
        assert registry.read("owner") == OWNER
        assert registry.read("initialized") is True
        assert registry.read("baseURI") == f"https://nfts-metadata.iex.ec/{kind.lower()}/77/"


def test_gas_limits_are_close_above_what_is_needed() -> None:
    evm = Evm()
    plan = deployment_plan(OWNER, evm.chain_id)
    used = [evm.send(OWNER, item.to, item.data).gas_used for item in plan.transactions]
    limits = [item.gas or 0 for item in plan.transactions]
    assert all(gas < limit for gas, limit in zip(used, limits, strict=True))
    assert sum(limits) < 1.35 * sum(used)
    assert sum(used) < 35_000_000  # the original needs 42 million


def test_a_plan_may_start_late_and_use_a_token_that_is_there() -> None:
    evm = Evm()
    token = Address(Roles().stranger.address)
    for _ in range(3):
        evm.send(OWNER, OWNER)
    terms = DeploymentTerms(token=token, categories=(Category("blink", "short", 5),), metadata_uri="x")
    plan = deployment_plan(OWNER, evm.chain_id, nonce=3, terms=terms)
    assert len(plan.transactions) == len(FACETS) + 7
    assert plan.token == token
    _carry_out(evm, terms)
    hub = Contract(evm, "hub", plan.hub, "Hub")
    assert hub.read("token") == token
    assert [hub.read("viewCategory", n) for n in range(hub.read("countCategory"))] == [("blink", "short", 5)]
    assert Contract(evm, "apps", plan.app_registry, "AppRegistry").read("baseURI") == "x/app/31337/"


def test_the_plan_is_pure() -> None:
    assert deployment_plan(OWNER, 1, nonce=5) == deployment_plan(OWNER, 1, nonce=5)


def test_selectors_of_short_answers_are_marked() -> None:
    cuts = facet_cuts(dict.fromkeys(FACETS, OWNER))
    small = {selector.hex() for cut in cuts for selector in cut.small}
    assert not small & {"adccf0d5", "b74861b2", "7a0ed627"}  # viewTask, viewDeal, facets
    assert small >= {"6b55f4a5", "156194d4", "00000000", "ffffffff"}  # viewAccount, matchOrders, plain transfers, the unknown
    assert all(set(cut.small) <= set(cut.selectors) for cut in cuts)
