"""
Checking a chain by doing everything again: each transaction is executed on a state in memory, from the first block on.

What comes out is compared with what the file says: the block's header with the commitment to the state, the receipt, the records that
take the block back, and in the end the tables of the state. Changes made by hand (`anvil_setBalance` and the like) are no
transactions; they are taken from the file, and held against the commitment of their block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TypeVar

from eth_hash.auto import keccak

from voisin.chain.devnet.engines.engine import Engine
from voisin.chain.devnet.fees import require_affordable, require_sendable
from voisin.chain.devnet.ledger import context_of
from voisin.chain.devnet.records.audit_reads import AuditArchive
from voisin.chain.devnet.records.headers import seal_empty, seal_transaction
from voisin.chain.devnet.values import EMPTY_ACCOUNT, EMPTY_CODE_HASH, NO_CHANGES, Account, Block, Changes, Header
from voisin.chain.devnet.wire.errors import RefusedTransactionError

_ANCESTORS = 256

K = TypeVar("K")
V = TypeVar("V")

Told = Callable[[int, int], None]
"""Told after each block: its height, and that of the chain."""


@dataclass(frozen=True, slots=True)
class Difference:
    """
    Where a file says something else than what comes out.

    Attributes:
        block: Height of the first block that differs.
        what: What differs.
        stored: What the file says.
        recomputed: What comes out.
    """

    block: int
    what: str
    stored: str
    recomputed: str


class MemoryState:
    """A state in memory; see `StateReader`."""

    def __init__(self) -> None:
        self.accounts: dict[bytes, Account] = {}
        self.slots: dict[tuple[bytes, int], int] = {}
        self._codes: dict[bytes, bytes] = {EMPTY_CODE_HASH: b""}

    def account(self, address: bytes) -> Account:
        """Read an account."""
        return self.accounts.get(address, EMPTY_ACCOUNT)

    def slot(self, address: bytes, slot: int) -> int:
        """Read a slot."""
        return self.slots.get((address, slot), 0)

    def code(self, code_hash: bytes) -> bytes:
        """Read code."""
        return self._codes[code_hash]

    def apply(self, changes: Changes) -> None:
        """Take over what a block has changed."""
        self.accounts.update(changes.accounts)
        self.slots.update(changes.slots)
        self._codes.update(changes.codes)

    def before(self, changes: Changes) -> Changes:
        """Give the present values of all that would change."""
        return Changes({a: self.account(a) for a in changes.accounts}, {place: self.slot(*place) for place in changes.slots}, {})


class Replay:
    """
    Does a chain again, as far as it has been followed.

    Args:
        engine: What executes the transactions; it need not be the one that made the chain.

    Attributes:
        head: Header of the last block that was done again; None before the first.
        transactions: Transactions done again.
        by_hand: Blocks whose changes came by hand, the first one among them.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._state = MemoryState()
        self._ancestors: tuple[bytes, ...] = ()
        self.head: Header | None = None
        self.transactions = 0
        self.by_hand = 0

    def follow(self, archive: AuditArchive, *, told: Told = lambda _number, _head: None) -> Difference | None:
        """
        Do the blocks again that came since the last time, and look the tables over.

        Args:
            archive: The chain's file; it still has the block that came last.
            told: Told how far it is.

        Returns:
            The first difference, after which nothing more can be followed; None when all is as it should be.
        """
        if not archive.has_genesis():
            return None
        last = archive.head_number()
        for number in range(0 if self.head is None else self.head.number + 1, last + 1):
            difference = self._step(archive, number)
            if difference is not None:
                return difference
            told(number, last)
        return self._compare_tables(archive, last)

    def _step(self, archive: AuditArchive, number: int) -> Difference | None:
        stored = archive.block(number)
        if stored is None:
            return Difference(number, "block", "missing", "there")
        if self.head is not None and stored.header.timestamp < self.head.timestamp:
            return Difference(number, "time", str(stored.header.timestamp), f"at least {self.head.timestamp}")
        if (refusal := self._refusal(stored)) is not None:
            return Difference(number, "transaction", refusal, "one that a block may hold")
        block, changes = self._again(archive, stored)
        difference = _compare_blocks(stored, block) or self._compare_records(archive, number, stored, changes)
        if difference is None:
            self._state.apply(changes)
            self.head = block.header
            self._ancestors = (block.header.hash, *self._ancestors[: _ANCESTORS - 1])
            self.transactions += stored.transaction is not None
            self.by_hand += stored.transaction is None and changes != NO_CHANGES
        return difference

    def _refusal(self, stored: Block) -> str | None:
        """Say why no block may hold the transaction; one that nobody signed may have a contract for its sender."""
        if (tx := stored.transaction) is None:
            return None
        try:
            require_sendable(tx, base_fee=stored.header.base_fee, block_gas_limit=stored.header.gas_limit)
            require_affordable(tx, self._state.account(tx.sender), code=b"")
        except RefusedTransactionError as error:
            return error.message
        return None if tx.nonce == self._state.account(tx.sender).nonce else f"nonce too high: tx nonce {tx.nonce}"

    def _again(self, archive: AuditArchive, stored: Block) -> tuple[Block, Changes]:
        context = context_of(stored.header, archive.chain_id(), self._ancestors)
        if stored.transaction is None or self.head is None:
            changes = archive.changes(stored.header.number)
            return seal_empty(context, self.head, changes=changes), changes
        outcome = self._engine.execute(stored.transaction, context, state=self._state)
        return seal_transaction(context, self.head, tx=stored.transaction, outcome=outcome), outcome.changes

    def _compare_records(self, archive: AuditArchive, number: int, stored: Block, changes: Changes) -> Difference | None:
        if stored.transaction is not None and archive.tx_hash(number) != stored.transaction.hash:
            return Difference(number, "transaction hash", _hex(archive.tx_hash(number)), _hex(stored.transaction.hash))
        for code_hash, code in changes.codes.items():
            if keccak(code) != code_hash:
                return Difference(number, "code", _hex(keccak(code)), _hex(code_hash))
        kept, expected = archive.undone(number), self._state.before(changes)
        return _first_unlike(number, "account before the block", kept.accounts, expected.accounts) or _first_unlike(
            number, "slot before the block", kept.slots, expected.slots
        )

    def _compare_tables(self, archive: AuditArchive, last: int) -> Difference | None:
        accounts = {address: account for address, account in archive.accounts() if account != EMPTY_ACCOUNT}
        expected = {address: account for address, account in self._state.accounts.items() if account != EMPTY_ACCOUNT}
        slots = {place: value for place, value in archive.slots() if value}
        return _first_unlike(last, "account", accounts, expected) or _first_unlike(
            last, "slot", slots, {place: value for place, value in self._state.slots.items() if value}
        )


def _compare_blocks(stored: Block, block: Block) -> Difference | None:
    number = stored.header.number
    for field in fields(Header):
        said, made = getattr(stored.header, field.name), getattr(block.header, field.name)
        if said != made and field.name != "hash":
            return Difference(number, field.name.replace("_", " "), _shown(said), _shown(made))
    if stored.header.hash != block.header.hash:
        return Difference(number, "block hash", _hex(stored.header.hash), _hex(block.header.hash))
    if stored.receipt != block.receipt:
        return Difference(number, "receipt", _shown(stored.receipt), _shown(block.receipt))
    return None


def _first_unlike(number: int, what: str, stored: Mapping[K, V], expected: Mapping[K, V]) -> Difference | None:
    if stored == expected:
        return None
    for key in [*stored, *expected]:
        said, made = stored.get(key), expected.get(key)
        if said != made:
            return Difference(number, f"{what} {_shown(key)}", _shown(said), _shown(made))
    return None


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}"


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bytes):
        return _hex(value)
    if isinstance(value, tuple):
        return " ".join(map(_shown, value))
    return str(value)
