"""
Compares what is on a chain with what a deployment should be: codes, owners, configuration, categories, registries, and the facet
of every function. It reads only what anybody can read.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from voisin.chain.abi_codec import AbiArgument, AbiValue
from voisin.chain.artifacts import load_abi, load_artifact
from voisin.chain.deployment.place import Deployment
from voisin.chain.deployment.plan import (
    CALLBACK_GAS,
    HUB,
    REGISTRIES,
    STAKE_DECIMALS,
    STAKE_NAME,
    STAKE_SYMBOL,
    TOKEN,
    DeploymentTerms,
    contract_address,
    facet_cuts,
)
from voisin.chain.deployment.routes import SMALL_FLAG, route_place
from voisin.chain.functions import function
from voisin.chain.node_values import quantity
from voisin.chain.reading import Read, read_many
from voisin.chain.rpc import Answer, Request, Rpc
from voisin.errors import InputError, RevertError
from voisin.protocol.eip712 import Domain, domain_separator
from voisin.protocol.ids import ZERO_ADDRESS, Address, as_address, from_hex, hash32_of, to_hex

MOST_SUPPLY = 2**128
"""The hub refuses a supply of so many nRLC; SPEC 3.4."""
_PLACE = 168
"""The bit of a route from which its place among the selectors follows; the constant of `routing.vy`."""


class Difference(msgspec.Struct, frozen=True):
    """Something that is not as it should be: what, how it should be, how it is."""

    what: str
    expected: str
    found: str


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a comparison has shown.

    Attributes:
        compared: How many things were compared.
        differences: Those that are not as they should be.
    """

    chain_id: int
    hub: Address
    compared: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class _Comparison:
    """One thing to compare: how to ask the node for it, and how to read the answer as text like `expected`."""

    what: str
    expected: str
    request: Request
    read: Callable[[Answer], str]

    def difference(self, answer: Answer) -> Difference | None:
        try:
            found = self.read(answer)
        except RevertError as error:
            found = f"refused: {error.reason}" if error.reason else "refused"
        except InputError:
            found = "no such function"
        return None if found == self.expected else Difference(self.what, self.expected, found)


async def check_deployment(rpc: Rpc, deployment: Deployment, terms: DeploymentTerms) -> CheckReport:
    """
    Compare a deployment with what this version of Voisin would deploy.

    Args:
        rpc: The node, of the deployment's chain.
        deployment: Where everything should be; who owns it and what codes it had is compared where it is known.
        terms: What is particular about the market; its token is not compared.

    Raises:
        UnavailableError: The node does not answer.
    """
    comparisons = [
        *_codes(deployment),
        *_configuration(deployment),
        *_categories(deployment, terms),
        *_registries(deployment, terms),
        *_routes(deployment),
    ]
    answers = await rpc.ask([comparison.request for comparison in comparisons])
    found = [comparison.difference(answer) for comparison, answer in zip(comparisons, answers, strict=True)]
    return CheckReport(
        chain_id=deployment.chain_id,
        hub=deployment.hub,
        compared=len(comparisons),
        differences=tuple(difference for difference in found if difference is not None),
    )


async def require_chain(rpc: Rpc, chain_id: int) -> None:
    """
    Make sure that a node serves the chain that is meant.

    Raises:
        InputError: It serves another one.
    """
    served = quantity(await rpc.fetch(str, "eth_chainId"))
    if served != chain_id:
        hint = f"check the node's address; if you mean that chain, say --chain-id {served}"
        raise InputError(f"the node at {rpc.shown_url} serves chain {served}, not {chain_id}", hint=hint)


async def require_token(rpc: Rpc, token: Address) -> None:
    """
    Make sure that a contract can be the money of a market.

    Raises:
        InputError: It is no token, or one that the hub's accounts cannot keep.
    """
    hint = "name the chain's RLC, which has 9 decimals, or none to deploy one"
    try:
        decimals, supply = await read_many(rpc, [Read(token, function(TOKEN, name), (), int) for name in ("decimals", "totalSupply")])
    except (RevertError, InputError):
        raise InputError(f"there is no token at {token}", hint=hint) from None
    if decimals != STAKE_DECIMALS or supply >= MOST_SUPPLY:
        raise InputError(f"the token at {token} has {decimals} decimals and a supply of {supply}: it cannot be RLC", hint=hint)


def _codes(deployment: Deployment) -> Iterator[_Comparison]:
    for name, address in deployment.contracts.items():
        if name != TOKEN:  # any token will do
            yield _code(name, address)
        if name in deployment.code_hashes:
            expected = f"code hash {deployment.code_hashes[name]}"
            yield _Comparison(
                f"{name} at {address}", expected, ("eth_getCode", (address, "latest")), lambda answer: f"code hash {_hash(answer)}"
            )


def _code(name: str, address: Address) -> _Comparison:
    artifact = load_artifact(name)

    def judge(answer: Answer) -> str:
        code = from_hex(answer.read(str))
        return "code of this version" if artifact.is_code(code) else "other code" if code else "no code"

    return _Comparison(f"{name} at {address}", "code of this version", ("eth_getCode", (address, "latest")), judge)


def _hash(answer: Answer) -> str:
    return hash32_of(from_hex(answer.read(str)))


def _configuration(deployment: Deployment) -> Iterator[_Comparison]:
    hub, domain = deployment.hub, Domain(chain_id=deployment.chain_id, hub=deployment.hub)
    if deployment.owner != ZERO_ADDRESS:
        yield _view(HUB, hub, "owner", deployment.owner)
    yield _view(HUB, hub, "token", deployment.token)
    yield _view(HUB, hub, "appregistry", deployment.app_registry)
    yield _view(HUB, hub, "datasetregistry", deployment.dataset_registry)
    yield _view(HUB, hub, "workerpoolregistry", deployment.workerpool_registry)
    yield _view(HUB, hub, "name", STAKE_NAME)
    yield _view(HUB, hub, "symbol", STAKE_SYMBOL)
    yield _view(HUB, hub, "decimals", STAKE_DECIMALS)
    yield _view(HUB, hub, "callbackgas", CALLBACK_GAS)
    yield _view(HUB, hub, "teebroker", ZERO_ADDRESS)
    yield _view(HUB, hub, "domain", (domain.name, domain.version, domain.chain_id, domain.hub))
    yield _view(HUB, hub, "eip712domain_separator", to_hex(domain_separator(domain)))


def _categories(deployment: Deployment, terms: DeploymentTerms) -> Iterator[_Comparison]:
    yield _view(HUB, deployment.hub, "countCategory", len(terms.categories))
    for number, category in enumerate(terms.categories):
        yield _view(HUB, deployment.hub, "viewCategory", (category.name, category.description, category.time_ref_s), number)


def _registries(deployment: Deployment, terms: DeploymentTerms) -> Iterator[_Comparison]:
    for name, entry in REGISTRIES.items():
        registry = deployment.contracts[name]
        master = contract_address(registry, 1)  # the first thing that it creates
        if deployment.owner != ZERO_ADDRESS:
            yield _view(name, registry, "owner", deployment.owner)
        yield _view(name, registry, "initialized", 1)
        yield _view(name, registry, "previous", ZERO_ADDRESS)
        yield _view(name, registry, "baseURI", terms.base_uri(name, deployment.chain_id))
        yield _view(name, registry, "master", master)
        yield _code(entry, master)


def _routes(deployment: Deployment) -> Iterator[_Comparison]:
    """Read the table as the hub keeps it."""
    names = {entry.selector: entry.signature for entry in load_abi(HUB) if entry.type == "function"}
    facets = {address: name for name, address in deployment.facets.items()}
    routes = [(selector, cut.facet, selector in cut.small) for cut in facet_cuts(deployment.facets) for selector in cut.selectors]
    for selector, facet, is_small in routes:
        what = f"route of {to_hex(selector)} {names.get(selector, '')}".rstrip()
        yield _Comparison(
            what,
            _route(facets, int(facet, 16) | (SMALL_FLAG if is_small else 0)),
            ("eth_getStorageAt", (deployment.hub, route_place(selector), "latest")),
            lambda answer: _route(facets, int(answer.read(str), 16) % 2**_PLACE),
        )
    wanted = {to_hex(selector) for selector, _, _ in routes}
    question = Read(deployment.hub, function(HUB, "facets"), (), lambda table: _others(table, wanted))
    yield _Comparison("routes of other functions", "none", question.request(), question.answer)


def _others(table: tuple[tuple[Address, tuple[str, ...]], ...], wanted: Container[str]) -> str:
    """List what the hub answers beyond what it should."""
    others = [f"{selector} to {facet}" for facet, selectors in table for selector in selectors if selector not in wanted]
    return ", ".join(others) or "none"


def _route(facets: Mapping[Address, str], word: int) -> str:
    """Spell a route as the hub keeps it; its place among the others may differ."""
    if word == 0:
        return "none"
    address = as_address(f"0x{word % SMALL_FLAG:040x}")
    named = facets.get(address, address)
    return named if word & SMALL_FLAG else f"{named}, long answers"


def _view(contract: str, address: Address, name: str, expected: AbiArgument, *arguments: AbiArgument) -> _Comparison:
    question = Read(address, function(contract, name), arguments, _text)
    what = f"{name}{arguments if arguments else ''} of {contract}".replace(",)", ")")
    return _Comparison(what, _spelled(expected), question.request(), question.answer)


def _text(*values: AbiValue) -> str:
    return _spelled(values[0])


def _spelled(value: AbiArgument) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(_spelled(part) for part in value)
    return str(int(value)) if isinstance(value, int) else str(value)
