"""
A mark outside the database: how many changes were made that must never be forgotten.

Which tasks got their keys, and which orders were revoked, lie in the database; one that is brought back from an old backup has
forgotten some. Each such change counts up a number in the database, and then here, in a file beside the keys. A database whose
number is lower than the mark is older than it should be.

The file has one line for each vault: its address and the number. It only ever grows. Processes of one vault on one machine share
it; on several machines they share its folder, as they share the key.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar

import anyio.to_thread
import structlog

from voisin.errors import InputError, UnavailableError
from voisin.protocol.ids import Address
from voisin.vault.settings import VaultSettings

T = TypeVar("T")

_MODE: Final = 0o600
_MOST_BYTES: Final = 2**16
_log = structlog.get_logger()


class Mark(Protocol):
    """Where the number is kept."""

    async def read(self) -> int | None:
        """Tell the number; None when there is none yet."""
        ...

    async def raise_to(self, serial: int) -> None:
        """Keep a number, if it is higher; it is there for good when this returns."""
        ...


class NoMark:
    """No mark: a database from an old backup goes unnoticed."""

    async def read(self) -> int | None:
        """Tell the number that a database may not be below."""
        return 0

    async def raise_to(self, serial: int) -> None:
        """Keep nothing."""


class MarkFile:
    """A mark in a file."""

    def __init__(self, path: Path, vault: Address) -> None:
        """
        Args:
            path: The file.
            vault: The vault's address.
        """
        self._path = path
        self._vault = vault

    async def read(self) -> int | None:
        """
        Tell the number; None when there is none yet.

        Raises:
            UnavailableError: The file cannot be read.
            InputError: It is malformed.
        """
        return await anyio.to_thread.run_sync(self._with_lines, lambda lines: lines.get(self._vault))

    async def raise_to(self, serial: int) -> None:
        """
        Keep a number, if it is higher; it is there for good when this returns.

        Raises:
            UnavailableError: The file cannot be written.
            InputError: It is malformed.
        """

        def change(lines: dict[str, int]) -> None:
            if serial > lines.get(self._vault, -1):
                lines[self._vault] = serial

        await anyio.to_thread.run_sync(self._with_lines, change)

    def _with_lines(self, use: Callable[[dict[str, int]], T]) -> T:
        try:
            with os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE), "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                text = file.read(_MOST_BYTES)
                before = self._parsed(text)
                lines = dict(before)
                answer = use(lines)
                if lines != before:
                    written = "".join(f"{vault} {serial:020d}\n" for vault, serial in lines.items()).encode()
                    file.seek(0)
                    file.write(written)  # lines keep their length: a torn write leaves one number or the other, or one between
                    file.flush()
                    os.fsync(file.fileno())
                return answer
        except OSError as error:
            hint = "set VOISIN_VAULT_MARK_FILE to a file that the vault may write, outside of the database"
            raise UnavailableError(f"the mark {self._path} cannot be used: {error.strerror}", hint=hint) from None

    def _parsed(self, text: bytes) -> dict[str, int]:
        try:
            return {vault: int(serial) for vault, serial in (line.split() for line in text.decode().splitlines())}
        except ValueError:
            hint = "move it away; the vault then takes its records for restored, and serves no deal from before"
            raise InputError(f"the mark {self._path} is malformed", hint=hint) from None


def open_mark(settings: VaultSettings, vault: Address) -> Mark:
    """
    Find where a vault's mark is: the file that the settings name, or else one beside the key file.

    A vault that has its keys from its environment, and names no file, has none.
    """
    path = settings.mark_file or (settings.key_file and settings.key_file.with_name(f"{settings.key_file.name}.mark"))
    if path is None:
        _log.warning("vault_has_no_mark", hint="set VOISIN_VAULT_MARK_FILE, so that a database from an old backup is noticed")
        return NoMark()
    return MarkFile(path, vault)
