"""
Wallets on disk: encrypted keystore files, version 3, as every Ethereum wallet reads them.

Opening and making one takes about a second on purpose (scrypt), and blocks: call these functions off the loop.

Source: Web3 Secret Storage Definition, version 3.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Literal

import msgspec
from eth_keyfile.keyfile import create_keyfile_json, decode_keyfile_json

from voisin.errors import InputError
from voisin.protocol.ids import Address, as_address
from voisin.protocol.signatures import KeySigner

Strength = Literal["standard", "light"]

_SCRYPT_ROUNDS = {"standard": 2**18, "light": 2**12}
_MODE = 0o600
_FOLDER_MODE = 0o700
_MOST_BYTES = 2**16
_MOST_SCRYPT_BYTES = 2**30


class _Cipher(msgspec.Struct):
    kdf: str
    kdfparams: dict[str, int | str]


class _File(msgspec.Struct):
    version: int
    crypto: _Cipher
    address: str = ""


def create_keystore(path: Path, password: str, *, key: bytes | None = None, strength: Strength = "standard") -> KeySigner:
    """
    Write a new keystore file that only its owner may read.

    Args:
        path: Where; missing folders are made.
        password: The password that opens it.
        key: The private key, 32 bytes; None makes a new one.
        strength: How much work guessing a password is: "light" opens in milliseconds and is for wallets of a development chain.

    Returns:
        The wallet, open.

    Raises:
        InputError: There is a file already, it cannot be written, or the key is no private key.
    """
    signer = KeySigner(key) if key is not None else _new_signer()
    content = create_keyfile_json(signer.expose_key(), password.encode(), version=3, kdf="scrypt", iterations=_SCRYPT_ROUNDS[strength])
    try:
        path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb") as file:
            file.write(msgspec.json.encode(content))
    except FileExistsError:
        raise InputError(f"there is a wallet at {path} already", hint="choose another name; a wallet is never overwritten") from None
    except OSError as error:
        raise InputError(f"the wallet {path} cannot be written: {error.strerror}") from None
    return signer


def load_keystore(path: Path, password: str) -> KeySigner:
    """
    Open a keystore file.

    Args:
        path: The file.
        password: Its password.

    Raises:
        InputError: There is no such file, it is no keystore, or the password is wrong.
    """
    text = _read(path)
    _check(path, text)
    try:
        return KeySigner(decode_keyfile_json(msgspec.json.decode(text), password.encode()))
    except ValueError:
        raise InputError(f"the password of the wallet {path} is wrong") from None
    except (KeyError, TypeError, NotImplementedError):
        raise _not_a_keystore(path) from None


def keystore_address(path: Path) -> Address:
    """
    Tell whose a keystore file is, without opening it.

    Args:
        path: The file.

    Raises:
        InputError: There is no such file, it is no keystore, or it does not say.
    """
    content = _check(path, _read(path))
    if not content.address:
        raise InputError(f"the wallet {path} does not say its address", hint="open it with its password instead")
    try:
        return as_address("0x" + content.address.lower().removeprefix("0x"))
    except InputError:
        raise _not_a_keystore(path) from None


def _new_signer() -> KeySigner:
    while True:
        try:
            return KeySigner(secrets.token_bytes(32))
        except InputError:  # zero or above the curve's order: one draw in 2^127
            continue


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise _not_a_keystore(path)
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no wallet at {path}", hint="make one with `voisin wallet create`") from None
    except OSError as error:
        raise InputError(f"the wallet {path} cannot be read: {error.strerror}") from None


def _check(path: Path, text: bytes) -> _File:
    """Refuse what is no keystore, and one whose opening would eat the machine's memory."""
    try:
        content = msgspec.json.decode(text.lower(), type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _not_a_keystore(path) from None
    rounds, size = content.crypto.kdfparams.get("n", 0), content.crypto.kdfparams.get("r", 0)
    if content.version != 3 or (isinstance(rounds, int) and isinstance(size, int) and 128 * rounds * size > _MOST_SCRYPT_BYTES):
        raise _not_a_keystore(path)
    return content


def _not_a_keystore(path: Path) -> InputError:
    return InputError(f"{path} is not a keystore file", hint="a keystore is a JSON file of version 3, as Ethereum wallets write it")
