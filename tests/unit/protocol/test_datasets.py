"""Rented datasets: the form of the protocol's own clients, read a piece at a time."""

from __future__ import annotations

import base64
import io
import secrets

import pytest
from Crypto.Cipher import AES

from voisin.errors import InputError, TrustError
from voisin.protocol.datasets import decrypt_dataset, encrypt_dataset, new_dataset_key

KEY = base64.b64encode(bytes(range(32))).decode()


def decrypted(data: bytes, key: str = KEY) -> bytes:
    target = io.BytesIO()
    decrypt_dataset(io.BytesIO(data), target, key)
    return target.getvalue()


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, (1 << 20) - 16, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (2 << 20) + 5])
def test_what_is_encrypted_comes_back(size: int) -> None:
    content = secrets.token_bytes(size)
    assert decrypted(encrypt_dataset(content, KEY, secrets.token_bytes)) == content


def test_the_form_is_the_protocols() -> None:
    vector = bytes(16)
    data = encrypt_dataset(b"hello", KEY, lambda _size: vector)
    assert data == vector + AES.new(bytes(range(32)), AES.MODE_CBC, vector).encrypt(b"hello" + b"\x0b" * 11)


@pytest.mark.parametrize("data", [b"", b"short", bytes(16), bytes(32), bytes(40), bytes(48)])
def test_what_is_no_dataset_is_refused(data: bytes) -> None:
    with pytest.raises(TrustError):
        decrypted(data)


@pytest.mark.parametrize("key", ["", "a", "AAAA", base64.b64encode(bytes(31)).decode(), base64.b64encode(bytes(33)).decode(), "*" * 44])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(InputError):
        encrypt_dataset(b"x", key, secrets.token_bytes)


def test_keys_are_made_as_the_vault_keeps_them() -> None:
    assert new_dataset_key(lambda size: bytes(range(size))) == KEY
    assert decrypted(encrypt_dataset(b"x", KEY, secrets.token_bytes), f" {KEY}\n") == b"x"
