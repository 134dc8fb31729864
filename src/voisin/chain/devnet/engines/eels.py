"""
The third engine: the executable specification of Ethereum (`ethereum-execution`), Prague fork. Slow, and right by definition.

A transaction is processed by the specification from its bytes on, with its own reading of fees and checks, so that it is an
independent opinion on all of it. The state that it works on is filled lazily from a `StateReader`, see `eels_state`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import ethereum_rlp
from ethereum.exceptions import EthereumException
from ethereum.forks.prague.blocks import Log as SpecLog
from ethereum.forks.prague.fork import process_transaction
from ethereum.forks.prague.fork_types import Address
from ethereum.forks.prague.fork_types import Authorization as SpecAuthorization
from ethereum.forks.prague.state import TransientStorage, increment_nonce
from ethereum.forks.prague.transactions import LegacyTransaction, recover_sender
from ethereum.forks.prague.transactions import Transaction as SpecTransaction
from ethereum.forks.prague.transactions import decode_transaction as spec_decode
from ethereum.forks.prague.utils.address import compute_contract_address
from ethereum.forks.prague.utils.message import prepare_message
from ethereum.forks.prague.vm import BlockEnvironment, BlockOutput, TransactionEnvironment
from ethereum.forks.prague.vm import exceptions as halts
from ethereum.forks.prague.vm.interpreter import process_message_call
from ethereum.trace import OpStart, TransactionEnd, set_evm_trace
from ethereum_types.bytes import Bytes, Bytes0, Bytes32
from ethereum_types.numeric import U8, U64, U256, Uint

from voisin.chain.devnet.engines.eels_state import LazyState
from voisin.chain.devnet.engines.engine import BlockContext, Call, IsExpired, Outcome, RunOutOfTimeError, StateReader
from voisin.chain.devnet.fees import gas_needed, settle_gas
from voisin.chain.devnet.values import ZERO_HASH, Authorization, Log, Transaction
from voisin.errors import InputError

_STEPS_BETWEEN_CHECKS = 256
_WORDS: dict[type[EthereumException], str] = {
    halts.OutOfGasError: "out of gas",
    halts.StackUnderflowError: "stack underflow",
    halts.StackOverflowError: "stack limit reached 1024",
    halts.InvalidJumpDestError: "invalid jump destination",
    halts.InvalidOpcode: "invalid opcode",
    halts.WriteInStaticContext: "write protection",
    halts.OutOfBoundsRead: "return data out of bounds",
    halts.InvalidContractPrefix: "invalid code: must not begin with 0xef",
    halts.AddressCollision: "contract address collision",
    halts.Revert: "execution reverted",
}


class EelsEngine:
    """Executes with the specification; see the module."""

    name = f"ethereum-execution/{version('ethereum-execution')} (prague)"

    def execute(self, tx: Transaction, block: BlockContext, *, state: StateReader) -> Outcome:
        """
        Execute a transaction that `fees` has found payable, fees included.

        Args:
            tx: The transaction.
            block: The block it will be part of.
            state: The state before.

        Returns:
            What it did.

        Raises:
            InputError: Nobody signed it: the node was told to act as its sender, which the specification knows nothing of.
        """
        lazy = LazyState(state)
        spec_tx = spec_decode(Bytes(tx.raw)) if tx.kind else ethereum_rlp.rlp.decode_to(LegacyTransaction, tx.raw)
        if not _is_signed(spec_tx, tx.sender, block.chain_id):
            raise InputError(f"nobody signed transaction 0x{tx.hash.hex()}", hint="choose another engine than eels")
        output = BlockOutput()
        with _watching(_Watch(None)) as watch:
            process_transaction(_environment(block, lazy), output, spec_tx, Uint(0))
        end = watch.end
        error = end.error if end else halts.AddressCollision()
        needed = gas_needed(tx.data, is_create=tx.to is None, access_list=tx.access_list, authorizations=len(tx.authorizations)).intrinsic
        return Outcome(
            error=_words(error), is_revert=isinstance(error, halts.Revert), gas_used=int(output.block_gas_used),
            gas_spent=needed + end.gas_used if end else tx.gas, output=bytes(end.output) if end else b"",
            logs=_logs(output.block_logs), created=None if tx.to else _created(tx.sender, tx.nonce), changes=lazy.changes(),
        )  # fmt: skip

    def call(self, call: Call, block: BlockContext, *, state: StateReader, is_expired: IsExpired) -> Outcome:
        """
        Run a call without fees, nonce check or lasting effect.

        Args:
            call: The call.
            block: The block it pretends to be in.
            state: The state before.
            is_expired: Asked now and then; True stops the run.

        Returns:
            What it did.

        Raises:
            RunOutOfTimeError: `is_expired` said so.
        """
        lazy = LazyState(state)
        needed = gas_needed(call.data, is_create=call.to is None, access_list=call.access_list, authorizations=len(call.authorizations))
        environment = _environment(block, lazy)
        nonce = state.account(call.sender).nonce
        increment_nonce(lazy.spec, Address(call.sender))
        to = Address(call.to) if call.to else Bytes0()
        spec_tx = LegacyTransaction(
            U256(nonce), Uint(call.price), Uint(call.gas), to, U256(call.value), Bytes(call.data), U256(27), U256(1), U256(1)
        )
        message = prepare_message(environment, _transaction_environment(call, block, gas=call.gas - needed.intrinsic), spec_tx)
        with _watching(_Watch(is_expired)):
            run = process_message_call(message)
        left = int(run.gas_left)
        return Outcome(
            error=_words(run.error), is_revert=isinstance(run.error, halts.Revert),
            gas_used=settle_gas(call.gas, left=left, refund=int(run.refund_counter), floor=needed.floor),
            gas_spent=call.gas - left, output=bytes(run.return_data), logs=_logs(run.logs),
            created=None if call.to else _created(call.sender, nonce), changes=lazy.changes(),
        )  # fmt: skip


def _is_signed(spec_tx: SpecTransaction, sender: bytes, chain_id: int) -> bool:
    try:
        return bool(recover_sender(U64(chain_id), spec_tx) == sender)
    except EthereumException:
        return False


class _Watch:
    """The specification's tracer: sees how the transaction ends, and stops a call whose time is up."""

    def __init__(self, is_expired: IsExpired | None) -> None:
        self._is_expired = is_expired
        self._steps = 0
        self.end: TransactionEnd | None = None

    def __call__(self, evm: object, event: object) -> None:
        del evm
        if isinstance(event, TransactionEnd):
            self.end = event
        elif self._is_expired is not None and isinstance(event, OpStart):
            self._steps += 1
            if self._steps % _STEPS_BETWEEN_CHECKS == 1 and self._is_expired():
                raise RunOutOfTimeError


@contextmanager
def _watching(watch: _Watch) -> Iterator[_Watch]:
    before = set_evm_trace(watch)
    try:
        yield watch
    finally:
        set_evm_trace(before)


def _environment(block: BlockContext, lazy: LazyState) -> BlockEnvironment:
    return BlockEnvironment(
        chain_id=U64(block.chain_id), state=lazy.spec, block_gas_limit=Uint(block.gas_limit),
        block_hashes=[Bytes32(ancestor) for ancestor in reversed(block.ancestors)], coinbase=Address(block.coinbase),
        number=Uint(block.number), base_fee_per_gas=Uint(block.base_fee), time=U256(block.timestamp), prev_randao=Bytes32(block.randao),
        excess_blob_gas=U64(0), parent_beacon_block_root=Bytes32(ZERO_HASH),
    )  # fmt: skip


def _transaction_environment(call: Call, block: BlockContext, *, gas: int) -> TransactionEnvironment:
    addresses = {Address(address) for address, _ in call.access_list}
    keys = {(Address(address), Bytes32(slot.to_bytes(32, "big"))) for address, slots in call.access_list for slot in slots}
    return TransactionEnvironment(
        origin=Address(call.sender), gas_price=Uint(call.price), gas=Uint(gas),
        access_list_addresses=addresses | {Address(block.coinbase)}, access_list_storage_keys=keys,
        transient_storage=TransientStorage(), blob_versioned_hashes=(),
        authorizations=tuple(_authorization(one) for one in call.authorizations), index_in_block=None, tx_hash=None,
    )  # fmt: skip


def _authorization(given: Authorization) -> SpecAuthorization:
    return SpecAuthorization(U256(given.chain_id), Address(given.address), U64(given.nonce), U8(given.parity), U256(given.r), U256(given.s))


def _words(error: EthereumException | None) -> str | None:
    return None if error is None else _WORDS.get(type(error), type(error).__name__)


def _logs(logs: tuple[SpecLog, ...]) -> tuple[Log, ...]:
    return tuple(Log(bytes(log.address), tuple(bytes(topic) for topic in log.topics), bytes(log.data)) for log in logs)


def _created(sender: bytes, nonce: int) -> bytes:
    return bytes(compute_contract_address(Address(sender), Uint(nonce)))
