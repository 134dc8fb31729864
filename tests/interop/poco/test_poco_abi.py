"""
The ABI that iExec publishes, entry by entry, next to ours: every difference is in `contracts/differences.json`, and all of these are real.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec
import pytest

from tests.support.differences import Difference, differences
from tests.support.npm import package_path, requires_npm
from tests.support.original import PACKAGES
from voisin.chain.artifacts import AbiEntry, load_abi
from voisin.chain.compile import ROOT

POCO = ("@iexec/poco", "abis", "contracts")
DIAMOND = ("@iexec/poco", "deployments", "arbitrum")
IMPLEMENTED = ("IexecPocoAccessorsFacet", "IexecPoco1Facet", "IexecPoco2Facet", "IexecPocoBoostFacet", "IexecPocoBoostAccessorsFacet")
COMMON = (
    # what implements the interface comes after it: where the interface says `view` of a constant, the facet says `pure`
    *((*POCO, "facets", f"{name}.json") for name in IMPLEMENTED),
    (*POCO, "Diamond.json"),
    *((*DIAMOND, f"{name}.json") for name in ("DiamondCutFacet", "DiamondLoupeFacet", "OwnershipFacet")),
)
PUBLISHED = {
    "Hub": ((*POCO, "IexecInterfaceToken.json"), *COMMON),
    "HubNative": ((*POCO, "IexecInterfaceNative.json"), *COMMON),
    "AppRegistry": ((*POCO, "registries", "apps", "AppRegistry.json"),),
    "DatasetRegistry": ((*POCO, "registries", "datasets", "DatasetRegistry.json"),),
    "WorkerpoolRegistry": ((*POCO, "registries", "workerpools", "WorkerpoolRegistry.json"),),
    "App": ((*POCO, "registries", "apps", "App.json"),),
    "Dataset": ((*POCO, "registries", "datasets", "Dataset.json"),),
    "Workerpool": ((*POCO, "registries", "workerpools", "Workerpool.json"),),
    "Rlc": (("rlc-faucet-contract", "build", "contracts", "RLC.json"),),
}


def _published(name: str) -> list[AbiEntry]:
    requires_npm(*PACKAGES)
    found: list[AbiEntry] = []
    for path in PUBLISHED[name]:
        document = json.loads(package_path(*path).read_text())
        entries = document["abi"] if isinstance(document, dict) else document
        found += msgspec.convert([{"inputs": [], **entry} for entry in entries], type=list[AbiEntry])
    return found


def _wire(entries: Iterable[AbiEntry]) -> dict[str, tuple[object, ...]]:
    """What calls, answers and logs look like."""
    return {
        entry.signature: (
            entry.type,
            tuple(item.indexed for item in entry.inputs),
            tuple(item.canonical_type for item in entry.outputs),
            entry.state_mutability,
        )
        for entry in entries
        if entry.type in ("function", "event", "error")
    }


def _listed(name: str, kind: str) -> set[str]:
    return {item.entry for item in differences() if name in item.contracts and item.kind == kind}


@pytest.mark.parametrize("name", PUBLISHED)
def test_no_entry_is_missing_or_different_but_what_is_listed(name: str) -> None:
    theirs, ours = _wire(_published(name)), _wire(load_abi(name))
    assert set(theirs) - set(ours) == _listed(name, "missing")
    assert set(ours) - set(theirs) == _listed(name, "ours")
    assert {signature for signature in set(ours) & set(theirs) if ours[signature] != theirs[signature]} == set()


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_are_theirs_too(name: str) -> None:
    """Programs read events and answers by name: every field that the publisher names is spelled as they spell it."""
    theirs = {entry.signature: entry for entry in _published(name) if entry.type in ("event", "error")}
    for entry in load_abi(name):
        if entry.signature in theirs and entry.type in ("event", "error"):
            assert [item.name for item in entry.inputs] == [item.name for item in theirs[entry.signature].inputs], entry.signature


def test_what_is_said_to_behave_otherwise_exists() -> None:
    def is_real(item: Difference) -> bool:
        return all(item.entry in _wire(load_abi(name)) for name in item.contracts)

    assert [item for item in differences() if item.kind == "differs" and not is_real(item)] == []


def test_reasons_of_ours_are_specified() -> None:
    specification = (ROOT / "SPEC.md").read_text()
    assert [reason for item in differences() for reason in item.reasons if f"`{reason}`" not in specification] == []
