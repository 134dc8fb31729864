"""The state of the chain as SQLite holds it: now, now with a cache, and after any block of the past."""

from __future__ import annotations

import sqlite3

from voisin.chain.devnet.engines.engine import StateReader
from voisin.chain.devnet.values import EMPTY_ACCOUNT, EMPTY_CODE_HASH, Account, Changes

_CACHE_LIMIT = 200_000


def number_blob(number: int) -> bytes:
    """
    Write a number as the tables hold it.

    Args:
        number: Zero or more.

    Returns:
        Big-endian bytes without leading zeros.
    """
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def word_blob(number: int) -> bytes:
    """
    Write a slot number as the tables hold it.

    Args:
        number: Below 2**256.

    Returns:
        32 bytes.
    """
    return number.to_bytes(32, "big")


class StoredState:
    """
    The latest state, read from the tables each time.

    Args:
        connection: A connection used by this thread only.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def account(self, address: bytes) -> Account:
        """Read an account; see `StateReader`."""
        row = self._connection.execute("SELECT nonce, balance, code_hash FROM account WHERE address=?", (address,)).fetchone()
        return Account(row[0], int.from_bytes(row[1], "big"), row[2]) if row else EMPTY_ACCOUNT

    def slot(self, address: bytes, slot: int) -> int:
        """Read a slot; see `StateReader`."""
        row = self._connection.execute("SELECT value FROM slot WHERE address=? AND slot=?", (address, word_blob(slot))).fetchone()
        return int.from_bytes(row[0], "big") if row else 0

    def code(self, code_hash: bytes) -> bytes:
        """Read code; see `StateReader`."""
        if code_hash == EMPTY_CODE_HASH:
            return b""
        row = self._connection.execute("SELECT code FROM code WHERE hash=?", (code_hash,)).fetchone()
        return bytes(row[0])


class PastState:
    """
    The state as a block of the past left it: the oldest undo record of a later block, or else the present value.

    Args:
        connection: A connection used by this thread only.
        present: The latest state.
        block: Height of the block.
    """

    def __init__(self, connection: sqlite3.Connection, present: StateReader, *, block: int) -> None:
        self._connection = connection
        self._present = present
        self._block = block

    def account(self, address: bytes) -> Account:
        """Read an account; see `StateReader`."""
        row = self._connection.execute(
            "SELECT nonce, balance, code_hash FROM undo_account WHERE address=? AND block>? ORDER BY block LIMIT 1", (address, self._block)
        ).fetchone()
        return Account(row[0], int.from_bytes(row[1], "big"), row[2]) if row else self._present.account(address)

    def slot(self, address: bytes, slot: int) -> int:
        """Read a slot; see `StateReader`."""
        row = self._connection.execute(
            "SELECT value FROM undo_slot WHERE address=? AND slot=? AND block>? ORDER BY block LIMIT 1",
            (address, word_blob(slot), self._block),
        ).fetchone()
        return int.from_bytes(row[0], "big") if row else self._present.slot(address, slot)

    def code(self, code_hash: bytes) -> bytes:
        """Read code; see `StateReader`."""
        return self._present.code(code_hash)


class CachedState:
    """
    The latest state with what was read or written lately kept in memory.

    Args:
        stored: Where the rest comes from.
    """

    def __init__(self, stored: StoredState) -> None:
        self._stored = stored
        self._accounts: dict[bytes, Account] = {}
        self._slots: dict[tuple[bytes, int], int] = {}
        self._codes: dict[bytes, bytes] = {EMPTY_CODE_HASH: b""}

    def account(self, address: bytes) -> Account:
        """Read an account; see `StateReader`."""
        found = self._accounts.get(address)
        if found is None:
            found = self._accounts[address] = self._stored.account(address)
        return found

    def slot(self, address: bytes, slot: int) -> int:
        """Read a slot; see `StateReader`."""
        found = self._slots.get((address, slot))
        if found is None:
            found = self._slots[address, slot] = self._stored.slot(address, slot)
        return found

    def code(self, code_hash: bytes) -> bytes:
        """Read code; see `StateReader`."""
        found = self._codes.get(code_hash)
        if found is None:
            found = self._codes[code_hash] = self._stored.code(code_hash)
        return found

    def apply(self, changes: Changes) -> None:
        """
        Take over what a sealed block has changed.

        Args:
            changes: New values, already in the tables.
        """
        self._accounts.update(changes.accounts)
        self._slots.update(changes.slots)
        self._codes.update(changes.codes)
        if max(len(self._accounts), len(self._slots)) > _CACHE_LIMIT:
            self.forget()

    def forget(self) -> None:
        """Read everything from the tables again."""
        self._accounts.clear()
        self._slots.clear()
        self._codes = {EMPTY_CODE_HASH: b""}
