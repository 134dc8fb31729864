"""The interface files that dapps import say what the contracts do: every function and event, in Vyper and in Solidity."""

from __future__ import annotations

import re

import msgspec
import pytest
from vyper.compiler import compile_from_file_input
from vyper.compiler.input_bundle import FilesystemInputBundle
from vyper.compiler.settings import Settings

from tests.support.examples import INTERFACES, solidity
from voisin.chain.artifacts import AbiEntry, load_abi
from voisin.chain.compile import EVM_VERSION, ROOT

CONTRACTS = {"IHub": "Hub", "IToken": "Rlc"}
OWN = {"hasFailedCallback(bytes32)", "retryCallback(bytes32)"}


def _wire(entries: tuple[AbiEntry, ...]) -> dict[str, tuple[object, ...]]:
    return {
        entry.signature: (
            entry.type,
            tuple(item.indexed for item in entry.inputs),
            tuple(item.canonical_type for item in entry.outputs),
            entry.state_mutability if entry.type == "function" else "",
        )
        for entry in entries
    }


def _vyper(name: str) -> tuple[AbiEntry, ...]:
    """What the compiler makes of a Vyper interface."""
    path = INTERFACES / f"{name}.vyi"
    bundle = FilesystemInputBundle([path.parent])
    found = compile_from_file_input(
        bundle.load_file(path), input_bundle=bundle, settings=Settings(evm_version=EVM_VERSION), output_formats=["abi"]
    )
    return msgspec.convert(found["abi"], type=tuple[AbiEntry, ...])


@pytest.mark.parametrize("name", CONTRACTS)
@pytest.mark.parametrize("language", ["vyi", "sol"])
def test_what_is_published_is_what_there_is(name: str, language: str) -> None:
    published = _wire(_vyper(name) if language == "vyi" else solidity()[f"interfaces/{name}.sol"].abi)
    real = _wire(load_abi(CONTRACTS[name]))
    assert len(published) > 5
    for signature, shape in published.items():
        assert real[signature] == shape, signature
    if name == "IHub":
        assert published.keys() >= OWN


def test_both_languages_publish_the_same_functions() -> None:
    for name in (*CONTRACTS, "IOracleConsumer"):
        vyper, other = (
            {signature for signature, (kind, *_) in _wire(entries).items() if kind == "function"}
            for entries in (_vyper(name), solidity()[f"interfaces/{name}.sol"].abi)
        )
        assert vyper == other, name


def test_the_consumer_has_the_function_that_the_hub_calls() -> None:
    (entry,) = _vyper("IOracleConsumer")
    sources = [(ROOT / "hub" / f"{facet}.vy").read_text() for facet in ("TasksFacet", "BoostFacet", "CallbackFacet")]
    for source in sources:
        assert re.findall(r'method_id\("(receiveResult[^"]*)"\)', source) == [entry.signature]


def test_names_of_arguments_in_vyper_are_the_protocols() -> None:
    """Whoever reads the interface reads the same names as in the protocol's documents."""
    real = {entry.signature: [item.name for item in entry.inputs] for entry in load_abi("Hub")}
    for entry in _vyper("IHub"):
        assert [item.name for item in entry.inputs] == real[entry.signature], entry.signature
