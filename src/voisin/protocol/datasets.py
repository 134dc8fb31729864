"""
Encrypted datasets: our own form (`voisin.protocol.sealed_stream`), and the one that the protocol's own clients write and read.

Their file is 16 random bytes of initialisation vector, then the content under AES-256-CBC with PKCS#7 padding. The key is 32 random
bytes, kept in base64; the checksum on the chain is the SHA-256 of the whole encrypted file. Their form has no authentication of its own:
what was decrypted counts only if the encrypted file had that checksum. Who decrypts need not know the form: ours begins with a mark.

Files of any size pass through in pieces; nothing here touches a disk: file objects are handed in.

Source: client-surface.md 5; pool-semantics.md 3.8; NIST SP 800-38A.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import BinaryIO, Final

from Crypto.Cipher import AES
from Crypto.Util.Padding import pad, unpad

from voisin.errors import InputError, TrustError
from voisin.protocol.digests import Digest
from voisin.protocol.ids import Hash32, to_hex
from voisin.protocol.sealed_stream import MAGIC, is_sealed_stream, open_stream, read_whole, seal_stream

KEY_BYTES: Final = 32
_PIECE = 1 << 20


def new_dataset_key(random_bytes: Callable[[int], bytes]) -> str:
    """Draw the key of a dataset, as a vault keeps it; `random_bytes` must be fit for keys."""
    return base64.b64encode(random_bytes(KEY_BYTES)).decode()


def seal_dataset(
    source: BinaryIO, target: BinaryIO, key: str, random_bytes: Callable[[int], bytes], *, digest: Digest | None = None
) -> Hash32:
    """
    Encrypt a dataset in our own form.

    Args:
        source: The content.
        target: Where the encrypted file goes.
        key: The key in base64.
        random_bytes: Draws as many random bytes as it is told; they must be fit for keys.
        digest: Computes the checksum, for example beside the work (`voisin.protocol.digests`).

    Returns:
        The checksum of the encrypted file.

    Raises:
        InputError: The key is none.
    """
    return seal_stream(source, target, _key(key), random_bytes, digest=digest)


def encrypt_dataset(
    source: BinaryIO, target: BinaryIO, key: str, random_bytes: Callable[[int], bytes], *, digest: Digest | None = None
) -> Hash32:
    """
    Encrypt a dataset in the form of the protocol's own clients.

    Args:
        source: The content.
        target: Where the encrypted file goes.
        key: The key in base64.
        random_bytes: Draws as many random bytes as it is told; they must be fit for initialisation vectors.
        digest: Computes the checksum, as in `seal_dataset`.

    Returns:
        The checksum of the encrypted file.

    Raises:
        InputError: The key is none.
    """
    vector, checksum = random_bytes(AES.block_size), digest or hashlib.sha256()
    cipher = AES.new(_key(key), AES.MODE_CBC, vector)

    def put(piece: bytes) -> None:
        checksum.update(piece)
        target.write(piece)

    put(vector)
    while len(piece := read_whole(source, _PIECE)) == _PIECE:
        put(cipher.encrypt(piece))
    put(cipher.encrypt(pad(piece, AES.block_size)))
    return Hash32(to_hex(checksum.digest()))


def decrypt_dataset(source: BinaryIO, target: BinaryIO, key: str, *, digest: Digest | None = None) -> Hash32:
    """
    Decrypt a dataset of either form.

    Args:
        source: The encrypted file.
        target: Where the content goes; what is there after an error is worth nothing.
        key: The key in base64.
        digest: Computes the checksum, as in `seal_dataset`.

    Returns:
        The checksum of the encrypted file, to be held against the chain's before the content is used.

    Raises:
        InputError: The key is none.
        TrustError: The file was encrypted with another key, or was changed.
    """
    secret = _key(key)
    head = read_whole(source, len(MAGIC))
    if is_sealed_stream(head):
        return open_stream(source, target, secret, head=head, digest=digest)
    return _decrypt_foreign(source, target, secret, head, digest or hashlib.sha256())


def _decrypt_foreign(source: BinaryIO, target: BinaryIO, secret: bytes, head: bytes, checksum: Digest) -> Hash32:
    """Decrypt a file in the form of the protocol's own clients, of which a beginning was read."""
    refused = TrustError("the dataset is encrypted with another key, or was changed", hint="check the key, and fetch the file again")
    vector = head + read_whole(source, AES.block_size - len(head))
    checksum.update(vector)
    if len(vector) != AES.block_size:
        raise refused
    cipher = AES.new(secret, AES.MODE_CBC, vector)
    held = b""  # the last block is padding in part, so a piece is written once the next one is there
    while piece := read_whole(source, _PIECE):
        checksum.update(piece)
        if len(piece) % AES.block_size:
            raise refused
        target.write(held)
        held = cipher.decrypt(piece)
    try:
        target.write(unpad(held, AES.block_size))
    except ValueError:
        raise refused from None
    return Hash32(to_hex(checksum.digest()))


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise InputError(f"the key of the dataset is none: a key is {KEY_BYTES} bytes in base64", hint="use the one it was encrypted with")
    return key
