"""The example dapps and the published interfaces, compiled as a developer would: Vyper by our compiler, Solidity by solc from npm."""

from __future__ import annotations

import hashlib
import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from eth_abi.abi import encode

from tests.support.npm import package_path, requires_npm
from voisin.chain.artifacts import AbiEntry
from voisin.chain.compile import ROOT, compile_contract, source_hash

EXAMPLES = ROOT / "examples"
INTERFACES = ROOT / "interfaces"
KEPT = Path(__file__).parents[2] / "build" / "examples"


class Compiled(msgspec.Struct, frozen=True):
    """Creation code and ABI of a contract; the code of an interface is empty."""

    code: bytes
    abi: tuple[AbiEntry, ...]

    def creation(self, *arguments: Any) -> bytes:
        """What a transaction that makes the contract carries."""
        inputs = next((entry.inputs for entry in self.abi if entry.type == "constructor"), ())
        return self.code + encode([item.canonical_type for item in inputs], arguments)


@cache
def example(name: str) -> Compiled:
    """Compile a file of `contracts/examples`, for example `Oracle.sol`."""
    if name.endswith(".sol"):
        return solidity()[f"examples/{name}"]
    path = EXAMPLES / name
    kept = KEPT / f"{path.stem}-{source_hash(path)[:16]}.json"
    if not kept.exists():
        _keep(kept, json.dumps(compile_contract(path)))
    found = json.loads(kept.read_text())
    return _compiled(found["bytecode"][2:], found["abi"])


@cache
def solidity() -> dict[str, Compiled]:
    """Compile every published interface and every example in Solidity; the only contract of each file, by the file's path."""
    requires_npm("solc")
    sources = {str(path.relative_to(ROOT)): path.read_text() for path in [*INTERFACES.glob("*.sol"), *EXAMPLES.glob("*.sol")]}
    told = {
        "language": "Solidity",
        "sources": {path: {"content": text} for path, text in sources.items()},
        "settings": {
            "evmVersion": "cancun",
            "optimizer": {"enabled": True},
            "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}},
        },
    }
    version = json.loads(package_path("solc", "package.json").read_text())["version"]
    question = json.dumps(told, sort_keys=True)
    kept = KEPT / f"solidity-{hashlib.sha256(f'{version} {question}'.encode()).hexdigest()[:16]}.json"
    if not kept.exists():
        program = ["node", str(package_path("solc", "solc.js")), "--standard-json"]
        done = subprocess.run(program, input=question, capture_output=True, text=True, check=True, timeout=120)
        _keep(kept, done.stdout[done.stdout.index("{") :])
    answer = json.loads(kept.read_text())
    assert "errors" not in answer, answer["errors"]
    return {path: _compiled(made["evm"]["bytecode"]["object"], made["abi"]) for path, (made,) in _contracts(answer)}


def _contracts(answer: Any) -> list[tuple[str, tuple[Any, ...]]]:
    return [(path, tuple(named.values())) for path, named in answer["contracts"].items()]


def _compiled(code: str, abi: list[Any]) -> Compiled:
    return Compiled(bytes.fromhex(code), msgspec.convert(abi, type=tuple[AbiEntry, ...]))


def _keep(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".{id(text)}.part")
    part.write_text(text)
    part.replace(target)
