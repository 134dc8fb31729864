"""
Content identifiers: the name of some bytes is made from their hash, so whoever fetches them can check that they are the right ones.

One kind is enough here: CID version 1, raw bytes, SHA-256, written in base32. It is what IPFS gives a file that is stored as one block
(`ipfs add --cid-version 1 --raw-leaves` below 256 KiB), for example `bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku` for no
bytes at all.

Source: multiformats, CID specification; RFC 4648 section 6 for base32.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final, NewType

from voisin.errors import InputError

Cid = NewType("Cid", str)
"""A content identifier in its one canonical spelling."""

DIGEST_BYTES: Final = 32
_PREFIX: Final = bytes((0x01, 0x55, 0x12, DIGEST_BYTES))  # version 1, raw bytes, SHA-256, length of the hash
_BASE32: Final = "b"
_LENGTH: Final = 59
_HINT: Final = "give a CID of version 1 with raw bytes, which starts with bafkrei"


def cid_of(data: bytes) -> Cid:
    """
    Name some bytes.

    Args:
        data: The bytes.

    Returns:
        Their identifier.
    """
    return cid_from_digest(hashlib.sha256(data).digest())


def cid_from_digest(digest: bytes) -> Cid:
    """
    Name the bytes that have a hash.

    Args:
        digest: SHA-256 of the bytes, 32 bytes long.

    Returns:
        Their identifier.

    Raises:
        InputError: The hash has another length.
    """
    if len(digest) != DIGEST_BYTES:
        raise InputError(f"a SHA-256 hash has {DIGEST_BYTES} bytes, not {len(digest)}")
    return Cid(_BASE32 + base64.b32encode(_PREFIX + digest).decode().rstrip("=").lower())


def digest_of(cid: Cid) -> bytes:
    """
    Say which hash the bytes behind an identifier must have.

    Args:
        cid: The identifier.

    Returns:
        SHA-256 of the bytes.

    Raises:
        InputError: It is not an identifier of the kind used here.
    """
    return base64.b32decode(parse_cid(cid)[1:].upper() + "======")[len(_PREFIX) :]


def parse_cid(text: str) -> Cid:
    """
    Read an identifier that came from outside.

    Args:
        text: What should be one.

    Returns:
        The same text, now known to be one in its canonical spelling: safe as the name of a file or a part of an address.

    Raises:
        InputError: It is not an identifier of the kind used here; the message says what it seems to be.
    """
    if text.startswith("Qm") and len(text) == 46:
        raise InputError(f"{text} is a CID of version 0", hint=_HINT)
    if len(text) != _LENGTH or not text.isascii() or not text.startswith(_BASE32):
        raise InputError(f"{text[:80]!r} is not a content identifier", hint=_HINT)
    try:
        raw = base64.b32decode(text[1:].upper() + "======")
    except ValueError:
        raise InputError(f"{text!r} is not a content identifier", hint=_HINT) from None
    if not raw.startswith(_PREFIX):
        raise InputError(f"{text} names something else than raw bytes with SHA-256", hint=_HINT)
    canonical = cid_from_digest(raw[len(_PREFIX) :])
    if canonical != text:
        raise InputError(f"{text!r} is not the canonical spelling of {canonical}", hint="use the canonical spelling")
    return canonical
