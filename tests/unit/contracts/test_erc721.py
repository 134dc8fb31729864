"""The registries as collections of tokens: ERC-721 with enumeration, and the errors of ERC-6093."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode

from tests.support.accounts import Signer
from tests.support.compiled import deploy_double, encode_call
from tests.support.contracts import Contract, error_data
from tests.support.evm import Receipt, reverts
from tests.support.market import Market, Roles
from tests.support.orders import ZERO

MISSING = 12345
SAFE = "safeTransferFrom(address,address,uint256)"
SAFE_DATA = "safeTransferFrom(address,address,uint256,bytes)"


def _error(name: str, *arguments: object) -> bytes:
    return error_data("DatasetRegistry", name, *arguments)


def _values(contract: Contract, receipt: Receipt) -> list[tuple[object, ...]]:
    return [(event.name, *event.values) for event in contract.events(receipt)]


@pytest.fixture
def tokens(market: Market, roles: Roles) -> list[int]:
    """Four datasets of the sponsor."""
    return [int(market.create_dataset(f"dataset {n}", roles.sponsor), 16) for n in range(4)]


def _owned(market: Market, account: Signer) -> list[int]:
    registry = market.dataset_registry
    count = registry.read("balanceOf", account.address)
    return [registry.read("tokenOfOwnerByIndex", account.address, place) for place in range(count)]


def test_names(market: Market) -> None:
    found = [(registry.read("name"), registry.read("symbol")) for registry in market.contracts[2:]]
    assert found == [
        ("iExec Application Registry (V5)", "iExecAppsV5"),
        ("iExec Dataset Registry (V5)", "iExecDatasetsV5"),
        ("iExec Workerpool Registry (V5)", "iExecWorkerpoolV5"),
    ]


def test_interfaces(market: Market) -> None:
    for interface, has in (("01ffc9a7", True), ("80ac58cd", True), ("5b5e139f", True), ("780e9d63", True), ("ffffffff", False)):
        assert market.app_registry.read("supportsInterface", bytes.fromhex(interface)) is has


def test_token_addresses_are_numbers_after_the_base_uri(market: Market) -> None:
    token = int(market.app, 16)
    assert market.app_registry.read("baseURI") == "https://nfts-metadata.iex.ec/app/31337/"
    assert market.app_registry.read("tokenURI", token) == f"https://nfts-metadata.iex.ec/app/31337/{token}"
    with reverts(data=_error("ERC721NonexistentToken", MISSING)):
        market.app_registry.read("tokenURI", MISSING)


def test_lists(market: Market, roles: Roles, tokens: list[int]) -> None:
    registry = market.dataset_registry
    assert _owned(market, roles.sponsor) == tokens
    total = registry.read("totalSupply")
    assert [registry.read("tokenByIndex", place) for place in range(total)] == [int(market.dataset, 16), *tokens]
    with reverts(data=_error("ERC721OutOfBoundsIndex", ZERO, total)):
        registry.read("tokenByIndex", total)
    with reverts(data=_error("ERC721OutOfBoundsIndex", roles.sponsor.address, 4)):
        registry.read("tokenOfOwnerByIndex", roles.sponsor.address, 4)
    with reverts(data=_error("ERC721InvalidOwner", ZERO)):
        registry.read("tokenOfOwnerByIndex", ZERO, 0)
    with reverts(data=_error("ERC721InvalidOwner", ZERO)):
        registry.read("balanceOf", ZERO)
    for view in ("ownerOf", "getApproved"):
        with reverts(data=_error("ERC721NonexistentToken", MISSING)):
            registry.read(view, MISSING)


@pytest.mark.parametrize("place", [0, 1, 3])
def test_transfer_keeps_the_lists(market: Market, roles: Roles, tokens: list[int], place: int) -> None:
    registry, sponsor, stranger = market.dataset_registry, roles.sponsor, roles.stranger
    token = tokens[place]

    receipt = registry.send("transferFrom", sponsor.address, stranger.address, token, by=sponsor.address)

    assert _values(registry, receipt) == [("Transfer", sponsor.address, stranger.address, token)]
    left = list(tokens)
    left[place] = left[-1]
    assert _owned(market, sponsor) == left[:-1]
    assert _owned(market, stranger) == [token]
    assert registry.read("ownerOf", token) == stranger.address
    given, kept = [token], left[:-1]
    while kept:  # the first each time, so that every token that has moved in the list must be found in its new place
        registry.send("transferFrom", sponsor.address, stranger.address, kept[0], by=sponsor.address)
        given.append(kept[0])
        kept[0] = kept[-1]
        kept.pop()
        assert _owned(market, sponsor) == kept
        assert _owned(market, stranger) == given


def test_transfer_to_oneself(market: Market, roles: Roles, tokens: list[int]) -> None:
    sponsor = roles.sponsor
    market.dataset_registry.send("transferFrom", sponsor.address, sponsor.address, tokens[1], by=sponsor.address)
    assert sorted(_owned(market, sponsor)) == sorted(tokens)
    market.dataset_registry.send("transferFrom", sponsor.address, roles.stranger.address, tokens[1], by=sponsor.address)
    assert sorted(_owned(market, sponsor)) == sorted(set(tokens) - {tokens[1]})


def test_the_entry_goes_with_its_token(market: Market, roles: Roles) -> None:
    market.dataset_registry.send(
        "transferFrom", roles.dataset_owner.address, roles.stranger.address, int(market.dataset, 16), by=roles.dataset_owner.address
    )
    assert Contract(market.evm, "dataset", market.dataset, "Dataset").read("owner") == roles.stranger.address


def test_transfer_refusals(market: Market, roles: Roles, tokens: list[int]) -> None:
    registry, sponsor, stranger = market.dataset_registry, roles.sponsor.address, roles.stranger.address
    for error, sender, to, token, by in (
        (_error("ERC721InvalidReceiver", ZERO), sponsor, ZERO, tokens[0], sponsor),
        (_error("ERC721NonexistentToken", MISSING), sponsor, stranger, MISSING, sponsor),
        (_error("ERC721InsufficientApproval", stranger, tokens[0]), sponsor, stranger, tokens[0], stranger),
        (_error("ERC721IncorrectOwner", stranger, tokens[0], sponsor), stranger, sponsor, tokens[0], sponsor),
    ):
        with reverts(data=error):
            registry.send("transferFrom", sender, to, token, by=by)


def test_approval_of_one_token(market: Market, roles: Roles, tokens: list[int]) -> None:
    registry, sponsor, stranger = market.dataset_registry, roles.sponsor.address, roles.stranger.address

    receipt = registry.send("approve", stranger, tokens[0], by=sponsor)

    assert _values(registry, receipt) == [("Approval", sponsor, stranger, tokens[0])]
    assert registry.read("getApproved", tokens[0]) == stranger
    registry.send("transferFrom", sponsor, roles.requester.address, tokens[0], by=stranger)
    assert registry.read("getApproved", tokens[0]) == ZERO
    with reverts(data=_error("ERC721InsufficientApproval", stranger, tokens[0])):
        registry.send("transferFrom", roles.requester.address, stranger, tokens[0], by=stranger)
    with reverts(data=_error("ERC721InsufficientApproval", stranger, tokens[1])):
        registry.send("transferFrom", sponsor, stranger, tokens[1], by=stranger)


def test_who_may_approve(market: Market, roles: Roles, tokens: list[int]) -> None:
    registry, sponsor, stranger = market.dataset_registry, roles.sponsor.address, roles.stranger.address
    with reverts(data=_error("ERC721InvalidApprover", stranger)):
        registry.send("approve", stranger, tokens[0], by=stranger)
    with reverts(data=_error("ERC721NonexistentToken", MISSING)):
        registry.send("approve", stranger, MISSING, by=sponsor)
    registry.send("approve", stranger, tokens[0], by=sponsor)
    with reverts(data=_error("ERC721InvalidApprover", stranger)):  # being approved is no right to approve
        registry.send("approve", stranger, tokens[0], by=stranger)
    registry.send("setApprovalForAll", stranger, True, by=sponsor)
    registry.send("approve", roles.requester.address, tokens[0], by=stranger)


def test_approval_of_all_tokens(market: Market, roles: Roles, tokens: list[int]) -> None:
    registry, sponsor, stranger = market.dataset_registry, roles.sponsor.address, roles.stranger.address
    assert not registry.read("isApprovedForAll", sponsor, stranger)

    receipt = registry.send("setApprovalForAll", stranger, True, by=sponsor)

    assert _values(registry, receipt) == [("ApprovalForAll", sponsor, stranger, True)]
    assert registry.read("isApprovedForAll", sponsor, stranger)
    registry.send("transferFrom", sponsor, stranger, tokens[2], by=stranger)
    registry.send("setApprovalForAll", stranger, False, by=sponsor)
    with reverts(data=_error("ERC721InsufficientApproval", stranger, tokens[1])):
        registry.send("transferFrom", sponsor, stranger, tokens[1], by=stranger)
    with reverts(data=_error("ERC721InvalidOperator", ZERO)):
        registry.send("setApprovalForAll", ZERO, True, by=sponsor)


def test_safe_transfer_to_an_account(market: Market, roles: Roles, tokens: list[int]) -> None:
    sponsor, stranger = roles.sponsor.address, roles.stranger.address
    market.dataset_registry.send(SAFE, sponsor, stranger, tokens[0], by=sponsor)
    market.dataset_registry.send(SAFE_DATA, sponsor, stranger, tokens[1], b"hello", by=sponsor)
    assert _owned(market, roles.stranger) == tokens[:2]


def test_safe_transfer_asks_a_contract(market: Market, roles: Roles, tokens: list[int]) -> None:
    registry, sponsor = market.dataset_registry, roles.sponsor.address
    receiver = deploy_double(market.evm, "NftReceiver", sponsor)
    registry.send(SAFE_DATA, sponsor, receiver, tokens[0], b"hello", by=sponsor)
    told = encode(["address", "address", "uint256", "bytes"], [sponsor, sponsor, tokens[0], b"hello"])
    assert market.evm.call(receiver, encode_call("seen()")) == encode(["bytes"], [told])
    registry.send(SAFE, sponsor, receiver, tokens[1], by=sponsor)
    assert registry.read("ownerOf", tokens[1]) == receiver


def test_safe_transfer_to_a_contract_that_does_not_want_it(market: Market, roles: Roles, tokens: list[int]) -> None:
    registry, sponsor = market.dataset_registry, roles.sponsor.address
    receiver = deploy_double(market.evm, "NftReceiver", sponsor)
    mute = deploy_double(market.evm, "Mute", sponsor)
    invalid = _error("ERC721InvalidReceiver", receiver)
    refused = bytes.fromhex("08c379a0") + encode(["string"], ["not here"])
    for mode, error in ((1, invalid), (2, refused), (3, invalid)):
        market.evm.send(sponsor, receiver, encode_call("setMode(uint256)", mode))
        with reverts(data=error):
            registry.send(SAFE, sponsor, receiver, tokens[0], by=sponsor)
        assert registry.read("ownerOf", tokens[0]) == sponsor
    for contract in (mute, market.hub.address):
        with reverts(data=_error("ERC721InvalidReceiver", mute) if contract == mute else _fallback_disabled()):
            registry.send(SAFE, sponsor, contract, tokens[0], by=sponsor)


def _fallback_disabled() -> bytes:
    """The hub takes no tokens, and says why in its own words."""
    return bytes.fromhex("08c379a0") + encode(["string"], ["fallback-disabled"])
