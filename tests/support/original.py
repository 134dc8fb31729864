"""The original contracts, from the bytecode that their authors published, brought up at the addresses that ours have."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.support.accounts import signer
from tests.support.contracts import Contract
from tests.support.evm import Evm
from tests.support.market import TIME_REF, Market, Roles
from tests.support.npm import package_path
from tests.support.orders import ZERO
from voisin.chain.deployment.plan import FACETS as OUR_FACETS
from voisin.chain.deployment.plan import contract_address
from voisin.protocol.ids import Address

PACKAGES = ("@iexec/poco", "rlc-faucet-contract")
FACETS = (
    "IexecERC20Facet",
    "IexecConfigurationFacet",
    "IexecConfigurationExtraFacet",
    "IexecCategoryManagerFacet",
    "IexecOrderManagementFacet",
    "IexecRelayFacet",
    "IexecPoco1Facet",
    "IexecPoco2Facet",
    "IexecPocoAccessorsFacet",
    "IexecAccessorsABILegacyFacet",
    "IexecPocoBoostFacet",
    "IexecPocoBoostAccessorsFacet",
)
DIAMOND_FACETS = ("DiamondCutFacet", "DiamondLoupeFacet", "OwnershipFacet")
LIBRARY = "IexecLibOrders_v5"
CATEGORY_NAMES = ("XS", "S", "M", "L", "XL")
BUILDER = signer("builder of the original").address
_RECEIVE, _FALLBACK = bytes(4), b"\xff" * 4


def deploy_original(evm: Evm | None = None, *, is_native: bool = False) -> Market:
    """
    Bring up the original hub, registries and token; hub, registries and token have the addresses of `deploy_market`.

    Args:
        is_native: With the escrow of native coin, and no token.
    """
    evm = evm or Evm()
    roles = Roles()
    owner = Address(roles.owner.address)
    assert evm.nonce(owner) == 0
    token = ZERO if is_native else evm.send(owner, None, _token_code()).contract
    facets = _deploy_facets(evm, "IexecEscrowNativeFacet" if is_native else "IexecEscrowTokenFacet")
    hub_nonce = len(OUR_FACETS) + (not is_native)  # as in our plan: token and facets come first
    while evm.nonce(owner) < hub_nonce:
        evm.send(owner, owner)
    interfaces = evm.send(BUILDER, None, original_code("DiamondInit")).contract
    hub = evm.send(owner, None, original_code("Diamond") + _cut(facets, owner, interfaces)).contract
    registries = [evm.send(owner, None, registry_code(kind)).contract for kind in ("App", "Dataset", "Workerpool")]
    assert registries[0] == contract_address(owner, hub_nonce + 1)
    market = Market(
        evm=evm,
        hub=Contract(evm, "hub", hub, "HubNative" if is_native else "Hub"),
        token=Contract(evm, "token", token, "Rlc"),
        app_registry=Contract(evm, "apps", registries[0], "AppRegistry"),
        dataset_registry=Contract(evm, "datasets", registries[1], "DatasetRegistry"),
        workerpool_registry=Contract(evm, "workerpools", registries[2], "WorkerpoolRegistry"),
        roles=roles,
        is_original=True,
        is_native=is_native,
    )
    _configure(market, registries)
    return market


def registry_code(kind: str) -> bytes:
    """Creation code of a registry of the original."""
    return original_code(f"{kind}Registry")


def original_code(name: str, library: str = ZERO) -> bytes:
    """Creation code of a contract of the original."""
    artifact = _artifact(name)
    code: str = artifact["bytecode"][2:]
    for places in artifact.get("linkReferences", {}).values():
        for place in places[LIBRARY]:
            start, end = 2 * place["start"], 2 * (place["start"] + place["length"])
            code = code[:start] + library[2:].lower() + code[end:]
    return bytes.fromhex(code)


def _configure(market: Market, registries: list[str]) -> None:
    owner = market.roles.owner.address
    for registry, kind in zip(market.contracts[2:], ("app", "dataset", "workerpool"), strict=True):
        registry.send("initialize", ZERO, by=owner)
        registry.send("setBaseURI", f"https://nfts-metadata.iex.ec/{kind}/{market.evm.chain_id}/", by=owner)
    market.hub.send("configure", market.token.address, "Staked RLC", "SRLC", 9, *registries, ZERO, by=owner)
    market.hub.send("setCallbackGas", 200_000, by=owner)  # 6.2.0 sets it so; the published 6.1.0 sets 100,000
    for name, time_ref in zip(CATEGORY_NAMES, TIME_REF, strict=True):
        market.hub.send("createCategory", name, '""', time_ref, by=owner)


def _deploy_facets(evm: Evm, escrow: str) -> dict[str, list[bytes]]:
    """Deploy the facets from an account of their own; gives their selectors by address."""
    library = evm.send(BUILDER, None, original_code(LIBRARY)).contract
    return {evm.send(BUILDER, None, original_code(name, library)).contract: _selectors(name) for name in (escrow, *FACETS, *DIAMOND_FACETS)}


def _cut(facets: dict[str, list[bytes]], owner: str, interfaces: str) -> bytes:
    seen: set[bytes] = set()
    cut = []
    for address, selectors in facets.items():
        fresh = [selector for selector in selectors if selector not in seen]
        seen.update(fresh)
        cut.append((address, 0, fresh))
    return encode(["(address,uint8,bytes4[])[]", "(address,address,bytes)"], [cut, (owner, interfaces, keccak(b"init()")[:4])])


def _selectors(name: str) -> list[bytes]:
    found = []
    for entry in _artifact(name)["abi"]:
        if entry["type"] == "function":
            found.append(keccak(f"{entry['name']}({','.join(_types(entry['inputs']))})".encode())[:4])
        elif entry["type"] in ("receive", "fallback"):
            found.append(_RECEIVE if entry["type"] == "receive" else _FALLBACK)
    return found


def _types(inputs: Iterable[dict[str, Any]]) -> list[str]:
    return [f"({','.join(_types(item['components']))}){item['type'][5:]}" if "components" in item else item["type"] for item in inputs]


@cache
def _artifact(name: str) -> dict[str, Any]:
    """A contract of the package; what it has from the diamond's authors is with its deployments."""
    package = package_path("@iexec/poco")
    found = list((package / "artifacts" / "contracts").rglob(f"{name}.json")) or [package / "deployments" / "arbitrum" / f"{name}.json"]
    assert len(found) == 1, f"{name}: {found}"
    artifact: dict[str, Any] = json.loads(found[0].read_text())
    return artifact


def _token_code() -> bytes:
    """The RLC of the faucet package."""
    built = package_path("rlc-faucet-contract", "build", "contracts", "RLC.json")
    return bytes.fromhex(json.loads(built.read_text())["bytecode"][2:])
