"""
py-evm's account database as flat dictionaries over a `StateReader`: no tries, so that a write costs what a write costs.

One instance lives for one execution. Writes go to an overlay with an undo journal; `changes` reads the overlay out at the end.
An account without nonce, balance and code does not exist here (EIP-161), so touching and clearing need no bookkeeping.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from eth.abc import AccountDatabaseAPI, MetaWitnessAPI
from eth.db.journal import get_next_checkpoint
from eth.typing import JournalDBCheckpoint
from eth_hash.auto import keccak
from eth_typing import Address, Hash32

from voisin.chain.devnet.engines.engine import StateReader
from voisin.chain.devnet.values import EMPTY_ACCOUNT, EMPTY_CODE_HASH, ZERO_HASH, Account, Changes

K = TypeVar("K")
V = TypeVar("V")


class FlatState(AccountDatabaseAPI):
    """
    State during one execution.

    Args:
        reader: The state before.
        state_root: Ignored; py-evm passes it to every account database.
    """

    state_root = Hash32(ZERO_HASH)  # py-evm carries it through its snapshots; nothing here is hashed

    def __init__(self, reader: StateReader, state_root: Hash32 = state_root) -> None:
        del state_root
        self._reader = reader
        self._accounts: dict[bytes, Account] = {}
        self._slots: dict[tuple[bytes, int], int] = {}
        self._codes: dict[bytes, bytes] = {EMPTY_CODE_HASH: b""}
        self._warm: dict[tuple[bytes, int] | bytes, bool] = {}
        self._journal: list[Callable[[], object]] = []
        self._marks: dict[JournalDBCheckpoint, int] = {}

    def changes(self) -> Changes:
        """
        Read out what differs from the state before.

        Returns:
            New values only; a value written and written back is not among them.
        """
        reader = self._reader
        accounts = {address: new for address, new in self._accounts.items() if new != reader.account(address)}
        slots = {key: new for key, new in self._slots.items() if new != reader.slot(*key)}
        given = {new.code_hash for address, new in accounts.items() if new.code_hash != reader.account(address).code_hash}
        return Changes(accounts, slots, {code_hash: self._codes[code_hash] for code_hash in given if code_hash != EMPTY_CODE_HASH})

    # The journal: one entry undoes one write.

    def record(self) -> JournalDBCheckpoint:
        """Mark the present; py-evm wants marks that never repeat."""
        mark = get_next_checkpoint()
        self._marks[mark] = len(self._journal)
        return mark

    def commit(self, checkpoint: JournalDBCheckpoint) -> None:
        """Keep what was written since the mark."""
        self._marks.pop(checkpoint, None)

    def discard(self, checkpoint: JournalDBCheckpoint) -> None:
        """Undo what was written since the mark."""
        keep = self._marks.pop(checkpoint)
        journal = self._journal
        while len(journal) > keep:
            journal.pop()()

    def _put(self, table: dict[K, V], key: K, value: V) -> None:
        if key in table:
            self._journal.append(partial(table.__setitem__, key, table[key]))
        else:
            self._journal.append(partial(table.__delitem__, key))
        table[key] = value

    # Storage.

    def get_storage(self, address: Address, slot: int, from_journal: bool = True) -> int:
        """Value of a slot; without the journal, its value before this execution."""
        if from_journal and (value := self._slots.get((address, slot))) is not None:
            return value
        return self._reader.slot(address, slot)

    def set_storage(self, address: Address, slot: int, value: int) -> None:
        """Write a slot."""
        self._put(self._slots, (address, slot), value)

    def delete_storage(self, address: Address) -> None:
        """Zero all slots of an address; only a contract of this very execution can have any (EIP-6780)."""
        for key in [key for key, value in self._slots.items() if key[0] == address and value]:
            self._put(self._slots, key, 0)

    def is_storage_warm(self, address: Address, slot: int) -> bool:
        """Whether this execution has used the slot (EIP-2929)."""
        return (address, slot) in self._warm

    def mark_storage_warm(self, address: Address, slot: int) -> None:
        """Note that the slot was used."""
        self._put(self._warm, (address, slot), True)

    def is_address_warm(self, address: Address) -> bool:
        """Whether this execution has used the address (EIP-2929)."""
        return address in self._warm

    def mark_address_warm(self, address: Address) -> None:
        """Note that the address was used."""
        if address not in self._warm:
            self._put(self._warm, address, True)

    def warm(self) -> tuple[frozenset[bytes], frozenset[tuple[bytes, int]]]:
        """
        Tell what this execution has used.

        Returns:
            Addresses, and slots of addresses.
        """
        addresses = frozenset(key for key in self._warm if isinstance(key, bytes))
        return addresses, frozenset(key for key in self._warm if isinstance(key, tuple))

    # Accounts.

    def account(self, address: bytes) -> Account:
        """
        Read an account as this execution has left it.

        Args:
            address: 20 bytes.

        Returns:
            The account.
        """
        return self._accounts.get(address) or self._reader.account(address)

    def get_balance(self, address: Address) -> int:
        """Native coin [wei]."""
        return self.account(address).balance

    def set_balance(self, address: Address, balance: int) -> None:
        """Write a balance [wei]."""
        self._put(self._accounts, address, self.account(address)._replace(balance=balance))

    def get_nonce(self, address: Address) -> int:
        """Transaction or creation count."""
        return self.account(address).nonce

    def set_nonce(self, address: Address, nonce: int) -> None:
        """Write a nonce."""
        self._put(self._accounts, address, self.account(address)._replace(nonce=nonce))

    def increment_nonce(self, address: Address) -> None:
        """Add one to a nonce."""
        self.set_nonce(address, self.get_nonce(address) + 1)

    def set_code(self, address: Address, code: bytes) -> None:
        """Give an account its code."""
        code_hash = keccak(code)
        self._codes[code_hash] = bytes(code)
        self._put(self._accounts, address, self.account(address)._replace(code_hash=code_hash))

    def get_code(self, address: Address) -> bytes:
        """Code of an account."""
        code_hash = self.account(address).code_hash
        code = self._codes.get(code_hash)
        if code is None:
            code = self._codes[code_hash] = self._reader.code(code_hash)
        return code

    def get_code_hash(self, address: Address) -> Hash32:
        """Hash of an account's code."""
        return Hash32(self.account(address).code_hash)

    def delete_code(self, address: Address) -> None:
        """Take an account's code away."""
        self.set_code(address, b"")

    def account_has_code_or_nonce(self, address: Address) -> bool:
        """Whether a contract cannot be created at the address."""
        account = self.account(address)
        return account.nonce != 0 or account.code_hash != EMPTY_CODE_HASH

    def delete_account(self, address: Address) -> None:
        """Remove an account with its storage."""
        self.delete_storage(address)
        self._put(self._accounts, address, EMPTY_ACCOUNT)

    def account_exists(self, address: Address) -> bool:
        """Whether the account holds anything."""
        return self.account(address) != EMPTY_ACCOUNT

    def account_is_empty(self, address: Address) -> bool:
        """Whether the account holds nothing."""
        return self.account(address) == EMPTY_ACCOUNT

    def touch_account(self, address: Address) -> None:
        """Nothing to note: an empty account is no account here."""

    # What a trie would need.

    def has_root(self, state_root: bytes) -> bool:
        """There is only this one state."""
        return state_root == self.state_root

    def lock_changes(self) -> None:
        """Nothing to lock: one instance, one execution."""

    def make_state_root(self) -> Hash32:
        """The constant that stands for a root."""
        return self.state_root

    def persist(self) -> MetaWitnessAPI:
        """Refused: `changes` is how the state leaves this object."""
        raise NotImplementedError("read the flat state out with changes()")
