"""
The contract ABI's encoding of values, read strictly.

Written here because libraries for it take a third of a second to load, and every process of Voisin loads this module. Values are the
protocol's: an address and a `bytes32` are text in their canonical form, `bytes` are bytes, arrays and tuples are tuples.

Source: Solidity documentation, "Contract ABI Specification", "Formal Specification of the Encoding" and "Strict Encoding Mode". As there,
padding must be what an encoder writes; unlike there, parts may lie in any order behind the heads, but share no bytes: data that are read
several times could be far larger than they are long.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache

from voisin.chain.artifacts import AbiParameter
from voisin.errors import InputError
from voisin.protocol.ids import as_address, from_hex, to_hex

AbiValue = int | str | bytes | tuple["AbiValue", ...]
"""A decoded value; `bool` counts as `int`."""
AbiArgument = int | str | bytes | Sequence["AbiArgument"]
"""A value to encode; bytes may be given as hex text too."""

TEXT = (AbiParameter(name="", type="string"),)
NUMBER = (AbiParameter(name="", type="uint256"),)
"""What Solidity's two own errors carry."""

_WORD = 32
_ARRAY = re.compile(r"(.*)\[(\d*)\]")


class EncodingError(ValueError):
    """A value does not fit its type."""


class DecodingError(ValueError):
    """Data do not fit their types."""


class Data:
    """
    Data that are being read.

    Args:
        content: The data.
        is_lenient: Whether what is no UTF-8 in a text becomes U+FFFD.
    """

    def __init__(self, content: bytes, *, is_lenient: bool) -> None:
        self.content = content
        self.is_lenient = is_lenient
        self._left = len(content)

    def word(self, at: int) -> int:
        """Read a number of 32 bytes."""
        return int.from_bytes(self.take(at, _WORD), "big")

    def take(self, at: int, size: int) -> bytes:
        """Read bytes; as many altogether as there are."""
        self._left -= size
        if at + size > len(self.content) or self._left < 0:
            raise DecodingError(f"{len(self.content)} bytes are too few")
        return self.content[at : at + size]


class Coder(ABC):
    """
    Writes and reads values of one type.

    Attributes:
        size: How long it is, or what stands in its place where its length depends on the value [bytes].
        is_dynamic: Whether its length depends on the value.
    """

    size = _WORD
    is_dynamic = False

    @abstractmethod
    def encode(self, value: AbiArgument) -> bytes:
        """Write a value."""

    @abstractmethod
    def decode(self, data: Data, at: int) -> AbiValue:
        """Read a value."""


class _Number(Coder):
    def __init__(self, bits: int, *, is_signed: bool) -> None:
        self._is_signed = is_signed
        self._least, self._beyond = (-(1 << bits - 1), 1 << bits - 1) if is_signed else (0, 1 << bits)

    def encode(self, value: AbiArgument) -> bytes:
        """Write a number."""
        if isinstance(value, bool) or not isinstance(value, int) or not self._least <= value < self._beyond:
            raise EncodingError(f"{value!r} is no number from {self._least} to {self._beyond - 1}")
        return value.to_bytes(_WORD, "big", signed=self._is_signed)

    def decode(self, data: Data, at: int) -> AbiValue:
        """Read a number."""
        value = int.from_bytes(data.take(at, _WORD), "big", signed=self._is_signed)
        if not self._least <= value < self._beyond:
            raise DecodingError("a number is out of range")
        return value


class _Bool(Coder):
    def encode(self, value: AbiArgument) -> bytes:
        """Write true or false."""
        if not isinstance(value, bool):
            raise EncodingError(f"{value!r} is neither true nor false")
        return value.to_bytes(_WORD, "big")

    def decode(self, data: Data, at: int) -> AbiValue:
        """Read true or false."""
        value = data.word(at)
        if value > 1:
            raise DecodingError("what is to be true or false is neither")
        return value == 1


class _Address(Coder):
    def encode(self, value: AbiArgument) -> bytes:
        """Write an address."""
        if not isinstance(value, str):
            raise EncodingError(f"{value!r} is no address")
        try:
            return from_hex(as_address(value)).rjust(_WORD, b"\0")
        except InputError as error:
            raise EncodingError(str(error)) from None

    def decode(self, data: Data, at: int) -> AbiValue:
        """Read an address."""
        word = data.take(at, _WORD)
        if any(word[:12]):
            raise DecodingError("an address is too long")
        return as_address(to_hex(word[12:]))


class _ShortBytes(Coder):
    def __init__(self, length: int) -> None:
        self._length = length

    def encode(self, value: AbiArgument) -> bytes:
        """Write bytes of a fixed length."""
        data = _plain(value)
        if len(data) != self._length:  # filling it up would make another id of a shortened one
            raise EncodingError(f"a value must be {self._length} bytes")
        return data.ljust(_WORD, b"\0")

    def decode(self, data: Data, at: int) -> AbiValue:
        """Read bytes of a fixed length."""
        word = data.take(at, _WORD)
        if any(word[self._length :]):
            raise DecodingError("bytes are too long")
        return to_hex(word[: self._length])


class _LongBytes(Coder):
    is_dynamic = True

    def encode(self, value: AbiArgument) -> bytes:
        """Write bytes."""
        data = _plain(value)
        return len(data).to_bytes(_WORD, "big") + data + bytes(-len(data) % _WORD)

    def decode(self, data: Data, at: int) -> AbiValue:
        """Read bytes."""
        length = data.word(at)
        padded = data.take(at + _WORD, length + -length % _WORD)
        if any(padded[length:]):
            raise DecodingError("behind bytes there is something")
        return padded[:length]


class _Text(_LongBytes):
    def encode(self, value: AbiArgument) -> bytes:
        """Write a text."""
        if not isinstance(value, str):
            raise EncodingError(f"{value!r} is no text")
        try:
            return super().encode(value.encode())
        except UnicodeEncodeError:
            raise EncodingError("a text holds half a character") from None

    def decode(self, data: Data, at: int) -> AbiValue:
        """Read a text."""
        found = super().decode(data, at)
        assert isinstance(found, bytes)
        try:
            return found.decode(errors="replace" if data.is_lenient else "strict")
        except UnicodeDecodeError:
            raise DecodingError("a text is no UTF-8") from None


class _Tuple(Coder):
    def __init__(self, parts: Sequence[Coder]) -> None:
        self._parts = parts
        self.is_dynamic = any(part.is_dynamic for part in parts)
        self.size = _WORD if self.is_dynamic else sum(part.size for part in parts)

    def encode(self, value: AbiArgument) -> bytes:
        """Write a tuple."""
        return _join(self._parts, _several(value, len(self._parts)))

    def decode(self, data: Data, at: int) -> AbiValue:
        """Read a tuple."""
        return _split(self._parts, data, at)


class _Array(Coder):
    def __init__(self, element: Coder, length: int | None) -> None:
        self._element = element
        self._length = length
        self.is_dynamic = length is None or element.is_dynamic
        self.size = _WORD if self.is_dynamic else element.size * (length or 0)

    def encode(self, value: AbiArgument) -> bytes:
        """Write an array."""
        items = _several(value, self._length)
        count = b"" if self._length is not None else len(items).to_bytes(_WORD, "big")
        return count + _join([self._element] * len(items), items)

    def decode(self, data: Data, at: int) -> AbiValue:
        """Read an array."""
        length = self._length
        if length is None:
            length, at = data.word(at), at + _WORD
        if length * max(self._element.size, 1) > len(data.content):
            raise DecodingError(f"{len(data.content)} bytes are too few")
        return _split([self._element] * length, data, at)


def encode_abi(parameters: Sequence[AbiParameter], values: Sequence[AbiArgument]) -> bytes:
    """
    Write values one after the other, as arguments of a call.

    Args:
        parameters: Their types.
        values: One for each.

    Raises:
        EncodingError: A value does not fit its type.
    """
    return _join([_coder(_bare(each)) for each in parameters], values)


def decode_abi(parameters: Sequence[AbiParameter], content: bytes, *, is_lenient: bool = False) -> tuple[AbiValue, ...]:
    """
    Read values that were written one after the other.

    Args:
        parameters: Their types.
        content: The data; what is behind the values is not looked at.
        is_lenient: Whether what is no UTF-8 in a text becomes U+FFFD.

    Raises:
        DecodingError: The data do not fit the types.
    """
    return _split([_coder(_bare(each)) for each in parameters], Data(content, is_lenient=is_lenient), 0)


def _join(coders: Sequence[Coder], values: Sequence[AbiArgument]) -> bytes:
    """Write heads, and behind them what the heads point to."""
    heads, tails = [], []
    end = sum(coder.size for coder in coders)
    for coder, value in zip(coders, values, strict=True):
        written = coder.encode(value)
        if coder.is_dynamic:
            heads.append(end.to_bytes(_WORD, "big"))
            tails.append(written)
            end += len(written)
        else:
            heads.append(written)
    return b"".join((*heads, *tails))


def _split(coders: Sequence[Coder], data: Data, at: int) -> tuple[AbiValue, ...]:
    """Read heads, and what they point to; nothing points back among the heads."""
    found: list[AbiValue] = []
    head, behind = at, at + sum(coder.size for coder in coders)
    for coder in coders:
        place = head
        if coder.is_dynamic:
            place = at + data.word(head)
            if place < behind:
                raise DecodingError("a value lies where it cannot be")
        found.append(coder.decode(data, place))
        head += coder.size
    return tuple(found)


def _several(value: AbiArgument, count: int | None) -> Sequence[AbiArgument]:
    if isinstance(value, (int, str, bytes)):
        raise EncodingError("this needs several values")
    if count is not None and len(value) != count:
        raise EncodingError(f"{count} values are needed, not {len(value)}")
    return value


def _plain(value: AbiArgument) -> bytes:
    if isinstance(value, str):
        try:
            return from_hex(value)
        except InputError as error:
            raise EncodingError(str(error)) from None
    if not isinstance(value, bytes):
        raise EncodingError(f"{value!r} is no bytes")
    return value


def _bare(parameter: AbiParameter) -> AbiParameter:
    """A type without its name: the same types come again and again under many names."""
    return AbiParameter(name="", type=parameter.type, components=parameter.components)


@lru_cache(maxsize=1024)
def _coder(parameter: AbiParameter) -> Coder:
    kind = parameter.type
    if array := _ARRAY.fullmatch(kind):
        element = AbiParameter(name="", type=array[1], components=parameter.components)
        return _Array(_coder(element), int(array[2]) if array[2] else None)
    if kind == "tuple":
        return _Tuple([_coder(_bare(part)) for part in parameter.components])
    simple: dict[str, Coder] = {"address": _Address(), "bool": _Bool(), "bytes": _LongBytes(), "string": _Text()}
    if kind in simple:
        return simple[kind]
    sized = re.fullmatch(r"(u?int|bytes)(\d*)", kind)
    if sized is None:
        raise InputError(f"{kind} is not a type of the contract ABI", hint="check the ABI")
    if sized[1] == "bytes":
        return _ShortBytes(int(sized[2]))
    return _Number(int(sized[2] or 256), is_signed=sized[1] == "int")
