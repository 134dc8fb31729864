"""
Contract functions from the canonical ABI: arguments to calldata, return data to values.

Values are the protocol's: an address and a `bytes32` are text in their canonical form, `bytes` are bytes, a tuple is a tuple.

Source: Solidity documentation, "Contract ABI Specification".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from voisin.chain.abi_codec import AbiArgument, AbiValue, DecodingError, EncodingError, decode_abi, encode_abi
from voisin.chain.artifacts import AbiEntry, AbiParameter, load_abi
from voisin.errors import InputError


@dataclass(frozen=True, slots=True)
class Function:
    """
    One function of a contract.

    Attributes:
        name: Its name in the ABI.
        selector: The first 4 bytes of its calldata.
        inputs: Its arguments.
        outputs: Its results.
    """

    name: str
    selector: bytes
    inputs: tuple[AbiParameter, ...]
    outputs: tuple[AbiParameter, ...]

    def encode(self, *arguments: AbiArgument) -> bytes:
        """
        Write the calldata of a call.

        Args:
            arguments: One value per argument, in ABI order.

        Raises:
            InputError: A value does not fit its type.
        """
        return self.selector + encode_values(self.inputs, arguments, self.name)

    def decode(self, data: bytes) -> tuple[AbiValue, ...]:
        """
        Read what a call returned.

        Args:
            data: The return data.

        Returns:
            One value per result, in ABI order.

        Raises:
            InputError: The data is not what this function returns: there is another contract, or none.
        """
        try:
            return decode_values(self.outputs, data)
        except DecodingError:
            hint = "another contract is at this address, or none: check the address and the chain"
            raise InputError(f"{self.name} answered {len(data)} bytes, which is not what it answers", hint=hint) from None


@cache
def function(contract: str, name: str) -> Function:
    """
    Find a function in a canonical ABI.

    Args:
        contract: Name of the ABI, as `load_abi` takes it.
        name: The function's name; its full signature where the name is overloaded.

    Raises:
        InputError: The contract has no such function.
    """
    for entry in load_abi(contract):
        if entry.type == "function" and name in (entry.name, entry.signature):
            return Function(entry.name, entry.selector, entry.inputs, entry.outputs)
    raise InputError(f"{contract} has no function {name}")


@cache
def events_by_topic(contract: str) -> dict[bytes, tuple[AbiEntry, ...]]:
    """List a contract's events by their first topic [32 bytes]; two may share one and differ in what is indexed."""
    found: dict[bytes, tuple[AbiEntry, ...]] = {}
    for entry in load_abi(contract):
        if entry.type == "event" and not entry.anonymous:
            found[entry.topic] = (*found.get(entry.topic, ()), entry)
    return found


def encode_values(parameters: Sequence[AbiParameter], values: Sequence[AbiArgument], what: str) -> bytes:
    """
    Encode values as ABI data.

    Args:
        parameters: Their types.
        values: One for each.
        what: What they are for, for the error.

    Raises:
        InputError: A value does not fit its type.
    """
    if len(values) != len(parameters):
        raise InputError(f"{what} takes {len(parameters)} values, not {len(values)}")
    try:
        return encode_abi(parameters, values)
    except EncodingError as error:
        raise InputError(f"{what} cannot be encoded: {error}") from None


def decode_values(parameters: Sequence[AbiParameter], data: bytes) -> tuple[AbiValue, ...]:
    """
    Decode ABI data strictly; only what is no UTF-8 in a text becomes U+FFFD, because anybody may put it on a chain that others read.

    Args:
        parameters: The types of what it holds.
        data: The data.

    Raises:
        DecodingError: The data does not fit the types.
    """
    return decode_abi(parameters, data, is_lenient=True)
