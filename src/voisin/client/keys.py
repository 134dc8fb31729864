"""
The key pairs of readers: results that are sealed for an account open with the private half, which stays in the home folder.

A new pair does not replace the old ones: results that were sealed before open with the key of their time.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

from voisin.errors import InputError
from voisin.protocol.ids import Address, TaskId
from voisin.protocol.sealed_result import new_reader_pair

SECRETS_FOLDER = "secrets"
RSA_BITS = 3_072

_OURS, _FOREIGN = "key", "pem"
_MODE = 0o600
_FOLDER_MODE = 0o700


class ReaderKeys:
    """
    The private keys of readers in a folder, ours and in the protocol's own form, each in a file that only its owner may read.

    Attributes:
        ask: Asks the vault for the key of a result that waits for a release; None where nobody can be asked.
    """

    def __init__(self, folder: Path, *, bits: int = RSA_BITS) -> None:
        """
        Args:
            folder: Where they lie; made when it is needed.
            bits: Size of new keys in the form of the protocol's clients [bits].
        """
        self.folder = folder
        self.ask: Callable[[TaskId], Awaitable[bytes]] | None = None
        self._bits = bits

    def create(self, reader: Address, *, is_foreign: bool = False) -> str:
        """
        Make a key pair, and keep its private half.

        Args:
            reader: Whose results it opens.
            is_foreign: Whether it has the form of the protocol's own clients (RSA), which takes some seconds to make.

        Returns:
            The public half as vaults keep it: our own form, or base64 of the key in PEM.

        Raises:
            InputError: The private half cannot be written.
        """
        if not is_foreign:
            ours = new_reader_pair(secrets.token_bytes)
            self._keep(reader, _OURS, ours.private.encode())
            return ours.public
        from Crypto.PublicKey import RSA  # slow to load, and needed by few

        pair = RSA.generate(self._bits)
        self._keep(reader, _FOREIGN, pair.export_key(pkcs=8))
        return base64.b64encode(pair.public_key().export_key()).decode()

    def private(self, reader: Address) -> list[str]:
        """
        Read the private keys of a reader, the newest first: ours as text, the others in PEM.

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

    def _keep(self, reader: Address, form: str, data: bytes) -> None:
        path = self._path(reader, len(self._files(reader)) + 1, form)
        try:
            self.folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(f"the key {path} cannot be written: {error.strerror}", hint="check the folder and its permissions") from None

    def _files(self, reader: Address) -> list[Path]:
        found: list[Path] = []
        while here := [path for form in (_OURS, _FOREIGN) if (path := self._path(reader, len(found) + 1, form)).exists()]:
            found.append(here[0])
        return found

    def _path(self, reader: Address, number: int, form: str) -> Path:
        return self.folder / f"result-key-{reader}-{number}.{form}"
