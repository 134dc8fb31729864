"""
Messages that a message sends: the four calls and the two creations.

Sources: the Yellow Paper, sections 7 and 8; EIP-150, EIP-161, EIP-170, EIP-1014, EIP-2929, EIP-3541, EIP-3860, EIP-7702.
"""

from __future__ import annotations

from typing import Final

from voisin.chain.devnet.engines.hashing import keccak
from voisin.chain.devnet.engines.jit.code import Code
from voisin.chain.devnet.engines.jit.effects import ADDRESS_MASK, GAS_HASHED_WORD, GAS_NEW_ACCOUNT, GAS_STIPEND, words
from voisin.chain.devnet.engines.jit.frame import ENDED, FAILED, MAX_DEPTH, Frame
from voisin.chain.devnet.engines.jit.halts import HaltError, out_of_gas, write_protection
from voisin.chain.devnet.engines.jit.instructions import CALL, CALLCODE, CREATE, CREATE2, DELEGATECALL, STATICCALL
from voisin.chain.devnet.engines.jit.precompiles import run_precompile
from voisin.chain.devnet.engines.jit.world import PRECOMPILES, World
from voisin.chain.devnet.fees import GAS_INIT_CODE_WORD, MAX_INIT_CODE_SIZE, MAX_NONCE
from voisin.chain.devnet.records.rlp_writer import encode, number_bytes
from voisin.chain.devnet.values import EMPTY_ACCOUNT, EMPTY_CODE_HASH

GAS_VALUE: Final = 9_000
GAS_CODE_BYTE: Final = 200
MAX_CODE_SIZE: Final = 24_576
_RESERVED_FIRST_BYTE: Final = b"\xef"


def begin(frame: Frame, opcode: int) -> Frame | None:
    """
    Send the message that a call or creation asks for.

    Args:
        frame: Who sends; the operands are on its stack, the static gas is taken.
        opcode: Which instruction.

    Returns:
        The message to be run; None when it has ended already, and the sender goes on.

    Raises:
        HaltError: The sender fails.
    """
    return _create(frame, opcode) if opcode in (CREATE, CREATE2) else _call(frame, opcode)


def finish(child: Frame, parent: Frame, signal: int) -> None:
    """
    Hand the result of a message to its sender.

    Args:
        child: The message; its effects are settled.
        parent: Its sender.
        signal: How it ended.
    """
    is_success = signal == ENDED
    parent.gas += child.gas
    if child.is_creation:
        parent.returned = b"" if is_success else child.output
        parent.stack.append(int.from_bytes(child.address) if is_success else 0)
    else:
        _answer(parent, child.output, is_success=is_success, window=child.window)
    parent.pc += 1


def settle(frame: Frame, signal: int) -> int:
    """
    Keep or undo what a message did, and give a new contract its code.

    Args:
        frame: The message.
        signal: How it ended.

    Returns:
        How it ended after all.
    """
    if signal == ENDED and frame.is_creation:
        try:
            _deposit(frame)
        except HaltError as halt:
            frame.fail(halt.words)
            signal = FAILED
    if signal != ENDED:
        frame.world.rollback(frame.mark)
    return signal


def _answer(frame: Frame, output: bytes, *, is_success: bool, window: tuple[int, int]) -> None:
    frame.returned = output
    frame.stack.append(1 if is_success else 0)
    at, size = window
    if size:
        given = output[:size]
        frame.memory[at : at + len(given)] = given


def _call(frame: Frame, opcode: int) -> Frame | None:
    stack, world = frame.stack, frame.world
    asked, named = stack.pop(), stack.pop() & ADDRESS_MASK
    value = stack.pop() if opcode in (CALL, CALLCODE) else 0
    input_at, input_size, output_at, output_size = stack.pop(), stack.pop(), stack.pop(), stack.pop()
    if value and opcode == CALL and frame.is_static:
        raise write_protection()
    frame.reach(input_at, input_size)
    frame.reach(output_at, output_size)
    target = named.to_bytes(20)
    cost = world.touch(target)
    code = world.code(target)
    is_precompile = target in PRECOMPILES
    if code.delegate is not None:
        cost += world.touch(code.delegate)
        is_precompile, code = False, world.code(code.delegate)
    if value:
        cost += GAS_VALUE
        if opcode == CALL and world.account(target) == EMPTY_ACCOUNT:
            cost += GAS_NEW_ACCOUNT
    frame.spend(cost)
    given = min(asked, frame.gas - frame.gas // 64)
    frame.gas -= given
    if value:
        given += GAS_STIPEND
    frame.returned = b""
    if frame.depth >= MAX_DEPTH or (value and world.account(frame.address).balance < value):
        frame.gas += given
        stack.append(0)
        return None
    data = bytes(frame.memory[input_at : input_at + input_size]) if input_size else b""
    mark = world.mark()
    if opcode == CALL:
        world.move(frame.address, target, value)
    window = (output_at, output_size)
    if is_precompile:
        _run_precompile(frame, named, data, gas=given, window=window)
        if not stack[-1]:
            world.rollback(mark)
        return None
    return Frame(
        world, code, gas=given, address=target if opcode in (CALL, STATICCALL) else frame.address,
        caller=frame.caller if opcode == DELEGATECALL else frame.address, value=frame.value if opcode == DELEGATECALL else value,
        data=data, depth=frame.depth + 1, is_static=frame.is_static or opcode == STATICCALL, is_creation=False, mark=mark, window=window,
    )  # fmt: skip


def _run_precompile(frame: Frame, number: int, data: bytes, *, gas: int, window: tuple[int, int]) -> None:
    try:
        left, output = run_precompile(number, data, gas)
    except HaltError:
        _answer(frame, b"", is_success=False, window=window)
        return
    frame.gas += left
    _answer(frame, output, is_success=True, window=window)


def _create(frame: Frame, opcode: int) -> Frame | None:
    stack, world = frame.stack, frame.world
    value, at, size = stack.pop(), stack.pop(), stack.pop()
    salt = stack.pop() if opcode == CREATE2 else None
    if frame.is_static:
        raise write_protection()
    if size > MAX_INIT_CODE_SIZE:
        raise out_of_gas()
    frame.spend((GAS_INIT_CODE_WORD if salt is None else GAS_INIT_CODE_WORD + GAS_HASHED_WORD) * words(size))
    frame.reach(at, size)
    init = bytes(frame.memory[at : at + size]) if size else b""
    given = frame.gas - frame.gas // 64
    frame.gas -= given
    frame.returned = b""
    sender = frame.address
    account = world.account(sender)
    if account.balance < value or account.nonce >= MAX_NONCE or frame.depth >= MAX_DEPTH:
        frame.gas += given
        stack.append(0)
        return None
    address = created_address(sender, account.nonce) if salt is None else _salted_address(sender, salt, init)
    world.raise_nonce(sender)
    child = create_message(world, init, address=address, sender=sender, value=value, gas=given, depth=frame.depth + 1)
    if child is None:
        stack.append(0)
    return child


def create_message(  # noqa: PLR0913 (a message has so many properties)
    world: World, init: bytes, *, address: bytes, sender: bytes, value: int, gas: int, depth: int
) -> Frame | None:
    """
    Make the message that makes a contract; the address becomes warm.

    Args:
        world: The state.
        init: Init code.
        address: Where the contract will be.
        sender: Who makes it.
        value: Native coin that it gets [wei].
        gas: Gas of the message.
        depth: How many messages are around it.

    Returns:
        The message; None when there is a contract at the address already.
    """
    world.touch(address)
    account = world.account(address)
    if account.nonce or account.code_hash != EMPTY_CODE_HASH:
        return None
    mark = world.mark()
    world.put(world.created, address, True)
    world.raise_nonce(address)
    world.move(sender, address, value)
    return Frame(
        world, Code(init), gas=gas, address=address, caller=sender, value=value, data=b"", depth=depth, is_static=False,
        is_creation=True, mark=mark,
    )  # fmt: skip


def _deposit(frame: Frame) -> None:
    """Pay for the code that a creation gave back, and put it in its place."""
    code = frame.output
    if code[:1] == _RESERVED_FIRST_BYTE:
        raise HaltError("invalid code: must not begin with 0xef")
    frame.spend(GAS_CODE_BYTE * len(code))
    if len(code) > MAX_CODE_SIZE:
        raise HaltError("max code size exceeded")
    frame.world.put_code(frame.address, code)


def created_address(sender: bytes, nonce: int) -> bytes:
    """
    Compute where CREATE, or a transaction without receiver, makes its contract.

    Args:
        sender: Who makes it.
        nonce: The sender's nonce before.

    Returns:
        The address.
    """
    return keccak(encode([sender, number_bytes(nonce)]))[12:]


def _salted_address(sender: bytes, salt: int, init: bytes) -> bytes:
    return keccak(b"\xff" + sender + salt.to_bytes(32) + keccak(init))[12:]
