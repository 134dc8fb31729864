"""The published vectors, on the hub itself: it is given the vectors' address, and the signatures of the vectors must be good there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_hash.auto import keccak

from tests.support.compiled import deploy_double
from tests.support.contracts import Contract
from tests.support.market import RLC, Market, Roles
from tests.support.orders import CLOSE, ZERO, as_tuple, deal_id, order, task_id

VECTORS: dict[str, str] = dict(json.loads((Path(__file__).parents[2] / "vectors" / "orders.json").read_text()))
TAG = (3).to_bytes(32, "big")
APP, DATASET, WORKERPOOL = (f"0x{38 * '0'}{tail}" for tail in ("a1", "d1", "f1"))
HUB = VECTORS["hub (verifyingContract)"]
REQUESTER = VECTORS["requester (mnemonic index 1)"]
PEOPLE = {
    APP: VECTORS["app owner (4)"],
    DATASET: VECTORS["dataset owner (5)"],
    WORKERPOOL: VECTORS["workerpool owner (6)"],
}
ORDERS: dict[str, dict[str, Any]] = {
    "AppOrder": order("AppOrder", app=APP, appprice=3_000_000_000, volume=1000, tag=TAG, salt=keccak(b"app")),
    "DatasetOrder": order(
        "DatasetOrder", dataset=DATASET, datasetprice=2_000_000_000, volume=1000, tag=TAG, apprestrict=APP, salt=keccak(b"dataset")
    ),
    "WorkerpoolOrder": order(
        "WorkerpoolOrder",
        workerpool=WORKERPOOL,
        workerpoolprice=1_000_000_007,
        volume=1000,
        tag=TAG,
        category=2,
        trust=10,
        salt=keccak(b"workerpool"),
    ),
    "RequestOrder": order(
        "RequestOrder",
        app=APP,
        appmaxprice=3_000_000_000,
        dataset=DATASET,
        datasetmaxprice=2_000_000_000,
        workerpool=WORKERPOOL,
        workerpoolmaxprice=1_000_000_007,
        requester=REQUESTER,
        volume=2,
        tag=TAG,
        category=2,
        trust=10,
        beneficiary=REQUESTER,
        params='{"iexec_args":"Alice"}',
        salt=keccak(b"request"),
    ),
}


def _bytes(name: str) -> bytes:
    return bytes.fromhex(VECTORS[name][2:])


@pytest.fixture
def hub(market: Market, roles: Roles) -> Contract:
    """The hub at the vectors' address, with their entries."""
    market.evm.clone(market.hub.address, HUB)
    moved = Contract(market.evm, "hub", HUB, "Hub")
    moved.send("updateDomainSeparator", by=roles.stranger.address)
    for entry, owner in PEOPLE.items():
        double = deploy_double(market.evm, "FixedOwner", roles.stranger.address, ("address", owner))
        market.evm.clone(double, entry)
    return moved


def test_the_domain_separator(hub: Contract) -> None:
    assert hub.read("eip712domain_separator") == _bytes("domain separator")


@pytest.mark.parametrize("kind", ORDERS)
def test_order_hashes_and_signatures(hub: Contract, roles: Roles, kind: str) -> None:
    signature = _bytes(f"{kind} signature by its owner")
    owner = PEOPLE.get(next(iter(ORDERS[kind].values())), REQUESTER) if kind != "RequestOrder" else REQUESTER
    assert hub.read("verifySignature", owner, _bytes(f"{kind} order hash (EIP-712 digest)"), signature)


@pytest.mark.parametrize("kind", ORDERS)
def test_signed_operations_close_the_order_of_the_vectors(hub: Contract, roles: Roles, kind: str) -> None:
    operation = (as_tuple(ORDERS[kind]), CLOSE, _bytes(f"{kind}Operation(operation=1) signature"))
    receipt = hub.send(f"manage{kind}", operation, by=roles.stranger.address)
    assert [event.values for event in hub.events(receipt)] == [(_bytes(f"{kind} order hash (EIP-712 digest)"),)]


def test_the_deal_the_task_and_the_contribution_of_the_vectors(market: Market, roles: Roles, hub: Contract) -> None:
    any_registry = deploy_double(market.evm, "AnyRegistry", roles.stranger.address)
    hub.send("changeRegistries", any_registry, any_registry, any_registry, by=roles.owner.address)
    pool = deploy_double(market.evm, "VectorPool", roles.stranger.address, ("address", PEOPLE[WORKERPOOL]))
    market.evm.clone(pool, WORKERPOOL)
    worker, enclave = VECTORS["worker (10)"], VECTORS["enclave (7)"]
    market.token.send("approve", HUB, 100 * RLC, by=roles.owner.address)
    for account in (REQUESTER, PEOPLE[WORKERPOOL], worker):
        hub.send("depositFor", 20 * RLC, account, by=roles.owner.address)
    signed = [values | {"sign": _bytes(f"{kind} signature by its owner")} for kind, values in ORDERS.items()]

    receipt = hub.send("matchOrders", *map(as_tuple, signed), by=roles.stranger.address)

    deal = _bytes("dealid (consumed before = 0)")
    hashes = [_bytes(f"{kind} order hash (EIP-712 digest)") for kind in ORDERS]
    assert receipt.output == deal
    assert hub.events(receipt)[-1].values == (deal, *hashes, 2)
    assert deal_id(hashes[3], 1) == _bytes("dealid (consumed before = 1)")

    task = hub.send("initialize", deal, 0, by=roles.stranger.address).output
    assert task == _bytes("taskid (index 0)") == task_id(deal, 0)
    hub.send(
        "contribute",
        task,
        _bytes("resultHash"),
        _bytes("resultSeal (worker 10)"),
        enclave,
        _bytes("classic enclave signature"),
        _bytes("authorization signature by workerpool owner, enclave 7"),
        by=worker,
    )
    assert hub.read("viewContribution", task, worker) == (1, _bytes("resultHash"), _bytes("resultSeal (worker 10)"), enclave, 1)


def test_the_authorization_without_enclave(market: Market, hub: Contract) -> None:
    message = _bytes("authorization message hash, no enclave")
    signature = _bytes("authorization signature by workerpool owner, no enclave")
    packed = bytes.fromhex(VECTORS["worker (10)"][2:]) + _bytes("taskid (index 0)") + bytes.fromhex(ZERO[2:])
    assert message == keccak(packed) or message == keccak(b"\x19Ethereum Signed Message:\n32" + keccak(packed))
    digest = keccak(b"\x19Ethereum Signed Message:\n32" + keccak(packed))
    assert hub.read("verifySignature", PEOPLE[WORKERPOOL], digest, signature)


def test_the_salt_of_an_app(market: Market, roles: Roles) -> None:
    """createApp("hello", "DOCKER", 0x68656c6c6f, keccak256("c"), 0x) for owner 4."""
    arguments = (PEOPLE[APP], "hello", "DOCKER", b"hello", keccak(b"c"), b"")
    registry = market.app_registry
    salt = _bytes('createApp("hello","DOCKER",0x68656c6c6f,keccak256("c"),0x) create2 salt for owner 4')
    expected = keccak(b"\xff" + bytes.fromhex(registry.address[2:]) + salt + registry.read("proxyCodeHash"))[12:]
    assert registry.read("predictApp", *arguments).lower() == "0x" + expected.hex()
