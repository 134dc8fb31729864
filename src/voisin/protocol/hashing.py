"""Keccak-256, by the quickest implementation that is installed: a service hashes some ten times for each order."""

from __future__ import annotations

from eth_utils import keccak as _keccak_of_eth_utils

try:
    from sha3 import keccak_256
except ModuleNotFoundError:
    keccak_256 = None


def keccak(data: bytes) -> bytes:
    """Hash bytes; 32 bytes."""
    return _keccak_of_eth_utils(data) if keccak_256 is None else bytes(keccak_256(data).digest())
