"""Reading a chain's file to check it: what each block says that it changed, what it keeps to take that back, and the tables as a whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voisin.chain.devnet.records.archive import Archive
from voisin.chain.devnet.records.schema import require_chain
from voisin.chain.devnet.values import EMPTY_CODE_HASH, Account, Changes
from voisin.errors import InputError

_DAMAGED = "take a copy from before, or start a new chain in another file"


class AuditArchive(Archive):
    """
    Reads all of a chain's file; used by one thread.

    Args:
        path: The chain's file.

    Raises:
        InputError: There is no such file, or it is no chain of this version.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(f"there is no file {path}", hint="name the file that was given as --db")
        super().__init__(path)
        try:
            if not require_chain(self._connection, path):
                raise InputError(f"{path} is empty: it holds no chain", hint="name the file that was given as --db")
        except InputError:
            self.close()
            raise

    def damage(self) -> str | None:
        """
        Let SQLite look over the file itself.

        Returns:
            What it finds wrong; None for nothing.
        """
        found = self._connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        return None if found == "ok" else str(found)

    def has_genesis(self) -> bool:
        """Tell whether the chain has begun: a process may end between laying the tables and sealing the first block."""
        return self._connection.execute("SELECT 1 FROM block LIMIT 1").fetchone() is not None

    def chain_id(self) -> int:
        """Read the chain's id."""
        return int(self._connection.execute("SELECT value FROM meta WHERE key='chain_id'").fetchone()[0])

    def tx_hash(self, number: int) -> bytes:
        """Read under which hash the transaction of a block is found."""
        return bytes(self._connection.execute("SELECT hash FROM tx WHERE block=?", (number,)).fetchone()[0])

    def undone(self, number: int) -> Changes:
        """
        Read what a block keeps to take its changes back.

        Args:
            number: Height of the block.

        Returns:
            The values before it of all that it changed; no codes.
        """
        accounts = self._connection.execute("SELECT address, nonce, balance, code_hash FROM undo_account WHERE block=?", (number,))
        slots = self._connection.execute("SELECT address, slot, value FROM undo_slot WHERE block=?", (number,))
        return Changes(dict(map(_account, accounts)), dict(map(_slot, slots)), {})

    def changes(self, number: int) -> Changes:
        """
        Read what a block changed, from its undo records and the values after it; that is how changes by hand are recorded.

        Args:
            number: Height of the block.

        Returns:
            New values, with the code that accounts have after it.
        """
        before, after = self.undone(number), self.state_after(number)
        accounts = {address: after.account(address) for address in before.accounts}
        codes = {account.code_hash: after.code(account.code_hash) for account in accounts.values()}
        codes.pop(EMPTY_CODE_HASH, None)
        return Changes(accounts, {place: after.slot(*place) for place in before.slots}, codes)

    def accounts(self) -> Iterator[tuple[bytes, Account]]:
        """Read all accounts of the latest state."""
        return map(_account, self._connection.execute("SELECT address, nonce, balance, code_hash FROM account"))

    def slots(self) -> Iterator[tuple[tuple[bytes, int], int]]:
        """Read all storage slots of the latest state."""
        return map(_slot, self._connection.execute("SELECT address, slot, value FROM slot"))


@contextmanager
def open_audit(path: Path) -> Iterator[AuditArchive]:
    """
    Open a chain's file to check it, as it is at one moment.

    Args:
        path: The chain's file.

    Raises:
        InputError: There is no such file, it is no chain of this version, or it is damaged.
    """
    archive = AuditArchive(path)
    try:
        with archive.one_moment():
            yield archive
    except sqlite3.DatabaseError as error:
        raise InputError(f"{path} is damaged: {error}", hint=_DAMAGED) from None
    finally:
        archive.close()


def _account(row: tuple[bytes, int, bytes, bytes]) -> tuple[bytes, Account]:
    return row[0], Account(row[1], int.from_bytes(row[2], "big"), row[3])


def _slot(row: tuple[bytes, bytes, bytes]) -> tuple[tuple[bytes, int], int]:
    return (row[0], int.from_bytes(row[1], "big")), int.from_bytes(row[2], "big")
