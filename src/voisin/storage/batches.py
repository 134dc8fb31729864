"""
Many small blobs as one body: of each its length, four bytes with the highest first, and its bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from voisin.errors import InputError

MAX_BLOBS: Final = 1_000
MAX_BATCH_BYTES: Final = 16 << 20
"""Longest body [bytes]: it is held in memory."""
_LENGTH_BYTES: Final = 4


def join_blobs(blobs: Iterable[bytes]) -> bytes:
    """Write blobs as one body."""
    return b"".join(len(blob).to_bytes(_LENGTH_BYTES, "big") + blob for blob in blobs)


def split_blobs(body: bytes) -> list[bytes]:
    """
    Read the blobs of a body.

    Raises:
        InputError: It is cut off, has no blob or too many.
    """
    blobs: list[bytes] = []
    place = 0
    while place < len(body):
        start = place + _LENGTH_BYTES
        place = start + int.from_bytes(body[place:start], "big")
        if start > len(body) or place > len(body) or len(blobs) >= MAX_BLOBS:
            what = f"the batch has more than {MAX_BLOBS} blobs" if len(blobs) >= MAX_BLOBS else "the batch is cut off"
            raise InputError(what, hint="send of each blob its length as four bytes, and its bytes")
        blobs.append(body[start:place])
    if not blobs:
        raise InputError("the batch has no blob", hint="send at least one")
    return blobs
