"""
Files of any size, encrypted in pieces that are each authenticated: what is read of them is what was written, in its order, to its end.

    magic, 8 bytes    salt, 32 bytes    piece 0    piece 1    ...    last piece

A piece is 1 MiB of content (the last may be shorter, and is empty only if all is) under AES-256-GCM, 16 bytes of tag behind it. Its
nonce is its number, 11 bytes, and whether it is the last, one byte; its key is drawn from the dataset's key and the salt by
HKDF-SHA256, so one key may seal many files. No piece can be left out, repeated, moved or cut off unnoticed.

Source: NIST SP 800-38D; RFC 5869; Hoang, Reyhanitabar, Rogaway, Vizar: Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance (CRYPTO 2015), the construction STREAM.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from voisin.errors import TrustError
from voisin.protocol.digests import Digest
from voisin.protocol.ids import Hash32, to_hex

MAGIC: Final = b"VOISIN\x00\x01"
SALT: Final = 32
PIECE: Final = 1 << 20
TAG: Final = 16
_INFO: Final = b"voisin sealed stream 1"


def seal_stream(
    source: BinaryIO, target: BinaryIO, key: bytes, random_bytes: Callable[[int], bytes], *, digest: Digest | None = None
) -> Hash32:
    """
    Encrypt a file.

    Args:
        source: The content.
        target: Where the encrypted file goes.
        key: 32 bytes.
        random_bytes: Draws as many random bytes as it is told; they must be fit for keys.
        digest: Computes the SHA-256, for example beside the work (`voisin.protocol.digests`).

    Returns:
        SHA-256 of the encrypted file.
    """
    salt, checksum = random_bytes(SALT), digest or hashlib.sha256()
    cipher = _cipher(key, salt)

    def put(part: bytes) -> None:
        checksum.update(part)
        target.write(part)

    put(MAGIC + salt)
    for number, piece, is_last in _pieces(source, PIECE):
        put(cipher.encrypt(_nonce(number, is_last=is_last), piece, None))
    return Hash32(to_hex(checksum.digest()))


def open_stream(source: BinaryIO, target: BinaryIO, key: bytes, *, head: bytes = b"", digest: Digest | None = None) -> Hash32:
    """
    Decrypt a file. Each piece is verified before it is written; after an error the target holds the beginning of the content only.

    Args:
        source: The encrypted file.
        target: Where the content goes.
        key: 32 bytes.
        head: What was read of it already; at most the mark.
        digest: Computes the SHA-256, as in `seal_stream`.

    Returns:
        SHA-256 of the encrypted file.

    Raises:
        TrustError: It was encrypted with another key, or was changed, or is cut off.
    """
    refused = TrustError(
        "the file is encrypted with another key, or was changed or cut off", hint="check the key, and fetch the file again"
    )
    head += read_whole(source, len(MAGIC) + SALT - len(head))
    checksum = digest or hashlib.sha256()
    checksum.update(head)
    if len(head) != len(MAGIC) + SALT or not is_sealed_stream(head):
        raise refused
    cipher = _cipher(key, head[len(MAGIC) :])
    for number, piece, is_last in _pieces(source, PIECE + TAG):
        checksum.update(piece)
        try:
            target.write(cipher.decrypt(_nonce(number, is_last=is_last), piece, None))
        except InvalidTag:
            raise refused from None
    return Hash32(to_hex(checksum.digest()))


def is_sealed_stream(head: bytes) -> bool:
    """Tell by its first bytes whether a file is in this form."""
    return head.startswith(MAGIC)


def read_whole(source: BinaryIO, size: int) -> bytes:
    """Read that many bytes, or what is left: a file object may give less than it was asked for."""
    found = source.read(size)
    while len(found) < size and (more := source.read(size - len(found))):
        found += more
    return found


def _pieces(source: BinaryIO, size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Give the pieces of a file with their numbers, and say which is the last; there is always one."""
    piece, number = read_whole(source, size), 0
    while True:
        following = read_whole(source, size) if len(piece) == size else b""
        yield number, piece, not following
        if not following:
            return
        piece, number = following, number + 1


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=salt, info=_INFO).derive(key))


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes((is_last,))
