"""The compilation itself, on a small source tree: what is fresh is kept, what is stale is made, what has no source is dropped."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from tests.support.evm import Evm
from tests.support.market import Roles
from voisin.chain.artifacts import Artifact, load_abi, load_artifact
from voisin.chain.compile import compile_all
from voisin.errors import InputError, UnavailableError

SOURCE = """# pragma version 0.4.3
import counter

initializes: counter
exports: counter.count


@external
def pair(data: Bytes[64]) -> (uint256, Bytes[64]):
    return len(data), data
"""
MODULE = "# pragma version 0.4.3\ncount: public(uint256)\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Sources of one contract and its module."""
    folder = tmp_path / "contracts" / "hub"
    folder.mkdir(parents=True)
    (folder / "Thing.vy").write_text(SOURCE)
    (folder / "counter.vy").write_text(MODULE)
    return tmp_path


def test_compile_once(tree: Path) -> None:
    sources, output = tree / "contracts", tree / "artifacts"
    assert compile_all(sources, output) == ["Thing"]
    assert compile_all(sources, output) == []
    artifact = msgspec.json.decode((output / "Thing.json").read_bytes(), type=Artifact)
    assert artifact.name == "Thing"
    assert artifact.layout["counter.count"].slot == 0
    selectors = {entry.name: "0x" + entry.selector.hex() for entry in artifact.abi if entry.type == "function"}
    # a pair is a number, an offset, and up to 64 bytes with their length
    assert artifact.return_sizes == {selectors["pair"]: 32 + 32 + 32 + 64, selectors["count"]: 32}


def test_compiled_code_runs(tree: Path) -> None:
    compile_all(tree / "contracts", tree / "artifacts")
    artifact = msgspec.json.decode((tree / "artifacts" / "Thing.json").read_bytes(), type=Artifact)
    evm = Evm()
    contract = evm.send(Roles().owner.address, None, artifact.init_code).contract
    assert len(evm.code(contract)) == artifact.deployed_size


def test_what_changed_is_compiled_again_and_what_is_gone_is_dropped(tree: Path) -> None:
    sources, output = tree / "contracts", tree / "artifacts"
    compile_all(sources, output)
    (sources / "hub" / "counter.vy").write_text(MODULE + "more: uint256\n")
    assert compile_all(sources, output) == ["Thing"]
    (sources / "hub" / "Thing.vy").rename(sources / "hub" / "Other.vy")
    assert compile_all(sources, output) == ["Other"]
    assert [path.name for path in output.iterdir()] == ["Other.json"]


def test_a_truncated_artifact_is_not_left_behind(tree: Path) -> None:
    sources, output = tree / "contracts", tree / "artifacts"
    (sources / "hub" / "Thing.vy").write_text("# pragma version 0.4.3\nnonsense\n")
    with pytest.raises(Exception, match="nonsense"):
        compile_all(sources, output)
    assert list(output.glob("*.json")) == []


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(UnavailableError, match="no compiled contract 'Nothing'"):
        load_artifact("Nothing")
    with pytest.raises(InputError, match="no ABI named 'Nothing'"):
        load_abi("Nothing")
    assert json.loads(msgspec.json.encode(load_abi("App")[0]))["type"] == "function"
