"""Accounts with keys: the roles that tests speak of."""

from __future__ import annotations

from dataclasses import dataclass, field

from coincurve import PrivateKey
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address


@dataclass(frozen=True)
class Signer:
    """Somebody who can sign; two with the same name are the same."""

    name: str
    key: bytes = field(repr=False)
    address: str

    def sign(self, digest: bytes) -> bytes:
        """Sign 32 bytes as they are: r, s and v in 65 bytes."""
        signature = PrivateKey(self.key).sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([27 + signature[64]])

    def sign_compact(self, digest: bytes) -> bytes:
        """Sign 32 bytes as they are, in the 64 bytes of EIP-2098."""
        signature = self.sign(digest)
        parity = (signature[64] - 27) << 7
        return signature[:32] + bytes([signature[32] | parity]) + signature[33:64]

    def sign_message(self, *parts: bytes) -> bytes:
        """Sign the hash of packed parts as a wallet signs a message (EIP-191)."""
        return self.sign(keccak(b"\x19Ethereum Signed Message:\n32" + keccak(b"".join(parts))))


def signer(name: str) -> Signer:
    """Make the account of a role from its name."""
    return signer_of_key(name, keccak(f"voisin test account: {name}".encode()))


def signer_of_key(name: str, key: bytes) -> Signer:
    """Make an account of a known key."""
    point = PrivateKey(key).public_key.format(compressed=False)
    return Signer(name, key, to_checksum_address(keccak(point[1:])[12:]))
