"""
Contract functions from the canonical ABI: arguments to calldata, return data to values.

Values are the protocol's: an address and a `bytes32` are text in their canonical form, `bytes` are bytes, a tuple is a tuple.

Source: Solidity documentation, "Contract ABI Specification".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from eth_abi import abi as eth_abi
from eth_abi.codec import ABICodec
from eth_abi.decoding import StringDecoder
from eth_abi.exceptions import DecodingError, EncodingError
from eth_abi.registry import registry

from voisin.chain.artifacts import AbiEntry, AbiParameter, load_abi
from voisin.errors import InputError
from voisin.protocol.ids import as_address, from_hex, to_hex

AbiValue = int | str | bytes | tuple["AbiValue", ...]
"""A decoded value; `bool` counts as `int`."""
AbiArgument = int | str | bytes | Sequence["AbiArgument"]
"""A value to encode; bytes may be given as hex text too."""


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
        plain = [_to_abi(parameter, value) for parameter, value in zip(parameters, values, strict=True)]
        return eth_abi.encode([parameter.canonical_type for parameter in parameters], plain)
    except (EncodingError, TypeError, OverflowError) as error:
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
    try:
        found = _lenient().decode([parameter.canonical_type for parameter in parameters], data)
    except OverflowError as error:
        raise DecodingError(str(error)) from None
    return tuple(_from_abi(parameter, value) for parameter, value in zip(parameters, found, strict=True))


class _LenientText(StringDecoder):
    def __init__(self) -> None:
        super().__init__(handle_string_errors="replace")  # type: ignore[no-untyped-call]


@cache
def _lenient() -> ABICodec:
    lenient = registry.copy()  # type: ignore[no-untyped-call]
    lenient.unregister_decoder("string")
    lenient.register_decoder("string", _LenientText, label="string")
    return ABICodec(lenient)


def _element(parameter: AbiParameter) -> AbiParameter | None:
    """The type of an array's elements; None for what is not an array."""
    if not parameter.type.endswith("]"):
        return None
    return AbiParameter(name="", type=parameter.type[: parameter.type.rindex("[")], components=parameter.components)


def _to_abi(parameter: AbiParameter, value: AbiArgument) -> AbiArgument:
    element = _element(parameter)
    if element is not None or parameter.type == "tuple":
        if isinstance(value, (int, str, bytes)):
            raise TypeError(f"{parameter.name or parameter.type} needs several values")
        if element is not None:
            return [_to_abi(element, item) for item in value]
        return tuple(_to_abi(part, item) for part, item in zip(parameter.components, value, strict=True))
    if parameter.type.startswith("bytes"):
        return _exact_bytes(parameter, value)
    return value


def _exact_bytes(parameter: AbiParameter, value: AbiArgument) -> bytes:
    """The encoder would pad bytes that are too short: a shortened id would become another id."""
    data = from_hex(value) if isinstance(value, str) else value
    size = parameter.type.removeprefix("bytes")
    if not isinstance(data, bytes) or (size and len(data) != int(size)):
        raise TypeError(f"{parameter.name or 'a value'} must be {size or 'some'} bytes")
    return data


def _from_abi(parameter: AbiParameter, value: AbiValue) -> AbiValue:
    element = _element(parameter)
    if isinstance(value, tuple):
        if element is not None:
            return tuple(_from_abi(element, item) for item in value)
        return tuple(_from_abi(part, item) for part, item in zip(parameter.components, value, strict=True))
    if parameter.type == "address":
        assert isinstance(value, str)
        return _checksummed(value)
    if isinstance(value, bytes) and parameter.type != "bytes":
        return to_hex(value)
    return value


@lru_cache(maxsize=8192)
def _checksummed(address: str) -> str:
    """The checksum costs a hash; the same few addresses come again and again."""
    return as_address(address)
