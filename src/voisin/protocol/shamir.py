"""
A key shared among several keepers: any k of n shares give it back, and fewer say nothing about it.

Each byte of the key is the value at 0 of a polynomial of degree k - 1 over GF(2^8) whose other coefficients are random; share number x
holds the values at x. A share carries the number of its set, so that shares of different keys are not taken together. That the key is
the right one shows when it opens what it sealed: shares have no check of their own, which could be tried against.

Source: Shamir, How to share a secret, CACM 22 (1979); FIPS 197 section 4.2 (the field).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from voisin.errors import InputError, TrustError
from voisin.protocol.datasets import KEY_BYTES

MAX_SHARES: Final = 255
SET_BYTES: Final = 8
_MARK: Final = "voisin-share-1"
_SPELLED: Final = re.compile(rf"{_MARK}:(\d{{1,3}}):(\d{{1,3}}):([0-9a-f]{{16}}):([A-Za-z0-9+/]{{1,4096}}={{0,2}})", re.ASCII)
_FIELD: Final = 0x11B


@dataclass(frozen=True, slots=True)
class Share:
    """
    A part of a key. Its text forms do not show it.

    Attributes:
        threshold: How many shares give the key back.
        number: Which it is, from 1.
        set_id: Hex of what all shares of one key have in common.
        data: The part itself.
    """

    threshold: int
    number: int
    set_id: str
    data: bytes = field(repr=False)


def split(secret: bytes, *, shares: int, threshold: int, random_bytes: Callable[[int], bytes]) -> tuple[Share, ...]:
    """
    Share a secret.

    Args:
        secret: The secret.
        shares: How many shares to make.
        threshold: How many of them give it back.
        random_bytes: Draws as many random bytes as it is told; they must be fit for keys.

    Raises:
        InputError: The numbers do not fit: 1 <= threshold <= shares <= 255, and the secret is not empty.
    """
    if not 1 <= threshold <= shares <= MAX_SHARES or not secret:
        hint = f"for example 2 of 3; at most {MAX_SHARES} shares"
        raise InputError(f"a secret is not shared so that {threshold} of {shares} shares give it back", hint=hint)
    set_id = random_bytes(SET_BYTES).hex()
    higher = [random_bytes(len(secret)) for _ in range(threshold - 1)]
    return tuple(Share(threshold, number, set_id, _values(secret, higher, number)) for number in range(1, shares + 1))


def combine(shares: Sequence[Share]) -> bytes:
    """
    Give a shared secret back.

    Args:
        shares: Enough of its shares; more are not looked at.

    Raises:
        TrustError: They are too few, of different secrets, or one is there twice.
    """
    first = shares[0] if shares else None
    hint = "ask the vaults that the terms of use name"
    if first is None or len(shares) < first.threshold:
        raise TrustError(f"{len(shares)} shares do not give the key: more are needed", hint=hint)
    chosen = shares[: first.threshold]
    if len({share.number for share in chosen}) != len(chosen):
        raise TrustError("a share is there twice", hint=hint)
    if len({(share.threshold, share.set_id, len(share.data)) for share in chosen}) != 1:
        raise TrustError("the shares are of different keys", hint=hint)
    weights = _weights_at_zero([share.number for share in chosen])
    return bytes(_weighed(weights, column) for column in zip(*(share.data for share in chosen), strict=True))


def split_key(key: str, *, shares: int, threshold: int, random_bytes: Callable[[int], bytes]) -> tuple[str, ...]:
    """
    Share a dataset's key (base64) as texts, each of which a vault keeps in the key's place.

    Raises:
        InputError: The key is none, or the numbers do not fit.
    """
    try:
        secret = base64.b64decode(key, validate=True)
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise InputError("the key of the dataset is none", hint=f"a key is {KEY_BYTES} bytes in base64")
    return tuple(write_share(share) for share in split(secret, shares=shares, threshold=threshold, random_bytes=random_bytes))


def join_key(texts: Sequence[str]) -> str:
    """
    Give a dataset's key back from what several vaults released.

    Raises:
        InputError: A text is no share.
        TrustError: They are too few, of different keys, or one is there twice.
    """
    return base64.b64encode(combine([read_share(text) for text in texts])).decode()


def is_share(text: str) -> bool:
    """Tell whether what a vault keeps in a key's place is a share of it."""
    return text.startswith(f"{_MARK}:")


def write_share(share: Share) -> str:
    """Write a share as text."""
    return f"{_MARK}:{share.threshold}:{share.number}:{share.set_id}:{base64.b64encode(share.data).decode()}"


def read_share(text: str) -> Share:
    """
    Read a share.

    Raises:
        InputError: It is none; the error does not repeat it.
    """
    found = _SPELLED.fullmatch(text)
    refused = InputError("this is no share of a key", hint=f"one begins with {_MARK}:")
    if found is None:
        raise refused
    threshold, number = int(found[1]), int(found[2])
    try:
        data = base64.b64decode(found[4], validate=True)
    except ValueError:
        raise refused from None
    if not 1 <= threshold <= MAX_SHARES or not 1 <= number <= MAX_SHARES:
        raise refused
    return Share(threshold, number, found[3], data)


def _values(secret: bytes, higher: Sequence[bytes], x: int) -> bytes:
    """Evaluate the polynomial of each byte at x, by Horner's rule."""
    found = bytearray(len(secret))
    for coefficients in (*reversed(higher), secret):
        for place, coefficient in enumerate(coefficients):
            found[place] = _times(found[place], x) ^ coefficient
    return bytes(found)


def _weights_at_zero(numbers: Sequence[int]) -> list[int]:
    """What each number's value counts at 0 (Lagrange); in this field minus is plus, which is exclusive or."""
    weights = []
    for number in numbers:
        above = below = 1
        for other in numbers:
            if other != number:
                above, below = _times(above, other), _times(below, other ^ number)
        weights.append(_times(above, _inverse(below)))
    return weights


def _weighed(weights: Sequence[int], values: Sequence[int]) -> int:
    """Add values up, each times its weight."""
    total = 0
    for weight, value in zip(weights, values, strict=True):
        total ^= _times(value, weight)
    return total


def _times(left: int, right: int) -> int:
    product = 0
    for bit in range(8):
        product ^= -(right >> bit & 1) & left
        left = left << 1 ^ -(left >> 7) & _FIELD
    return product


def _inverse(value: int) -> int:
    """Give 1 / value as value^254, which is value^2 * value^4 * ... * value^128."""
    found, power = 1, value
    for _ in range(7):
        power = _times(power, power)
        found = _times(found, power)
    return found
