"""
How traces write the instructions that deserve better than a call of the interpreter's function: those that contracts use all the time.

Each pattern takes operands off the symbolic stack, writes statements, and puts results on it; the static gas of the instruction is
already owed. It gives whether the trace goes on behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from voisin.chain.devnet.engines.jit.effects import GAS_COLD_SLOT, GAS_COPIED_WORD, GAS_HASHED_WORD, GAS_WARM, words
from voisin.chain.devnet.engines.jit.frame import ENDED, REVERTED
from voisin.chain.devnet.engines.jit.symbols import Expression, plain, text
from voisin.chain.devnet.engines.jit.writer import TraceWriter

Pattern = Callable[[TraceWriter, int], bool]
"""Writes the instruction at a place."""

_SIZE_BITS: Final = 48
"""Lengths and gas are below two to this power."""
_MOST_INLINE: Final = 4_096
"""Longest range whose text says its length [bytes]."""


def _environment(text: str, size: int) -> Pattern:
    """An instruction whose answer stays the same as long as the trace runs."""

    def write(writer: TraceWriter, place: int) -> bool:
        del place
        writer.stack.push(writer.recall(Expression(text, size)))
        return True

    return write


def _load_data(writer: TraceWriter, place: int) -> bool:
    del place
    offset = writer.stack.pop()
    span = f"{offset}:{offset + 32}" if isinstance(offset, int) else f"{offset.name}:{offset.name} + 32"
    writer.stack.push(writer.recall(Expression(f'number(D[{span}].ljust(32, b"\\0"))')))
    return True


def _pop(writer: TraceWriter, place: int) -> bool:
    del place
    writer.stack.pop()
    return True


def _load_word(writer: TraceWriter, place: int) -> bool:
    del place
    writer.stack.push(writer.load_word(writer.stack.pop()))
    return True


def _store_word(writer: TraceWriter, place: int) -> bool:
    del place
    offset, value = writer.stack.pop(), writer.stack.pop()
    writer.store_word(offset, value)
    return True


def _store_byte(writer: TraceWriter, place: int) -> bool:
    del place
    offset, value = writer.stack.pop(), writer.stack.pop()
    writer.store_byte(offset, value)
    return True


def _place(writer: TraceWriter, place: int) -> bool:
    writer.stack.push(place)
    return True


def _memory_size(writer: TraceWriter, place: int) -> bool:
    del place
    writer.stack.push(writer.assign(Expression("len(m)", _SIZE_BITS)))
    return True


def _gas(writer: TraceWriter, place: int) -> bool:
    del place
    writer.settle_gas()
    writer.stack.push(writer.assign(Expression("gas", 64)))
    return True


def _hash(writer: TraceWriter, place: int) -> bool:
    del place
    offset, size = writer.stack.pop(), writer.stack.pop()
    if isinstance(offset, int) and isinstance(size, int) and offset + size <= _MOST_INLINE:
        writer.owed += GAS_HASHED_WORD * words(size)
        writer.stack.push(writer.hash_memory(offset, size))
        return True
    writer.settle_gas()
    writer.line("F.gas = gas")
    writer.stack.push(writer.assign(Expression(f"hash_memory(F, {text(offset)}, {text(size)})")))
    writer.line("gas = F.gas")
    return True


def _load(writer: TraceWriter, place: int) -> bool:
    del place
    slot = writer.stack.pop()
    value = writer.assign(Expression(f"W.get((A, {plain(slot)}))"))
    writer.line(f"if {value.name} is None:")
    writer.line(f"    gas -= {GAS_COLD_SLOT - GAS_WARM}")
    writer.line("    if gas < 0: raise out_of_gas()")
    writer.line(f"    {value.name} = F.world.load_slot((A, {plain(slot)}))")
    writer.stack.push(value)
    return True


def _load_transient(writer: TraceWriter, place: int) -> bool:
    del place
    writer.stack.push(writer.assign(Expression(f"F.world.transient.get((A, {plain(writer.stack.pop())}), 0)")))
    return True


def _effect(name: str, pops: int, *, writes_memory: bool) -> Pattern:
    """An instruction that leaves nothing, written as a call of its function in `effects`."""

    def write(writer: TraceWriter, place: int) -> bool:
        del place
        operands = [plain(writer.stack.pop()) for _ in range(pops)]
        writer.settle_gas()
        writer.line("F.gas = gas")
        writer.line(f"{name}(F, {', '.join(operands)})")
        writer.line("gas = F.gas")
        if writes_memory:
            writer.forget_words()
        return True

    return write


def _copy_memory(writer: TraceWriter, place: int) -> bool:
    target, source, size = (writer.stack.pop() for _ in range(3))
    if not all(isinstance(value, int) and value <= _MOST_INLINE for value in (target, source, size)):
        for value in (size, source, target):
            writer.stack.push(value)
        return _COPY_MEMORY(writer, place)
    assert isinstance(target, int) and isinstance(source, int) and isinstance(size, int)  # noqa: PT018
    if size:
        writer.owed += GAS_COPIED_WORD * words(size)
        writer.reach(max(target, source), size)
        writer.line(f"m[{target}:{target + size}] = m[{source}:{source + size}]")
        writer.forget_words()
    return True


def _end(signal: int, *, has_output: bool) -> Pattern:
    """STOP, RETURN, REVERT."""

    def write(writer: TraceWriter, place: int) -> bool:
        del place
        output = _output(writer) if has_output else 'b""'
        writer.settle_gas()
        writer.line("F.gas = gas")
        writer.line(f"F.output = {output}")
        writer.line(f"return {signal}")
        return False

    return write


def _output(writer: TraceWriter) -> str:
    offset, size = writer.stack.pop(), writer.stack.pop()
    if isinstance(size, int) and isinstance(offset, int):
        if not size:
            return 'b""'
        writer.reach(offset, size)
        return f"bytes(m[{offset}:{offset + size}])"
    end = writer.assign(Expression(f"{text(offset)} + {text(size)}")).name
    writer.line(f"if {text(size)} and {end} > len(m): gas = grow(m, {end}, gas, {writer.owed})")
    return f'bytes(m[{text(offset)}:{end}]) if {text(size)} else b""'


_COPY_MEMORY: Final = _effect("copy_memory", 3, writes_memory=True)
PATTERNS: Final[dict[int, Pattern]] = {
    0x00: _end(ENDED, has_output=False),
    0x20: _hash,
    0x30: _environment("number(A)", 160),
    0x33: _environment("number(F.caller)", 160),
    0x34: _environment("F.value", 256),
    0x35: _load_data,
    0x36: _environment("len(D)", _SIZE_BITS),
    0x37: _effect("copy_data", 3, writes_memory=True),
    0x38: _environment("len(F.code.raw)", _SIZE_BITS),
    0x39: _effect("copy_code", 3, writes_memory=True),
    0x3D: _environment("len(F.returned)", _SIZE_BITS),
    0x3E: _effect("copy_returned", 3, writes_memory=True),
    0x42: _environment("F.world.block.timestamp", 256),
    0x50: _pop,
    0x51: _load_word,
    0x52: _store_word,
    0x53: _store_byte,
    0x54: _load,
    0x55: _effect("store", 2, writes_memory=False),
    0x58: _place,
    0x59: _memory_size,
    0x5A: _gas,
    0x5C: _load_transient,
    0x5D: _effect("store_transient", 2, writes_memory=False),
    0x5E: _copy_memory,
    **{0xA0 + topics: _effect("log", 2 + topics, writes_memory=False) for topics in range(5)},
    0xF3: _end(ENDED, has_output=True),
    0xFD: _end(REVERTED, has_output=True),
}
"""By opcode."""
