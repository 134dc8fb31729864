"""
The state as one transaction sees and changes it: flat tables over a `StateReader`, with a journal that undoes.

Every change of a table leaves its old value in the journal; a message that fails takes the journal back to where it began. That a
slot is in `slots` means that it is warm (EIP-2929); that an address is in `warm` means the same. An account that holds nothing does
not exist (EIP-161), so nothing needs to be touched or cleared.
"""

from __future__ import annotations

from typing import Final, NamedTuple, cast

from voisin.chain.devnet.engines.engine import BlockContext, IsExpired, RunOutOfTimeError, StateReader
from voisin.chain.devnet.engines.hashing import keccak
from voisin.chain.devnet.engines.jit.code import Code, CodeBook
from voisin.chain.devnet.values import EMPTY_ACCOUNT, EMPTY_CODE_HASH, AccessList, Account, Changes, Log

GAS_WARM: Final = 100
GAS_COLD_ACCOUNT: Final = 2_600
SlotKey = tuple[bytes, int]
"""Address and number of a storage slot."""


class Mark(NamedTuple):
    """A point to come back to: lengths of journal and logs, and the refunds so far."""

    journal: int
    logs: int
    refund: int


class World:
    """
    The state during one transaction.

    Args:
        reader: The state before.
        book: Codes, and what was learnt about them.
        block: The block the transaction is in.
        origin: Who sent it.
        price: What it pays [wei per gas].
        is_expired: Asked now and then; True ends the run. None lets it run.

    Attributes:
        slots: Values of all warm slots.
        transient: Transient storage (EIP-1153).
        logs: Events so far.
        refund: Gas refunds so far.
        created: Contracts made by this transaction.
        doomed: Contracts that this transaction both made and destroyed (EIP-6780).
    """

    __slots__ = (
        "_accounts", "_codes", "_is_expired", "_journal", "_original_slots", "_reader",
        "block", "book", "created", "doomed", "logs", "origin", "price", "refund", "slots", "transient", "warm",
    )  # fmt: skip

    def __init__(
        self, reader: StateReader, book: CodeBook, block: BlockContext, *, origin: bytes, price: int, is_expired: IsExpired | None = None
    ) -> None:
        self._reader = reader
        self.book = book
        self._is_expired = is_expired
        self._accounts: dict[bytes, Account] = {}
        self._codes: dict[bytes, bytes] = {}
        self._original_slots: dict[SlotKey, int] = {}
        self._journal: list[tuple[dict[object, object], object, object]] = []
        self.block = block
        self.origin = int.from_bytes(origin)
        self.price = price
        self.slots: dict[SlotKey, int] = {}
        self.transient: dict[SlotKey, int] = {}
        self.warm: dict[bytes, bool] = {block.coinbase: True, **_WARM_PRECOMPILES}
        self.created: dict[bytes, bool] = {}
        self.doomed: dict[bytes, bool] = {}
        self.logs: list[Log] = []
        self.refund = 0

    def check_time(self) -> None:
        """
        End the run when its time is up.

        Raises:
            RunOutOfTimeError: It is.
        """
        if self._is_expired is not None and self._is_expired():
            raise RunOutOfTimeError

    # The journal.

    def mark(self) -> Mark:
        """Note the present."""
        return Mark(len(self._journal), len(self.logs), self.refund)

    def rollback(self, mark: Mark) -> None:
        """Undo all since the mark."""
        journal = self._journal
        while len(journal) > mark.journal:
            table, key, old = journal.pop()
            if old is None:
                del table[key]
            else:
                table[key] = old
        del self.logs[mark.logs :]
        self.refund = mark.refund

    def put(self, table: dict[SlotKey, int] | dict[bytes, bool] | dict[bytes, Account], key: object, value: object) -> None:
        """Write to one of the tables."""
        anything = cast("dict[object, object]", table)
        self._journal.append((anything, key, anything.get(key)))
        anything[key] = value

    # Accounts.

    def account(self, address: bytes) -> Account:
        """Read an account as it is now."""
        found = self._accounts.get(address)
        return self._reader.account(address) if found is None else found

    def put_account(self, address: bytes, account: Account) -> None:
        """Write an account."""
        self.put(self._accounts, address, account)

    def move(self, sender: bytes, receiver: bytes, value: int) -> None:
        """Move native coin that the sender holds [wei]."""
        if value:
            giver = self.account(sender)
            self.put_account(sender, giver._replace(balance=giver.balance - value))
            taker = self.account(receiver)
            self.put_account(receiver, taker._replace(balance=taker.balance + value))

    def raise_nonce(self, address: bytes) -> None:
        """Count one more transaction or creation."""
        account = self.account(address)
        self.put_account(address, account._replace(nonce=account.nonce + 1))

    def touch(self, address: bytes) -> int:
        """Make an address warm; gives what its use costs [gas]."""
        if address in self.warm:
            return GAS_WARM
        self.put(self.warm, address, True)
        return GAS_COLD_ACCOUNT

    def announce(self, access_list: AccessList) -> None:
        """Make warm what a transaction has announced (EIP-2930)."""
        for address, slots in access_list:
            self.touch(address)
            for slot in slots:
                if (address, slot) not in self.slots:
                    self.load_slot((address, slot))

    # Code.

    def raw_code(self, address: bytes) -> bytes:
        """Read the code of an account."""
        code_hash = self.account(address).code_hash
        return b"" if code_hash == EMPTY_CODE_HASH else self._read_code(code_hash)

    def code(self, address: bytes) -> Code:
        """Read the code of an account, with what is known about it from earlier runs."""
        return self.book.find(self.account(address).code_hash, self._read_code)

    def _read_code(self, code_hash: bytes) -> bytes:
        own = self._codes.get(code_hash)
        return self._reader.code(code_hash) if own is None else own

    def put_code(self, address: bytes, raw: bytes) -> None:
        """Give an account its code."""
        code_hash = keccak(raw)
        self._codes[code_hash] = raw
        self.put_account(address, self.account(address)._replace(code_hash=code_hash))

    # Storage.

    def load_slot(self, key: SlotKey) -> int:
        """Make a cold slot warm; gives its value."""
        value = self._original_slots.get(key)
        if value is None:
            value = self._original_slots[key] = self._reader.slot(*key)
        self.put(self.slots, key, value)
        return value

    def original_slot(self, key: SlotKey) -> int:
        """Value that a warm slot had before the transaction."""
        return self._original_slots[key]

    # The end.

    def destroy_doomed(self) -> None:
        """Remove the contracts that were made and destroyed."""
        for address in self.doomed:
            for key in [key for key in self.slots if key[0] == address]:
                self.slots[key] = 0
            self.put_account(address, EMPTY_ACCOUNT)

    def changes(self) -> Changes:
        """
        Read out what differs from the state before.

        Returns:
            New values only; a value written and written back is not among them.
        """
        reader, originals = self._reader, self._original_slots
        accounts = {address: new for address, new in self._accounts.items() if new != reader.account(address)}
        slots = {key: value for key, value in self.slots.items() if value != originals[key]}
        given = {new.code_hash for address, new in accounts.items() if new.code_hash != reader.account(address).code_hash}
        return Changes(accounts, slots, {code_hash: self._codes[code_hash] for code_hash in given if code_hash != EMPTY_CODE_HASH})


PRECOMPILES: Final = frozenset(number.to_bytes(20) for number in range(1, 0x12))
"""Addresses whose code is part of the protocol, up to the BLS12-381 functions of Prague (EIP-2537)."""
_WARM_PRECOMPILES: Final = dict.fromkeys(PRECOMPILES, True)
