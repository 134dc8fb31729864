"""
Calls, events and addresses in words, as far as the market's own ABIs know them; for developers' tools, which show foreign things too.

Nothing here decides anything: a selector that two contracts share is shown as the first one's, and data that do not fit are left as
they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from voisin.chain.abi_codec import AbiValue, DecodingError
from voisin.chain.artifacts import AbiEntry, AbiParameter, load_abi
from voisin.chain.connection import connect
from voisin.chain.functions import decode_values
from voisin.chain.rpc import Rpc
from voisin.errors import VoisinError
from voisin.protocol.ids import Address, to_hex

ABIS = ("Hub", "Rlc", "AppRegistry", "DatasetRegistry", "WorkerpoolRegistry", "App", "Dataset", "Workerpool", "Gate")
_SELECTOR = 4

if TYPE_CHECKING:
    Plain = str | bool | list["Plain"] | dict[str, "Plain"]
else:
    Plain = str | bool | list | dict  # msgspec reads no type that contains itself
"""A value as JSON holds it: numbers are decimal text, bytes are hex, a struct is an object."""
Names = Mapping[str, str]
"""Names of contracts by address."""


class Argument(msgspec.Struct, frozen=True):
    """One argument, result or event field."""

    name: str
    type: str
    value: Plain


class Described(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    A call or an event in words.

    Attributes:
        contract: Name of the contract: the one given, or that of the only ABI that has it; empty where several do.
        name: Function or event.
        arguments: What it was given.
    """

    contract: str
    name: str
    arguments: tuple[Argument, ...] = ()


PRECOMPILES = (
    "ecrecover", "sha256", "ripemd160", "identity", "modexp", "bn254Add", "bn254Mul", "bn254Pairing", "blake2f", "kzgPointEvaluation",
    "blsG1Add", "blsG1Msm", "blsG2Add", "blsG2Msm", "blsPairing", "blsMapToG1", "blsMapToG2",
)  # fmt: skip
"""Contracts that every chain has, at the addresses from 1 on (the Prague fork)."""


async def known_contracts(rpc: Rpc, hub: Address) -> dict[str, str]:
    """
    Name the contracts of a market.

    Args:
        rpc: The node.
        hub: The market's hub.

    Returns:
        Names of the hub, its token and its registries, as `ABIS` has them, by address.

    Raises:
        InputError: There is no hub at this address of this chain.
        UnavailableError: The node does not answer.
    """
    chain = await connect(rpc, hub)
    await chain.heads.aclose()
    addresses = (chain.hub_address, chain.token_address, chain.app_registry, chain.dataset_registry, chain.workerpool_registry)
    return dict(zip(addresses, ABIS, strict=False))


def precompile_name(address: Address) -> str:
    """
    Name a contract that every chain has.

    Args:
        address: Its address.

    Returns:
        The name; empty for any other address.
    """
    number = int(address, 16)
    return PRECOMPILES[number - 1] if 0 < number <= len(PRECOMPILES) else ""


def describe_call(data: bytes, contract: str = "") -> Described | None:
    """
    Say which function a call means.

    Args:
        data: Its calldata.
        contract: Name of the called contract, where it is known.

    Returns:
        The function with its arguments; None when no ABI has it.
    """
    for owner, entry in _preferring(_functions().get(data[:_SELECTOR], ()), contract):
        arguments = _read(entry.inputs, data[_SELECTOR:])
        if arguments is not None:
            return Described(_owner(_functions()[data[:_SELECTOR]], owner, contract), entry.name, arguments)
    return None


def describe_output(called: bytes, output: bytes, contract: str = "") -> tuple[Argument, ...]:
    """
    Say what a call returned.

    Args:
        called: Its calldata.
        output: What it returned.
        contract: Name of the called contract, where it is known.

    Returns:
        The results; none when no ABI knows them.
    """
    for _, entry in _preferring(_functions().get(called[:_SELECTOR], ()), contract):
        results = _read(entry.outputs, output)
        if results:
            return results
    return ()


def describe_event(topics: Sequence[bytes], data: bytes, contract: str = "") -> Described | None:
    """
    Say which event a log means.

    Args:
        topics: The log's topics.
        data: The log's data.
        contract: Name of the emitter, where it is known.

    Returns:
        The event with its fields; None when no ABI has it.
    """
    if not topics:
        return None
    for owner, entry in _preferring(_events().get(topics[0], ()), contract):
        indexed = [part for part in entry.inputs if part.indexed]
        others = _read([part for part in entry.inputs if not part.indexed], data)
        if others is None or len(indexed) != len(topics) - 1:
            continue
        named = {each.name: each for each in (*others, *(_indexed(part, topic) for part, topic in zip(indexed, topics[1:], strict=True)))}
        emitter = _owner(_events()[topics[0]], owner, contract)
        return Described(emitter, entry.name, tuple(named[part.name] for part in entry.inputs))
    return None


def plain(parameter: AbiParameter, value: AbiValue) -> Plain:
    """
    Write a decoded value as JSON holds it.

    Args:
        parameter: Its type.
        value: The value.

    Returns:
        The JSON value.
    """
    if parameter.type.endswith("]"):
        assert isinstance(value, tuple)
        element = AbiParameter(name="", type=parameter.type[: parameter.type.rindex("[")], components=parameter.components)
        return [plain(element, each) for each in value]
    if isinstance(value, tuple):
        return {part.name: plain(part, each) for part, each in zip(parameter.components, value, strict=True)}
    if parameter.type == "bool":
        return bool(value)
    return to_hex(value) if isinstance(value, bytes) else str(value)


def _read(parameters: Sequence[AbiParameter], data: bytes) -> tuple[Argument, ...] | None:
    try:
        values = decode_values(parameters, data)
    except (DecodingError, VoisinError):
        return None
    return tuple(Argument(part.name, part.type, plain(part, value)) for part, value in zip(parameters, values, strict=True))


def _indexed(parameter: AbiParameter, topic: bytes) -> Argument:
    """Read an indexed field; of those that do not fit into a word only the hash is logged."""
    is_word = parameter.type not in ("string", "bytes") and not parameter.type.startswith("tuple") and "[" not in parameter.type
    read = _read([parameter], topic) if is_word else None
    return read[0] if read else Argument(parameter.name, parameter.type, to_hex(topic))


def _owner(entries: Sequence[tuple[str, AbiEntry]], owner: str, contract: str) -> str:
    return owner if owner == contract or len({name for name, _ in entries}) == 1 else ""


def _preferring(entries: Sequence[tuple[str, AbiEntry]], contract: str) -> list[tuple[str, AbiEntry]]:
    return sorted(entries, key=lambda each: each[0] != contract)


def _entries(kind: str) -> Iterator[tuple[str, AbiEntry]]:
    for contract in ABIS:
        for entry in load_abi(contract):
            if entry.type == kind and not entry.anonymous:
                yield contract, entry


@cache
def _functions() -> dict[bytes, tuple[tuple[str, AbiEntry], ...]]:
    found: dict[bytes, tuple[tuple[str, AbiEntry], ...]] = {}
    for contract, entry in _entries("function"):
        found[entry.selector] = (*found.get(entry.selector, ()), (contract, entry))
    return found


@cache
def _events() -> dict[bytes, tuple[tuple[str, AbiEntry], ...]]:
    found: dict[bytes, tuple[tuple[str, AbiEntry], ...]] = {}
    for contract, entry in _entries("event"):
        found[entry.topic] = (*found.get(entry.topic, ()), (contract, entry))
    return found
