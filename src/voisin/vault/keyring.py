"""
The keys that a vault's records are sealed under.

A record is sealed by XChaCha20-Poly1305 with a random nonce; the associated data name the record (its table, its place, its dates), so
that a box that is moved to another row, or a row whose open columns are changed, no longer opens. Each box carries the id of its
key: the first key of the ring seals, every key opens, so that a new key can be put in front and the old one taken away
later.

Source: draft-irtf-cfrg-xchacha-03; RFC 5869.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from Crypto.Cipher import ChaCha20_Poly1305
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF

from voisin.errors import InputError, TrustError
from voisin.protocol.codec import encode

KEY_BYTES: Final = 32
_NONCE_BYTES = 24
_TAG_BYTES = 16
_ID_BYTES = 8

Place = tuple[str | int, ...]
"""What names a record: its table, then whatever must not change under the box."""


@dataclass(frozen=True, slots=True)
class Box:
    """Something sealed: the id of its key, and nonce, ciphertext and tag in a row."""

    key_id: str
    data: bytes


class Keyring:
    """Seals and opens records. Its text forms never show a key."""

    def __init__(self, keys: Sequence[bytes], random_bytes: Callable[[int], bytes]) -> None:
        """
        Args:
            keys: Keys of 32 bytes; the first seals.
            random_bytes: Draws as many random bytes as it is told; they must be fit for nonces.

        Raises:
            InputError: There is no key, or one of another length, or one twice.
        """
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise InputError("a vault needs keys of 32 bytes", hint="make one with `voisin vault key`")
        self._keys = {_derive(key, b"id", _ID_BYTES).hex(): _derive(key, b"records", KEY_BYTES) for key in keys}
        if len(self._keys) != len(keys):
            raise InputError("a key of the vault is there twice", hint="leave one out")
        self._random_bytes = random_bytes
        self.current = next(iter(self._keys))

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys, the one that seals first."""
        return tuple(self._keys)

    def seal(self, clear: bytes, place: Place) -> Box:
        """Seal a record's secret part for its place."""
        nonce = self._random_bytes(_NONCE_BYTES)
        cipher = ChaCha20_Poly1305.new(key=self._keys[self.current], nonce=nonce)
        cipher.update(_associated(self.current, place))
        ciphertext, tag = cipher.encrypt_and_digest(clear)
        return Box(self.current, nonce + ciphertext + tag)

    def open(self, box: Box, place: Place) -> bytes:
        """
        Open a record's secret part.

        Raises:
            TrustError: No key of the ring has that id, or the record was changed or moved.
        """
        key = self._keys.get(box.key_id)
        if key is None:
            raise TrustError(f"a record is sealed under key {box.key_id}, which the vault does not have", hint="give the old key too")
        refused = TrustError(f"a record of the vault was changed or moved ({place[0]})", hint="bring the database back from a backup")
        nonce, body = box.data[:_NONCE_BYTES], box.data[_NONCE_BYTES:]
        if len(body) < _TAG_BYTES:
            raise refused
        cipher = ChaCha20_Poly1305.new(key=key, nonce=nonce)
        cipher.update(_associated(box.key_id, place))
        try:
            return cipher.decrypt_and_verify(body[:-_TAG_BYTES], body[-_TAG_BYTES:])
        except ValueError:
            raise refused from None

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._keys)})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Keyring is not pickled: it holds keys")


def _derive(key: bytes, use: bytes, size: int) -> bytes:
    derived = HKDF(key, size, b"", SHA256, context=b"voisin vault " + use)
    assert isinstance(derived, bytes)
    return derived


def _associated(key_id: str, place: Place) -> bytes:
    return encode(("voisin vault 1", key_id, *place))
