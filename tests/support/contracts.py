"""Contracts as tests use them: functions by name, events as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from eth_abi.abi import decode, encode
from eth_utils.address import to_checksum_address

from tests.support.evm import GAS_LIMIT, NOBODY, Evm, Log, Receipt
from tests.support.examples import example
from voisin.chain.artifacts import AbiEntry, AbiParameter, load_abi


class Event(NamedTuple):
    """An event with the name of the contract that spoke and its values in the order of the ABI."""

    emitter: str
    name: str
    values: tuple[Any, ...]


class Contract:
    """
    A contract on an EVM.

    Args:
        evm: The chain.
        name: What events call it.
        address: Where it is.
        abi: Name of its canonical ABI, or the file of an example dapp.
    """

    def __init__(self, evm: Evm, name: str, address: str, abi: str) -> None:
        self.evm = evm
        self.name = name
        self.address = address
        self.abi = abi

    def data(self, function: str, *arguments: Any) -> bytes:
        """Encode a call; `function` is a name, or a signature where the name is overloaded."""
        entry = _function(self.abi, function)
        return entry.selector + encode([item.canonical_type for item in entry.inputs], arguments)

    def send(self, function: str, *arguments: Any, by: str, value: int = 0, gas: int = GAS_LIMIT) -> Receipt:
        """Send a transaction; raises `RevertedError` if it fails."""
        return self.evm.send(by, self.address, self.data(function, *arguments), value=value, gas=gas)

    def read(self, function: str, *arguments: Any, by: str = NOBODY) -> Any:
        """Ask; a single answer comes as it is, several as a tuple."""
        output = self.evm.call(self.address, self.data(function, *arguments), sender=by)
        answer = self.answer(function, output)
        return answer[0] if len(answer) == 1 else answer

    def answer(self, function: str, output: bytes) -> tuple[Any, ...]:
        """Decode what a call gave back."""
        outputs = _function(self.abi, function).outputs
        found = decode([item.canonical_type for item in outputs], output)
        return tuple(_clean(item, value) for item, value in zip(outputs, found, strict=True))

    def events(self, receipt: Receipt) -> list[Event]:
        """Decode the events of this contract alone."""
        return decode_logs(receipt.logs, [self])


def decode_logs(logs: Iterable[Log], contracts: Iterable[Contract]) -> list[Event]:
    """Decode the events of some contracts, in order; what others say is left out."""
    known = {contract.address: contract for contract in contracts}
    return [_event(known[log.address], log) for log in logs if log.address in known]


def selector(abi: str, name: str) -> bytes:
    """The selector of a function or error of an ABI."""
    return next(entry.selector for entry in _entries(abi) if entry.name == name and entry.type in ("function", "error"))


def error_data(abi: str, name: str, *arguments: Any) -> bytes:
    """What a custom error looks like on the wire."""
    entry = next(entry for entry in _entries(abi) if entry.name == name and entry.type == "error")
    return entry.selector + encode([item.canonical_type for item in entry.inputs], arguments)


@cache
def _function(abi: str, name: str) -> AbiEntry:
    return next(entry for entry in _entries(abi) if entry.type == "function" and name in (entry.name, entry.signature))


@cache
def _events(abi: str) -> dict[bytes, AbiEntry]:
    return {entry.topic: entry for entry in _entries(abi) if entry.type == "event"}


def deploy_example(evm: Evm, file: str, by: str, *arguments: Any) -> Contract:
    """Deploy an example dapp, for example `Oracle.sol`."""
    return Contract(evm, Path(file).stem, evm.send(by, None, example(file).creation(*arguments)).contract, file)


def _entries(abi: str) -> tuple[AbiEntry, ...]:
    return example(abi).abi if "." in abi else load_abi(abi)


def _event(contract: Contract, log: Log) -> Event:
    entry = _events(contract.abi)[log.topics[0]]
    topics = iter(log.topics[1:])
    plain = [item for item in entry.inputs if not item.indexed]
    values = iter(decode([item.canonical_type for item in plain], log.data))
    found = [_clean(item, decode([item.canonical_type], next(topics))[0] if item.indexed else next(values)) for item in entry.inputs]
    return Event(contract.name, entry.name, tuple(found))


def _clean(parameter: AbiParameter, value: Any) -> Any:
    if parameter.type == "address":
        return to_checksum_address(value)
    if parameter.type == "address[]":
        return tuple(to_checksum_address(item) for item in value)
    if parameter.type == "tuple":
        return tuple(_clean(part, item) for part, item in zip(parameter.components, value, strict=True))
    if parameter.type == "tuple[]":
        return tuple(_clean(AbiParameter("", "tuple", parameter.components), item) for item in value)
    return value
