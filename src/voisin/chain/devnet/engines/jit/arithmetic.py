"""
Instructions that only compute: numbers from the stack in, one number out.

All take and give whole numbers below 2**256. Source: the Yellow Paper, appendix H.2; EIP-145 for shifts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

MASK: Final = 2**256 - 1
SIGN: Final = 2**255
_WORD: Final = 2**256


class Pure(NamedTuple):
    """One instruction: the numbers it takes, its gas, and what it computes (the top of the stack is the first argument)."""

    pops: int
    gas: int
    run: Callable[..., int]


def signed(number: int) -> int:
    """Read a word as a two's complement number."""
    return number - _WORD if number & SIGN else number


def sdiv(a: int, b: int) -> int:
    """Divide, signed, towards zero; 0 when the divisor is 0."""
    if not b:
        return 0
    x, y = signed(a), signed(b)
    quotient = abs(x) // abs(y)
    return (-quotient if (x < 0) != (y < 0) else quotient) & MASK


def smod(a: int, b: int) -> int:
    """Remainder with the sign of the dividend; 0 when the divisor is 0."""
    if not b:
        return 0
    x, y = signed(a), signed(b)
    rest = abs(x) % abs(y)
    return (-rest if x < 0 else rest) & MASK


def addmod(a: int, b: int, n: int) -> int:
    """Add without overflow, then reduce; 0 when the modulus is 0."""
    return (a + b) % n if n else 0


def mulmod(a: int, b: int, n: int) -> int:
    """Multiply without overflow, then reduce; 0 when the modulus is 0."""
    return (a * b) % n if n else 0


def power(base: int, exponent: int) -> int:
    """Raise to a power."""
    return pow(base, exponent, _WORD)


def signextend(size: int, value: int) -> int:
    """Extend the sign of the lowest `size` + 1 bytes."""
    if size >= 31:
        return value
    sign = 1 << (8 * size + 7)
    low = value & (2 * sign - 1)
    return low | (MASK ^ (2 * sign - 1)) if low & sign else low


def byte(index: int, value: int) -> int:
    """Byte of a word, the highest being number 0."""
    return (value >> (8 * (31 - index))) & 0xFF if index < 32 else 0


def shl(shift: int, value: int) -> int:
    """Shift left."""
    return (value << shift) & MASK if shift < 256 else 0


def shr(shift: int, value: int) -> int:
    """Shift right."""
    return value >> shift if shift < 256 else 0


def sar(shift: int, value: int) -> int:
    """Shift right, keeping the sign."""
    return (signed(value) >> min(shift, 255)) & MASK


PURE: Final[dict[int, Pure]] = {
    0x01: Pure(2, 3, lambda a, b: (a + b) & MASK),
    0x02: Pure(2, 5, lambda a, b: (a * b) & MASK),
    0x03: Pure(2, 3, lambda a, b: (a - b) & MASK),
    0x04: Pure(2, 5, lambda a, b: a // b if b else 0),
    0x05: Pure(2, 5, sdiv),
    0x06: Pure(2, 5, lambda a, b: a % b if b else 0),
    0x07: Pure(2, 5, smod),
    0x08: Pure(3, 8, addmod),
    0x09: Pure(3, 8, mulmod),
    0x0B: Pure(2, 5, signextend),
    0x10: Pure(2, 3, lambda a, b: int(a < b)),
    0x11: Pure(2, 3, lambda a, b: int(a > b)),
    0x12: Pure(2, 3, lambda a, b: int(a ^ SIGN < b ^ SIGN)),
    0x13: Pure(2, 3, lambda a, b: int(a ^ SIGN > b ^ SIGN)),
    0x14: Pure(2, 3, lambda a, b: int(a == b)),
    0x15: Pure(1, 3, lambda a: int(not a)),
    0x16: Pure(2, 3, lambda a, b: a & b),
    0x17: Pure(2, 3, lambda a, b: a | b),
    0x18: Pure(2, 3, lambda a, b: a ^ b),
    0x19: Pure(1, 3, lambda a: a ^ MASK),
    0x1A: Pure(2, 3, byte),
    0x1B: Pure(2, 3, shl),
    0x1C: Pure(2, 3, shr),
    0x1D: Pure(2, 3, sar),
}
"""By opcode; EXP (0x0A) is not among them, because its gas depends on the exponent."""
