"""
Wallets on disk: encrypted keystore files, version 3, as every Ethereum wallet reads them.

Opening and making one takes about a second on purpose (scrypt), and blocks: call these functions off the loop.

Source: Web3 Secret Storage Definition, version 3.
"""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from voisin.chain.keystore_cipher import Pbkdf2Sealed, ScryptSealed, seal
from voisin.errors import InputError
from voisin.protocol.ids import Address, as_address
from voisin.protocol.signatures import KeySigner

Strength = Literal["standard", "light"]

_SCRYPT_ROUNDS = {"standard": 2**17, "light": 2**12}
_MODE = 0o600
_FOLDER_MODE = 0o700
_MOST_BYTES = 2**16


class _File(msgspec.Struct):
    version: Literal[3]
    crypto: ScryptSealed | Pbkdf2Sealed
    address: str = ""
    id: str = ""


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
    sealed = seal(signer.expose_key(), password, rounds=_SCRYPT_ROUNDS[strength])
    content = _File(version=3, crypto=sealed, address=signer.address.lower().removeprefix("0x"), id=str(uuid.uuid4()))
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
    key = _decode(path, _read(path)).crypto.open(password)
    if key is None:
        raise InputError(f"the password of the wallet {path} is wrong")
    try:
        return KeySigner(key)
    except InputError:
        raise _not_a_keystore(path) from None


def open_wallet(keystore: Path, password_file: Path) -> KeySigner:
    """
    Open a keystore file with the password that another file holds.

    Raises:
        InputError: The password file cannot be read, or as for `load_keystore`.
    """
    try:
        password = password_file.read_text().strip()
    except OSError as error:
        raise InputError(f"the password file {password_file} cannot be read: {error.strerror}", hint="check the path") from None
    return load_keystore(keystore, password)


def wallet_from_environment(environment: Mapping[str, str], prefix: str) -> KeySigner:
    """
    Open the wallet whose keystore and password file the variables `<prefix>KEYSTORE` and `<prefix>PASSWORD_FILE` name.

    Raises:
        InputError: A variable is missing, or as for `open_wallet`.
    """
    paths = []
    for name in (f"{prefix}KEYSTORE", f"{prefix}PASSWORD_FILE"):
        if not environment.get(name):
            raise InputError(f"the variable {name} is missing", hint="set it to the path of the file")
        paths.append(Path(environment[name]))
    return open_wallet(*paths)


def keystore_address(path: Path) -> Address:
    """
    Tell whose a keystore file is, without opening it.

    Args:
        path: The file.

    Raises:
        InputError: There is no such file, it is no keystore, or it does not say.
    """
    content = _decode(path, _read(path))
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


def _decode(path: Path, text: bytes) -> _File:
    try:
        return msgspec.json.decode(text.lower(), type=_File)  # some programs write capitals
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _not_a_keystore(path) from None


def _not_a_keystore(path: Path) -> InputError:
    return InputError(f"{path} is not a keystore file", hint="a keystore is a JSON file of version 3, as Ethereum wallets write it")
