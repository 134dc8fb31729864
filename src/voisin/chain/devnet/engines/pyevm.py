"""
The second engine: py-evm's interpreter for the Prague fork, over flat state.

Only the interpreter is py-evm's. What surrounds a message (fees, nonce, access list, refunds) is written here after the Yellow
Paper, and checked against the executable specification (`eels`) by differential tests.

Differences from py-evm as released (0.12.1b1):
- CREATE and CREATE2 look at the size of the init code before they look at the balance (EIP-3860), as every other client does;
- jump destinations are found once for each code, not once for each message;
- a call can be stopped when its time is up.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from typing import NamedTuple, Self, cast

from eth.abc import ComputationAPI, MessageAPI, StateAPI, TransactionContextAPI
from eth.exceptions import (
    FullStack,
    InsufficientStack,
    InvalidInstruction,
    InvalidJumpDestination,
    OutOfBoundsRead,
    OutOfGas,
    ReservedBytesInCode,
    Revert,
    VMError,
    WriteProtection,
)
from eth.vm import mnemonics, opcode_values
from eth.vm.code_stream import CodeStream
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.byzantium.opcodes import ensure_no_static
from eth.vm.forks.cancun.logic import selfdestruct_eip6780
from eth.vm.forks.cancun.transaction_context import CancunTransactionContext
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.opcodes import PRAGUE_OPCODES
from eth.vm.forks.prague.state import PragueState
from eth.vm.forks.shanghai.logic import Create2EIP3860, CreateEIP3860
from eth.vm.logic.system import CreateOpcodeStackData
from eth.vm.message import Message
from eth.vm.opcode import as_opcode
from eth_hash.auto import keccak
from eth_typing import Address, BlockNumber, Hash32
from rlp.codec import encode_raw

from voisin.chain.devnet.engines.engine import BlockContext, Call, IsExpired, Outcome, RunOutOfTimeError, StateReader
from voisin.chain.devnet.engines.flat_state import FlatState
from voisin.chain.devnet.fees import MAX_INIT_CODE_SIZE, MAX_NONCE, REFUND_KNOWN_AUTHORITY, gas_needed, settle_gas
from voisin.chain.devnet.values import DELEGATION_PREFIX, ZERO_ADDRESS, ZERO_HASH, AccessList, Authorization, Log, Transaction, delegate_of

_GAS_CREATE = 32_000
_GAS_JUMP = 8
_GAS_JUMPI = 10
_GAS_SELFDESTRUCT = 5_000
_JUMPDEST = 0x5B
_PUSH1, _PUSH32 = 0x60, 0x7F
_JUMPS_BETWEEN_CHECKS = 256
_WORDS = {
    OutOfGas: "out of gas",
    InsufficientStack: "stack underflow",
    FullStack: "stack limit reached 1024",
    InvalidJumpDestination: "invalid jump destination",
    InvalidInstruction: "invalid opcode",
    WriteProtection: "write protection",
    OutOfBoundsRead: "return data out of bounds",
    ReservedBytesInCode: "invalid code: must not begin with 0xef",
}


class PyEvmEngine:
    """Executes with py-evm; see the module for what is py-evm's and what is not."""

    name = f"py-evm/{version('py-evm')} (prague)"

    def execute(self, tx: Transaction, block: BlockContext, *, state: StateReader) -> Outcome:
        """
        Execute a transaction that `fees` has found payable, fees included.

        Args:
            tx: The transaction.
            block: The block it will be part of.
            state: The state before.

        Returns:
            What it did.
        """
        vm = self.vm(block, state, price=tx.price(block.base_fee))
        flat = vm.flat
        sender = Address(tx.sender)
        flat.set_balance(sender, flat.get_balance(sender) - tx.gas * vm.price)
        run = _Run(tx.sender, tx.to, tx.data, tx.value, tx.gas, tx.access_list, tx.authorizations)
        ending = _run(vm, run)
        floor = gas_needed(tx.data, is_create=tx.to is None, access_list=tx.access_list).floor
        used = settle_gas(tx.gas, left=ending.gas_left, refund=ending.refund, floor=floor)
        flat.set_balance(sender, flat.get_balance(sender) + (tx.gas - used) * vm.price)
        author = Address(block.coinbase)
        flat.set_balance(author, flat.get_balance(author) + used * (vm.price - block.base_fee))
        return _outcome(vm, run, ending=ending, used=used)

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
        vm = self.vm(block, state, price=call.price)
        vm.is_expired = is_expired
        run = _Run(call.sender, call.to, call.data, call.value, call.gas, call.access_list, call.authorizations)
        ending = _run(vm, run)
        floor = gas_needed(call.data, is_create=call.to is None, access_list=call.access_list).floor
        used = settle_gas(call.gas, left=ending.gas_left, refund=ending.refund, floor=floor)
        return _outcome(vm, run, ending=ending, used=used)

    def vm(self, block: BlockContext, state: StateReader, *, price: int) -> PyEvmState:
        """
        Make the machine for one run.

        Args:
            block: The block the run is in.
            state: The state before.
            price: What GASPRICE returns [wei per gas].

        Returns:
            The machine.
        """
        return PyEvmState.at(block, state, price=price)


class _Run(NamedTuple):
    sender: bytes
    to: bytes | None
    data: bytes
    value: int
    gas: int
    access_list: AccessList
    authorizations: tuple[Authorization, ...]


class _Ending(NamedTuple):
    error: VMError | str | None
    gas_left: int
    refund: int
    output: bytes
    logs: tuple[Log, ...]
    created: bytes | None


def _run(vm: PyEvmState, run: _Run) -> _Ending:
    """Raise the nonce, warm what the rules warm, run the message, and remove what destroyed itself."""
    flat = vm.flat
    sender, to = Address(run.sender), Address(run.to or b"")
    nonce = flat.get_nonce(sender)
    flat.set_nonce(sender, nonce + 1)
    created = None if run.to else _created_address(run.sender, nonce)
    needed = gas_needed(run.data, is_create=created is not None, access_list=run.access_list, authorizations=len(run.authorizations))
    gas = run.gas - needed.intrinsic
    flat.mark_address_warm(sender)
    flat.mark_address_warm(Address(created) if created else to)
    for address, slots in run.access_list:
        flat.mark_address_warm(Address(address))
        for slot in slots:
            flat.mark_storage_warm(Address(address), slot)
    context = CancunTransactionContext(vm.price, sender)
    refund = sum(_authorize(flat, one, chain_id=vm.execution_context.chain_id) for one in run.authorizations)
    if created is None:
        code = flat.get_code(to)
        delegate = delegate_of(code)
        if delegate is not None:
            flat.mark_address_warm(Address(delegate))
            code = flat.get_code(Address(delegate))
        message = Message(gas, to, sender, run.value, run.data, code, is_delegation=delegate is not None)
        computation = vm.computation_class.apply_message(vm, message, context)
    elif flat.account_has_code_or_nonce(Address(created)):
        return _Ending("contract address collision", 0, 0, b"", (), created)
    else:
        message = Message(gas, to, sender, run.value, b"", run.data, create_address=Address(created))
        computation = vm.computation_class.apply_create_message(vm, message, context)
    vm.root = computation
    for address in computation.get_accounts_for_deletion():
        flat.delete_account(address)
    logs = tuple(Log(a, tuple(t.to_bytes(32, "big") for t in topics), bytes(data)) for a, topics, data in computation.get_log_entries())
    error = computation.error if computation.is_error else None
    refund += computation.get_gas_refund()
    return _Ending(error, computation.get_gas_remaining(), refund, bytes(computation.output), logs, created)


def _authorize(flat: FlatState, given: Authorization, *, chain_id: int) -> int:
    """Let an account run the code of another, as it has signed; gives the refund. A void authorization is passed over (EIP-7702)."""
    if given.authority is None or given.chain_id not in (0, chain_id) or given.nonce >= MAX_NONCE:
        return 0
    authority = Address(given.authority)
    flat.mark_address_warm(authority)
    code = flat.get_code(authority)
    if (code and delegate_of(code) is None) or flat.get_nonce(authority) != given.nonce:
        return 0
    refund = REFUND_KNOWN_AUTHORITY if flat.account_exists(authority) else 0
    flat.set_code(authority, b"" if given.address == ZERO_ADDRESS else DELEGATION_PREFIX + given.address)
    flat.increment_nonce(authority)
    return refund


def _outcome(vm: PyEvmState, run: _Run, *, ending: _Ending, used: int) -> Outcome:
    error = ending.error
    return Outcome(
        error=error_words(error) if isinstance(error, VMError) else error, is_revert=isinstance(error, Revert), gas_used=used,
        gas_spent=run.gas - ending.gas_left, output=ending.output, logs=ending.logs, created=ending.created, changes=vm.flat.changes(),
    )  # fmt: skip


def error_words(error: VMError) -> str:
    """
    Put what ended a run into geth's words.

    Args:
        error: As py-evm raises it.

    Returns:
        The words.
    """
    return "execution reverted" if isinstance(error, Revert) else _WORDS.get(type(error), str(error))


def _created_address(sender: bytes, nonce: int) -> bytes:
    return keccak(encode_raw([sender, nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")]))[12:]


# py-evm's classes, with the three differences that the module names.


class _Code(CodeStream):
    __slots__ = ("jump_destinations",)

    def __init__(self, code: bytes) -> None:
        super().__init__(code)
        self.jump_destinations = _jump_destinations(code)


@lru_cache(maxsize=1024)
def _jump_destinations(code: bytes) -> frozenset[int]:
    found = set()
    position = 0
    while position < len(code):
        opcode = code[position]
        if opcode == _JUMPDEST:
            found.add(position)
        elif _PUSH1 <= opcode <= _PUSH32:
            position += opcode - _PUSH1 + 1
        position += 1
    return frozenset(found)


def _jump_to(computation: ComputationAPI, destination: int) -> None:
    code = computation.code
    if destination not in code.jump_destinations:  # type: ignore[attr-defined]  # PyEvmComputation puts a _Code there
        raise InvalidJumpDestination("no JUMPDEST there")
    code.program_counter = destination
    computation.state.count_jump()  # type: ignore[attr-defined]  # the state is a PyEvmState


def _jump(computation: ComputationAPI) -> None:
    _jump_to(computation, computation.stack_pop1_int())


def _jumpi(computation: ComputationAPI) -> None:
    destination, condition = computation.stack_pop_ints(2)
    if condition:
        _jump_to(computation, destination)


_selfdestruct = ensure_no_static(selfdestruct_eip6780)
"""Without the warning that py-evm adds: whoever sends the transaction did not write the contract."""


def _require_init_code_size(data: CreateOpcodeStackData) -> None:
    if data.memory_length > MAX_INIT_CODE_SIZE:
        raise OutOfGas("init code is too large")


class _Create(CreateEIP3860):
    mnemonic = mnemonics.CREATE
    gas_cost = _GAS_CREATE

    def get_gas_cost(self, data: CreateOpcodeStackData) -> int:
        _require_init_code_size(data)
        return super().get_gas_cost(data)


class _Create2(Create2EIP3860):
    mnemonic = mnemonics.CREATE2
    gas_cost = _GAS_CREATE

    def get_gas_cost(self, data: CreateOpcodeStackData) -> int:
        _require_init_code_size(data)
        return super().get_gas_cost(data)


class PyEvmComputation(PragueComputation):
    """One message under way, with the three differences that the module names."""

    opcodes = PRAGUE_OPCODES | {
        opcode_values.JUMP: as_opcode(_jump, mnemonics.JUMP, _GAS_JUMP),
        opcode_values.JUMPI: as_opcode(_jumpi, mnemonics.JUMPI, _GAS_JUMPI),
        opcode_values.SELFDESTRUCT: as_opcode(_selfdestruct, mnemonics.SELFDESTRUCT, _GAS_SELFDESTRUCT),
        opcode_values.CREATE: _Create(),
        opcode_values.CREATE2: _Create2(),
    }

    def __init__(self, state: StateAPI, message: MessageAPI, transaction_context: TransactionContextAPI) -> None:
        super().__init__(state, message, transaction_context)
        self.code = _Code(message.code)
        state.check_time()  # type: ignore[attr-defined]  # the state is a PyEvmState

    @classmethod
    def consume_initcode_gas_cost(cls, computation: ComputationAPI) -> None:
        """Nothing: the intrinsic gas already holds it."""


class PyEvmState(PragueState):
    """The machine of one run; `root` is the outermost message once it has ended."""

    computation_class: type[PyEvmComputation] = PyEvmComputation
    account_db_class = FlatState
    price = 0
    is_expired: IsExpired | None = None
    jumps = 0
    root: ComputationAPI | None = None

    @classmethod
    def at(cls, block: BlockContext, reader: StateReader, *, price: int) -> Self:
        context = ExecutionContext(
            coinbase=Address(block.coinbase), timestamp=block.timestamp, block_number=BlockNumber(block.number), difficulty=0,
            mix_hash=Hash32(block.randao), gas_limit=block.gas_limit, prev_hashes=cast(tuple[Hash32, ...], block.ancestors),
            chain_id=block.chain_id, base_fee_per_gas=block.base_fee, excess_blob_gas=0,
        )  # fmt: skip
        vm = cls(reader, context, Hash32(ZERO_HASH))  # type: ignore[arg-type]  # our account database reads a StateReader
        vm.price = price
        return vm

    @property
    def flat(self) -> FlatState:
        return cast(FlatState, self._account_db)

    def set_system_contracts(self) -> None:
        """None: a chain with one author has no beacon chain to read roots from."""

    def count_jump(self) -> None:
        self.jumps += 1
        if self.jumps % _JUMPS_BETWEEN_CHECKS == 0:
            self.check_time()

    def check_time(self) -> None:
        if self.is_expired is not None and self.is_expired():
            raise RunOutOfTimeError
