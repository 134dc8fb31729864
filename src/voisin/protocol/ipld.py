"""
The names that IPFS gives to blocks, in all the spellings that a person or a program may write.

A name says how its block is to be read (the codec) and the SHA-256 of its bytes. Version 0 is `Qm...`: a node of a tree (dag-pb) in
base58. Version 1 spells the codec out, in base32 (`b...`), base36 (`k...`), base58 (`z...`) or base16 (`f...`).

`voisin.protocol.cid` knows the one spelling under which we keep blocks; here is what comes from and goes to others.

Source: multiformats, CID, multibase and multicodec specifications.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from voisin.errors import InputError
from voisin.protocol.cid import DIGEST_BYTES, Cid, cid_from_digest

MAX_NAME_CHARS: Final = 128
_SHA256: Final = bytes((0x12, DIGEST_BYTES))
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_HINT: Final = "give a CID with SHA-256, such as bafkrei..., bafybei... or Qm..."


class Codec(IntEnum):
    """How the bytes of a block are to be read."""

    RAW = 0x55
    DAG_PB = 0x70


@dataclass(frozen=True, slots=True)
class Name:
    """
    The name of a block.

    Attributes:
        digest: SHA-256 of the block.
        codec: How the block is to be read.
        version: 0 or 1; two names that differ only in it name the same.
    """

    digest: bytes
    codec: Codec
    version: int = 1

    def __str__(self) -> str:
        if self.version == 0:
            return _encode(_SHA256 + self.digest, _BASE58)
        return "b" + base64.b32encode(self.raw).decode().rstrip("=").lower()

    @property
    def raw(self) -> bytes:
        """The name as bytes, as links in blocks have it."""
        hashed = _SHA256 + self.digest
        return hashed if self.version == 0 else bytes((1, self.codec)) + hashed

    @property
    def cid(self) -> Cid:
        """What the block is called where blocks are kept, whatever they hold."""
        return cid_from_digest(self.digest)


def name_of(block: bytes, codec: Codec, version: int = 1) -> Name:
    """
    Name a block.

    Args:
        block: Its bytes.
        codec: How they are to be read.
        version: 0 or 1; only nodes may have 0.
    """
    return Name(hashlib.sha256(block).digest(), codec, version)


def parse_name(text: str) -> Name:
    """
    Read a name in any spelling.

    Raises:
        InputError: It is none, or one with another hash or codec than are known here.
    """
    if len(text) > MAX_NAME_CHARS or not text.isascii() or len(text) < 2:
        raise InputError(f"{text[:80]!r} is not a content identifier", hint=_HINT)
    try:
        return name_from_bytes(_decode_text(text))
    except ValueError:
        raise InputError(f"{text!r} is not a content identifier", hint=_HINT) from None


def name_from_bytes(raw: bytes) -> Name:
    """
    Read a name as links in blocks have it.

    Raises:
        InputError: It is none, or one with another hash or codec than are known here.
    """
    version = 0 if raw.startswith(_SHA256) else 1
    head, hashed = (b"", raw) if version == 0 else (raw[:2], raw[2:])
    if not hashed.startswith(_SHA256) or len(hashed) != len(_SHA256) + DIGEST_BYTES or (version and head[0] != 1):
        raise InputError(f"{raw[:40].hex()} is no name with SHA-256", hint=_HINT)
    if version and head[1] not in (Codec.RAW, Codec.DAG_PB):
        raise InputError(f"blocks of codec {head[1]:#x} are not known here", hint="raw bytes (0x55) and dag-pb nodes (0x70) are")
    return Name(hashed[len(_SHA256) :], Codec(head[1]) if version else Codec.DAG_PB, version)


def _decode_text(text: str) -> bytes:
    """Undo the base that the first letter names."""
    if text.startswith("Qm"):
        raw = _decode(text, _BASE58)
        if len(raw) != len(_SHA256) + DIGEST_BYTES:
            raise ValueError("wrong length")
        return raw
    base, rest = text[0], text[1:]
    if base in "bB":
        return _decode_base32(rest, is_upper=base == "B")
    if base == "z":
        return _version_one(_decode(rest, _BASE58))
    if base == "k":
        return _version_one(_decode(rest, _BASE36))
    if base == "f" and rest == rest.lower():
        return _version_one(binascii.unhexlify(rest))
    raise ValueError("unknown base")


def _decode_base32(text: str, *, is_upper: bool) -> bytes:
    if text != (text.upper() if is_upper else text.lower()) or "=" in text:
        raise ValueError("mixed case")
    raw = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    if base64.b32encode(raw).decode().rstrip("=") != text.upper():
        raise ValueError("loose bits at the end")
    return _version_one(raw)


def _version_one(raw: bytes) -> bytes:
    if raw[:1] != b"\x01":
        raise ValueError("only version 1 has a base letter")
    return raw


def _encode(raw: bytes, alphabet: str) -> str:
    number, digits = int.from_bytes(raw), []
    while number:
        number, digit = divmod(number, len(alphabet))
        digits.append(alphabet[digit])
    return alphabet[0] * (len(raw) - len(raw.lstrip(b"\0"))) + "".join(reversed(digits))


def _decode(text: str, alphabet: str) -> bytes:
    number = 0
    for letter in text:
        number = number * len(alphabet) + alphabet.index(letter)
    zeros = len(text) - len(text.lstrip(alphabet[0]))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)
