"""What the owner of a registry may do, and the chain of registries."""

from __future__ import annotations

from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.support.contracts import Contract, error_data
from tests.support.evm import reverts
from tests.support.market import Market, Roles, Terms
from tests.support.orders import ZERO
from voisin.chain.artifacts import load_artifact

NOT_OWNER = "Ownable: caller is not the owner"


def _new_registry(market: Market, by: str) -> Contract:
    arguments = encode(["bytes", "string"], [load_artifact("App").init_code, "base/"])
    address = market.evm.send(by, None, load_artifact("AppRegistry").init_code + arguments).contract
    return Contract(market.evm, "new apps", address, "AppRegistry")


def test_a_new_registry(market: Market, roles: Roles) -> None:
    registry = _new_registry(market, roles.stranger.address)
    assert registry.read("owner") == roles.stranger.address
    assert (registry.read("initialized"), registry.read("previous"), registry.read("baseURI")) == (False, ZERO, "base/")
    assert registry.read("totalSupply") == 0
    master = Contract(market.evm, "master", registry.read("master"), "App")
    assert master.read("registry") == registry.address
    with reverts(data=error_data("AppRegistry", "ERC721NonexistentToken", int(master.address, 16))):
        master.read("owner")


def test_initialize_once_by_the_owner(market: Market, roles: Roles) -> None:
    owner = roles.stranger.address
    registry = _new_registry(market, owner)
    with reverts(NOT_OWNER):
        registry.send("initialize", ZERO, by=roles.owner.address)
    registry.send("initialize", market.app_registry.address, by=owner)
    assert (registry.read("initialized"), registry.read("previous")) == (True, market.app_registry.address)
    with reverts():
        registry.send("initialize", ZERO, by=owner)


def test_entries_of_the_registry_before_count(market: Market, roles: Roles) -> None:
    registry = _new_registry(market, roles.stranger.address)
    assert registry.read("isRegistered", market.app) is False
    registry.send("initialize", market.app_registry.address, by=roles.stranger.address)
    assert registry.read("isRegistered", market.app) is True
    assert registry.read("isRegistered", market.dataset) is False
    assert registry.read("isRegistered", roles.stranger.address) is False


def test_a_deal_may_use_an_entry_of_the_registry_before(market: Market, roles: Roles) -> None:
    registry = _new_registry(market, roles.owner.address)
    others = (market.dataset_registry.address, market.workerpool_registry.address)
    market.hub.send("changeRegistries", registry.address, *others, by=roles.owner.address)
    with reverts("iExecV5-matchOrders-0x20"):
        market.match(Terms())
    registry.send("initialize", market.app_registry.address, by=roles.owner.address)
    market.match(Terms())


def test_base_uri(market: Market, roles: Roles) -> None:
    registry, token = market.app_registry, int(market.app, 16)
    with reverts(NOT_OWNER):
        registry.send("setBaseURI", "elsewhere/", by=roles.stranger.address)
    registry.send("setBaseURI", "elsewhere/", by=roles.owner.address)
    assert registry.read("tokenURI", token) == f"elsewhere/{token}"
    registry.send("setBaseURI", "", by=roles.owner.address)
    assert registry.read("tokenURI", token) == ""


def test_names_on_other_chains_are_not_supported(market: Market, roles: Roles) -> None:
    with reverts(NOT_OWNER):
        market.app_registry.send("setName", ZERO, "apps", by=roles.stranger.address)
    with reverts("Operation not supported on this chain"):
        market.app_registry.send("setName", ZERO, "apps", by=roles.owner.address)


def test_ownership(market: Market, roles: Roles) -> None:
    registry, owner, stranger = market.app_registry, roles.owner.address, roles.stranger.address
    with reverts(data=error_data("AppRegistry", "OwnableUnauthorizedAccount", stranger)):
        registry.send("transferOwnership", stranger, by=stranger)
    with reverts(data=error_data("AppRegistry", "OwnableInvalidOwner", ZERO)):
        registry.send("transferOwnership", ZERO, by=owner)
    receipt = registry.send("transferOwnership", stranger, by=owner)
    assert [event.values for event in registry.events(receipt)] == [(owner, stranger)]
    with reverts(data=error_data("AppRegistry", "OwnableUnauthorizedAccount", owner)):
        registry.send("renounceOwnership", by=owner)
    receipt = registry.send("renounceOwnership", by=stranger)
    assert [event.values for event in registry.events(receipt)] == [(stranger, ZERO)]
    assert registry.read("owner") == ZERO


def test_the_proxy_code_is_that_of_erc_1167(market: Market) -> None:
    for registry in market.contracts[2:]:
        master = registry.read("master")
        runtime = "363d3d373d3d3d363d73" + master[2:].lower() + "5af43d82803e903d91602b57fd5bf3"
        assert registry.read("proxyCode").hex() == "602d3d8160093d39f3" + runtime
        assert registry.read("proxyCodeHash") == keccak(registry.read("proxyCode"))
    assert market.evm.code(market.app).hex() == runtime.replace(master[2:].lower(), market.app_registry.read("master")[2:].lower())
