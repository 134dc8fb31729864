"""
What to send so that a market stands on a chain: a pure plan, which whoever has a sender carries out.

The hub's constructor installs the routes to its facets and then calls the new hub as its owner: configuration and categories
need no transaction of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from eth_utils.crypto import keccak

from voisin.chain.artifacts import Artifact, load_abi, load_artifact
from voisin.chain.calls import Call
from voisin.chain.functions import AbiArgument, encode_values, function
from voisin.protocol.ids import ZERO_ADDRESS, Address, as_address
from voisin.protocol.records import Category
from voisin.protocol.rules import DEFAULT_CATEGORIES

FACETS: Final = ("EscrowFacet", "ConfigurationFacet", "OrdersFacet", "MatchingFacet", "TasksFacet", "AccessorsFacet", "CallbackFacet")
FALLBACK_FACET: Final = "EscrowFacet"
SMALL_ANSWER: Final = 320
"""Longest answer of a route that is not marked large [bytes]; the constant `SMALL` of `Hub.vy`."""
METADATA_URI: Final = "https://nfts-metadata.iex.ec"
REGISTRIES: Final = {"AppRegistry": "App", "DatasetRegistry": "Dataset", "WorkerpoolRegistry": "Workerpool"}

_PLAIN_TRANSFER = bytes(4)
_UNKNOWN_SELECTOR = b"\xff" * 4
_STORE_GAS = 24_000  # a new storage slot, or a route with its event


class Route(msgspec.Struct, frozen=True):
    """Which facet answers a selector, and whether its answers may be long."""

    selector: bytes
    facet: Address
    large: bool


class DeploymentPlan(msgspec.Struct, frozen=True, kw_only=True):
    """
    A market to be.

    Attributes:
        transactions: To be sent in this order, all of them by one account, the first with the nonce given to the plan.
        facets: Address of each facet by name.
    """

    transactions: tuple[Call, ...]
    token: Address
    hub: Address
    app_registry: Address
    dataset_registry: Address
    workerpool_registry: Address
    facets: dict[str, Address]


def deployment_plan(
    owner: Address,
    chain_id: int,
    *,
    nonce: int = 0,
    token: Address | None = None,
    categories: Sequence[Category] = DEFAULT_CATEGORIES,
    metadata_uri: str = METADATA_URI,
) -> DeploymentPlan:
    """
    Plan the bring-up of a market.

    Args:
        owner: Who sends the transactions, and owns hub, registries and the whole supply of a new token.
        chain_id: Id of the chain; part of the metadata addresses of the registries' tokens.
        nonce: Next nonce of the owner.
        token: The chain's RLC; a new token is deployed if None.
        categories: The sizes of tasks on offer, in the order of their ids.
        metadata_uri: Where the tokens of the registries are described; `/app/<chain id>/<token id>` and so on follow.

    Returns:
        The transactions and the addresses that they give.

    Source: poco-protocol.md 1.5.
    """
    draft = _Draft(owner, nonce)
    money = draft.create("Rlc") if token is None else token
    facets = {name: draft.create(name) for name in FACETS}
    routes = facet_routes(facets)
    # the registries come right after the hub, which must know them
    registries = [contract_address(owner, draft.nonce + place) for place in (1, 2, 3)]
    calls = [_configuration(money, registries), *(_category(category) for category in categories)]
    table = [(route.selector, route.facet, route.large) for route in routes]
    hub = draft.create("Hub", table, calls, slots=len(routes) + 8 * (len(calls) + 2))
    for name, entry in REGISTRIES.items():
        base_uri = f"{metadata_uri}/{entry.lower()}/{chain_id}/"
        code = load_artifact(entry)
        draft.create(name, code.init_code, base_uri, slots=16, code=code.deployed_size)
    for registry, name in zip(registries, REGISTRIES, strict=True):
        draft.add(Call(registry, function(name, "initialize").encode(ZERO_ADDRESS), f"initialize {name}", gas=120_000))
    return DeploymentPlan(
        transactions=tuple(draft.transactions),
        token=money,
        hub=hub,
        app_registry=registries[0],
        dataset_registry=registries[1],
        workerpool_registry=registries[2],
        facets=facets,
    )


def facet_routes(facets: dict[str, Address]) -> tuple[Route, ...]:
    """
    Route every function of some facets.

    Args:
        facets: Address of each facet by name.

    Returns:
        One route a function of the hub's ABI; what facets only ask of each other has none; plain transfers and unknown
        selectors go to the escrow facet, which refuses them.
    """
    public = {entry.selector for entry in load_abi("Hub") if entry.type == "function"}
    routes = [
        Route(bytes.fromhex(selector.removeprefix("0x")), address, size > SMALL_ANSWER)
        for name, address in facets.items()
        for selector, size in load_artifact(name).return_sizes.items()
    ]
    routes = [route for route in routes if route.selector in public]
    if FALLBACK_FACET in facets:
        routes += [Route(selector, facets[FALLBACK_FACET], large=False) for selector in (_PLAIN_TRANSFER, _UNKNOWN_SELECTOR)]
    return tuple(routes)


def contract_address(creator: Address, nonce: int) -> Address:
    """
    Tell where a transaction that creates a contract puts it.

    Args:
        creator: Who sends the transaction.
        nonce: The transaction's nonce.

    Returns:
        The last 20 bytes of keccak256(rlp([creator, nonce])).

    Source: Ethereum yellow paper, section 7.
    """
    sender = b"\x94" + bytes.fromhex(creator.removeprefix("0x"))
    count = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    item = count if len(count) == 1 and count[0] < 0x80 else bytes([0x80 + len(count)]) + count
    return as_address("0x" + keccak(bytes([0xC0 + len(sender + item)]) + sender + item)[12:].hex())


class _Draft:
    """Transactions of one sender, in the order of their nonces."""

    def __init__(self, owner: Address, nonce: int) -> None:
        self.owner = owner
        self.nonce = nonce
        self.transactions: list[Call] = []

    def create(self, name: str, *arguments: AbiArgument, slots: int = 4, code: int = 0) -> Address:
        artifact = load_artifact(name)
        address = contract_address(self.owner, self.nonce)
        data = artifact.init_code + encode_values(artifact.constructor_inputs, arguments, f"the constructor of {name}")
        self.add(Call(None, data, f"create {name}", gas=_creation_gas(artifact, data, slots, code)))
        return address

    def add(self, transaction: Call) -> None:
        self.transactions.append(transaction)
        self.nonce += 1


def _creation_gas(artifact: Artifact, data: bytes, slots: int, code: int) -> int:
    """Bound the gas of a creation: 16 a byte sent, 200 a byte kept, new slots, and a tenth more."""
    needed = 100_000 + 17 * len(data) + 200 * (artifact.deployed_size + code) + _STORE_GAS * slots
    return needed * 11 // 10


def _configuration(token: Address, registries: Sequence[Address]) -> bytes:
    return function("Hub", "configure").encode(token, "Staked RLC", "SRLC", 9, *registries, ZERO_ADDRESS)


def _category(category: Category) -> bytes:
    return function("Hub", "createCategory").encode(category.name, category.description, category.time_ref_s)
