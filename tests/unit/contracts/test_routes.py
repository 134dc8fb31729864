"""The hub's one address: which facet answers, what happens without one, and who may change it."""

from __future__ import annotations

from eth_abi.abi import encode

from tests.support.compiled import deploy_double, encode_call
from tests.support.contracts import Contract, error_data, selector
from tests.support.evm import Evm, reverts
from tests.support.market import Market, Roles
from tests.support.orders import ZERO
from voisin.chain.artifacts import load_abi, load_artifact
from voisin.chain.deployment.plan import FACETS, LARGE_ANSWER, SMALL_ANSWER, deployment_plan
from voisin.protocol.ids import Address

CONSTRUCTOR = ["(address,uint8,bytes4[])[]", "bytes4[]", "bytes[]"]
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
    code = load_artifact("Hub").init_code + encode(CONSTRUCTOR, [[], [], []])
    hub = evm.send(roles.owner.address, None, code).contract
    with reverts(data=error_data("Hub", "FunctionNotFound", UNKNOWN)):
        evm.send(roles.stranger.address, hub, UNKNOWN)
    with reverts(data=error_data("Hub", "FunctionNotFound", bytes(4))):
        evm.send(roles.stranger.address, hub, b"")


def test_every_function_of_the_abi_has_a_route(market: Market, roles: Roles) -> None:
    plan = deployment_plan(Address(roles.owner.address), market.evm.chain_id)
    functions = [entry for entry in load_abi("Hub") if entry.type == "function"]
    for entry in functions:
        assert market.hub.read("facetAddress", entry.selector) in plan.facets.values(), entry.signature
    assert market.hub.read("facetAddress", UNKNOWN) == ZERO
    routed = {selector for _, selectors in market.hub.read("facets") for selector in selectors}
    assert routed == {entry.selector for entry in functions} | {bytes(4), b"\xff" * 4}


def test_the_hub_tells_explorers_its_facets_when_it_is_made(roles: Roles) -> None:
    evm = Evm()
    plan = deployment_plan(Address(roles.owner.address), evm.chain_id)
    hub = Contract(evm, "hub", plan.hub, "Hub")
    receipts = [evm.send(roles.owner.address, item.to, item.data) for item in plan.transactions]
    told = [event for receipt in receipts for event in hub.events(receipt) if event.name != "CreateCategory"]
    assert [event.name for event in told] == ["OwnershipTransferred", "DiamondCut"]
    assert [(facet, selectors) for facet, _, selectors in told[1].values[0]] == list(hub.read("facets"))


def test_no_answer_is_longer_than_its_route_allows() -> None:
    """An answer beyond the bound would be cut; the sizes are the compiler's."""
    sizes = {selector: size for name in FACETS for selector, size in load_artifact(name).return_sizes.items()}
    # the table of all facets is bounded as a whole: 32 facets, 255 selectors
    assert sizes.pop("0x" + selector("Hub", "facets").hex()) > 64 + 32 * 128 + 255 * 32 <= LARGE_ANSWER
    assert SMALL_ANSWER < max(sizes.values()) <= LARGE_ANSWER


def test_the_table_has_room_for_255_selectors(market: Market, roles: Roles) -> None:
    owner = roles.owner.address
    guests = [deploy_double(market.evm, "Guest", roles.stranger.address) for _ in range(32 - len(FACETS))]
    room = 255 - sum(len(selectors) for _, selectors in market.hub.read("facets"))
    made = [bytes([0xF0, 0, 0, number]) for number in range(room + 1)]
    for place, guest in enumerate(guests):
        market.hub.send("diamondCut", [(guest, 0, made[place:room : len(guests)])], ZERO, b"", by=owner)
    found = market.hub.read("facets")
    assert len(found) == 32
    assert sum(len(selectors) for _, selectors in found) == 255
    with reverts("too-many-selectors"):
        market.hub.send("diamondCut", [(guests[0], 0, made[room:])], ZERO, b"", by=owner)


def test_small_answers(market: Market, roles: Roles) -> None:
    """What a cut routes may answer at length; the owner may say that it does not, and calls become cheaper by a fixed sum."""
    owner, guest = roles.owner.address, deploy_double(market.evm, "Guest", roles.stranger.address)
    second, third = (encode_call(f"{name}()") for name in ("second", "third"))
    market.hub.send("diamondCut", [(guest, 0, [second, third])], ZERO, b"", by=owner)
    before = market.evm.send(owner, market.hub.address, second)

    receipt = market.hub.send("setSmallAnswers", [second], True, by=owner)

    assert market.hub_events(receipt) == [("SmallAnswer", second, True)]
    after = market.evm.send(owner, market.hub.address, second)
    assert after.output == before.output
    assert before.gas_used - after.gas_used > 2_000
    assert market.hub.read("facetAddress", second) == guest
    market.hub.send("setSmallAnswers", [second], False, by=owner)
    assert market.evm.send(owner, market.hub.address, second).gas_used == before.gas_used


def test_a_replaced_selector_may_answer_at_length_again(market: Market, roles: Roles) -> None:
    owner, guest = roles.owner.address, deploy_double(market.evm, "Guest", roles.stranger.address)
    third = encode_call("third()")
    market.hub.send("diamondCut", [(deploy_double(market.evm, "Mute", owner), 0, [third])], ZERO, b"", by=owner)
    market.hub.send("setSmallAnswers", [third], True, by=owner)
    market.hub.send("diamondCut", [(guest, 1, [third])], ZERO, b"", by=owner)
    assert len(market.evm.call(market.hub.address, third)) == 64 + 1_024


def test_small_answers_of_nothing_and_by_others(market: Market, roles: Roles) -> None:
    owner, stranger = roles.owner.address, roles.stranger.address
    with reverts(data=error_data("Hub", "FunctionNotFound", UNKNOWN)):
        market.hub.send("setSmallAnswers", [UNKNOWN], True, by=owner)
    with reverts(data=error_data("Hub", "NotContractOwner", stranger, owner)):
        market.hub.send("setSmallAnswers", [], True, by=stranger)


def test_a_facet_alone_holds_nothing(market: Market, roles: Roles) -> None:
    """Calling a facet directly works on the facet's own, empty state: it is nobody's and stays unconfigured."""
    plan = deployment_plan(Address(roles.owner.address), market.evm.chain_id)
    diamond, configuration = (Contract(market.evm, name, plan.facets[f"{name}Facet"], "Hub") for name in ("Diamond", "Configuration"))
    assert diamond.read("owner") == ZERO
    with reverts(data=error_data("Hub", "NotContractOwner", roles.stranger.address, ZERO)):
        diamond.send("diamondCut", [], ZERO, b"", by=roles.stranger.address)
    with reverts("Ownable: caller is not the owner"):
        configuration.send("setCallbackGas", 1, by=roles.stranger.address)


def test_the_constructor_refuses_calls_that_nobody_answers(roles: Roles) -> None:
    code = load_artifact("Hub").init_code + encode(CONSTRUCTOR, [[], [], [UNKNOWN]])
    with reverts("call-without-facet"):
        Evm().send(roles.owner.address, None, code)
