"""What the hub's owner decides: ownership, configuration, broker, callback gas, registries, categories, scores of old."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.support.compiled import deploy_double
from tests.support.contracts import Contract, error_data
from tests.support.evm import Evm, reverts
from tests.support.market import Market, Roles
from tests.support.orders import ZERO
from voisin.chain.artifacts import load_artifact
from voisin.chain.deployment.plan import ADD, FACETS, DeploymentTerms, deployment_plan, facet_cuts
from voisin.protocol.ids import Address

NOT_OWNER = "Ownable: caller is not the owner"


def _separator(hub: str, chain_id: int) -> bytes:
    """Written a second time, from EIP-712."""
    kind = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    return keccak(
        encode(["bytes32", "bytes32", "bytes32", "uint256", "address"], [kind, keccak(b"iExecODB"), keccak(b"5.0.0"), chain_id, hub])
    )


def _bare_hub(evm: Evm, roles: Roles) -> Contract:
    """A hub with its routes, and nothing else."""
    owner = Address(roles.owner.address)
    plan = deployment_plan(owner, evm.chain_id, nonce=evm.nonce(owner), terms=DeploymentTerms(categories=()))
    for transaction in plan.transactions[: 1 + len(FACETS)]:
        evm.send(owner, transaction.to, transaction.data)
    cuts = [(cut.facet, ADD, cut.selectors) for cut in facet_cuts(plan.facets)]
    code = load_artifact("Hub").init_code + encode(["(address,uint8,bytes4[])[]", "bytes4[]", "bytes[]"], [cuts, [], []])
    return Contract(evm, "hub", evm.send(owner, None, code).contract, "Hub")


def test_ownership_may_end(market: Market, roles: Roles) -> None:
    market.hub.send("transferOwnership", ZERO, by=roles.owner.address)
    with reverts(NOT_OWNER):
        market.hub.send("setCallbackGas", 1, by=roles.owner.address)


def test_configure_once(roles: Roles) -> None:
    evm = Evm()
    hub = _bare_hub(evm, roles)
    addresses = [f"0x{n:040x}" for n in range(1, 6)]
    arguments = (addresses[0], "Staked RLC", "SRLC", 9, *addresses[1:])
    with reverts(NOT_OWNER):
        hub.send("configure", *arguments, by=roles.stranger.address)
    assert hub.read("eip712domain_separator") == bytes(32)

    receipt = hub.send("configure", *arguments, by=roles.owner.address)

    assert receipt.logs == ()
    assert hub.read("eip712domain_separator") == _separator(hub.address, 31337)
    views = ("token", "appregistry", "datasetregistry", "workerpoolregistry")
    assert [hub.read(view) for view in views] == addresses[:4]
    assert (hub.read("name"), hub.read("symbol"), hub.read("decimals")) == ("Staked RLC", "SRLC", 9)
    assert (hub.read("callbackgas"), hub.read("teebroker")) == (200_000, ZERO)
    with reverts("already-configured"):
        hub.send("configure", *arguments, by=roles.owner.address)


def test_domain_is_computed_and_the_separator_is_stored(market: Market, roles: Roles) -> None:
    hub = market.hub
    assert hub.read("domain") == ("iExecODB", "5.0.0", 31337, hub.address)
    market.evm.chain_id = 4
    try:
        assert hub.read("domain") == ("iExecODB", "5.0.0", 4, hub.address)
        assert hub.read("eip712domain_separator") == _separator(hub.address, 31337)
        assert hub.send("updateDomainSeparator", by=roles.stranger.address).logs == ()
        assert hub.read("eip712domain_separator") == _separator(hub.address, 4)
    finally:
        market.evm.chain_id = 31337


def test_update_domain_separator_needs_a_configuration(roles: Roles) -> None:
    hub = _bare_hub(Evm(), roles)
    with reverts("not-configured"):
        hub.send("updateDomainSeparator", by=roles.owner.address)


def test_setters_are_the_owners(market: Market, roles: Roles) -> None:
    hub, owner, stranger = market.hub, roles.owner.address, roles.stranger.address
    three = [f"0x{n:040x}" for n in (1, 2, 3)]
    calls = (("setTeeBroker", stranger), ("setCallbackGas", 7), ("changeRegistries", *three))
    for function, *arguments in calls:
        with reverts(NOT_OWNER):
            hub.send(function, *arguments, by=stranger)
        assert hub.send(function, *arguments, by=owner).logs == ()
    assert (hub.read("teebroker"), hub.read("callbackgas")) == (stranger, 7)
    assert [hub.read(view) for view in ("appregistry", "datasetregistry", "workerpoolregistry")] == three


def test_categories_of_the_plan(market: Market) -> None:
    assert market.hub.read("countCategory") == 5
    found = [market.hub.read("viewCategory", n) for n in range(5)]
    assert found == [("XS", '""', 300), ("S", '""', 1200), ("M", '""', 3600), ("L", '""', 10800), ("XL", '""', 36000)]
    assert market.hub.read("viewCategoryABILegacy", 3) == ("L", '""', 10800)


def test_create_category(market: Market, roles: Roles) -> None:
    receipt = market.hub.send("createCategory", "moment", "d" * 1024, 0, by=roles.owner.address)
    assert market.hub_events(receipt) == [("CreateCategory", 5, "moment", "d" * 1024, 0)]
    assert market.hub.answer("createCategory", receipt.output) == (5,)
    assert market.hub.read("viewCategory", 5) == ("moment", "d" * 1024, 0)
    assert market.hub.read("countCategory") == 6


def test_create_category_refusals(market: Market, roles: Roles) -> None:
    with reverts(NOT_OWNER):
        market.hub.send("createCategory", "x", "", 1, by=roles.stranger.address)
    with reverts("category-too-long"):
        market.hub.send("createCategory", "x", "", 2**36 + 1, by=roles.owner.address)
    market.hub.send("createCategory", "x", "", 2**36, by=roles.owner.address)


def test_missing_categories(market: Market) -> None:
    with reverts():
        market.hub.read("viewCategory", 5)
    panic_out_of_bounds = bytes.fromhex("4e487b71") + (0x32).to_bytes(32, "big")
    with reverts(data=panic_out_of_bounds):
        market.hub.read("viewCategoryABILegacy", 5)


def test_scores_can_be_brought_along_once(roles: Roles) -> None:
    evm = Evm()
    hub = _bare_hub(evm, roles)
    worker = roles.workers[0].address
    with reverts():  # there is no former hub: an address without code
        hub.send("importScore", worker, by=worker)
    former = deploy_double(evm, "FormerHub", roles.stranger.address)
    hub.send("configure", ZERO, "", "", 9, ZERO, ZERO, ZERO, former, by=roles.owner.address)

    receipt = hub.send("importScore", worker, by=roles.stranger.address)

    assert receipt.logs == ()
    assert hub.read("viewScore", worker) == 30
    with reverts("score-already-imported"):
        hub.send("importScore", worker, by=worker)


@pytest.mark.parametrize(("name", "symbol"), [("", ""), ("a", "b"), ("n" * 31, "s" * 31), ("n" * 32, "s" * 32), ("n" * 33, "é"), ("n" * 64, "")])
def test_names_of_any_length(roles: Roles, name: str, symbol: str) -> None:
    hub = _bare_hub(Evm(), roles)
    hub.send("configure", ZERO, name, symbol, 255, *[ZERO] * 4, by=roles.owner.address)
    assert (hub.read("name"), hub.read("symbol"), hub.read("decimals")) == (name, symbol, 255)
