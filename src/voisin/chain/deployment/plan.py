"""
What to send so that a market stands on a chain: a pure plan, which whoever has a sender carries out.

The hub's constructor installs the routes to its facets and then calls the new hub as its owner: configuration and categories
need no transaction of their own. A plan can be made for what is missing of a market that is there in part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from voisin.chain.abi_codec import AbiArgument
from voisin.chain.artifacts import Artifact, load_abi, load_artifact
from voisin.chain.calls import Call
from voisin.chain.functions import encode_values, function
from voisin.protocol.hashing import keccak
from voisin.protocol.ids import ZERO_ADDRESS, Address, as_address
from voisin.protocol.records import Category
from voisin.protocol.rules import DEFAULT_CATEGORIES

FACETS: Final = (
    "DiamondFacet",
    "EscrowFacet",
    "ConfigurationFacet",
    "OrdersFacet",
    "MatchingFacet",
    "TasksFacet",
    "BoostFacet",
    "AccessorsFacet",
    "CallbackFacet",
    "BagFacet",
    "BagDisputesFacet",
    "RefundFacet",
)
ESCROW, NATIVE_ESCROW = "EscrowFacet", "EscrowNativeFacet"
"""Who answers plain transfers and unknown selectors: the facet that keeps tokens, or the one that keeps the chain's own coin."""
SMALL_ANSWER: Final = 320
"""Longest answer of a selector that is marked small [bytes]; the constant `SMALL` of `Hub.vy`."""
LARGE_ANSWER: Final = 20_480
"""Longest answer of any other [bytes]; the constant `LARGE` of `Hub.vy`."""
ADD: Final = 0
"""What a cut does with its selectors; the constant of `routing.vy`."""
METADATA_URI: Final = "https://nfts-metadata.iex.ec"
TOKEN, HUB = "Rlc", "Hub"
REGISTRIES: Final = {"AppRegistry": "App", "DatasetRegistry": "Dataset", "WorkerpoolRegistry": "Workerpool"}
STAKE_NAME, STAKE_SYMBOL, STAKE_DECIMALS = "Staked RLC", "SRLC", 9
"""What the hub calls the money in its accounts."""
CALLBACK_GAS: Final = 200_000
"""What `configure` sets; the constant of `ConfigurationFacet.vy`."""

_PLAIN_TRANSFER = bytes(4)
_UNKNOWN_SELECTOR = b"\xff" * 4
_STORE_GAS = 24_000  # a new storage slot


class DeploymentTerms(msgspec.Struct, frozen=True, kw_only=True):
    """
    What may differ from market to market.

    Attributes:
        token: The chain's RLC; a new token is deployed if None.
        categories: The sizes of tasks on offer, in the order of their ids.
        is_native: Whether money is the chain's own coin; there is no token then.
        metadata_uri: Where the tokens of the registries are described; `/app/<chain id>/<token id>` and so on follow.
    """

    token: Address | None = None
    categories: tuple[Category, ...] = DEFAULT_CATEGORIES
    metadata_uri: str = METADATA_URI
    is_native: bool = False

    @property
    def facets(self) -> tuple[str, ...]:
        """Names of the hub's facets."""
        return tuple(NATIVE_ESCROW if name == ESCROW and self.is_native else name for name in FACETS)

    def base_uri(self, registry: str, chain_id: int) -> str:
        """Tell what the metadata address of every token of a registry begins with."""
        return f"{self.metadata_uri}/{REGISTRIES[registry].lower()}/{chain_id}/"


DEFAULT_TERMS: Final = DeploymentTerms()


class Cut(msgspec.Struct, frozen=True):
    """
    Selectors that one facet answers.

    Attributes:
        small: Those of them whose answers are never longer than `SMALL_ANSWER`.
    """

    facet: Address
    selectors: tuple[bytes, ...]
    small: tuple[bytes, ...]


class Step(msgspec.Struct, frozen=True):
    """
    One transaction of a plan.

    Attributes:
        name: The contract that it creates, or what it does.
        call: The transaction.
        creates: Where the contract will be; None for a call.
        wave: Steps of one wave need nothing of each other, only the waves before.
    """

    name: str
    call: Call
    creates: Address | None
    wave: int


class DeploymentPlan(msgspec.Struct, frozen=True, kw_only=True):
    """
    A market to be.

    Attributes:
        steps: What is to be done, in this order, all by one account, the first with the nonce given to the plan.
        facets: Address of each facet by name.
    """

    steps: tuple[Step, ...]
    token: Address
    hub: Address
    app_registry: Address
    dataset_registry: Address
    workerpool_registry: Address
    facets: dict[str, Address]

    @property
    def transactions(self) -> tuple[Call, ...]:
        """The transactions of the steps."""
        return tuple(step.call for step in self.steps)


def deployment_plan(
    owner: Address,
    chain_id: int,
    *,
    nonce: int = 0,
    terms: DeploymentTerms = DEFAULT_TERMS,
    done: Mapping[str, Address] | None = None,
) -> DeploymentPlan:
    """
    Plan the bring-up of a market.

    Args:
        owner: Who sends the transactions, and owns hub, registries and the whole supply of a new token.
        chain_id: Id of the chain; part of the metadata addresses of the registries' tokens.
        nonce: Next nonce of the owner.
        terms: What may differ from market to market.
        done: Names of the steps that are done, and the contract of each. A hub among them knows where its registries are: those that
            are missing have to get these very addresses, see `registry_addresses`.

    Returns:
        The steps that are left, and the addresses that they give.

    Source: poco-protocol.md 1.5.
    """
    draft = Draft(owner, nonce, done or {})
    token = ZERO_ADDRESS if terms.is_native else terms.token or draft.create(TOKEN)
    facets = {name: draft.create(name) for name in terms.facets}
    cuts = facet_cuts(facets)
    # the registries come right after the hub, which must know them
    calls = [_configuration(token, registry_addresses(owner, draft.nonce)), *(_category(category) for category in terms.categories)]
    table = [(cut.facet, ADD, cut.selectors) for cut in cuts]
    small = [selector for cut in cuts for selector in cut.small]
    slots = sum(len(cut.selectors) for cut in cuts) * 9 // 8
    draft.wave = 1
    hub = draft.create(HUB, table, small, calls, slots=slots + 8 * (len(calls) + 2))
    registries = []
    for name, entry in REGISTRIES.items():
        code = load_artifact(entry)
        base_uri = terms.base_uri(name, chain_id)
        registries.append(draft.create(name, code.init_code, base_uri, slots=16, code=code.deployed_size))
    draft.wave = 2
    for registry, name in zip(registries, REGISTRIES, strict=True):
        draft.call(Call(registry, function(name, "initialize").encode(ZERO_ADDRESS), initialization(name), gas=120_000))
    return DeploymentPlan(
        steps=tuple(draft.steps),
        token=token,
        hub=hub,
        app_registry=registries[0],
        dataset_registry=registries[1],
        workerpool_registry=registries[2],
        facets=facets,
    )


def initialization(registry: str) -> str:
    """Name the step that initializes a registry."""
    return f"initialize {registry}"


def registry_addresses(owner: Address, hub_nonce: int) -> tuple[Address, ...]:
    """
    Tell where the registries of a hub must be.

    Args:
        owner: Who created the hub.
        hub_nonce: The nonce with which the hub was created.
    """
    return tuple(contract_address(owner, hub_nonce + place) for place, _ in enumerate(REGISTRIES, 1))


def facet_cuts(facets: dict[str, Address]) -> tuple[Cut, ...]:
    """
    Route every function of some facets.

    Args:
        facets: Address of each facet by name.

    Returns:
        The functions of the hub's ABI by facet; what facets only ask of each other has no route; plain transfers and unknown
        selectors go to the escrow facet.
    """
    abi = load_abi("HubNative" if NATIVE_ESCROW in facets else HUB)
    public = {entry.selector for entry in abi if entry.type == "function"}
    return tuple(_cut(name, address, public) for name, address in facets.items())


def _cut(name: str, address: Address, public: set[bytes]) -> Cut:
    sizes = {bytes.fromhex(selector.removeprefix("0x")): size for selector, size in load_artifact(name).return_sizes.items()}
    sizes = {selector: size for selector, size in sizes.items() if selector in public}
    if name in (ESCROW, NATIVE_ESCROW):
        sizes |= dict.fromkeys((_PLAIN_TRANSFER, _UNKNOWN_SELECTOR), 0)
    return Cut(address, tuple(sizes), tuple(selector for selector, size in sizes.items() if size <= SMALL_ANSWER))


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


class Draft:
    """
    Steps of one sender, in the order of their nonces; what is done takes no step.

    Args:
        owner: The sender.
        nonce: Its next nonce.
        done: Names of the steps that are done, and the contract of each.
    """

    def __init__(self, owner: Address, nonce: int, done: Mapping[str, Address]) -> None:
        self.owner = owner
        self.nonce = nonce
        self.wave = 0
        self.steps: list[Step] = []
        self._done = done

    def create(self, name: str, *arguments: AbiArgument, slots: int = 4, code: int = 0) -> Address:
        """
        Create a contract.

        Args:
            name: Name of its artifact.
            arguments: What its constructor is told.
            slots: How many storage slots that fills, for the gas.
            code: How much code the constructor creates itself [bytes].

        Returns:
            Where it is or will be.
        """
        if name in self._done:
            return self._done[name]
        artifact = load_artifact(name)
        address = contract_address(self.owner, self.nonce)
        data = artifact.init_code + encode_values(artifact.constructor_inputs, arguments, f"the constructor of {name}")
        self._add(name, Call(None, data, f"create {name}", gas=_creation_gas(artifact, data, slots, code)), address)
        return address

    def call(self, transaction: Call) -> None:
        """Call a contract; the call's label is the step's name."""
        if transaction.label not in self._done:
            self._add(transaction.label, transaction, None)

    def _add(self, name: str, transaction: Call, creates: Address | None) -> None:
        self.steps.append(Step(name, transaction, creates, self.wave))
        self.nonce += 1


def _creation_gas(artifact: Artifact, data: bytes, slots: int, code: int) -> int:
    """Bound the gas of a creation: 16 a byte sent, 200 a byte kept, new slots, and a tenth more."""
    needed = 100_000 + 17 * len(data) + 200 * (artifact.deployed_size + code) + _STORE_GAS * slots
    return needed * 11 // 10


def _configuration(token: Address, registries: Sequence[Address]) -> bytes:
    stake = (STAKE_NAME, STAKE_SYMBOL, STAKE_DECIMALS)
    return function(HUB, "configure").encode(token, *stake, *registries, ZERO_ADDRESS)


def _category(category: Category) -> bytes:
    return function(HUB, "createCategory").encode(category.name, category.description, category.time_ref_s)
