"""
The key pairs of readers: results that are sealed for an account open with the private half, which stays in the home folder.

A new pair does not replace the old ones: results that were sealed before open with the key of their time.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

from voisin.errors import InputError
from voisin.protocol.ids import Address

SECRETS_FOLDER = "secrets"
RSA_BITS = 3_072

_MODE = 0o600
_FOLDER_MODE = 0o700


class ReaderKeys:
    """The private keys of readers in a folder, each in a file that only its owner may read."""

    def __init__(self, folder: Path, *, bits: int = RSA_BITS) -> None:
        """
        Args:
            folder: Where they lie; made when it is needed.
            bits: Size of new keys [bits].
        """
        self.folder = folder
        self._bits = bits

    def create(self, reader: Address) -> str:
        """
        Make a key pair, which takes some seconds, and keep its private half.

        Args:
            reader: Whose results it opens.

        Returns:
            The public half as vaults keep it: base64 of the key in PEM.

        Raises:
            InputError: The private half cannot be written.
        """
        from Crypto.PublicKey import RSA  # slow to load, and needed by few

        pair = RSA.generate(self._bits)
        path = self._path(reader, len(self._files(reader)) + 1)
        try:
            self.folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb") as file:
                file.write(pair.export_key(pkcs=8))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(f"the key {path} cannot be written: {error.strerror}", hint="check the folder and its permissions") from None
        return base64.b64encode(pair.public_key().export_key()).decode()

    def private(self, reader: Address) -> list[str]:
        """
        Read the private keys of a reader in PEM, the newest first.

        Raises:
            InputError: One of them cannot be read.
        """
        keys = []
        for path in reversed(self._files(reader)):
            try:
                keys.append(path.read_text())
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"the key {path} cannot be read: {error}", hint="check its permissions") from None
        return keys

    def _files(self, reader: Address) -> list[Path]:
        found: list[Path] = []
        while (path := self._path(reader, len(found) + 1)).exists():
            found.append(path)
        return found

    def _path(self, reader: Address, number: int) -> Path:
        return self.folder / f"result-key-{reader}-{number}.pem"
