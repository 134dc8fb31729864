"""
Where a vault's keys come from: a file that only its owner may read, away from the records, or the environment.

The file has one key a line, 32 bytes in base64, the newest first; lines that start with # are comments. Records that are under an
older key are sealed anew at the next start; after that the older line may go.
"""

from __future__ import annotations

import base64
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from voisin.errors import InputError
from voisin.vault.keyring import KEY_BYTES, Keyring
from voisin.vault.settings import VaultSettings

_MODE: Final = 0o600
_OTHERS: Final = 0o077
_MOST_BYTES: Final = 2**16
_MAKE: Final = "make one with `voisin vault key FILE`"


def open_keyring(settings: VaultSettings) -> Keyring:
    """
    Read the keys that a vault's settings name.

    Raises:
        InputError: There is none, it is malformed, others may read the file, or it lies beside the records.
    """
    given, path = settings.key.get_secret_value(), settings.key_file
    if bool(given) == (path is not None):
        raise InputError("a vault needs its keys, from a file or directly", hint=f"set VOISIN_VAULT_KEY_FILE or VOISIN_VAULT_KEY; {_MAKE}")
    if path is None:
        return Keyring(_decoded(given.split(","), "VOISIN_VAULT_KEY"), secrets.token_bytes)
    _require_apart(path, settings.database_url)
    return Keyring(_decoded(_read(path).splitlines(), str(path)), secrets.token_bytes)


def create_key_file(path: Path) -> str:
    """
    Write a new key file that only its owner may read.

    Args:
        path: Where; missing folders are made.

    Returns:
        The id of the key.

    Raises:
        InputError: There is a file already, or it cannot be written.
    """
    key = secrets.token_bytes(KEY_BYTES)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb") as file:
            file.write(base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise InputError(f"there is a key file at {path} already", hint="a key is never overwritten: records may be under it") from None
    except OSError as error:
        raise InputError(f"the key file {path} cannot be written: {error.strerror}") from None
    return Keyring([key], secrets.token_bytes).current


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
                raise InputError(f"{path} is no key file", hint=_MAKE)
            if status.st_mode & _OTHERS:
                raise InputError(f"others may read or change the key file {path}", hint=f"chmod 600 {path}")
            return file.read().decode("ascii", errors="replace")
    except FileNotFoundError:
        raise InputError(f"there is no key file at {path}", hint=_MAKE) from None
    except OSError as error:
        raise InputError(f"the key file {path} cannot be read: {error.strerror}") from None


def _decoded(lines: Iterable[str], where: str) -> list[bytes]:
    keys = []
    for line in (line.strip() for line in lines):
        if not line or line.startswith("#"):
            continue
        try:
            key = base64.b64decode(line, validate=True)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise InputError(f"a key in {where} is none: a key is {KEY_BYTES} bytes in base64", hint=_MAKE)
        keys.append(key)
    if not keys:
        raise InputError(f"there is no key in {where}", hint=_MAKE)
    return keys


def _require_apart(path: Path, database_url: str) -> None:
    """See that whoever copies the records' folder does not copy the key with it."""
    try:
        url = make_url(database_url)
    except ArgumentError:
        return  # opening the database says what is wrong with it
    if url.get_backend_name() != "sqlite" or not url.database:
        return
    folder = Path(url.database).absolute().parent.resolve()
    if path.resolve().is_relative_to(folder) or path.absolute().is_relative_to(folder):
        raise InputError(f"the key file {path} lies in the folder of the records, {folder}", hint="keep it elsewhere")
