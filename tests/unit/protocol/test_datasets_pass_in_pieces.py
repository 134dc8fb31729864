"""Encrypted datasets: read by a second writing with another library, written by it and read by ours; changed ones are refused."""

from __future__ import annotations

import base64
import hashlib
import io
import secrets

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from hypothesis import given
from hypothesis import strategies as st

from voisin.errors import InputError, TrustError
from voisin.protocol import datasets
from voisin.protocol.datasets import decrypt_dataset, encrypt_dataset, new_dataset_key

KEY = base64.b64encode(bytes(range(32))).decode()
PIECE = 1 << 20


class Trickle(io.BytesIO):
    """A file that gives less than it is asked for."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 1, 100_003))


def encrypted(content: bytes) -> bytes:
    """Write the form a second time."""
    vector, padder = b"\x07" * 16, PKCS7(128).padder()
    cipher = Cipher(algorithms.AES(bytes(range(32))), modes.CBC(vector)).encryptor()
    return vector + cipher.update(padder.update(content) + padder.finalize()) + cipher.finalize()


def ours(content: bytes) -> bytes:
    target = io.BytesIO()
    checksum = encrypt_dataset(io.BytesIO(content), target, KEY, lambda size: b"\x07" * size)
    assert checksum == "0x" + hashlib.sha256(target.getvalue()).hexdigest()
    return target.getvalue()


def opened(sealed: bytes, key: str = KEY) -> bytes:
    target = io.BytesIO()
    checksum = decrypt_dataset(Trickle(sealed), target, key)
    assert checksum == "0x" + hashlib.sha256(sealed).hexdigest()
    return target.getvalue()


@given(st.binary(max_size=200))
def test_same_as_another_library(content: bytes) -> None:
    assert ours(content) == encrypted(content)
    assert opened(encrypted(content)) == content


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE - 16, 2 * PIECE, 3 * PIECE + 5])
def test_sizes_around_a_piece(size: int) -> None:
    content = secrets.token_bytes(size)
    target = io.BytesIO()
    encrypt_dataset(Trickle(content), target, KEY, lambda wanted: b"\x07" * wanted)
    assert target.getvalue() == encrypted(content)
    assert opened(target.getvalue()) == content


def test_what_is_no_dataset() -> None:
    sealed = encrypted(b"content")
    for broken in (b"", sealed[:15], sealed[:16], sealed[:-1], sealed + b"x"):
        with pytest.raises(TrustError, match="another key, or was changed"):
            opened(broken)
    with pytest.raises(TrustError):
        opened(sealed[:-1] + bytes([sealed[-1] ^ 1]))


@pytest.mark.parametrize("key", ["", "no base64", base64.b64encode(bytes(16)).decode(), base64.b64encode(bytes(33)).decode()])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(InputError, match="key of the dataset is none"):
        encrypt_dataset(io.BytesIO(b"x"), io.BytesIO(), key, secrets.token_bytes)
    with pytest.raises(InputError):
        opened(encrypted(b"x"), key)


def test_keys_are_drawn() -> None:
    assert new_dataset_key(lambda size: b"\x01" * size) == base64.b64encode(b"\x01" * 32).decode()
    assert datasets.KEY_BYTES == 32
