"""The compiled contracts and their canonical ABIs, as shipped in the package."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from voisin.errors import InputError, UnavailableError
from voisin.protocol.hashing import keccak

Hex = str
"""Text of bytes: `0x` and lower-case digits."""


class AbiParameter(msgspec.Struct, frozen=True, omit_defaults=True):
    """One argument, result, event field or struct member of an ABI."""

    name: str
    type: str
    components: tuple[AbiParameter, ...] = ()
    indexed: bool = False

    @property
    def canonical_type(self) -> str:
        """The type as selectors spell it: tuples become `(a,b)`."""
        if not self.type.startswith("tuple"):
            return self.type
        inner = ",".join(part.canonical_type for part in self.components)
        return f"({inner}){self.type.removeprefix('tuple')}"


class AbiEntry(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One function, event or error of a contract."""

    type: Literal["function", "event", "error", "constructor", "fallback", "receive"]
    name: str = ""
    inputs: tuple[AbiParameter, ...] = ()
    outputs: tuple[AbiParameter, ...] = ()
    state_mutability: Literal["pure", "view", "nonpayable", "payable"] = "nonpayable"
    anonymous: bool = False

    @property
    def signature(self) -> str:
        """The canonical text that is hashed, for example `transfer(address,uint256)`."""
        return f"{self.name}({','.join(part.canonical_type for part in self.inputs)})"

    @property
    def selector(self) -> bytes:
        """The first 4 bytes of calldata (function) or of revert data (error)."""
        return keccak(self.signature.encode())[:4]

    @property
    def topic(self) -> bytes:
        """The first topic of a log of this event [32 bytes]."""
        return keccak(self.signature.encode())


class StorageSlot(msgspec.Struct, frozen=True):
    """Where a contract keeps one variable."""

    slot: int
    type: str
    slots: int


class Artifact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    A compiled contract.

    Attributes:
        name: Name of the deployable file, for example `Hub`.
        abi: What the compiler says the ABI is; argument names may differ from `load_abi`.
        bytecode: Creation code without constructor arguments.
        deployed_size: Size of the code on the chain [bytes].
        layout: Storage variables by name.
        return_sizes: Largest encoded answer of each external function by selector [bytes].
        source_hash: Digest of the sources, the settings and the compiler's version.
    """

    name: str
    abi: tuple[AbiEntry, ...]
    bytecode: Hex
    deployed_size: int
    layout: dict[str, StorageSlot]
    return_sizes: dict[Hex, int]
    source_hash: str

    @property
    def init_code(self) -> bytes:
        """Creation code as bytes."""
        return bytes.fromhex(self.bytecode.removeprefix("0x"))

    @property
    def runtime_code(self) -> bytes:
        """
        The code that the chain keeps, without the immutable values that may follow it there.

        Source: Vyper's documentation, "Bytecode Metadata": creation code ends with metadata, and says their length in its last two bytes.
        """
        code = self.init_code
        end = len(code) - int.from_bytes(code[-2:], "big")
        return code[end - self.deployed_size : end]

    def is_code(self, code: bytes) -> bool:
        """Tell whether code on a chain is this contract's; what its immutable values are is not compared."""
        return code[: self.deployed_size] == self.runtime_code

    @property
    def constructor_inputs(self) -> tuple[AbiParameter, ...]:
        """What the constructor wants to be told; its encoding follows the creation code."""
        return next((entry.inputs for entry in self.abi if entry.type == "constructor"), ())


@cache
def load_artifact(name: str) -> Artifact:
    """
    Load a compiled contract.

    Args:
        name: Name of the deployable file without ending, for example `Hub` or `TasksFacet`.

    Returns:
        The artifact that ships in the package.

    Raises:
        UnavailableError: The contracts were never compiled, or there is no such contract.
    """
    path = files("voisin.chain") / "artifacts" / f"{name}.json"
    if not path.is_file():
        raise UnavailableError(f"there is no compiled contract {name!r}", hint="run `python -m voisin.chain.compile` in the source tree")
    return msgspec.json.decode(path.read_bytes(), type=Artifact)


@cache
def load_abi(name: str) -> tuple[AbiEntry, ...]:
    """
    Load the canonical ABI of a contract, with the protocol's own argument names.

    Args:
        name: `Hub`, `Rlc`, `AppRegistry`, `DatasetRegistry`, `WorkerpoolRegistry`, `App`, `Dataset`, `Workerpool` or `Gate`.

    Returns:
        Functions, events and errors; those of all facets together for `Hub`.

    Raises:
        InputError: There is no such ABI.
    """
    path = files("voisin.chain") / "abi" / f"{name}.json"
    if not path.is_file():
        known = sorted(entry.name.removesuffix(".json") for entry in (files("voisin.chain") / "abi").iterdir())
        raise InputError(f"there is no ABI named {name!r}", hint=f"use one of {', '.join(known)}")
    return msgspec.json.decode(path.read_bytes(), type=tuple[AbiEntry, ...])
