"""
Instructions that do more than compute, each as one function of the frame and its operands, used by interpreter and traces alike.

Static gas is charged by the caller; what depends on operands or state is charged here.

Sources: the Yellow Paper, appendix H.2; EIP-1153, EIP-2200, EIP-2929, EIP-3529, EIP-5656.
"""

from __future__ import annotations

from typing import Final

from voisin.chain.devnet.engines.hashing import keccak_int
from voisin.chain.devnet.engines.jit.frame import Frame
from voisin.chain.devnet.engines.jit.halts import HaltError, out_of_gas, write_protection
from voisin.chain.devnet.values import EMPTY_ACCOUNT, Log

ADDRESS_MASK: Final = 2**160 - 1
GAS_WARM: Final = 100
GAS_COLD_SLOT: Final = 2_100
GAS_SLOT_SET: Final = 20_000
GAS_SLOT_RESET: Final = 2_900
GAS_STIPEND: Final = 2_300
REFUND_SLOT_CLEAR: Final = 4_800
GAS_NEW_ACCOUNT: Final = 25_000
GAS_COPIED_WORD: Final = 3
GAS_HASHED_WORD: Final = 6
GAS_LOGGED_BYTE: Final = 8
GAS_EXPONENT_BYTE: Final = 50
BLOCKS_REMEMBERED: Final = 256


def words(size: int) -> int:
    """Number of words that hold so many bytes."""
    return (size + 31) >> 5


def load(frame: Frame, slot: int) -> int:
    """SLOAD without the gas of a warm slot."""
    key = (frame.address, slot)
    value = frame.world.slots.get(key)
    if value is None:
        frame.spend(GAS_COLD_SLOT - GAS_WARM)
        value = frame.world.load_slot(key)
    return value


def store(frame: Frame, slot: int, value: int) -> None:
    """SSTORE."""
    if frame.is_static:
        raise write_protection()
    if frame.gas <= GAS_STIPEND:
        raise out_of_gas()
    world = frame.world
    key = (frame.address, slot)
    cost = 0
    current = world.slots.get(key)
    if current is None:
        cost = GAS_COLD_SLOT
        current = world.load_slot(key)
    original = world.original_slot(key)
    if value == current:
        frame.spend(cost + GAS_WARM)
        return
    if original == current:
        cost += GAS_SLOT_RESET if original else GAS_SLOT_SET
        if original and not value:
            world.refund += REFUND_SLOT_CLEAR
    else:
        cost += GAS_WARM
        if original:
            world.refund += REFUND_SLOT_CLEAR * ((not value) - (not current))
        if original == value:
            world.refund += (GAS_SLOT_RESET if original else GAS_SLOT_SET) - GAS_WARM
    frame.spend(cost)
    world.put(world.slots, key, value)


def store_transient(frame: Frame, slot: int, value: int) -> None:
    """TSTORE."""
    if frame.is_static:
        raise write_protection()
    frame.world.put(frame.world.transient, (frame.address, slot), value)


def hash_memory(frame: Frame, offset: int, size: int) -> int:
    """KECCAK256."""
    frame.spend(GAS_HASHED_WORD * words(size))
    frame.reach(offset, size)
    return keccak_int(bytes(frame.memory[offset : offset + size]) if size else b"")


def log(frame: Frame, offset: int, size: int, *topics: int) -> None:
    """LOG0 to LOG4."""
    if frame.is_static:
        raise write_protection()
    frame.spend(GAS_LOGGED_BYTE * size)
    frame.reach(offset, size)
    data = bytes(frame.memory[offset : offset + size]) if size else b""
    frame.world.logs.append(Log(frame.address, tuple([topic.to_bytes(32) for topic in topics]), data))


def copy(frame: Frame, source: bytes, target: int, offset: int, size: int) -> None:
    """Copy bytes to memory; behind the end of the source there are zeros."""
    if size:
        frame.spend(GAS_COPIED_WORD * words(size))
        frame.reach(target, size)
        frame.memory[target : target + size] = source[offset : offset + size].ljust(size, b"\0")


def copy_returned(frame: Frame, target: int, offset: int, size: int) -> None:
    """RETURNDATACOPY; behind the end there is nothing."""
    frame.spend(GAS_COPIED_WORD * words(size))
    frame.reach(target, size)
    if offset + size > len(frame.returned):
        raise HaltError("return data out of bounds")
    frame.memory[target : target + size] = frame.returned[offset : offset + size]


def copy_memory(frame: Frame, target: int, source: int, size: int) -> None:
    """MCOPY."""
    if size:
        frame.spend(GAS_COPIED_WORD * words(size))
        frame.reach(max(target, source), size)
        frame.memory[target : target + size] = frame.memory[source : source + size]


def exponentiate(frame: Frame, base: int, exponent: int) -> int:
    """EXP."""
    frame.spend(GAS_EXPONENT_BYTE * ((exponent.bit_length() + 7) // 8))
    return pow(base, exponent, 2**256)


def block_hash(frame: Frame, number: int) -> int:
    """BLOCKHASH: of the last 256 blocks; 0 for all others."""
    block = frame.world.block
    age = block.number - number
    return int.from_bytes(block.ancestors[age - 1]) if 1 <= age <= min(BLOCKS_REMEMBERED, len(block.ancestors)) else 0


def self_destruct(frame: Frame, heir: int) -> None:
    """SELFDESTRUCT (EIP-6780): the coin goes; the contract goes only when it was made in this transaction."""
    if frame.is_static:
        raise write_protection()
    world, address, receiver = frame.world, frame.address, (heir & ADDRESS_MASK).to_bytes(20)
    access = world.touch(receiver)
    cost = access if access > GAS_WARM else 0
    balance = world.account(address).balance
    if balance and world.account(receiver) == EMPTY_ACCOUNT:
        cost += GAS_NEW_ACCOUNT
    frame.spend(cost)
    world.move(address, receiver, balance)
    if address in world.created:
        world.put_account(address, world.account(address)._replace(balance=0))
        world.put(world.doomed, address, True)
