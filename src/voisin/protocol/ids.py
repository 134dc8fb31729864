"""
Addresses, 32-byte hashes, and the ids of deals and tasks.

All travel as text: an address in its EIP-55 checksum form, a hash as `0x` and 64 lower-case hex digits. The two doors
`as_address` and `as_hash32` make any accepted spelling canonical, so that equal things compare equal.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NewType

from voisin.errors import InputError
from voisin.protocol.hashing import keccak

Address = NewType("Address", str)
Hash32 = NewType("Hash32", str)
OrderHash = NewType("OrderHash", Hash32)
DealId = NewType("DealId", Hash32)
TaskId = NewType("TaskId", Hash32)

ZERO_ADDRESS = Address("0x0000000000000000000000000000000000000000")
ZERO_HASH = Hash32("0x" + "00" * 32)
MAX_UINT256 = 2**256 - 1

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH32 = re.compile(r"0x[0-9a-fA-F]{64}")


@lru_cache(maxsize=16_384)
def as_address(text: str) -> Address:
    """
    Make an address canonical.

    Raises:
        InputError: It is not `0x` and 40 hex digits, or is in mixed case with a wrong checksum.
    """
    if not _ADDRESS.fullmatch(text):
        raise InputError(f"{text!r} is not an address", hint="an address is 0x and 40 hex digits")
    canonical = _with_checksum(text[2:].lower())
    digits = text[2:]
    if text != canonical and digits not in (digits.lower(), digits.upper()):
        raise InputError(f"the checksum of address {text} is wrong", hint=f"check it for a typing error; its checksum form is {canonical}")
    return Address(canonical)


def _with_checksum(digits: str) -> str:
    """Write an address so that its capitals tell whether it is spelled right (EIP-55)."""
    marks = keccak(digits.encode()).hex()
    return "0x" + "".join(digit.upper() if mark > "7" else digit for digit, mark in zip(digits, marks, strict=False))


def as_hash32(text: str) -> Hash32:
    """
    Make a 32-byte hash canonical.

    Raises:
        InputError: It is not `0x` and 64 hex digits.
    """
    if not _HASH32.fullmatch(text):
        raise InputError(f"{text!r} is not a 32-byte hash", hint="an id or hash is 0x and 64 hex digits")
    return Hash32(text.lower())


def as_uint(value: int, what: str) -> int:
    """
    Check that a number fits the protocol's uint256.

    Raises:
        InputError: It does not; the message names `what`.
    """
    if not 0 <= value <= MAX_UINT256:
        raise InputError(f"{what} {value} is out of range", hint="it must lie between 0 and 2^256 - 1")
    return value


def from_hex(text: str) -> bytes:
    """
    Read `0x`-prefixed hex.

    Raises:
        InputError: It is not `0x` and pairs of hex digits.
    """
    try:
        raw = bytes.fromhex(text[2:])
    except ValueError:
        raw = None
    if raw is None or not text.startswith("0x") or 2 * len(raw) + 2 != len(text):  # spaces are overlooked above
        raise InputError(f"{text[:80]!r} is not 0x-prefixed hex")
    return raw


def to_hex(data: bytes) -> str:
    """Write bytes as `0x`-prefixed lower-case hex."""
    return "0x" + data.hex()


def hash32_of(*parts: bytes) -> Hash32:
    """Hash the concatenation of `parts` with keccak-256."""
    return Hash32(to_hex(keccak(b"".join(parts))))


def uint_bytes(value: int) -> bytes:
    """Write a uint256 as 32 big-endian bytes."""
    return value.to_bytes(32, "big")


def deal_id(request_hash: OrderHash, consumed_before: int) -> DealId:
    """
    Name the deal that a match creates.

    Args:
        request_hash: Hash of the request order.
        consumed_before: Volume of the request order already consumed before this match [tasks].

    Source: poco-protocol.md 4.1.
    """
    return DealId(hash32_of(from_hex(request_hash), uint_bytes(consumed_before)))


def task_id(deal: DealId, index: int) -> TaskId:
    """
    Name one task of a deal.

    Args:
        deal: The deal.
        index: The task's index, counted over the whole request order.

    Source: poco-protocol.md 4.1.
    """
    return TaskId(hash32_of(_deal_bytes(deal), uint_bytes(index)))


@lru_cache(maxsize=256)
def _deal_bytes(deal: DealId) -> bytes:
    return from_hex(deal)
