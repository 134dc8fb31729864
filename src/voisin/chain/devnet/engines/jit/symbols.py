"""
What a trace knows of numbers while it is being written: a constant, or the Python variable that will hold it.

The stack of a trace exists only at translation time. `SymbolicStack` remembers which numbers the frame's real stack holds, and which
it should hold, and writes the difference when the real one is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from voisin.chain.devnet.engines.jit.arithmetic import PURE, SIGN

WORD_BITS: Final = 256


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """
    A number that only the run will tell.

    Attributes:
        name: Python variable that holds it.
        bits: It is below two to this power.
        is_bool: Whether it is True or False, to be made a number before it leaves the trace.
    """

    name: str
    bits: int = WORD_BITS
    is_bool: bool = False


Value = int | Variable


@dataclass(frozen=True, slots=True)
class Expression:
    """Python text that computes a number, with what is known of the result as in `Variable`."""

    text: str
    bits: int = WORD_BITS
    is_bool: bool = False


def text(value: Value) -> str:
    """Write a value as an operand."""
    return value.name if isinstance(value, Variable) else hex(value)


def plain(value: Value) -> str:
    """Write a value that leaves the trace: a number, never a bool."""
    return f"+{value.name}" if isinstance(value, Variable) and value.is_bool else text(value)


def bits(value: Value) -> int:
    """Power of two that the value is below."""
    return value.bits if isinstance(value, Variable) else value.bit_length()


def same(one: Value, other: Value) -> bool:
    """Whether two values are surely the same number."""
    return one is other or (isinstance(one, int) and isinstance(other, int) and one == other)


@dataclass(slots=True)
class SymbolicStack:
    """
    The stack during translation; positions count from the deepest number that the trace has looked at.

    Attributes:
        wanted: What the stack should hold.
        held: What the frame's list does hold.
        taken: Numbers of the list as it was on entry that the trace uses; they are the first of `held` at entry.
        peak: Most numbers above the entry height at any time.
    """

    wanted: list[Value] = field(default_factory=list)
    held: list[Value] = field(default_factory=list)
    taken: list[Variable] = field(default_factory=list)
    peak: int = 0

    def reach(self, depth: int) -> None:
        """Make so many numbers known."""
        while len(self.wanted) < depth:
            variable = Variable(f"e{len(self.taken)}")
            self.taken.append(variable)
            self.wanted.insert(0, variable)
            self.held.insert(0, variable)

    def pop(self) -> Value:
        """Take the top."""
        self.reach(1)
        return self.wanted.pop()

    def push(self, value: Value) -> None:
        """Put on top."""
        self.wanted.append(value)
        self.peak = max(self.peak, len(self.wanted) - len(self.taken))

    def difference(self) -> str:
        """Write the statement that makes the list hold what it should; empty when it does."""
        held, wanted = self.held, self.wanted
        kept = 0
        while kept < min(len(held), len(wanted)) and same(held[kept], wanted[kept]):
            kept += 1
        gone, new = len(held) - kept, [plain(value) for value in wanted[kept:]]
        if not new:
            return f"del S[-{gone}:]" if gone else ""
        if not gone:
            return f"S.append({new[0]})" if len(new) == 1 else f"S += ({', '.join(new)})"
        if gone == len(new) == 1:
            return f"S[-1] = {new[0]}"
        return f"S[-{gone}:] = ({', '.join(new)},)"

    def settle(self) -> str:
        """Write the difference, and take it as done."""
        statement = self.difference()
        self.held = list(self.wanted)
        return statement

    def replace_top(self, pops: int, results: list[Value]) -> None:
        """Note that something outside took and left numbers on the settled list."""
        kept = len(self.wanted) - pops
        self.wanted[kept:] = results
        self.held = list(self.wanted)
        self.peak = max(self.peak, len(self.wanted) - len(self.taken))


def compute(opcode: int, operands: list[Value]) -> Value | Expression:
    """
    Translate an instruction that only computes.

    Args:
        opcode: One of `PURE`.
        operands: The top of the stack first.

    Returns:
        The result where it is known already, or else the Python expression for it.
    """
    constants = [value for value in operands if isinstance(value, int)]
    if len(constants) == len(operands):
        return PURE[opcode].run(*constants)
    if opcode in _BITWISE:
        return _bitwise(opcode, *operands)
    if opcode in _COMPARISONS:
        return Expression(f"{text(operands[0])} {_COMPARISONS[opcode]} {text(operands[1])}", 1, True)
    if opcode in _FUNCTIONS:
        return Expression(f"{_FUNCTIONS[opcode]}({', '.join(map(text, operands))})")
    return _SPECIAL[opcode](*operands)


def _bitwise(opcode: int, a: Value, b: Value) -> Value | Expression:
    if opcode == 0x16:
        for mask, other in ((a, b), (b, a)):
            if isinstance(mask, int) and not mask & (mask + 1) and bits(other) <= mask.bit_length():
                return other
        return Expression(f"{text(a)} & {text(b)}", min(bits(a), bits(b)), _is_bool(a) and _is_bool(b))
    for zero, other in ((a, b), (b, a)):
        if same(zero, 0):
            return other
    return Expression(f"{text(a)} {_BITWISE[opcode]} {text(b)}", max(bits(a), bits(b)), _is_bool(a) and _is_bool(b))


def _is_bool(value: Value) -> bool:
    return isinstance(value, Variable) and value.is_bool


def _masked(expression: str, size: int) -> Expression:
    return Expression(expression, size) if size <= WORD_BITS else Expression(f"{expression} & M")


def _add(a: Value, b: Value) -> Value | Expression:
    for zero, other in ((a, b), (b, a)):
        if same(zero, 0):
            return other
    return _masked(f"({text(a)} + {text(b)})", max(bits(a), bits(b)) + 1)


def _mul(a: Value, b: Value) -> Value | Expression:
    for one, other in ((a, b), (b, a)):
        if same(one, 1):
            return other
    return _masked(f"({text(a)} * {text(b)})", bits(a) + bits(b))


def _sub(a: Value, b: Value) -> Value | Expression:
    return a if same(b, 0) else Expression(f"({text(a)} - {text(b)}) & M")


def _div(a: Value, b: Value) -> Value | Expression:
    if isinstance(b, int):
        return Expression(f"{text(a)} // {text(b)}", bits(a)) if b else 0
    return Expression(f"({text(a)} // {text(b)} if {text(b)} else 0)", bits(a))


def _mod(a: Value, b: Value) -> Value | Expression:
    if isinstance(b, int):
        return Expression(f"{text(a)} % {text(b)}", bits(b)) if b else 0
    return Expression(f"({text(a)} % {text(b)} if {text(b)} else 0)", bits(b))


def _is_zero(a: Value) -> Expression:
    return Expression(f"not {text(a)}", 1, True)


def _not(a: Value) -> Expression:
    return Expression(f"{text(a)} ^ M")


def _signed_less(a: Value, b: Value) -> Expression:
    return Expression(f"{_biased(a)} < {_biased(b)}", 1, True)


def _signed_more(a: Value, b: Value) -> Expression:
    return Expression(f"{_biased(a)} > {_biased(b)}", 1, True)


def _biased(value: Value) -> str:
    """The value with its sign bit turned over, so that signed order becomes plain order."""
    return hex(value ^ SIGN) if isinstance(value, int) else f"({value.name} ^ {hex(SIGN)})"


def _shl(shift: Value, value: Value) -> Value | Expression:
    if isinstance(shift, int):
        if shift >= WORD_BITS:
            return 0
        return _masked(f"({text(value)} << {shift})", bits(value) + shift)
    return Expression(f"(({text(value)} << {text(shift)}) & M if {text(shift)} < 256 else 0)")


def _shr(shift: Value, value: Value) -> Value | Expression:
    if isinstance(shift, int):
        return 0 if shift >= bits(value) else Expression(f"{text(value)} >> {shift}", bits(value) - shift)
    return Expression(f"({text(value)} >> {text(shift)} if {text(shift)} < 256 else 0)", bits(value))


def _byte(index: Value, value: Value) -> Value | Expression:
    if isinstance(index, int):
        return Expression(f"{text(value)} >> {8 * (31 - index)} & 255", 8) if index < 32 else 0
    return Expression(f"byte({text(index)}, {text(value)})", 8)


_BITWISE: Final = {0x16: "&", 0x17: "|", 0x18: "^"}
_COMPARISONS: Final = {0x10: "<", 0x11: ">", 0x14: "=="}
_FUNCTIONS: Final = {0x05: "sdiv", 0x07: "smod", 0x08: "addmod", 0x09: "mulmod", 0x0B: "signextend", 0x1D: "sar"}
_SPECIAL: Final[dict[int, Callable[..., Value | Expression]]] = {
    0x01: _add, 0x02: _mul, 0x03: _sub, 0x04: _div, 0x06: _mod, 0x12: _signed_less, 0x13: _signed_more, 0x15: _is_zero,
    0x19: _not, 0x1A: _byte, 0x1B: _shl, 0x1C: _shr,
}  # fmt: skip
assert set(PURE) == {*_BITWISE, *_COMPARISONS, *_FUNCTIONS, *_SPECIAL}
