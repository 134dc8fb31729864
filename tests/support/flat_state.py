"""Accounts and storage of an in-process EVM as plain dictionaries with a journal: no tries, so snapshots and writes are cheap."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, NamedTuple

from eth.abc import AccountDatabaseAPI
from eth.db.journal import get_next_checkpoint
from eth_hash.auto import keccak

NO_CODE = keccak(b"")


class AccountRecord(NamedTuple):
    """One account; its code is kept by hash."""

    nonce: int = 0
    balance: int = 0
    code_hash: bytes = NO_CODE


ABSENT = AccountRecord()
Changes = list[tuple[MutableMapping[Any, Any], object, object]]


class FlatState(AccountDatabaseAPI):  # type: ignore[misc]
    """What py-evm reads and writes. Every write can be undone, within a transaction and across several."""

    state_root = bytes(32)

    def __init__(self) -> None:
        self._accounts: dict[bytes, AccountRecord] = {}
        self._slots: dict[tuple[bytes, int], int] = {}
        self._codes: dict[bytes, bytes] = {NO_CODE: b""}
        self._warm: dict[object, bool] = {}
        self._first: dict[tuple[bytes, int], int] = {}
        self._journal: list[tuple[MutableMapping[Any, Any], object, object]] = []
        self._checkpoints: dict[object, int] = {}

    # --- transactions and snapshots
    def begin(self) -> None:
        """Start a transaction: nothing is warm, and what is there now is what it started from."""
        self._warm.clear()
        self._first.clear()
        self._checkpoints.clear()

    def mark(self) -> int:
        """Remember the present."""
        return len(self._journal)

    def rewind(self, mark: int) -> None:
        """Undo all that was written since `mark`."""
        while len(self._journal) > mark:
            table, key, old = self._journal.pop()
            if old is None:
                table.pop(key, None)
            else:
                table[key] = old

    def changes_since(self, mark: int) -> Changes:
        """List what accounts and slots hold now that were written since `mark`."""
        found = {(id(table), key): (table, key) for table, key, _ in self._journal[mark:] if table is not self._warm}
        return [(table, key, table[key]) for table, key in found.values()]

    def apply(self, changes: Changes) -> None:
        """Write what an equal state was found to hold after the same transaction."""
        for table, key, value in changes:
            self._write(table, key, value)

    def record(self) -> object:
        checkpoint = get_next_checkpoint()
        self._checkpoints[checkpoint] = self.mark()
        return checkpoint

    def commit(self, checkpoint: object) -> None:
        self._checkpoints.pop(checkpoint, None)

    def discard(self, checkpoint: object) -> None:
        self.rewind(self._checkpoints.pop(checkpoint))

    def _write(self, table: MutableMapping[Any, Any], key: object, value: object) -> None:
        self._journal.append((table, key, table.get(key)))
        table[key] = value

    def lock_changes(self) -> None:
        """Nothing to do: `begin` starts the next transaction."""

    def make_state_root(self) -> bytes:
        return self.state_root

    def has_root(self, state_root: bytes) -> bool:
        return True

    def persist(self) -> None:
        """Nothing to do: there is no disk."""

    # --- storage
    def get_storage(self, address: bytes, slot: int, from_journal: bool = True) -> int:
        key = (address, slot)
        if not from_journal and key in self._first:
            return self._first[key]
        return self._slots.get(key, 0)

    def set_storage(self, address: bytes, slot: int, value: int) -> None:
        key = (address, slot)
        self._first.setdefault(key, self._slots.get(key, 0))
        self._write(self._slots, key, value)

    def delete_storage(self, address: bytes) -> None:
        for key in [key for key in self._slots if key[0] == address]:
            self._write(self._slots, key, 0)

    def is_storage_warm(self, address: bytes, slot: int) -> bool:
        return (address, slot) in self._warm

    def mark_storage_warm(self, address: bytes, slot: int) -> None:
        if (address, slot) not in self._warm:
            self._write(self._warm, (address, slot), True)

    # --- accounts
    def account(self, address: bytes) -> AccountRecord:
        """The whole record of an account."""
        return self._accounts.get(address, ABSENT)

    def put_account(self, address: bytes, record: AccountRecord) -> None:
        """Write the whole record of an account."""
        self._write(self._accounts, address, record)

    def code(self, code_hash: bytes) -> bytes:
        """Code by its hash."""
        return self._codes[code_hash]

    def keep_code(self, code_hash: bytes, code: bytes) -> None:
        """Keep code, whether or not an account has it."""
        self._codes[code_hash] = code

    def get_nonce(self, address: bytes) -> int:
        return self.account(address).nonce

    def set_nonce(self, address: bytes, nonce: int) -> None:
        self._write(self._accounts, address, self.account(address)._replace(nonce=nonce))

    def increment_nonce(self, address: bytes) -> None:
        self.set_nonce(address, self.get_nonce(address) + 1)

    def get_balance(self, address: bytes) -> int:
        return self.account(address).balance

    def set_balance(self, address: bytes, balance: int) -> None:
        self._write(self._accounts, address, self.account(address)._replace(balance=balance))

    def get_code(self, address: bytes) -> bytes:
        return self._codes[self.account(address).code_hash]

    def get_code_hash(self, address: bytes) -> bytes:
        return self.account(address).code_hash

    def set_code(self, address: bytes, code: bytes) -> None:
        code_hash = keccak(code)
        self._codes[code_hash] = bytes(code)
        self._write(self._accounts, address, self.account(address)._replace(code_hash=code_hash))

    def delete_code(self, address: bytes) -> None:
        self.set_code(address, b"")

    def delete_account(self, address: bytes) -> None:
        self.delete_storage(address)
        self._write(self._accounts, address, ABSENT)

    def account_exists(self, address: bytes) -> bool:
        return self.account(address) != ABSENT

    def account_is_empty(self, address: bytes) -> bool:
        return self.account(address) == ABSENT

    def account_has_code_or_nonce(self, address: bytes) -> bool:
        account = self.account(address)
        return account.nonce != 0 or account.code_hash != NO_CODE

    def copy_account(self, source: bytes, target: bytes) -> None:
        """Give another address the same record and storage."""
        self._write(self._accounts, target, self.account(source))
        for (address, slot), value in list(self._slots.items()):
            if address == source:
                self._write(self._slots, (target, slot), value)

    def touch_account(self, address: bytes) -> None:
        """Nothing to do: there is no difference between an empty and a missing account."""

    def is_address_warm(self, address: bytes) -> bool:
        return address in self._warm

    def mark_address_warm(self, address: bytes) -> None:
        if address not in self._warm:
            self._write(self._warm, address, True)
