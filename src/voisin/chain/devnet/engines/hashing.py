"""keccak-256 of short inputs, remembered: a contract asks for the places of the same mapping entries again and again."""

from __future__ import annotations

from sha3 import keccak_256

_MAX_REMEMBERED_BYTES = 64
_MAX_REMEMBERED = 16_384

_remembered: dict[bytes, int] = {}


def keccak(data: bytes) -> bytes:
    """
    Hash bytes.

    Args:
        data: Any bytes.

    Returns:
        32 bytes.
    """
    digest: bytes = keccak_256(data).digest()
    return digest


def keccak_int(data: bytes) -> int:
    """
    Hash bytes to the number that an instruction leaves on the stack.

    Args:
        data: Any bytes.

    Returns:
        The hash, read big-endian.
    """
    found = _remembered.get(data)
    if found is None:
        found = int.from_bytes(keccak_256(data).digest())
        if len(data) <= _MAX_REMEMBERED_BYTES:
            if len(_remembered) >= _MAX_REMEMBERED:
                _remembered.clear()
            _remembered[data] = found
    return found
