"""Secret keys and signatures on the curve secp256k1, in C (coincurve)."""

from __future__ import annotations

from coincurve import PrivateKey, PublicKey


class SecretKey:
    """A secret key that is known to be one."""

    def __init__(self, key: bytes) -> None:
        """
        Args:
            key: 32 bytes.
        """
        self._key = PrivateKey(key)

    @property
    def public(self) -> bytes:
        """The two coordinates of the public key, 64 bytes."""
        return bytes(self._key.public_key.format(compressed=False)[1:])

    def sign(self, digest: bytes) -> bytes:
        """Sign 32 bytes: r, s, and 0 or 1, which of two public keys it belongs to."""
        return bytes(self._key.sign_recoverable(digest, hasher=None))

    def expose(self) -> bytes:
        """Hand the key out."""
        return bytes(self._key.secret)


def recover(signature: bytes, digest: bytes) -> bytes:
    """
    Find the public key of a signature over 32 bytes.

    Raises:
        ValueError: It belongs to none.
    """
    return bytes(PublicKey.from_signature_and_message(signature, digest, hasher=None).format(compressed=False)[1:])
