"""
What is inside a keystore file, version 3: a private key under AES-128-CTR, with a key that takes work to derive from a password.

Source: Web3 Secret Storage Definition, version 3; RFC 7914 (scrypt), RFC 8018 (PBKDF2).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Annotated, Literal

import msgspec
from Crypto.Cipher import AES
from Crypto.Protocol.KDF import scrypt
from msgspec import Meta

from voisin.protocol.hashing import keccak

Bytes = Annotated[str, Meta(pattern="^([0-9a-f]{2})*$")]
"""Bytes as hexadecimal text without 0x."""

_MOST_SCRYPT_BYTES = 2**30
_BLOCK = 8
_DERIVED_BYTES = 32
_KEY_BYTES = 16
_DerivedLength = Annotated[int, Meta(ge=_DERIVED_BYTES, le=64)]


class ScryptParams(msgspec.Struct):
    """`n` rounds over blocks of 128 `r` bytes, in `p` lanes."""

    n: Annotated[int, Meta(ge=2)]
    r: Annotated[int, Meta(ge=1)]
    p: Annotated[int, Meta(ge=1, le=64)]
    salt: Bytes
    dklen: _DerivedLength = _DERIVED_BYTES

    def __post_init__(self) -> None:
        """Refuse what would eat the machine's memory, and what scrypt is not defined for."""
        if 128 * self.n * self.r > _MOST_SCRYPT_BYTES or self.n & (self.n - 1):
            raise ValueError("n must be a power of two, and n times r below 2^23")


class Pbkdf2Params(msgspec.Struct):
    """`c` rounds of HMAC with SHA-256."""

    c: Annotated[int, Meta(ge=1, le=2**26)]
    salt: Bytes
    prf: Literal["hmac-sha256"]
    dklen: _DerivedLength = _DERIVED_BYTES


class CipherParams(msgspec.Struct):
    """The first counter block."""

    iv: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]


class _Sealed(msgspec.Struct, kw_only=True):
    """What both ways to derive a key share."""

    cipher: Literal["aes-128-ctr"]
    cipherparams: CipherParams
    ciphertext: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    mac: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]

    def derive(self, password: bytes) -> bytes:
        """Derive the key from a password: slow on purpose."""
        raise NotImplementedError

    def open(self, password: str) -> bytes | None:
        """
        Take the private key out.

        Args:
            password: What it was locked with.

        Returns:
            The key; None when the password is wrong.
        """
        derived, ciphertext = self.derive(password.encode()), bytes.fromhex(self.ciphertext)
        if not hmac.compare_digest(_mac(derived, ciphertext), bytes.fromhex(self.mac)):
            return None
        return _crypt(derived, bytes.fromhex(self.cipherparams.iv), ciphertext)


class ScryptSealed(_Sealed, tag_field="kdf", tag="scrypt", kw_only=True):
    """A private key behind scrypt."""

    kdfparams: ScryptParams

    def derive(self, password: bytes) -> bytes:
        """Derive the key from a password."""
        return _scrypt(password, self.kdfparams)


class Pbkdf2Sealed(_Sealed, tag_field="kdf", tag="pbkdf2", kw_only=True):
    """A private key behind PBKDF2."""

    kdfparams: Pbkdf2Params

    def derive(self, password: bytes) -> bytes:
        """Derive the key from a password."""
        params = self.kdfparams
        return hashlib.pbkdf2_hmac("sha256", password, bytes.fromhex(params.salt), params.c, params.dklen)


def seal(key: bytes, password: str, *, rounds: int) -> ScryptSealed:
    """
    Lock a private key with a password.

    Args:
        key: The private key, 32 bytes.
        password: The password.
        rounds: Rounds of scrypt, a power of two; each takes a kilobyte of memory.
    """
    params = ScryptParams(n=rounds, r=_BLOCK, p=1, salt=secrets.token_bytes(32).hex())
    derived, iv = _scrypt(password.encode(), params), secrets.token_bytes(16)
    ciphertext = _crypt(derived, iv, key)
    return ScryptSealed(
        cipher="aes-128-ctr",
        cipherparams=CipherParams(iv.hex()),
        ciphertext=ciphertext.hex(),
        mac=_mac(derived, ciphertext).hex(),
        kdfparams=params,
    )


def _scrypt(password: bytes, params: ScryptParams) -> bytes:
    """Not hashlib's: OpenSSL refuses n of 2^16 and more with r of 1, which other programs write."""
    text, salt = password.decode("latin-1"), bytes.fromhex(params.salt).decode("latin-1")  # text that stands for bytes
    derived = scrypt(text, salt, params.dklen, params.n, params.r, params.p)
    assert isinstance(derived, bytes)
    return derived


def _mac(derived: bytes, ciphertext: bytes) -> bytes:
    return keccak(derived[_KEY_BYTES:_DERIVED_BYTES] + ciphertext)


def _crypt(derived: bytes, iv: bytes, data: bytes) -> bytes:
    return AES.new(derived[:_KEY_BYTES], AES.MODE_CTR, nonce=b"", initial_value=iv).encrypt(data)
