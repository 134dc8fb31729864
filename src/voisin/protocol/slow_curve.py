"""Secret keys and signatures on the curve secp256k1, in Python (eth_keys), where `voisin.protocol.curve` cannot be loaded."""

from __future__ import annotations

from eth_keys.datatypes import PrivateKey, Signature
from eth_keys.exceptions import BadSignature
from eth_keys.exceptions import ValidationError as KeyValidationError
from eth_utils import ValidationError


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
        return bytes(self._key.public_key.to_bytes())

    def sign(self, digest: bytes) -> bytes:
        """Sign 32 bytes: r, s, and 0 or 1, which of two public keys it belongs to."""
        signature = self._key.sign_msg_hash(digest)
        return bytes(signature.r.to_bytes(32, "big") + signature.s.to_bytes(32, "big") + bytes([signature.v]))

    def expose(self) -> bytes:
        """Hand the key out."""
        return bytes(self._key.to_bytes())


def recover(signature: bytes, digest: bytes) -> bytes:
    """
    Find the public key of a signature over 32 bytes.

    Raises:
        ValueError: It belongs to none.
    """
    numbers = (signature[64], int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"))
    try:
        return bytes(Signature(vrs=numbers).recover_public_key_from_msg_hash(digest).to_bytes())
    except (BadSignature, KeyValidationError, ValidationError) as error:
        raise ValueError("the signature belongs to no key") from error
