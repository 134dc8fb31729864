"""
Reading the parameters of JSON-RPC requests. Everything that comes in passes here, and what is wrong is said with its name.

Source: the Ethereum JSON-RPC specification (execution-apis), "QUANTITY" and "DATA".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

from voisin.chain.devnet.txcodec import signed_authorization
from voisin.chain.devnet.values import ZERO_ADDRESS, AccessList, Authorization
from voisin.chain.devnet.wire.errors import BadParamsError

Json = None | bool | int | float | str | Sequence["Json"] | dict[str, "Json"]
T = TypeVar("T")
Reader = Callable[["Json", str], T]
"""Turns a JSON value into what it stands for; the text is where it was found, for messages."""

Tag = Literal["latest", "pending", "earliest", "safe", "finalized"]
_TAGS = {"latest", "pending", "earliest", "safe", "finalized"}
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_MAX_TOPICS = 4
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class BlockRef:
    """A block as clients name it: by a tag, a height, or a hash; exactly one is set."""

    tag: Tag | None = None
    number: int | None = None
    hash: bytes | None = None


LATEST = BlockRef(tag="latest")


@dataclass(frozen=True, slots=True)
class CallParams:
    """An unsigned transaction as eth_call and eth_estimateGas get it; None where the client left a field out."""

    sender: bytes
    to: bytes | None
    data: bytes
    value: int
    gas: int | None
    price: int
    access_list: AccessList
    authorizations: tuple[Authorization, ...] = ()


@dataclass(frozen=True, slots=True)
class LogParams:
    """The filter of eth_getLogs, eth_newFilter and the subscription `logs`."""

    first: BlockRef
    last: BlockRef
    addresses: frozenset[bytes]
    topics: tuple[frozenset[bytes], ...]


class Params:
    """
    The parameters of one request, read by position.

    Args:
        values: The JSON array.
        most: Most parameters the method takes.

    Raises:
        BadParamsError: There are more.
    """

    def __init__(self, values: Sequence[Json], *, most: int) -> None:
        if len(values) > most:
            raise BadParamsError(f"too many arguments, want at most {most}")
        self._values = values

    def read(self, index: int, reader: Reader[T]) -> T:
        """
        Read a parameter that must be there.

        Args:
            index: Its position.
            reader: Turns the JSON into the value.

        Returns:
            The value.

        Raises:
            BadParamsError: It is missing or malformed.
        """
        if index >= len(self._values):
            raise BadParamsError(f"missing value for required argument {index}")
        return reader(self._values[index], str(index))

    def read_or(self, index: int, reader: Reader[T], *, default: T) -> T:
        """
        Read a parameter that may be left out or null.

        Args:
            index: Its position.
            reader: Turns the JSON into the value.
            default: The value when it is left out.

        Returns:
            The value.

        Raises:
            BadParamsError: It is malformed.
        """
        if index >= len(self._values) or self._values[index] is None:
            return default
        return reader(self._values[index], str(index))


def shown(value: Json) -> str:
    """
    Show a foreign value in a message, short.

    Args:
        value: Any JSON.

    Returns:
        At most some 80 characters.
    """
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def quantity(value: Json, name: str) -> int:
    """Read a number: a hex string such as "0x1f"; a plain JSON number is understood too."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**256:
        return value
    if isinstance(value, str) and _QUANTITY.fullmatch(value):
        return int(value, 16)
    raise BadParamsError(f"invalid argument {name}: {shown(value)} is not a number", hint='write it as hex, for example "0x1f"')


def data(value: Json, name: str) -> bytes:
    """Read bytes: "0x" and an even number of hex digits."""
    if isinstance(value, str) and _HEX.fullmatch(value):
        return bytes.fromhex(value[2:])
    raise BadParamsError(f"invalid argument {name}: {shown(value)} is not hex data", hint="write 0x and two hex digits a byte")


def _sized(size: int, what: str) -> Reader[bytes]:
    def read(value: Json, name: str) -> bytes:
        found = data(value, name)
        if len(found) != size:
            raise BadParamsError(f"invalid argument {name}: {shown(value)} has {len(found)} bytes, {what} has {size}")
        return found

    return read


address = _sized(20, "an address")
hash32 = _sized(32, "a hash")


def boolean(value: Json, name: str) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise BadParamsError(f"invalid argument {name}: {shown(value)} is neither true nor false")
    return value


def block_ref(value: Json, name: str) -> BlockRef:
    """Read a block: a tag, a height, or an object with `blockNumber` or `blockHash` (EIP-1898)."""
    if isinstance(value, dict):
        if value.get("blockHash") is not None:
            return BlockRef(hash=hash32(value["blockHash"], f"{name}.blockHash"))
        return block_ref(value.get("blockNumber"), f"{name}.blockNumber")
    if isinstance(value, str) and value in _TAGS:
        return BlockRef(tag=value)  # type: ignore[arg-type]  # it is one of the tags
    if isinstance(value, str) and not value.startswith("0x"):
        hint = f"use a height as hex or one of {', '.join(sorted(_TAGS))}"
        raise BadParamsError(f"invalid argument {name}: {shown(value)} is not a block", hint=hint)
    number = quantity(value, name)
    if number >= 2**63:
        raise BadParamsError(f"invalid argument {name}: block number larger than int64")
    return BlockRef(number=number)


def members(value: Json, name: str) -> dict[str, Json]:
    """Read an object."""
    if not isinstance(value, dict):
        raise BadParamsError(f"invalid argument {name}: {shown(value)} is not an object")
    return value


def items(value: Json, name: str) -> Sequence[Json]:
    """Read an array."""
    if not isinstance(value, list):
        raise BadParamsError(f"invalid argument {name}: {shown(value)} is not an array")
    return value


def call_params(value: Json, name: str) -> CallParams:
    """Read an unsigned transaction."""
    fields = _Fields(value, name)
    call_data = [found for key in ("input", "data") if (found := fields.read(key, data)) is not None]
    if len(call_data) == 2 and call_data[0] != call_data[1]:
        raise BadParamsError('both "data" and "input" are set and not equal', hint='use "input"')
    return CallParams(
        sender=fields.read("from", address) or ZERO_ADDRESS,
        to=fields.read("to", _receiver) or None,
        data=call_data[0] if call_data else b"",
        value=fields.read("value", quantity) or 0,
        gas=fields.read("gas", quantity),
        price=fields.read("maxFeePerGas", quantity) or fields.read("gasPrice", quantity) or 0,
        access_list=fields.read("accessList", _access_list) or (),
        authorizations=fields.read("authorizationList", _authorizations) or (),
    )


def log_params(value: Json, name: str) -> LogParams:
    """Read a filter for logs."""
    fields = _Fields(value, name)
    first, last, block_hash = fields.read("fromBlock", block_ref), fields.read("toBlock", block_ref), fields.read("blockHash", hash32)
    if block_hash is not None:
        if first or last:
            raise BadParamsError("cannot specify both blockHash and fromBlock/toBlock, choose one or the other")
        first = last = BlockRef(hash=block_hash)
    topics = fields.read("topics", items) or ()
    if len(topics) > _MAX_TOPICS:
        raise BadParamsError(f"a log has at most {_MAX_TOPICS} topics")
    addresses = fields.read("address", partial(_one_or_many, reader=address)) or frozenset()
    wanted = tuple(_one_or_many(topic, f"{name}.topics", reader=hash32) for topic in topics)
    return LogParams(first or LATEST, last or LATEST, addresses, wanted)


class _Fields:
    """The members of an object, each of which may be left out or null."""

    def __init__(self, value: Json, name: str) -> None:
        self._members = members(value, name)
        self._name = name

    def read(self, key: str, reader: Reader[T]) -> T | None:
        found = self._members.get(key)
        return None if found is None else reader(found, f"{self._name}.{key}")


def _receiver(value: Json, name: str) -> bytes:
    return b"" if value == "0x" else address(value, name)


def _one_or_many(value: Json, name: str, *, reader: Reader[bytes]) -> frozenset[bytes]:
    if value is None:
        return frozenset()
    return frozenset(reader(one, name) for one in value) if isinstance(value, list) else frozenset((reader(value, name),))


def _authorizations(value: Json, name: str) -> tuple[Authorization, ...]:
    found = []
    for entry in items(value, name):
        fields = members(entry, name)
        chain, nonce, parity, r, s = (quantity(fields.get(key), f"{name}.{key}") for key in ("chainId", "nonce", "yParity", "r", "s"))
        unsigned = Authorization(chain, address(fields.get("address"), f"{name}.address"), nonce, parity, r, s, authority=None)
        found.append(signed_authorization(unsigned))
    return tuple(found)


def _access_list(value: Json, name: str) -> AccessList:
    found = []
    for entry in items(value, name):
        fields = members(entry, name)
        keys = items(fields.get("storageKeys"), f"{name}.storageKeys")
        slots = tuple(int.from_bytes(hash32(key, f"{name}.storageKeys"), "big") for key in keys)
        found.append((address(fields.get("address"), f"{name}.address"), slots))
    return tuple(found)
