"""What the compiler says the ABI is, against the canonical ABI that clients load: equal but for names that Vyper cannot spell."""

from __future__ import annotations

import pytest

from voisin.chain.artifacts import AbiEntry, AbiParameter, load_abi, load_artifact
from voisin.chain.deployment.plan import FACETS, DeploymentTerms

CONTRACTS = {
    "Hub": ("Hub", *FACETS),
    "HubNative": ("Hub", *DeploymentTerms(is_native=True).facets),
    "Rlc": ("Rlc",),
    **{name: (name,) for name in ("AppRegistry", "DatasetRegistry", "WorkerpoolRegistry", "App", "Dataset", "Workerpool", "Gate")},
}


def _shape(entry: AbiEntry) -> tuple[object, ...]:
    """All that is on the wire: names of arguments are not, those of struct members neither."""
    indexed = tuple(parameter.indexed for parameter in entry.inputs)
    outputs = tuple(parameter.canonical_type for parameter in entry.outputs)
    mutability = entry.state_mutability if entry.type == "function" else ""
    return (entry.type, entry.signature, indexed, outputs, mutability)


def _shapes(entries: tuple[AbiEntry, ...], kinds: tuple[str, ...] = ("function", "event")) -> set[tuple[object, ...]]:
    return {_shape(entry) for entry in entries if entry.type in kinds}


# a facet asks another, at its own address; nobody reaches it through the hub
UNROUTED = ("function", "isOwnRequest(address,bytes)", (False, False), ("bool",), "pure")


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_compiled_abi_is_the_canonical_one(name: str) -> None:
    compiled: set[tuple[object, ...]] = set()
    for part in CONTRACTS[name]:
        compiled |= _shapes(load_artifact(part).abi)
    assert compiled - {UNROUTED} == _shapes(load_abi(name))
    assert (UNROUTED in compiled) is name.startswith("Hub")


def test_no_function_is_in_two_facets() -> None:
    seen: dict[str, str] = {}
    for facet in FACETS:
        for selector in load_artifact(facet).return_sizes:
            assert selector not in seen, f"{selector} is in {facet} and {seen[selector]}"
            seen[selector] = facet


def test_no_two_functions_of_the_hub_share_a_selector() -> None:
    selectors = [entry.selector for entry in load_abi("Hub") if entry.type == "function"]
    assert len(selectors) == len(set(selectors))


def test_names_of_the_protocol_are_kept() -> None:
    """A few that Vyper cannot spell, or that clients read by name."""
    names = {entry.name: [item.name for item in entry.inputs] for entry in load_abi("Hub")}
    assert names["Transfer"] == ["from", "to", "value"]
    assert names["approve"] == ["spender", "value"]
    assert names["OrdersMatched"] == ["dealid", "appHash", "datasetHash", "workerpoolHash", "requestHash", "volume"]
    deal = next(entry for entry in load_abi("Hub") if entry.name == "viewDeal").outputs[0]
    assert [part.name for part in deal.components][-4:] == ["botSize", "workerStake", "schedulerRewardRatio", "sponsor"]


def test_tuples_are_spelled_as_selectors_need_them() -> None:
    pair = AbiParameter(
        name="p", type="tuple[]", components=(AbiParameter("a", "uint256"), AbiParameter("b", "tuple", (AbiParameter("c", "bytes"),)))
    )
    assert pair.canonical_type == "(uint256,(bytes))[]"
    match = next(entry for entry in load_abi("Hub") if entry.name == "matchOrders")
    assert match.selector.hex() == "156194d4"
    matched = next(entry for entry in load_abi("Hub") if entry.name == "OrdersMatched")
    assert matched.topic.hex() == "d811b592ed0899225773e8933d8df64bd0b62761a9d7aad4ed5b22735f4610a4"
