"""The hub's one address: which facet answers, what happens without one, and who may change it."""

from __future__ import annotations

from eth_abi.abi import encode

from tests.support.compiled import deploy_double
from tests.support.contracts import Contract, error_data, selector
from tests.support.evm import Evm, reverts
from tests.support.market import Market, Roles
from tests.support.orders import ZERO
from voisin.chain.artifacts import load_abi, load_artifact
from voisin.chain.deploy import FACETS, SMALL_ANSWER, deployment_plan
from voisin.protocol.ids import Address

UNKNOWN = b"\xde\xad\xbe\xef"


def test_unknown_selectors_and_plain_transfers_are_refused(market: Market, roles: Roles) -> None:
    market.evm.fund(roles.stranger.address, 10)
    for data in (UNKNOWN, UNKNOWN + bytes(64), b"", b"\x01", bytes(3)):
        for value in (0, 1):
            with reverts("fallback-disabled"):
                market.evm.send(roles.stranger.address, market.hub.address, data, value=value)


def test_coin_sent_with_a_function_is_refused(market: Market, roles: Roles) -> None:
    market.evm.fund(roles.stranger.address, 10)
    for function, arguments in (("deposit", (0,)), ("claimArray", ([],)), ("totalSupply", ())):
        with reverts():
            market.hub.send(function, *arguments, by=roles.stranger.address, value=1)


def test_renouncing_ownership_is_in_the_interface_of_the_original_but_nobody_implements_it(market: Market, roles: Roles) -> None:
    with reverts("fallback-disabled"):
        market.evm.send(roles.owner.address, market.hub.address, bytes.fromhex("715018a6"))


def test_a_hub_without_routes_names_the_selector(roles: Roles) -> None:
    evm = Evm()
    code = load_artifact("Hub").init_code + encode(["(bytes4,address,bool)[]", "bytes[]"], [[], []])
    hub = evm.send(roles.owner.address, None, code).contract
    with reverts(data=error_data("Hub", "FunctionNotFound", UNKNOWN)):
        evm.send(roles.stranger.address, hub, UNKNOWN)
    with reverts(data=error_data("Hub", "FunctionNotFound", bytes(4))):
        evm.send(roles.stranger.address, hub, b"")


def test_every_function_of_the_abi_has_a_route(market: Market, roles: Roles) -> None:
    plan = deployment_plan(Address(roles.owner.address), market.evm.chain_id)
    functions = [entry for entry in load_abi("Hub") if entry.type == "function"]
    assert len(functions) == 95
    for entry in functions:
        assert market.hub.read("facetAddress", entry.selector) in plan.facets.values(), entry.signature
    assert market.hub.read("facetAddress", UNKNOWN) == ZERO


def test_no_answer_is_longer_than_its_route_allows() -> None:
    """An answer beyond the bound would be cut; the sizes are the compiler's."""
    longest = max(size for name in FACETS for size in load_artifact(name).return_sizes.values())
    assert SMALL_ANSWER < longest <= 20_480


def test_the_owner_may_send_a_selector_elsewhere(market: Market, roles: Roles) -> None:
    mute = deploy_double(market.evm, "Mute", roles.stranger.address)

    receipt = market.hub.send("setRoutes", [(UNKNOWN, mute, False), (selector("Hub", "claim"), mute, True)], by=roles.owner.address)

    assert market.hub_events(receipt) == [
        ("RouteSet", UNKNOWN, mute, False),
        ("RouteSet", selector("Hub", "claim"), mute, True),
    ]
    assert market.hub.read("facetAddress", UNKNOWN) == mute
    assert market.evm.send(roles.stranger.address, market.hub.address, UNKNOWN).output == b""


def test_the_owner_may_take_a_selector_away(market: Market, roles: Roles) -> None:
    claim = selector("Hub", "claim")
    receipt = market.hub.send("setRoutes", [(claim, ZERO, True)], by=roles.owner.address)
    assert market.hub_events(receipt) == [("RouteSet", claim, ZERO, False)]
    with reverts("fallback-disabled"):
        market.hub.send("claim", bytes(32), by=roles.stranger.address)


def test_only_the_owner_may_change_routes(market: Market, roles: Roles) -> None:
    stranger, owner = roles.stranger.address, roles.owner.address
    with reverts(data=error_data("Hub", "NotContractOwner", stranger, owner)):
        market.hub.send("setRoutes", [], by=stranger)


def test_a_facet_must_have_code(market: Market, roles: Roles) -> None:
    with reverts("route-without-facet"):
        market.hub.send("setRoutes", [(UNKNOWN, roles.stranger.address, False)], by=roles.owner.address)


def test_the_route_table_cannot_lock_itself(market: Market, roles: Roles) -> None:
    with reverts("route-table-locked"):
        market.hub.send("setRoutes", [(selector("Hub", "setRoutes"), ZERO, False)], by=roles.owner.address)


def test_a_facet_alone_holds_nothing(market: Market, roles: Roles) -> None:
    """Calling a facet directly works on the facet's own, empty state: it is nobody's and stays unconfigured."""
    plan = deployment_plan(Address(roles.owner.address), market.evm.chain_id)
    facet = Contract(market.evm, "facet", plan.facets["ConfigurationFacet"], "Hub")
    assert facet.read("owner") == ZERO
    with reverts("Ownable: caller is not the owner"):
        facet.send("setCallbackGas", 1, by=roles.stranger.address)


def test_the_constructor_refuses_calls_that_nobody_answers(roles: Roles) -> None:
    code = load_artifact("Hub").init_code + encode(["(bytes4,address,bool)[]", "bytes[]"], [[], [UNKNOWN]])
    with reverts("call-without-facet"):
        Evm().send(roles.owner.address, None, code)
