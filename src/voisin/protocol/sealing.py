"""
Results that only the beneficiary can read, in the form that the protocol's own clients expect; `sealed_result` has ours.

A sealed result is an archive of two files: `iexec_out.zip.aes`, the clear archive under AES-256-CBC with a fresh key, its 16 bytes of
initialisation vector first; and `aes-key.rsa`, that key under the beneficiary's RSA key with PKCS#1 v1.5. The form proves nothing about
who wrote it: whoever opens one still holds the digest of what is inside against the chain.

Source: client-surface.md 5; RFC 8017 section 7.2; NIST SP 800-38A.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final

from Crypto.Cipher import AES, PKCS1_v1_5
from Crypto.PublicKey import RSA
from Crypto.Util.Padding import pad, unpad

from voisin.errors import InputError, TrustError
from voisin.protocol.archive import open_archive, pack_files, unpack_files
from voisin.protocol.sealed_result import canonical_reader_key, is_reader_key

SEALED_FILE: Final = "iexec_out.zip.aes"
KEY_FILE: Final = "aes-key.rsa"
KEY_BYTES: Final = 32
MIN_RSA_BITS: Final = 2_048
MAX_RSA_BITS: Final = 8_192
MAX_PEM_CHARS: Final = 16_384
_ZIP: Final = b"PK"
_PEM: Final = "-----BEGIN"


def seal_archive(archive: bytes, public_key: str, random_bytes: Callable[[int], bytes]) -> bytes:
    """
    Seal a result for its beneficiary.

    Args:
        archive: The clear archive.
        public_key: The beneficiary's RSA key in PEM.
        random_bytes: Draws as many random bytes as it is told; they must be fit for keys.

    Raises:
        InputError: The key is none, or of an unfit size.
    """
    rsa = _rsa(public_key)
    key, vector = random_bytes(KEY_BYTES), random_bytes(AES.block_size)
    body = vector + AES.new(key, AES.MODE_CBC, vector).encrypt(pad(archive, AES.block_size))
    return pack_files({SEALED_FILE: body, KEY_FILE: PKCS1_v1_5.new(rsa, randfunc=random_bytes).encrypt(key)})


def public_pem(text: str) -> str:
    """
    Read a beneficiary's public key as vaults keep it.

    Args:
        text: The key in PEM, or base64 of that.

    Raises:
        InputError: It is none, or of an unfit size, or the private half.
    """
    pem = text
    if not text.lstrip().startswith(_PEM):
        try:
            pem = base64.b64decode(text, validate=True).decode()
        except (ValueError, UnicodeDecodeError):
            pem = ""
    if _rsa(pem).has_private():
        raise InputError("this is a private key", hint="give the public half, and keep the private one to yourself")
    return pem


def reader_key(text: str) -> str:
    """
    Read a beneficiary's public key of either form as vaults keep it: ours (`voisin.protocol.sealed_result`) or the protocol's own.

    Raises:
        InputError: It is none, or of an unfit size, or the private half.
    """
    return canonical_reader_key(text) if is_reader_key(text) else public_pem(text)


def is_sealed(archive: bytes) -> bool:
    """
    Tell whether an archive is a sealed result.

    Raises:
        InputError: It is no archive.
    """
    return set(open_archive(archive).sizes) == {SEALED_FILE, KEY_FILE}


def open_sealed(sealed: bytes, private_key: str) -> bytes:
    """
    Open a sealed result.

    Args:
        sealed: The archive of the two files.
        private_key: The beneficiary's RSA key in PEM, without a password.

    Returns:
        The clear archive.

    Raises:
        InputError: It is no sealed result, or the key is none.
        TrustError: It is sealed for another key, or was changed.
    """
    files = unpack_files(sealed)
    if set(files) != {SEALED_FILE, KEY_FILE}:
        raise InputError("it is no sealed result", hint="read it as it is")
    rsa = _rsa(private_key)
    if not rsa.has_private():
        raise InputError("a sealed result is opened with the private key", hint="give the key that belongs to the public one")
    refused = TrustError("the result is sealed for another key, or was changed", hint="use the beneficiary's key of that time")
    body = files[SEALED_FILE]
    if len(files[KEY_FILE]) != rsa.size_in_bytes() or len(body) < 2 * AES.block_size or len(body) % AES.block_size:
        raise refused
    try:
        key = PKCS1_v1_5.new(rsa).decrypt(files[KEY_FILE], b"", expected_pt_len=KEY_BYTES)
        if len(key) != KEY_BYTES:
            raise refused
        clear = unpad(AES.new(key, AES.MODE_CBC, body[: AES.block_size]).decrypt(body[AES.block_size :]), AES.block_size)
    except ValueError:
        raise refused from None
    if not clear.startswith(_ZIP):  # padding alone looks right once in 256 times
        raise refused
    return clear


def _rsa(pem: str) -> RSA.RsaKey:
    try:
        if len(pem) > MAX_PEM_CHARS:
            raise ValueError("too long")
        key = RSA.import_key(pem)
    except (ValueError, IndexError, TypeError):
        raise InputError("the key is no RSA key in PEM", hint="give one that starts with -----BEGIN") from None
    if not MIN_RSA_BITS <= key.size_in_bits() <= MAX_RSA_BITS:
        raise InputError(f"an RSA key of {key.size_in_bits()} bits is not used", hint=f"{MIN_RSA_BITS} to {MAX_RSA_BITS} bits are")
    return key
