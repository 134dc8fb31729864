"""The seam between the ledger and whatever executes contract code: values in, values out, no input or output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from voisin.chain.devnet.values import AccessList, Account, Authorization, Changes, Log, Transaction


class StateReader(Protocol):
    """A state of the chain that does not change while it is read."""

    def account(self, address: bytes) -> Account:
        """
        Read an account.

        Args:
            address: 20 bytes.

        Returns:
            The account; `EMPTY_ACCOUNT` where there is none.
        """

    def slot(self, address: bytes, slot: int) -> int:
        """
        Read a storage slot.

        Args:
            address: 20 bytes.
            slot: Number of the slot.

        Returns:
            Its value; 0 where nothing was written.
        """

    def code(self, code_hash: bytes) -> bytes:
        """
        Read code.

        Args:
            code_hash: Hash as an account carries it.

        Returns:
            The code; empty for the hash of no code.
        """


@dataclass(frozen=True, slots=True)
class BlockContext:
    """
    The block that an execution finds itself in.

    Attributes:
        number: Height of the block.
        timestamp: Time of the block [Unix s].
        base_fee: Base fee [wei per gas].
        gas_limit: Most gas the block may use.
        coinbase: Address that receives priority fees.
        randao: What PREVRANDAO returns.
        chain_id: What CHAINID returns.
        ancestors: Hashes of the blocks before, the parent first, at most 256.
    """

    number: int
    timestamp: int
    base_fee: int
    gas_limit: int
    coinbase: bytes
    randao: bytes
    chain_id: int
    ancestors: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """
    A run that no block will hold: it costs nothing and leaves nothing.

    Attributes:
        sender: Who calls; nobody has to sign.
        to: Receiver; None creates a contract.
        data: Call data or init code.
        value: Native coin moved [wei].
        gas: Gas limit.
        price: What GASPRICE returns [wei per gas].
        access_list: Announced addresses and slots.
        authorizations: Accounts that are given code before the run (EIP-7702).
    """

    sender: bytes
    to: bytes | None
    data: bytes
    value: int
    gas: int
    price: int = 0
    access_list: AccessList = ()
    authorizations: tuple[Authorization, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What a run did.

    Attributes:
        error: None when its effects are kept; otherwise why not, in geth's words.
        is_revert: Whether the contract itself refused; `output` then holds its reason.
        gas_used: Gas paid for, refunds taken off.
        gas_spent: Gas consumed at the end of the run, before refunds: the limit that the same run needs at least.
        output: Returned or reverted data.
        logs: Events, in order; none after an error.
        created: Address of the contract created; None for a call.
        changes: New values of all that differs from the state before.
    """

    error: str | None
    is_revert: bool
    gas_used: int
    gas_spent: int
    output: bytes
    logs: tuple[Log, ...]
    created: bytes | None
    changes: Changes


class RunOutOfTimeError(Exception):
    """A call was stopped because its time was up; the ledger turns it into an answer."""


IsExpired = Callable[[], bool]
"""Asked now and then during a call; True stops it with `RunOutOfTimeError`."""


class Engine(Protocol):
    """Something that executes contract code under the rules of the Prague fork."""

    @property
    def name(self) -> str:
        """Name and version, as `web3_clientVersion` shows it."""

    def execute(self, tx: Transaction, block: BlockContext, *, state: StateReader) -> Outcome:
        """
        Execute a transaction that `fees` has found payable, fees included.

        Args:
            tx: The transaction.
            block: The block it will be part of.
            state: The state before.

        Returns:
            What it did; `changes` includes fee, nonce and the author's reward, also after an error.
        """

    def call(self, call: Call, block: BlockContext, *, state: StateReader, is_expired: IsExpired) -> Outcome:
        """
        Run a call without fees, nonce check or lasting effect.

        Args:
            call: The call; its gas covers the intrinsic gas, its sender holds the value.
            block: The block it pretends to be in.
            state: The state before.
            is_expired: Asked now and then; True stops the run.

        Returns:
            What it did.

        Raises:
            RunOutOfTimeError: `is_expired` said so.
        """
