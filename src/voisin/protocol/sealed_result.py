"""
Results that only their reader can read, and nobody can change: our own form, which is the default.

    mark, 8 bytes    encapsulated key, 32    content key under it, 48    sealed stream of: length, 8    archive    zeros

The content key is fresh; HPKE wraps it for the reader's X25519 key, bound to the task, so a sealed result of one task does not pass for
that of another. The stream is authenticated piece by piece. Zeros fill the archive up to a size that many others share (at most 12 % more
than it has), so that the size says little. Who sealed it is not proven by the form, but by the digest on the chain, as ever.

Suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, base mode, one message.

Source: RFC 9180; Nikitin et al.: Reducing Metadata Leakage from Encrypted Files and Communication with PURBs (PoPETs 2019), section 4
(Padme); `voisin.protocol.sealed_stream`.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

from Crypto.Protocol import HPKE
from Crypto.Protocol.DH import import_x25519_private_key, import_x25519_public_key
from Crypto.PublicKey.ECC import EccKey

from voisin.errors import InputError, TrustError
from voisin.protocol.ids import TaskId, from_hex
from voisin.protocol.sealed_stream import open_stream, read_whole, seal_stream

MARK: Final = b"VOISINR\x01"
HELD_MARK: Final = b"VOISINH\x01"
PUBLIC_MARK: Final = "voisin-reader-1:"
"""Beginning of a reader's public key, as vaults keep it: base64 of its 32 bytes follows."""
PRIVATE_MARK: Final = "voisin-reader-private-1:"
"""Beginning of a reader's private key, as the reader keeps it."""
KEY_BYTES: Final = 32
WRAPPED_BYTES: Final = KEY_BYTES + 16
LENGTH_BYTES: Final = 8
_INFO: Final = b"voisin sealed result 1"


@dataclass(frozen=True)
class ReaderPair:
    """
    A reader's key pair, as text. Its own text form never shows the private half.

    Attributes:
        public: What vaults keep.
        private: What the reader keeps.
    """

    public: str
    private: str

    def __repr__(self) -> str:
        return f"ReaderPair({self.public})"


def new_reader_pair(random_bytes: Callable[[int], bytes]) -> ReaderPair:
    """Make a key pair; `random_bytes` must be fit for keys."""
    secret = random_bytes(KEY_BYTES)
    public = import_x25519_private_key(secret).public_key().export_key(format="raw")
    assert isinstance(public, bytes)
    return ReaderPair(PUBLIC_MARK + _base64(public), PRIVATE_MARK + _base64(secret))


def is_reader_key(text: str) -> bool:
    """Tell a public key of this form from one of the protocol's own clients."""
    return text.startswith(PUBLIC_MARK)


def canonical_reader_key(text: str) -> str:
    """
    Check a reader's public key.

    Raises:
        InputError: It is none.
    """
    _public(text)
    return text.strip()


def is_sealed_result(head: bytes) -> bool:
    """Tell by its first bytes whether a result is in this form."""
    return head.startswith(MARK)


def seal_result(archive: BinaryIO, target: BinaryIO, public_key: str, task: TaskId, random_bytes: Callable[[int], bytes]) -> None:
    """
    Seal a result for its reader.

    Args:
        archive: The clear archive, which is read from its start to its end.
        target: Where the sealed result goes.
        public_key: The reader's.
        task: The task.
        random_bytes: Draws as many random bytes as it is told; they must be fit for keys.

    Raises:
        InputError: The key is none.
    """
    box = HPKE.new(receiver_key=_public(public_key), aead_id=HPKE.AEAD.AES256_GCM, info=_INFO + from_hex(task))
    key = random_bytes(KEY_BYTES)
    target.write(MARK + box.enc + box.seal(key))
    _seal_padded(archive, target, key, random_bytes)


def open_sealed_result(sealed: bytes, private_key: str, task: TaskId) -> bytes:
    """
    Open a sealed result.

    Returns:
        The clear archive.

    Raises:
        InputError: It is no sealed result of this form, or the key is none.
        TrustError: It is sealed for another key or task, or was changed or cut off.
    """
    if not is_sealed_result(sealed):
        raise InputError("it is no sealed result", hint="read it as it is")
    source, key = io.BytesIO(sealed[len(MARK) :]), _private(private_key)
    refused = TrustError("the result is sealed for another key or task, or was changed", hint="use the reader's key of that time")
    encapsulated, wrapped = source.read(KEY_BYTES), source.read(WRAPPED_BYTES)
    try:
        box = HPKE.new(receiver_key=key, aead_id=HPKE.AEAD.AES256_GCM, enc=encapsulated, info=_INFO + from_hex(task))
        content_key = box.unseal(wrapped)
    except ValueError:
        raise refused from None
    return _open_padded(source, content_key)


def hold_result(archive: BinaryIO, target: BinaryIO, key: bytes, random_bytes: Callable[[int], bytes]) -> None:
    """
    Seal a result that waits for a release: with a key that the vault has, and gives to its reader when it is released.

    Args:
        archive: The clear archive, which is read from its start to its end.
        target: Where the held result goes.
        key: 32 bytes.
        random_bytes: Draws as many random bytes as it is told; they must be fit for keys.
    """
    target.write(HELD_MARK)
    _seal_padded(archive, target, key, random_bytes)


def is_held_result(head: bytes) -> bool:
    """Tell by its first bytes whether a result waits for a release."""
    return head.startswith(HELD_MARK)


def open_held_result(held: bytes, key: bytes) -> bytes:
    """
    Open a result that was held.

    Args:
        held: The held result.
        key: What the vault gave.

    Returns:
        The clear archive.

    Raises:
        InputError: It is no held result.
        TrustError: It was sealed with another key, or was changed or cut off.
    """
    if not is_held_result(held):
        raise InputError("it is no held result", hint="read it as it is")
    return _open_padded(io.BytesIO(held[len(HELD_MARK) :]), key)


def padded_size(size: int) -> int:
    """
    Give the size that something is filled up to [bytes].

    Its binary form is a floating-point number whose mantissa is no longer than its exponent, so that sizes up to M have only
    O(log log M) bits to tell them apart.
    """
    if size < 2:
        return size
    exponent = size.bit_length() - 1
    zeros = exponent - exponent.bit_length()
    mask = (1 << zeros) - 1
    return (size + mask) & ~mask


class _Padded:
    """An archive behind its length, filled up with zeros: a file object to read from."""

    def __init__(self, archive: BinaryIO, size: int) -> None:
        self._head = io.BytesIO(size.to_bytes(LENGTH_BYTES, "big"))
        self._archive = archive
        self._zeros = padded_size(size + LENGTH_BYTES) - size - LENGTH_BYTES

    def read(self, size: int) -> bytes:
        part = self._head.read(size)
        part += read_whole(self._archive, size - len(part))
        zeros = min(size - len(part), self._zeros)
        self._zeros -= zeros
        return part + bytes(zeros)


def _seal_padded(archive: BinaryIO, target: BinaryIO, key: bytes, random_bytes: Callable[[int], bytes]) -> None:
    size = archive.seek(0, io.SEEK_END)
    archive.seek(0)
    seal_stream(cast("BinaryIO", _Padded(archive, size)), target, key, random_bytes)


def _open_padded(source: BinaryIO, key: bytes) -> bytes:
    clear = io.BytesIO()
    open_stream(source, clear, key)
    padded = clear.getvalue()
    size = int.from_bytes(padded[:LENGTH_BYTES], "big")
    if len(padded) != padded_size(size + LENGTH_BYTES):
        raise TrustError("the result is not filled up as it should be", hint="ask whoever wrote it")
    return padded[LENGTH_BYTES : LENGTH_BYTES + size]


def _public(text: str) -> EccKey:
    try:
        return import_x25519_public_key(_bytes(text, PUBLIC_MARK))
    except ValueError:
        raise InputError("the reader's public key is none", hint=f"it begins with {PUBLIC_MARK}") from None


def _private(text: str) -> EccKey:
    try:
        return import_x25519_private_key(_bytes(text, PRIVATE_MARK))
    except ValueError:
        raise InputError("the reader's private key is none", hint="give the key that belongs to the public one") from None


def _bytes(text: str, mark: str) -> bytes:
    if not text.strip().startswith(mark):
        raise ValueError("another kind of key")
    found = base64.b64decode(text.strip().removeprefix(mark), validate=True)
    if len(found) != KEY_BYTES:
        raise ValueError("another size")
    return found


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
