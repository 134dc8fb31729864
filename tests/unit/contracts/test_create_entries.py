"""Apps, datasets and workerpools are made at addresses that follow from what they are and whose they are."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from tests.support.contracts import Contract, Event, error_data
from tests.support.evm import reverts
from tests.support.market import Market, Roles
from tests.support.orders import ZERO

CHECKSUM = keccak(b"content")
# kind, arguments after the owner, types of the entry's initialize, values of its getters
ENTRIES: tuple[tuple[str, tuple[Any, ...], str, dict[str, Any]], ...] = (
    (
        "App",
        ("hello", "DOCKER", b"registry/hello:1", CHECKSUM, b'{"provider":"SCONE"}'),
        "string,string,bytes,bytes32,bytes",
        {
            "m_appName": "hello",
            "m_appType": "DOCKER",
            "m_appMultiaddr": b"registry/hello:1",
            "m_appChecksum": CHECKSUM,
            "m_appMREnclave": b'{"provider":"SCONE"}',
        },
    ),
    (
        "Dataset",
        ("numbers", b"/ipfs/Qm", CHECKSUM),
        "string,bytes,bytes32",
        {"m_datasetName": "numbers", "m_datasetMultiaddr": b"/ipfs/Qm", "m_datasetChecksum": CHECKSUM},
    ),
    (
        "Workerpool",
        ("a pool of neighbours",),
        "string",
        {"m_workerpoolDescription": "a pool of neighbours", "m_workerStakeRatioPolicy": 30, "m_schedulerRewardRatioPolicy": 1},
    ),
)
KINDS = pytest.mark.parametrize(("kind", "arguments", "types", "getters"), ENTRIES, ids=[entry[0] for entry in ENTRIES])


def _registry(market: Market, kind: str) -> Contract:
    return {"App": market.app_registry, "Dataset": market.dataset_registry, "Workerpool": market.workerpool_registry}[kind]


def _expected(market: Market, kind: str, owner: str, types: str, arguments: tuple[Any, ...]) -> str:
    """The address, by the rules of CREATE2 and the protocol's salt, written a second time."""
    registry = _registry(market, kind)
    call = keccak(f"initialize({types})".encode())[:4] + encode(types.split(","), arguments)
    salt = keccak(call + bytes.fromhex(owner[2:]))
    code_hash = keccak(registry.read("proxyCode"))
    return to_checksum_address(keccak(b"\xff" + bytes.fromhex(registry.address[2:]) + salt + code_hash)[12:])


@KINDS
def test_create(market: Market, roles: Roles, kind: str, arguments: tuple[Any, ...], types: str, getters: dict[str, Any]) -> None:
    registry, owner = _registry(market, kind), roles.sponsor.address
    before = registry.read("totalSupply")
    predicted = registry.read(f"predict{kind}", owner, *arguments)

    receipt = registry.send(f"create{kind}", owner, *arguments, by=roles.stranger.address)

    address = registry.answer(f"create{kind}", receipt.output)[0]
    assert address == predicted == _expected(market, kind, owner, types, arguments)
    token = int(address, 16)
    assert market.events(receipt) == [Event(registry.name, "Transfer", (ZERO, owner, token))]
    assert registry.read("ownerOf", token) == owner
    assert registry.read("isRegistered", address) is True
    assert registry.read("totalSupply") == before + 1
    assert registry.read("tokenByIndex", before) == token
    entry = Contract(market.evm, "entry", address, kind)
    assert {name: entry.read(name) for name in getters} == getters
    assert entry.read("owner") == owner
    assert entry.read("registry") == registry.address


@KINDS
def test_the_hub_describes_entries(
    market: Market, roles: Roles, kind: str, arguments: tuple[Any, ...], types: str, getters: dict[str, Any]
) -> None:
    registry = _registry(market, kind)
    receipt = registry.send(f"create{kind}", roles.sponsor.address, *arguments, by=roles.stranger.address)
    address = registry.answer(f"create{kind}", receipt.output)[0]
    assert market.hub.read(f"view{kind}", address) == (roles.sponsor.address, *getters.values())
    with reverts():
        market.hub.read(f"view{kind}", roles.stranger.address)


@KINDS
def test_the_same_again_is_refused_and_another_owner_is_not_the_same(
    market: Market, roles: Roles, kind: str, arguments: tuple[Any, ...], types: str, getters: dict[str, Any]
) -> None:
    registry = _registry(market, kind)
    registry.send(f"create{kind}", roles.sponsor.address, *arguments, by=roles.stranger.address)
    with reverts("Create2: Failed on deploy"):
        registry.send(f"create{kind}", roles.sponsor.address, *arguments, by=roles.sponsor.address)
    registry.send(f"create{kind}", roles.requester.address, *arguments, by=roles.stranger.address)


@KINDS
def test_nobody_cannot_own(
    market: Market, roles: Roles, kind: str, arguments: tuple[Any, ...], types: str, getters: dict[str, Any]
) -> None:
    with reverts(data=error_data(f"{kind}Registry", "ERC721InvalidReceiver", ZERO)):
        _registry(market, kind).send(f"create{kind}", ZERO, *arguments, by=roles.stranger.address)


@KINDS
def test_an_entry_is_filled_once(
    market: Market, roles: Roles, kind: str, arguments: tuple[Any, ...], types: str, getters: dict[str, Any]
) -> None:
    registry = _registry(market, kind)
    receipt = registry.send(f"create{kind}", roles.sponsor.address, *arguments, by=roles.stranger.address)
    entry = Contract(market.evm, "entry", registry.answer(f"create{kind}", receipt.output)[0], kind)
    master = Contract(market.evm, "master", registry.read("master"), kind)
    for contract in (entry, master):
        for who in (roles.sponsor, roles.stranger, roles.owner):
            with reverts("already initialized"):
                contract.send("initialize", *arguments, by=who.address)


@KINDS
def test_entries_take_no_coin_and_no_unknown_calls(
    market: Market, roles: Roles, kind: str, arguments: tuple[Any, ...], types: str, getters: dict[str, Any]
) -> None:
    registry = _registry(market, kind)
    receipt = registry.send(f"create{kind}", roles.sponsor.address, *arguments, by=roles.stranger.address)
    address = registry.answer(f"create{kind}", receipt.output)[0]
    market.evm.fund(roles.stranger.address, 1)
    with reverts():
        market.evm.send(roles.stranger.address, address, b"", value=1)
    with reverts():  # the call that fills a proxy of the original
        market.evm.send(roles.stranger.address, address, bytes.fromhex("d1f57894") + bytes(96))


@KINDS
def test_names_on_other_chains_are_not_supported(
    market: Market, roles: Roles, kind: str, arguments: tuple[Any, ...], types: str, getters: dict[str, Any]
) -> None:
    registry = _registry(market, kind)
    receipt = registry.send(f"create{kind}", roles.sponsor.address, *arguments, by=roles.stranger.address)
    entry = Contract(market.evm, "entry", registry.answer(f"create{kind}", receipt.output)[0], kind)
    with reverts("caller is not the owner"):
        entry.send("setName", ZERO, "name", by=roles.stranger.address)
    with reverts("Operation not supported on this chain"):
        entry.send("setName", ZERO, "name", by=roles.sponsor.address)


def test_empty_and_long_descriptions(market: Market, roles: Roles) -> None:
    longest = ("n" * 1024, "t" * 256, b"m" * 4096, CHECKSUM, b"e" * 4096)
    for arguments in (("", "", b"", bytes(32), b""), longest):
        receipt = market.app_registry.send("createApp", roles.sponsor.address, *arguments, by=roles.stranger.address)
        address = market.app_registry.answer("createApp", receipt.output)[0]
        assert market.hub.read("viewApp", address) == (roles.sponsor.address, *arguments)
    with reverts():
        market.app_registry.send("createApp", roles.sponsor.address, "n" * 1025, *longest[1:], by=roles.stranger.address)


def test_the_policy_of_a_pool(market: Market, roles: Roles) -> None:
    pool = market.workerpool_contract

    receipt = pool.send("changePolicy", 1000, 100, by=roles.scheduler.address)

    assert [event.values for event in pool.events(receipt)] == [(30, 1000, 1, 100)]
    assert (pool.read("m_workerStakeRatioPolicy"), pool.read("m_schedulerRewardRatioPolicy")) == (1000, 100)
    receipt = pool.send("changePolicy", 0, 0, by=roles.scheduler.address)
    assert [event.values for event in pool.events(receipt)] == [(1000, 0, 100, 0)]
    with reverts("caller is not the owner"):
        pool.send("changePolicy", 30, 1, by=roles.stranger.address)
    with reverts():
        pool.send("changePolicy", 30, 101, by=roles.scheduler.address)


def test_the_policy_follows_the_token(market: Market, roles: Roles) -> None:
    token = int(market.workerpool, 16)
    market.workerpool_registry.send("transferFrom", roles.scheduler.address, roles.stranger.address, token, by=roles.scheduler.address)
    with reverts("caller is not the owner"):
        market.workerpool_contract.send("changePolicy", 1, 1, by=roles.scheduler.address)
    market.workerpool_contract.send("changePolicy", 1, 1, by=roles.stranger.address)
