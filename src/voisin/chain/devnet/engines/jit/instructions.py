"""
The table of all instructions of the Prague fork: what each takes and leaves, its static gas, and how it is interpreted.

Source: the Yellow Paper, appendix H.2, and the EIPs that `effects` names; EIP-3198, EIP-3855, EIP-4399, EIP-4844, EIP-7516.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from voisin.chain.devnet.engines.jit import effects
from voisin.chain.devnet.engines.jit.arithmetic import PURE, Pure
from voisin.chain.devnet.engines.jit.frame import ENDED, MAX_STACK, REVERTED, Frame
from voisin.chain.devnet.engines.jit.halts import HaltError, bad_jump
from voisin.chain.devnet.values import EMPTY_ACCOUNT

Handler = Callable[[Frame], int | None]
"""Interprets one instruction; gives where to go on, or a signal, or None for the next instruction."""

JUMP: Final = 0x56
JUMPI: Final = 0x57
JUMPDEST: Final = 0x5B
PUSH0: Final = 0x5F
PUSH32: Final = 0x7F
DUP1: Final = 0x80
SWAP1: Final = 0x90
SWAP16: Final = 0x9F
CREATE, CALL, CALLCODE, DELEGATECALL, CREATE2, STATICCALL = 0xF0, 0xF1, 0xF2, 0xF4, 0xF5, 0xFA


class Instruction(NamedTuple):
    """
    One instruction.

    Attributes:
        pops: Numbers that must be on the stack.
        pushes: Numbers that it leaves in their place.
        gas: Static gas.
        run: Interprets it; its static gas is already taken, its operands are on the stack.
    """

    pops: int
    pushes: int
    gas: int
    run: Handler


def _pure(pure: Pure) -> Instruction:
    run = pure.run

    def one(frame: Frame) -> None:
        frame.stack[-1] = run(frame.stack[-1])

    def two(frame: Frame) -> None:
        top = frame.stack.pop()
        frame.stack[-1] = run(top, frame.stack[-1])

    def three(frame: Frame) -> None:
        first, second = frame.stack.pop(), frame.stack.pop()
        frame.stack[-1] = run(first, second, frame.stack[-1])

    return Instruction(pure.pops, 1, pure.gas, (one, two, three)[pure.pops - 1])


def _read(gas: int, read: Callable[[Frame], int]) -> Instruction:
    """An instruction that takes nothing and leaves a number."""

    def run(frame: Frame) -> None:
        frame.stack.append(read(frame))

    return Instruction(0, 1, gas, run)


def _effect(pops: int, pushes: int, gas: int, effect: Callable[..., int | None]) -> Instruction:
    """An instruction that hands its operands, the top first, to a function, and leaves what that gives, if anything."""

    def run(frame: Frame) -> None:
        stack = frame.stack
        operands = stack[: -pops - 1 : -1]
        del stack[-pops:]
        found = effect(frame, *operands)
        if found is not None:
            stack.append(found)

    return Instruction(pops, pushes, gas, run)


def account_of(frame: Frame, address: int) -> bytes:
    """Use an address that an instruction names, for its price."""
    found = (address & effects.ADDRESS_MASK).to_bytes(20)
    frame.spend(frame.world.touch(found))
    return found


def _balance(frame: Frame, address: int) -> int:
    return frame.world.account(account_of(frame, address)).balance


def _code_size(frame: Frame, address: int) -> int:
    return len(frame.world.raw_code(account_of(frame, address)))


def _code_hash(frame: Frame, address: int) -> int:
    account = frame.world.account(account_of(frame, address))
    return 0 if account == EMPTY_ACCOUNT else int.from_bytes(account.code_hash)


def _code_copy(frame: Frame, address: int, target: int, offset: int, size: int) -> None:
    effects.copy(frame, frame.world.raw_code(account_of(frame, address)), target, offset, size)


def load_data(frame: Frame, offset: int) -> int:
    """CALLDATALOAD."""
    return int.from_bytes(frame.data[offset : offset + 32].ljust(32, b"\0"))


def _load_word(frame: Frame, offset: int) -> int:
    frame.reach(offset, 32)
    return int.from_bytes(frame.memory[offset : offset + 32])


def _store_word(frame: Frame, offset: int, value: int) -> None:
    frame.reach(offset, 32)
    frame.memory[offset : offset + 32] = value.to_bytes(32)


def _store_byte(frame: Frame, offset: int, value: int) -> None:
    frame.reach(offset, 1)
    frame.memory[offset] = value & 0xFF


def copy_data(frame: Frame, target: int, offset: int, size: int) -> None:
    """CALLDATACOPY."""
    effects.copy(frame, frame.data, target, offset, size)


def copy_code(frame: Frame, target: int, offset: int, size: int) -> None:
    """CODECOPY."""
    effects.copy(frame, frame.code.raw, target, offset, size)


def _nothing(_frame: Frame, *_operands: int) -> None:
    """POP and JUMPDEST."""


def _zero(_frame: Frame, _index: int) -> int:
    """BLOBHASH: no transaction here carries blobs."""
    return 0


def _load_transient(frame: Frame, slot: int) -> int:
    return frame.world.transient.get((frame.address, slot), 0)


def _jump(frame: Frame) -> int:
    target = frame.stack.pop()
    if target not in frame.code.jump_destinations:
        raise bad_jump()
    return target


def _jump_if(frame: Frame) -> int | None:
    target, condition = frame.stack.pop(), frame.stack.pop()
    if not condition:
        return None
    if target not in frame.code.jump_destinations:
        raise bad_jump()
    return target


def _stop(frame: Frame) -> int:
    frame.output = b""
    return ENDED


def _give(frame: Frame) -> None:
    offset, size = frame.stack.pop(), frame.stack.pop()
    frame.reach(offset, size)
    frame.output = bytes(frame.memory[offset : offset + size]) if size else b""


def _return(frame: Frame) -> int:
    _give(frame)
    return ENDED


def _revert(frame: Frame) -> int:
    _give(frame)
    return REVERTED


def _self_destruct(frame: Frame) -> int:
    effects.self_destruct(frame, frame.stack.pop())
    frame.output = b""
    return ENDED


def _invalid(_frame: Frame) -> int:
    raise HaltError("invalid opcode")


def _nest(opcode: int) -> Handler:
    """Calls and creations are a matter of the machine."""
    return lambda _frame: -opcode


def _push(_frame: Frame) -> None:
    raise AssertionError("whoever runs a PUSH reads its data itself")


def _duplicate(depth: int) -> Handler:
    return lambda frame: frame.stack.append(frame.stack[-depth])


def _swap(depth: int) -> Handler:
    def run(frame: Frame) -> None:
        stack = frame.stack
        stack[-1], stack[-depth] = stack[-depth], stack[-1]

    return run


INVALID: Final = Instruction(0, 0, 0, _invalid)
_TABLE: Final[dict[int, Instruction]] = {
    **{opcode: _pure(pure) for opcode, pure in PURE.items()},
    0x00: Instruction(0, 0, 0, _stop),
    0x0A: _effect(2, 1, 10, effects.exponentiate),
    0x20: _effect(2, 1, 30, effects.hash_memory),
    0x30: _read(2, lambda frame: int.from_bytes(frame.address)),
    0x31: _effect(1, 1, 0, _balance),
    0x32: _read(2, lambda frame: frame.world.origin),
    0x33: _read(2, lambda frame: int.from_bytes(frame.caller)),
    0x34: _read(2, lambda frame: frame.value),
    0x35: _effect(1, 1, 3, load_data),
    0x36: _read(2, lambda frame: len(frame.data)),
    0x37: _effect(3, 0, 3, copy_data),
    0x38: _read(2, lambda frame: len(frame.code.raw)),
    0x39: _effect(3, 0, 3, copy_code),
    0x3A: _read(2, lambda frame: frame.world.price),
    0x3B: _effect(1, 1, 0, _code_size),
    0x3C: _effect(4, 0, 0, _code_copy),
    0x3D: _read(2, lambda frame: len(frame.returned)),
    0x3E: _effect(3, 0, 3, effects.copy_returned),
    0x3F: _effect(1, 1, 0, _code_hash),
    0x40: _effect(1, 1, 20, effects.block_hash),
    0x41: _read(2, lambda frame: int.from_bytes(frame.world.block.coinbase)),
    0x42: _read(2, lambda frame: frame.world.block.timestamp),
    0x43: _read(2, lambda frame: frame.world.block.number),
    0x44: _read(2, lambda frame: int.from_bytes(frame.world.block.randao)),
    0x45: _read(2, lambda frame: frame.world.block.gas_limit),
    0x46: _read(2, lambda frame: frame.world.block.chain_id),
    0x47: _read(5, lambda frame: frame.world.account(frame.address).balance),
    0x48: _read(2, lambda frame: frame.world.block.base_fee),
    0x49: _effect(1, 1, 3, _zero),
    0x4A: _read(2, lambda _frame: 1),
    0x50: _effect(1, 0, 2, _nothing),
    0x51: _effect(1, 1, 3, _load_word),
    0x52: _effect(2, 0, 3, _store_word),
    0x53: _effect(2, 0, 3, _store_byte),
    0x54: _effect(1, 1, effects.GAS_WARM, effects.load),
    0x55: _effect(2, 0, 0, effects.store),
    JUMP: Instruction(1, 0, 8, _jump),
    JUMPI: Instruction(2, 0, 10, _jump_if),
    0x58: _read(2, lambda frame: frame.pc),
    0x59: _read(2, lambda frame: len(frame.memory)),
    0x5A: _read(2, lambda frame: frame.gas),
    JUMPDEST: Instruction(0, 0, 1, _nothing),
    0x5C: _effect(1, 1, effects.GAS_WARM, _load_transient),
    0x5D: _effect(2, 0, effects.GAS_WARM, effects.store_transient),
    0x5E: _effect(3, 0, 3, effects.copy_memory),
    PUSH0: _read(2, lambda _frame: 0),
    **dict.fromkeys(range(PUSH0 + 1, PUSH32 + 1), Instruction(0, 1, 3, _push)),
    **{DUP1 + depth - 1: Instruction(depth, depth + 1, 3, _duplicate(depth)) for depth in range(1, 17)},
    **{SWAP1 + depth - 1: Instruction(depth + 1, depth + 1, 3, _swap(depth + 1)) for depth in range(1, 17)},
    **{0xA0 + topics: _effect(2 + topics, 0, 375 * (1 + topics), effects.log) for topics in range(5)},
    CREATE: Instruction(3, 1, 32_000, _nest(CREATE)),
    CALL: Instruction(7, 1, 0, _nest(CALL)),
    CALLCODE: Instruction(7, 1, 0, _nest(CALLCODE)),
    0xF3: Instruction(2, 0, 0, _return),
    DELEGATECALL: Instruction(6, 1, 0, _nest(DELEGATECALL)),
    CREATE2: Instruction(4, 1, 32_000, _nest(CREATE2)),
    STATICCALL: Instruction(6, 1, 0, _nest(STATICCALL)),
    0xFD: Instruction(2, 0, 0, _revert),
    0xFF: Instruction(1, 0, 5_000, _self_destruct),
}
INSTRUCTIONS: Final[tuple[Instruction, ...]] = tuple(_TABLE.get(opcode, INVALID) for opcode in range(256))
"""By opcode; what is no instruction fails as INVALID (0xFE) does."""


def room_needed(instruction: Instruction) -> int:
    """Tallest stack on which the instruction may still run."""
    return MAX_STACK - max(0, instruction.pushes - instruction.pops)
