"""Keccak-256, by the quickest implementation that is installed: a service hashes some ten times for each order."""

from __future__ import annotations

try:
    from sha3 import keccak_256
except ModuleNotFoundError:
    keccak_256 = None


def keccak(data: bytes) -> bytes:
    """Hash bytes; 32 bytes."""
    if keccak_256 is not None:
        return bytes(keccak_256(data).digest())
    from Crypto.Hash import keccak as slower

    return slower.new(digest_bits=256, data=data).digest()
