"""Encrypting a file that is to be rented out, in the form that the protocol's clients read; its key goes into a file of its own."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from voisin.errors import InputError
from voisin.protocol.datasets import encrypt_dataset, new_dataset_key
from voisin.protocol.ids import Hash32

_MODE = 0o600


def encrypt_file(source: Path, target: Path, key_file: Path) -> Hash32:
    """
    Encrypt a file with a new key, in pieces: files of any size take little memory.

    Args:
        source: The file.
        target: Where the encrypted file goes; there must be none.
        key_file: Where the key goes, readable by its owner only; there must be none.

    Returns:
        The checksum of the encrypted file, for its entry in the registry.

    Raises:
        InputError: The source cannot be read, or one of the others is there already or cannot be written.
    """
    for path in (target, key_file):
        if path.exists():
            raise InputError(f"there is a file {path} already", hint="choose another name; keys and data are never overwritten")
    key, partial = new_dataset_key(secrets.token_bytes), target.with_name(target.name + ".part")
    try:
        with source.open("rb") as clear:
            with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "w") as file:
                file.write(key + "\n")
                file.flush()
                os.fsync(file.fileno())
            with partial.open("wb") as sealed:
                checksum = encrypt_dataset(clear, sealed, key, secrets.token_bytes)
        partial.replace(target)
    except OSError as error:
        raise InputError(f"{error.filename or source} cannot be read or written: {error.strerror}", hint="check the path") from None
    return checksum
