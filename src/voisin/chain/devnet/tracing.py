"""
Running a transaction or a call once more and watching it: the tree of its calls, and each instruction when that is asked for.

py-evm does the watching whatever engine seals the blocks: all engines mean the same, and the receipt's gas is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from eth.abc import ComputationAPI, MessageAPI
from eth.vm.opcode import Opcode
from eth_typing import Address

from voisin.chain.devnet.engines.engine import BlockContext, Call, IsExpired, Outcome, StateReader
from voisin.chain.devnet.engines.pyevm import PyEvmComputation, PyEvmEngine, PyEvmState, error_words
from voisin.chain.devnet.values import Log, Transaction

_KINDS = {0xF0: "CREATE", 0xF1: "CALL", 0xF2: "CALLCODE", 0xF4: "DELEGATECALL", 0xF5: "CREATE2", 0xFA: "STATICCALL"}
_SLOT_OPCODES = {0x54: 1, 0x55: 2}
"""SLOAD and SSTORE, and how many words of the stack they take."""


@dataclass(frozen=True, slots=True)
class Frame:
    """
    One call of a run.

    Attributes:
        kind: The instruction that made it, for example `DELEGATECALL`.
        sender: Contract or account that made it.
        to: Contract whose code ran, or that was created.
        value: Native coin [wei].
        gas: Gas it had.
        gas_used: Gas it spent.
        data: Call data or init code.
        output: Returned or reverted data.
        error: Why it failed, in geth's words; None when it did not.
        logs: Its own events, each with the number of calls it had made before.
        calls: The calls that it made.
    """

    kind: str
    sender: bytes
    to: bytes
    value: int
    gas: int
    gas_used: int
    data: bytes
    output: bytes
    error: str | None
    logs: tuple[tuple[Log, int], ...]
    calls: tuple[Frame, ...]


@dataclass(slots=True)
class Step:
    """
    One instruction of a run.

    Attributes:
        pc: Its place in the code.
        op: Its name.
        gas: Gas left before it.
        cost: Gas it took, that of a call's callee included.
        depth: Number of the calls it runs in, 1 for the outermost.
        stack: The stack before it, the top last.
        memory: The memory before it; empty unless asked for.
        slot: Storage slot that it reads or writes, with the value; None for other instructions.
    """

    pc: int
    op: str
    gas: int
    cost: int
    depth: int
    stack: tuple[int, ...]
    memory: bytes
    slot: tuple[int, int] | None


OnStep = Callable[[Step], None]
"""Told of each instruction before it runs; its cost is filled in afterwards."""


class TracingEngine(PyEvmEngine):
    """
    Runs one transaction or call and remembers how; made anew for each.

    Args:
        is_expired: Asked now and then; True stops the run.
        on_step: Told of each instruction; None watches calls only.
        with_memory: Whether steps hold the memory.
    """

    def __init__(self, is_expired: IsExpired, *, on_step: OnStep | None = None, with_memory: bool = False) -> None:
        self._is_expired = is_expired
        self._on_step = on_step
        self._with_memory = with_memory
        self._vm: TracingState | None = None

    def vm(self, block: BlockContext, state: StateReader, *, price: int) -> PyEvmState:
        """Make the machine; see `PyEvmEngine`."""
        vm = self._vm = TracingState.at(block, state, price=price)
        vm.is_expired, vm.on_step, vm.with_memory = self._is_expired, self._on_step, self._with_memory
        return vm

    def trace(self, run: Transaction | Call, block: BlockContext, *, state: StateReader) -> tuple[Outcome, Frame]:
        """
        Run and watch.

        Args:
            run: The transaction or call.
            block: The block it is in.
            state: The state before.

        Returns:
            What it did, and the outermost call with all that it made.

        Raises:
            RunOutOfTimeError: `is_expired` said so.
        """
        if isinstance(run, Transaction):
            outcome = self.execute(run, block, state=state)
        else:
            outcome = self.call(run, block, state=state, is_expired=self._is_expired)
        root = self._vm.root if self._vm else None
        return outcome, _outermost(run, outcome, cast(TracingComputation | None, root))

    def used(self) -> tuple[frozenset[bytes], frozenset[tuple[bytes, int]]]:
        """
        Tell what the run has used.

        Returns:
            Addresses, and slots of addresses; what was undone is not among them.
        """
        return (frozenset(), frozenset()) if self._vm is None else self._vm.flat.warm()


class TracingComputation(PyEvmComputation):
    """A message that remembers what it called, and with which instruction."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.kinds: list[str] = []
        self.log_places: list[int] = []
        state = self.state
        assert isinstance(state, TracingState)
        if state.on_step is not None:
            self.opcodes = _Watched(PyEvmComputation.opcodes, self)

    def apply_child_computation(self, child_msg: MessageAPI) -> ComputationAPI:
        """Run a callee; the instruction that calls has just been read."""
        self.kinds.append(_KINDS[self.code[self.code.program_counter - 1]])
        return super().apply_child_computation(child_msg)

    def add_log_entry(self, account: Address, topics: tuple[int, ...], data: bytes) -> None:
        """Note an event and its place among the calls."""
        self.log_places.append(len(self.children))
        super().add_log_entry(account, topics, data)

    def own_logs(self) -> Iterator[tuple[Log, int]]:
        """
        Read the events of this message alone, also when they were undone.

        Yields:
            Each event, and the number of calls made before it.
        """
        for (_, account, topics, data), place in zip(self._log_entries, self.log_places, strict=True):
            yield Log(bytes(account), tuple(topic.to_bytes(32, "big") for topic in topics), bytes(data)), place


class TracingState(PyEvmState):
    """A machine whose messages remember what they did."""

    computation_class = TracingComputation
    on_step: OnStep | None = None
    with_memory = False


class _Watched(dict[int, Any]):
    """The instructions, each of which is reported before it runs."""

    def __init__(self, opcodes: dict[int, Any], computation: TracingComputation) -> None:
        super().__init__(opcodes)
        self._computation = computation

    def __getitem__(self, opcode: int) -> Any:
        function = self.get(opcode)
        name = f"opcode 0x{opcode:x} not defined" if function is None else mnemonic(function)
        step = _step(self._computation, opcode, name)
        cast(TracingState, self._computation.state).on_step(step)  # type: ignore[misc]  # it is set, or this dictionary were not made
        if function is None:
            raise KeyError(opcode)  # py-evm then fails the message
        return partial(_run_step, function, step)


def _run_step(function: Callable[..., None], step: Step, computation: ComputationAPI) -> None:
    try:
        function(computation=computation)
    finally:
        step.cost = step.gas - computation.get_gas_remaining()


def mnemonic(opcode: object) -> str:
    """
    Name an instruction of py-evm.

    Args:
        opcode: The instruction; some are functions around the true one.

    Returns:
        The name.
    """
    return str(opcode.mnemonic if isinstance(opcode, Opcode) else getattr(getattr(opcode, "__wrapped__", opcode), "mnemonic", "?"))


def _step(computation: TracingComputation, opcode: int, name: str) -> Step:
    state = cast(TracingState, computation.state)
    values = computation._stack.values  # type: ignore[attr-defined]  # py-evm's own class
    stack = tuple(value if isinstance(value, int) else int.from_bytes(value, "big") for value in values)
    taken = _SLOT_OPCODES.get(opcode)
    slot = None
    if taken is not None and len(stack) >= taken:
        value = stack[-2] if taken == 2 else state.flat.get_storage(computation.msg.storage_address, stack[-1])
        slot = (stack[-1], value)
    memory = bytes(computation._memory.read_bytes(0, len(computation._memory))) if state.with_memory else b""
    depth = computation.msg.depth + 1
    return Step(computation.code.program_counter - 1, name, computation.get_gas_remaining(), 0, depth, stack, memory, slot)


def _outermost(run: Transaction | Call, outcome: Outcome, root: TracingComputation | None) -> Frame:
    """The transaction itself: its gas is what the sender bought, and its use what the receipt says."""
    logs = tuple(root.own_logs()) if root else ()
    return Frame(
        kind="CREATE" if run.to is None else "CALL", sender=run.sender, to=run.to or outcome.created or b"", value=run.value, gas=run.gas,
        gas_used=outcome.gas_used, data=run.data, output=outcome.output, error=outcome.error, logs=logs,
        calls=tuple(_below(root)) if root else (),
    )  # fmt: skip


def _below(parent: TracingComputation) -> Iterator[Frame]:
    for kind, each in zip(parent.kinds, parent.children, strict=False):  # the last may have been stopped
        child = cast(TracingComputation, each)
        message = child.msg
        is_create = kind in ("CREATE", "CREATE2")
        to = message.storage_address if is_create else message.to if kind in ("CALL", "STATICCALL") else message.code_address
        yield Frame(
            kind=kind, sender=bytes(parent.msg.storage_address), to=bytes(to), value=message.value, gas=message.gas,
            gas_used=message.gas - (0 if child.should_burn_gas else child.get_gas_remaining()),
            data=bytes(message.code if is_create else message.data), output=bytes(child.output),
            error=error_words(child.error) if child.is_error else None, logs=tuple(child.own_logs()), calls=tuple(_below(child)),
        )  # fmt: skip
