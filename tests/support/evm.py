"""
An EVM inside the test's process: one transaction a block, no signatures, exact gas, snapshots, and a clock that the test sets.

Prague rules by py-evm. Senders pay no gas, so that amounts of coin in a test are what the test says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pytest
from eth.abc import ComputationAPI, MessageAPI, StateAPI, TransactionContextAPI
from eth.exceptions import Revert
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.state import PragueState
from eth.vm.forks.prague.transactions import PragueTransactionBuilder
from eth.vm.spoof import SpoofTransaction
from eth_abi.abi import decode, encode
from eth_hash.auto import keccak
from eth_utils.address import to_canonical_address, to_checksum_address

from tests.support.flat_state import Changes, FlatState

GAS_LIMIT = 30_000_000
FIRST_TIME = 1_800_000_000
REMEMBERED = 50_000
NOBODY = "0x0000000000000000000000000000000000000000"


@dataclass(frozen=True)
class Log:
    """One event as the EVM keeps it."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True)
class Receipt:
    """What a transaction that succeeded has done."""

    gas_used: int
    logs: tuple[Log, ...]
    output: bytes
    contract: str


class RevertedError(Exception):
    """A transaction or call failed; `data` is what the contract gave back, empty if nothing."""

    def __init__(self, data: bytes, gas_used: int, cause: str) -> None:
        self.data = data
        self.gas_used = gas_used
        self.cause = cause
        super().__init__(f"{cause} {self.reason!r} 0x{data[:68].hex()}")

    @property
    def reason(self) -> str:
        """The text of an `Error(string)`; empty for anything else."""
        if self.data[:4].hex() != "08c379a0":
            return ""
        text: str = decode(["string"], self.data[4:])[0]
        return text


@dataclass(frozen=True)
class Outcome:
    """What a transaction did to one state; the same transaction on the same state need not be executed again."""

    result: Receipt | RevertedError
    version: int
    changes: Changes


class _Computation(PragueComputation):  # type: ignore[misc]
    """Remembers where a code may be jumped to; py-evm finds that out anew in every call."""

    _known: ClassVar[dict[bytes, tuple[set[int], set[int]]]] = {}

    def __init__(self, state: StateAPI, message: MessageAPI, transaction_context: TransactionContextAPI) -> None:
        super().__init__(state, message, transaction_context)
        self.code.valid_positions, self.code.invalid_positions = self._known.setdefault(message.code, (set(), set()))


class _State(PragueState):  # type: ignore[misc]
    computation_class = _Computation
    account_db_class = staticmethod(lambda db, root: db)


class Evm:
    """A chain of its own."""

    def __init__(self, chain_id: int = 31337) -> None:
        self.chain_id = chain_id
        self.time = FIRST_TIME
        self.block = 1
        self._db = FlatState()
        self._state = _State(self._db, self._context(), bytes(32))
        self._version = 0
        self._versions = 0
        self._memory: dict[tuple[object, ...], Outcome] = {}

    def send(self, sender: str, to: str | None, data: bytes = b"", *, value: int = 0, gas: int = GAS_LIMIT) -> Receipt:
        """
        Execute a transaction in a block of its own; time does not pass by itself.

        Raises:
            RevertedError: It failed; nothing but the sender's nonce has changed.
        """
        key = (self._version, self.time, self.chain_id, sender, to, data, value, gas)
        outcome = self._memory.get(key)
        if outcome is None:
            outcome = self._execute(sender, to, data, value, gas)
            if len(self._memory) < REMEMBERED:
                self._memory[key] = outcome
        else:
            self._begin()
            self._db.apply(outcome.changes)
        self._version = outcome.version
        self.block += 1
        if isinstance(outcome.result, RevertedError):
            raise RevertedError(outcome.result.data, outcome.result.gas_used, outcome.result.cause)
        return outcome.result

    def call(self, to: str, data: bytes, *, sender: str = NOBODY) -> bytes:
        """
        Ask a contract without changing anything.

        Raises:
            RevertedError: The contract refused.
        """
        with self.anchor():
            return self.send(sender, to, data).output

    def fund(self, account: str, wei: int) -> None:
        """Set an account's coin [wei]."""
        self._begin()
        self._db.set_balance(to_canonical_address(account), wei)
        self._version = self._new_version()

    def balance(self, account: str) -> int:
        """Tell an account's coin [wei]."""
        balance: int = self._db.get_balance(to_canonical_address(account))
        return balance

    def nonce(self, account: str) -> int:
        """Tell an account's next nonce."""
        nonce: int = self._db.get_nonce(to_canonical_address(account))
        return nonce

    def code(self, address: str) -> bytes:
        """Tell the code at an address."""
        code: bytes = self._db.get_code(to_canonical_address(address))
        return code

    def storage(self, address: str, slot: int) -> int:
        """Tell what a storage slot holds."""
        return self._db.get_storage(to_canonical_address(address), slot)

    def clone(self, source: str, target: str) -> None:
        """Put a copy of a contract, with all it remembers, at another address."""
        self._begin()
        self._db.copy_account(to_canonical_address(source), to_canonical_address(target))
        self._version = self._new_version()

    def set_storage(self, address: str, slot: int, value: int) -> None:
        """Change what a storage slot holds, as no contract could."""
        self._begin()
        self._db.set_storage(to_canonical_address(address), slot, value)
        self._version = self._new_version()

    def set_mapping(self, address: str, slot: int, key: str, value: int) -> None:
        """Change an entry of a Vyper mapping from addresses to numbers."""
        self.set_storage(address, _mapping_slot(slot, key), value)

    def mapping(self, address: str, slot: int, key: str) -> int:
        """Tell an entry of a Vyper mapping from addresses to numbers."""
        return self.storage(address, _mapping_slot(slot, key))

    def warp(self, seconds: int) -> None:
        """Let time pass."""
        self.time += seconds

    def mark(self) -> tuple[int, int, int, int]:
        """Remember the present, time included."""
        return self._db.mark(), self.time, self.block, self._version

    def rewind(self, mark: tuple[int, int, int, int]) -> None:
        """Undo all that happened since `mark`."""
        self._db.rewind(mark[0])
        self.time, self.block, self._version = mark[1:]

    @contextmanager
    def anchor(self) -> Iterator[None]:
        """Undo at the end all that happens inside, time included."""
        mark = self.mark()
        try:
            yield
        finally:
            self.rewind(mark)

    def _execute(self, sender: str, to: str | None, data: bytes, value: int, gas: int) -> Outcome:
        account, mark = to_canonical_address(sender), self._db.mark()
        transaction = PragueTransactionBuilder.create_unsigned_transaction(
            nonce=self._db.get_nonce(account), gas_price=0, gas=gas, to=to_canonical_address(to) if to else b"", value=value, data=data
        )
        self._begin()
        computation = self._state.apply_transaction(SpoofTransaction(transaction, from_=account))
        return Outcome(_result(computation, gas, to), self._new_version(), self._db.changes_since(mark))

    def _new_version(self) -> int:
        """A number for a state that no other state of this chain has."""
        self._versions += 1
        return self._versions

    def _begin(self) -> None:
        self._db.begin()
        self._state.clear_transient_storage()
        self._state.execution_context = self._context()

    def _context(self) -> ExecutionContext:
        return ExecutionContext(
            coinbase=bytes(20),
            timestamp=self.time,
            block_number=self.block,
            difficulty=0,
            mix_hash=bytes(32),
            gas_limit=GAS_LIMIT,
            prev_hashes=[],
            chain_id=self.chain_id,
            base_fee_per_gas=0,
            excess_blob_gas=0,
        )


@contextmanager
def reverts(reason: str = "", *, data: bytes | None = None) -> Iterator[None]:
    """
    Expect a revert with a reason, with exactly some data, or, given neither, with nothing at all.

    Running out of gas and other mishaps are no reverts.
    """
    with pytest.raises(RevertedError) as caught:
        yield
    error = caught.value
    expected = data if data is not None else _error_string(reason)
    assert error.cause == "Revert", f"not a revert but {error}"
    assert error.data == expected, f"expected {reason or expected.hex() or 'no data'}, got {error}"


def _error_string(reason: str) -> bytes:
    return bytes.fromhex("08c379a0") + encode(["string"], [reason]) if reason else b""


def _mapping_slot(slot: int, key: str) -> int:
    return int.from_bytes(keccak(slot.to_bytes(32, "big") + to_canonical_address(key).rjust(32, b"\0")), "big")


def _gas_used(gas: int, computation: ComputationAPI) -> int:
    used: int = gas - computation.get_gas_remaining()
    refund: int = min(computation.get_gas_refund(), used // 5)
    return used - refund + int(getattr(computation, "data_floor_gas", 0))


def _result(computation: ComputationAPI, gas: int, to: str | None) -> Receipt | RevertedError:
    gas_used = _gas_used(gas, computation)
    if computation.is_error:
        error = computation.error
        return RevertedError(computation.output if isinstance(error, Revert) else b"", gas_used, type(error).__name__)
    logs = tuple(
        Log(to_checksum_address(address), tuple(topic.to_bytes(32, "big") for topic in topics), data)
        for address, topics, data in computation.get_log_entries()
    )
    contract = to_checksum_address(computation.msg.storage_address) if to is None else NOBODY
    return Receipt(gas_used, logs, computation.output, contract)
