"""
RLP, the writing half: what is hashed for every block, so it must not cost more than the hash.

Source: the Yellow Paper, appendix B.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

Item = bytes | Sequence["Item"]
"""Bytes, or a list of items."""

_SHORT: Final = 56
"""Lengths from here on are written out."""
_STRING_PREFIXES: Final = tuple(bytes([0x80 + size]) for size in range(_SHORT))
_LIST_PREFIXES: Final = tuple(bytes([0xC0 + size]) for size in range(_SHORT))


def encode(item: Item) -> bytes:
    """
    Encode an item.

    Args:
        item: The item.

    Returns:
        Its RLP.
    """
    if isinstance(item, bytes):
        size = len(item)
        if size == 1 and item < b"\x80":
            return item
        return (_STRING_PREFIXES[size] if size < _SHORT else _long_prefix(0xB7, size)) + item
    payload = b"".join([encode(one) for one in item])
    size = len(payload)
    return (_LIST_PREFIXES[size] if size < _SHORT else _long_prefix(0xF7, size)) + payload


def number_bytes(number: int) -> bytes:
    """
    Write a number as RLP holds it.

    Args:
        number: Zero or more.

    Returns:
        Big-endian bytes without leading zeros.
    """
    return number.to_bytes((number.bit_length() + 7) // 8)


def _long_prefix(base: int, size: int) -> bytes:
    length = number_bytes(size)
    return bytes([base + len(length)]) + length
