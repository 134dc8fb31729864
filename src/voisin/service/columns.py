"""
Types of columns that several services' databases have.

256-bit numbers are kept as decimal text of fixed width, which every database sorts and compares as the numbers sort and
compare.
"""

from __future__ import annotations

from sqlalchemy import Dialect, String
from sqlalchemy.types import TypeDecorator

from voisin.protocol.ids import MAX_UINT256

UINT256_DIGITS = len(str(MAX_UINT256))


def uint256_text(value: int) -> str:
    """Write a number as its column keeps it."""
    return str(value).rjust(UINT256_DIGITS, "0")


class Uint256(TypeDecorator[int]):
    """A number from 0 to 2^256 - 1, kept as text that sorts as numbers do."""

    impl = String(UINT256_DIGITS)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:  # noqa: ARG002  (the base class calls it so)
        """Write a number."""
        if value is None:
            return None
        assert 0 <= value <= MAX_UINT256
        return uint256_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Read a number."""
        return None if value is None else int(value)
