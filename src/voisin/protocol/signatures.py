"""
Signing and recovering: secp256k1 signatures over 32-byte digests and over Ethereum signed messages (EIP-191).

Source: poco-protocol.md 4.2.
"""

from __future__ import annotations

from typing import Protocol

from voisin.errors import InputError, TrustError
from voisin.protocol.hashing import keccak
from voisin.protocol.ids import Address, as_address, from_hex, to_hex

try:
    from voisin.protocol import curve
except ModuleNotFoundError:  # there is no coincurve; the other way is slow to load, too
    from voisin.protocol import slow_curve as curve  # type: ignore[no-redef]

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


class Signer(Protocol):
    """Whoever can sign for one address: a key in memory, a keystore, a hardware device."""

    @property
    def address(self) -> Address:
        """The address that the signatures prove."""
        ...

    def sign_digest(self, digest: bytes) -> str:
        """Sign a 32-byte digest; answers the 65-byte signature (r, s, v with v 27 or 28) as hex."""
        ...


class KeySigner:
    """A private key held in memory. Its text forms never show the key."""

    def __init__(self, key: bytes) -> None:
        """
        Args:
            key: The private key, 32 bytes.

        Raises:
            InputError: It is not a secp256k1 private key.
        """
        if len(key) != 32 or not 0 < int.from_bytes(key, "big") < _ORDER:
            raise InputError("this is not a private key", hint="a private key is 32 bytes, not zero, below the curve's order")
        self._key = curve.SecretKey(key)
        self._address = as_address(to_hex(keccak(self._key.public)[12:]))

    @property
    def address(self) -> Address:
        """The address of the key."""
        return self._address

    def sign_digest(self, digest: bytes) -> str:
        """Sign a 32-byte digest; answers r, s, v (65 bytes) as hex."""
        raw = self._key.sign(digest)
        return to_hex(raw[:64] + bytes([27 + raw[64]]))

    def expose_key(self) -> bytes:
        """Hand out the private key, for writing a keystore or signing a transaction; never log it."""
        return self._key.expose()

    def __repr__(self) -> str:
        return f"KeySigner({self._address})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a KeySigner is not pickled: it holds a private key")


def message_digest(message: bytes) -> bytes:
    """Hash a message the way Ethereum wallets do before they sign it (EIP-191, version E)."""
    return keccak(b"\x19Ethereum Signed Message:\n" + str(len(message)).encode() + message)


def sign_message(signer: Signer, message: bytes) -> str:
    """Sign a message as Ethereum wallets do; answers 65 bytes as hex."""
    return signer.sign_digest(message_digest(message))


def recover_signer(digest: bytes, signature: str) -> Address:
    """
    Find who signed a digest with a plain key.

    Args:
        digest: 32 bytes.
        signature: 65 bytes (r, s, v), or 64 bytes in the compact form of EIP-2098, as hex.

    Raises:
        TrustError: The signature has another length, a `v` other than 27 or 28, an `s` in the upper half, or belongs to no key.
    """
    raw = from_hex(signature)
    if len(raw) == 65:
        r, s, v = raw[:32], raw[32:64], raw[64] - 27
    elif len(raw) == 64:
        r, s, v = raw[:32], bytes([raw[32] & 0x7F]) + raw[33:], raw[32] >> 7
    else:
        raise TrustError(f"a signature has 65 or 64 bytes, not {len(raw)}")
    if v not in (0, 1) or int.from_bytes(s, "big") > _HALF_ORDER:
        raise TrustError("the signature is malformed")
    try:
        return as_address(to_hex(keccak(curve.recover(r + s + bytes([v]), digest))[12:]))
    except ValueError:
        raise TrustError("the signature belongs to no key") from None


def signed_by(signer: Address, digest: bytes, signature: str) -> bool:
    """Tell whether `signer`'s plain key made the signature; a malformed signature is not theirs."""
    try:
        return recover_signer(digest, signature) == signer
    except TrustError:
        return False
