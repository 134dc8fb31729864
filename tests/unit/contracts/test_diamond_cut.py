"""Changing which facet answers which selector: only the owner, by the rules and with the errors of ERC-2535's reference."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.support.compiled import deploy_double, encode_call
from tests.support.contracts import error_data
from tests.support.evm import Receipt, RevertedError, reverts
from tests.support.market import Market, Roles
from tests.support.orders import ZERO

ADD, REPLACE, REMOVE = 0, 1, 2
FIRST, SECOND, THIRD = (keccak(f"{name}()".encode())[:4] for name in ("first", "second", "third"))
CUT = keccak(b"diamondCut((address,uint8,bytes4[])[],address,bytes)")[:4]


@pytest.fixture
def guest(market: Market, roles: Roles) -> str:
    """A facet that the hub does not know yet."""
    return deploy_double(market.evm, "Guest", roles.stranger.address)


def _cut(market: Market, *cuts: tuple[str, int, Sequence[bytes]], init: str = ZERO, data: bytes = b"", by: str = "") -> Receipt:
    return market.hub.send("diamondCut", list(cuts), init, data, by=by or market.roles.owner.address)


def _ask(market: Market, selector: bytes) -> bytes:
    return market.evm.call(market.hub.address, selector)


def test_add(market: Market, guest: str) -> None:
    receipt = _cut(market, (guest, ADD, [FIRST, SECOND, THIRD]))
    assert market.hub_events(receipt) == [("DiamondCut", ((guest, ADD, (FIRST, SECOND, THIRD)),), ZERO, b"")]
    assert _ask(market, FIRST) == encode(["address"], [market.hub.address])
    assert _ask(market, SECOND) == encode(["uint256"], [2])
    assert _ask(market, THIRD) == encode(["bytes"], [bytes(1_000)])  # longer than what a small route lets through
    assert [market.hub.read("facetAddress", selector) for selector in (FIRST, SECOND, THIRD)] == [guest] * 3
    assert market.hub.read("facetFunctionSelectors", guest) == (FIRST, SECOND, THIRD)
    assert market.hub.read("facetAddresses")[-1] == guest
    assert market.hub.read("facets")[-1] == (guest, (FIRST, SECOND, THIRD))


def test_replace(market: Market, roles: Roles, guest: str) -> None:
    _cut(market, (guest, ADD, [FIRST, SECOND]))
    other = deploy_double(market.evm, "Guest", roles.stranger.address)
    receipt = _cut(market, (other, REPLACE, [SECOND]))
    assert market.hub_events(receipt) == [("DiamondCut", ((other, REPLACE, (SECOND,)),), ZERO, b"")]
    assert [market.hub.read("facetAddress", selector) for selector in (FIRST, SECOND)] == [guest, other]
    assert market.hub.read("facetFunctionSelectors", other) == (SECOND,)


def test_remove(market: Market, guest: str) -> None:
    before = market.hub.read("facets")
    _cut(market, (guest, ADD, [FIRST, SECOND, THIRD]))
    receipt = _cut(market, (ZERO, REMOVE, [FIRST]))
    assert market.hub_events(receipt) == [("DiamondCut", ((ZERO, REMOVE, (FIRST,)),), ZERO, b"")]
    assert market.hub.read("facetAddress", FIRST) == ZERO
    assert market.hub.read("facetFunctionSelectors", guest) == (THIRD, SECOND)  # the last one has taken the free place
    with reverts("fallback-disabled"):
        _ask(market, FIRST)
    _cut(market, (ZERO, REMOVE, [SECOND, THIRD]))
    assert market.hub.read("facets") == before


def test_several_cuts_at_once_and_none(market: Market, roles: Roles, guest: str) -> None:
    other = deploy_double(market.evm, "Guest", roles.stranger.address)
    cuts = ((guest, ADD, (FIRST, SECOND)), (other, REPLACE, (FIRST,)), (ZERO, REMOVE, (SECOND,)))
    receipt = _cut(market, *cuts)
    assert market.hub_events(receipt) == [("DiamondCut", cuts, ZERO, b"")]
    assert market.hub.read("facetFunctionSelectors", other) == (FIRST,)
    assert market.hub_events(_cut(market)) == [("DiamondCut", (), ZERO, b"")]


def test_the_table_is_kept_through_many_changes(market: Market, guest: str) -> None:
    """Selectors lie eight in a word: add across words, remove from the front, the middle and the end."""
    made = [bytes([0xF0, 0, 0, number]) for number in range(20)]
    before = market.hub.read("facets")
    _cut(market, (guest, ADD, made))
    expected = list(made)
    for victim in (made[0], made[19], made[7], made[8], made[12]):
        _cut(market, (ZERO, REMOVE, [victim]))
        place, last = expected.index(victim), expected.pop()
        if last != victim:
            expected[place] = last
        assert list(market.hub.read("facetFunctionSelectors", guest)) == expected
        assert market.hub.read("facets")[:-1] == before


def test_code_may_run_as_the_hub(market: Market, roles: Roles, guest: str) -> None:
    """What a new facet needs prepared is done in the same transaction; here by a facet of the hub itself."""
    code, call = market.hub.read("facetAddress", keccak(b"setCallbackGas(uint256)")[:4]), encode_call("setCallbackGas(uint256)", 77)
    receipt = _cut(market, (guest, ADD, [FIRST]), init=code, data=call)
    assert market.hub_events(receipt) == [("DiamondCut", ((guest, ADD, (FIRST,)),), code, call)]
    assert market.hub.read("callbackgas") == 77


def test_code_that_refuses_undoes_the_cut(market: Market, guest: str) -> None:
    with reverts("not today"):
        _cut(market, (guest, ADD, [FIRST]), init=guest, data=encode_call("refuse()"))
    silent = encode_call("refuseSilently()")
    with reverts(data=error_data("Hub", "InitializationFunctionReverted", guest, silent)):
        _cut(market, (guest, ADD, [FIRST]), init=guest, data=silent)
    assert market.hub.read("facetAddress", FIRST) == ZERO


def test_only_the_owner(market: Market, roles: Roles, guest: str) -> None:
    stranger = roles.stranger.address
    with reverts(data=error_data("Hub", "NotContractOwner", stranger, roles.owner.address)):
        _cut(market, (guest, ADD, [FIRST]), by=stranger)


def test_refused_cuts(market: Market, roles: Roles, guest: str) -> None:
    _cut(market, (guest, ADD, [FIRST]))
    account, other = roles.stranger.address, deploy_double(market.evm, "Guest", roles.stranger.address)
    deposit, nothing = keccak(b"totalSupply()")[:4], [SECOND, THIRD]
    cases = {
        ("NoSelectorsProvidedForFacetForCut", guest): (guest, ADD, []),
        ("CannotAddSelectorsToZeroAddress", SECOND, THIRD): (ZERO, ADD, nothing),
        ("NoBytecodeAtAddress", account, "LibDiamondCut: Add facet has no code"): (account, ADD, nothing),
        ("CannotAddFunctionToDiamondThatAlreadyExists", FIRST): (other, ADD, [SECOND, FIRST]),
        ("CannotReplaceFunctionsFromFacetWithZeroAddress", SECOND, THIRD): (ZERO, REPLACE, nothing),
        ("NoBytecodeAtAddress", account, "LibDiamondCut: Replace facet has no code"): (account, REPLACE, nothing),
        ("CannotReplaceFunctionWithTheSameFunctionFromTheSameFacet", FIRST): (guest, REPLACE, [deposit, FIRST]),
        ("CannotReplaceFunctionThatDoesNotExists", SECOND): (guest, REPLACE, [SECOND]),
        ("RemoveFacetAddressMustBeZeroAddress", guest): (guest, REMOVE, [FIRST]),
        ("CannotRemoveFunctionThatDoesNotExist", SECOND): (ZERO, REMOVE, [FIRST, SECOND]),
    }
    for (error, *values), cut in cases.items():
        arguments = [values] if "Selectors" in error and error != "NoSelectorsProvidedForFacetForCut" or "WithZero" in error else values
        with reverts(data=error_data("Hub", error, *arguments)):
            _cut(market, cut)
    with reverts():
        _cut(market, (guest, 3, [SECOND]))
    with reverts(data=error_data("Hub", "NoBytecodeAtAddress", account, "LibDiamondCut: _init address has no code")):
        _cut(market, init=account)


def test_functions_of_the_hub_itself_cannot_move(market: Market, guest: str) -> None:
    _cut(market, (market.hub.address, ADD, [FIRST]))
    with reverts(data=error_data("Hub", "CannotReplaceImmutableFunction", FIRST)):
        _cut(market, (guest, REPLACE, [FIRST]))
    with reverts(data=error_data("Hub", "CannotRemoveImmutableFunction", FIRST)):
        _cut(market, (ZERO, REMOVE, [FIRST]))


def test_upgrades_can_be_ended_for_ever(market: Market, roles: Roles, guest: str) -> None:
    """Without a route to `diamondCut` nobody, not even the owner, changes what the hub does; the owner's other rights stay."""
    _cut(market, (ZERO, REMOVE, [CUT]))
    with reverts("fallback-disabled"):
        _cut(market, (guest, ADD, [FIRST]))
    market.hub.send("setCallbackGas", 5, by=roles.owner.address)
    assert market.hub.read("callbackgas") == 5


def test_interfaces(market: Market) -> None:
    for interface, has in (("01ffc9a7", True), ("7f5828d0", True), ("1f931c1c", True), ("48e2b093", True), ("80ac58cd", False)):
        assert market.hub.read("supportsInterface", bytes.fromhex(interface)) is has, interface


def test_ownership_goes_from_hand_to_hand(market: Market, roles: Roles) -> None:
    owner, stranger = roles.owner.address, roles.stranger.address
    assert market.hub.read("owner") == owner
    receipt = market.hub.send("transferOwnership", stranger, by=owner)
    assert market.hub_events(receipt) == [("OwnershipTransferred", owner, stranger)]
    assert market.hub.read("owner") == stranger
    with reverts(data=error_data("Hub", "NotContractOwner", owner, stranger)):
        market.hub.send("transferOwnership", owner, by=owner)
    market.hub.send("transferOwnership", ZERO, by=stranger)
    with pytest.raises(RevertedError, match="Ownable: caller is not the owner"):
        market.hub.send("setCallbackGas", 1, by=stranger)
