"""Quantities with their units: money is a whole number of nRLC, time is whole Unix seconds."""

from __future__ import annotations

import re
from typing import NewType

from voisin.errors import InputError

NRLC = NewType("NRLC", int)
"""1e-9 RLC, the unit of every amount of money."""
Wei = NewType("Wei", int)
"""1e-18 of the chain's native coin, which pays for gas."""
UnixSeconds = NewType("UnixSeconds", int)

NRLC_PER_RLC = 10**9
RLC_DECIMALS = 9
_AMOUNT = re.compile(r"(\d+)(?:\.(\d+))?\s*(n?rlc)?", re.IGNORECASE | re.ASCII)


def parse_amount(text: str) -> NRLC:
    """
    Read an amount of money exactly, without passing through a float.

    Args:
        text: `"1.5"`, `"1.5 RLC"` or `"1500000000 nRLC"`; a number without unit is in RLC.

    Returns:
        The amount [nRLC].

    Raises:
        InputError: It is not an amount, is negative, or is finer than 1 nRLC.
    """
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{text!r} is not an amount", hint='write for example "1.5 RLC" or "1500000000 nRLC"')
    whole, fraction, unit = match[1], match[2] or "", (match[3] or "rlc").lower()
    decimals = RLC_DECIMALS if unit == "rlc" else 0
    digits = fraction.rstrip("0")
    if len(digits) > decimals:
        raise InputError(f"{text!r} is finer than 1 nRLC", hint=f"use at most {decimals} decimals with {unit.upper()}")
    return NRLC(int(whole) * 10**decimals + int(digits.ljust(decimals, "0") or "0"))


def format_amount(amount: NRLC) -> str:
    """
    Write an amount for a screen, exactly.

    Args:
        amount: The amount [nRLC]; may be negative for a difference.

    Returns:
        For example `"1.5 RLC"`; `parse_amount` reads it back when it is not negative.
    """
    whole, fraction = divmod(abs(amount), NRLC_PER_RLC)
    decimals = f"{fraction:09d}".rstrip("0")
    return f"{'-' if amount < 0 else ''}{whole}{'.' + decimals if decimals else ''} RLC"
