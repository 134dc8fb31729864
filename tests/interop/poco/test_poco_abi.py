"""The ABI that iExec publishes, entry by entry: what our canonical ABI has of it is the same on the wire."""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec
import pytest

from tests.support.npm import package_path, requires_npm
from tests.support.original import PACKAGES
from voisin.chain.artifacts import AbiEntry, load_abi

POCO = ("@iexec/poco", "abis", "contracts")
PUBLISHED = {
    "Hub": (*POCO, "IexecInterfaceToken.json"),
    "AppRegistry": (*POCO, "registries", "apps", "AppRegistry.json"),
    "DatasetRegistry": (*POCO, "registries", "datasets", "DatasetRegistry.json"),
    "WorkerpoolRegistry": (*POCO, "registries", "workerpools", "WorkerpoolRegistry.json"),
    "App": (*POCO, "registries", "apps", "App.json"),
    "Dataset": (*POCO, "registries", "datasets", "Dataset.json"),
    "Workerpool": (*POCO, "registries", "workerpools", "Workerpool.json"),
}
# in the published interface, but no facet of the original implements it
NOWHERE = {"renounceOwnership()"}
# ours: routes, retried callbacks, and errors of 6.2.0 that the published 6.1.0 has not; ERC-165 is the diamond's
OURS = {
    "setRoutes((bytes4,address,bool)[])",
    "facetAddress(bytes4)",
    "supportsInterface(bytes4)",
    "RouteSet(bytes4,address,bool)",
    "retryCallback(bytes32)",
    "hasFailedCallback(bytes32)",
    "CallbackFailed(bytes32)",
    "CallbackRetried(bytes32)",
    "FunctionNotFound(bytes4)",
    "NotContractOwner(address,address)",
    "CallerIsNotTheRequester()",
    "OperationFailed()",
    "UnsupportedOperation(bytes4)",
}


def _published(*path: str) -> list[AbiEntry]:
    requires_npm(*PACKAGES)
    return msgspec.json.decode(package_path(*path).read_bytes(), type=list[AbiEntry])


def _wire(entries: Iterable[AbiEntry]) -> dict[str, tuple[object, ...]]:
    """What calls, answers and logs look like; `pure` and `view` are called alike."""
    return {
        entry.signature: (
            entry.type,
            tuple(item.indexed for item in entry.inputs),
            tuple(item.canonical_type for item in entry.outputs),
            entry.state_mutability in ("pure", "view"),
        )
        for entry in entries
        if entry.type in ("function", "event", "error")
    }


@pytest.mark.parametrize("name", ["Hub", "App", "Dataset", "Workerpool"])
def test_same_on_the_wire(name: str) -> None:
    theirs, ours = _wire(_published(*PUBLISHED[name])), _wire(load_abi(name))
    assert set(theirs) - set(ours) == (NOWHERE if name == "Hub" else set())
    assert set(ours) - set(theirs) == (OURS if name == "Hub" else set())
    for signature in set(ours) & set(theirs):
        assert ours[signature] == theirs[signature], signature


@pytest.mark.parametrize("name", ["AppRegistry", "DatasetRegistry", "WorkerpoolRegistry"])
def test_registries_are_the_same_but_for_their_errors(name: str) -> None:
    """The published registries are an older build that reverts with texts where the newer one, and ours, have ERC-6093 errors."""
    theirs = _wire(_published(*PUBLISHED[name]))
    ours = _wire(entry for entry in load_abi(name) if entry.type != "error")
    assert ours == theirs


def test_argument_names_that_the_publisher_gives_are_ours_too() -> None:
    """Programs decode events by name: every named field of every event is spelled as they spell it."""
    theirs = {entry.name: entry for entry in _published(*PUBLISHED["Hub"]) if entry.type == "event"}
    ours = {entry.name: entry for entry in load_abi("Hub") if entry.type == "event"}
    for name, entry in theirs.items():
        assert [item.name for item in ours[name].inputs] == [item.name for item in entry.inputs], name


def test_the_token_has_what_the_published_token_has_but_its_powers() -> None:
    requires_npm(*PACKAGES)
    built = json.loads(package_path("rlc-faucet-contract", "build", "contracts", "RLC.json").read_text())
    theirs = _wire(msgspec.convert([{"inputs": [], **entry} for entry in built["abi"]], type=list[AbiEntry]))
    ours = _wire(load_abi("Rlc"))
    assert set(ours) - set(theirs) == set()
    assert {signature.split("(")[0] for signature in set(theirs) - set(ours)} == {
        "owner",
        "transferOwnership",
        "refill",
        "forceApprove",
        "forceBurn",
    }
    for signature in ours:
        assert ours[signature] == theirs[signature], signature
