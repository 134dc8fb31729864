"""Contracts that only tests need, compiled on first use and kept in the build folder."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.support.evm import Evm
from voisin.chain.compile import compile_contract, source_hash

DOUBLES = Path(__file__).parent / "doubles"
KEPT = Path(__file__).parents[2] / "build" / "doubles"


@cache
def double_code(name: str) -> bytes:
    """Creation code of a contract in `tests/support/doubles`."""
    source = DOUBLES / f"{name}.vy"
    kept = KEPT / f"{name}-{source_hash(source)[:16]}.json"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{id(source)}.part")
        part.write_text(json.dumps(compile_contract(source)))
        part.replace(kept)
    return bytes.fromhex(json.loads(kept.read_text())["bytecode"][2:])


def deploy_double(evm: Evm, name: str, by: str, *arguments: tuple[str, Any]) -> str:
    """Deploy a double; each constructor argument is a type and a value."""
    code = double_code(name) + encode([kind for kind, _ in arguments], [value for _, value in arguments])
    return evm.send(by, None, code).contract


def encode_call(signature: str, *arguments: Any) -> bytes:
    """Calldata from a signature with plain types, for example `setMode(uint256)`."""
    kinds = signature[signature.index("(") + 1 : -1]
    return keccak(signature.encode())[:4] + encode(kinds.split(",") if kinds else [], arguments)
