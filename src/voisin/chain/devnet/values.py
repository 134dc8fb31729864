"""What the chain is made of: accounts, transactions, logs, receipts, headers. Pure values, no bytes of any wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from voisin.chain.devnet.engines.hashing import keccak

ZERO_HASH = b"\0" * 32
ZERO_ADDRESS = b"\0" * 20
EMPTY_CODE_HASH = keccak(b"")

DELEGATION_PREFIX = b"\xef\x01\x00"
"""What the code of an account begins with that runs the code of another; the other's address follows (EIP-7702)."""

AccessList = tuple[tuple[bytes, tuple[int, ...]], ...]
"""Addresses, each with the storage slots announced for it (EIP-2930)."""


def delegate_of(code: bytes) -> bytes | None:
    """
    Tell whose code an account runs.

    Args:
        code: The account's own code.

    Returns:
        The address that it names; None for code that stands for itself.

    Source: EIP-7702.
    """
    return code[3:] if len(code) == 23 and code.startswith(DELEGATION_PREFIX) else None


class Account(NamedTuple):
    """
    One account of the state.

    Attributes:
        nonce: Number of transactions sent, or of contracts created.
        balance: Native coin [wei].
        code_hash: keccak-256 of the code.
    """

    nonce: int
    balance: int
    code_hash: bytes


EMPTY_ACCOUNT = Account(0, 0, EMPTY_CODE_HASH)
"""What every address holds before it is used, and after it is emptied (EIP-161)."""


class Authorization(NamedTuple):
    """
    The signed wish of an account to run the code of another (EIP-7702).

    Attributes:
        chain_id: Chain it is bound to; 0 for any.
        address: Whose code the account shall run; zeros take the code away.
        nonce: The account's nonce at which it counts.
        parity: y parity of the signature's point, as signed; only 0 and 1 can be valid.
        r: Signature.
        s: Signature.
        authority: Account that signed; None when the signature is not valid, which makes the authorization void.
    """

    chain_id: int
    address: bytes
    nonce: int
    parity: int
    r: int
    s: int
    authority: bytes | None


@dataclass(frozen=True, slots=True)
class Transaction:
    """
    A signed transaction whose signature has been checked.

    Attributes:
        kind: EIP-2718 type: 0, 1, 2 or 4.
        hash: keccak-256 of `raw`.
        raw: The bytes as they were sent.
        sender: Address recovered from the signature.
        chain_id: Chain the signature is bound to; None for a type 0 transaction without EIP-155.
        nonce: Sender's transaction count.
        priority_fee: Most the sender gives the block's author [wei per gas].
        max_fee: Most the sender pays in all [wei per gas].
        gas: Gas limit.
        to: Receiver; None creates a contract.
        value: Native coin moved [wei].
        data: Call data or init code.
        access_list: Announced addresses and slots.
        parity: y parity of the signature's point, 0 or 1.
        r: Signature.
        s: Signature.
        authorizations: Accounts that are given code (type 4 only).
    """

    kind: int
    hash: bytes
    raw: bytes
    sender: bytes
    chain_id: int | None
    nonce: int
    priority_fee: int
    max_fee: int
    gas: int
    to: bytes | None
    value: int
    data: bytes
    access_list: AccessList
    parity: int
    r: int
    s: int
    authorizations: tuple[Authorization, ...] = ()

    def price(self, base_fee: int) -> int:
        """
        Price paid for each unit of gas.

        Args:
            base_fee: The block's base fee [wei per gas].

        Returns:
            Effective gas price [wei per gas].

        Source: EIP-1559.
        """
        return min(self.max_fee, base_fee + self.priority_fee)


@dataclass(frozen=True, slots=True)
class Log:
    """One event of a contract: who emitted it, up to four 32-byte topics, and data."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Changes:
    """
    What an execution leaves behind: new values only.

    Attributes:
        accounts: Accounts that differ from the state before.
        slots: Storage slots that differ, by (address, slot).
        codes: Code that accounts were given, by its hash.
    """

    accounts: Mapping[bytes, Account]
    slots: Mapping[tuple[bytes, int], int]
    codes: Mapping[bytes, bytes]


NO_CHANGES = Changes({}, {}, {})


@dataclass(frozen=True, slots=True)
class Receipt:
    """
    What became of a transaction.

    Attributes:
        is_success: Whether its effects were kept.
        gas_used: Gas paid for, refunds taken off.
        price: Effective gas price [wei per gas].
        created: Address of the contract created; None for a call.
        bloom: 2048-bit filter over the logs.
        logs: Events, in order.
    """

    is_success: bool
    gas_used: int
    price: int
    created: bytes | None
    bloom: bytes
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """
    A block's header; the fields that never vary here are filled in by `headers`.

    Attributes:
        number: Height; the genesis block has 0.
        hash: keccak-256 of the encoded header.
        parent: Hash of the block before.
        timestamp: Time of the block [Unix s].
        gas_limit: Most gas the block may use.
        gas_used: Gas used by its transaction.
        base_fee: Base fee [wei per gas].
        coinbase: Address that receives priority fees.
        state_root: Running commitment to every change of the state so far (not a Merkle root).
        transactions_root: Merkle root over the transaction.
        receipts_root: Merkle root over the receipt.
        bloom: 2048-bit filter over the logs.
        randao: What PREVRANDAO returns.
    """

    number: int
    hash: bytes
    parent: bytes
    timestamp: int
    gas_limit: int
    gas_used: int
    base_fee: int
    coinbase: bytes
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    bloom: bytes
    randao: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """A sealed block: a header and at most one transaction with its receipt."""

    header: Header
    transaction: Transaction | None = None
    receipt: Receipt | None = None
