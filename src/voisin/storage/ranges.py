"""
The `Range` header of HTTP: which bytes of a whole somebody asks for.

Source: RFC 9110, section 14.
"""

from __future__ import annotations

import re

from voisin.errors import InputError

_ONE_RANGE = re.compile(r"bytes[ \t]*=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.ASCII | re.IGNORECASE)


class RangeError(InputError):
    """
    A range that has no byte in common with the content.

    Attributes:
        size: Length of the content in bytes.
    """

    code = "range-not-satisfiable"

    def __init__(self, header: str, size: int) -> None:
        super().__init__(f"there are no bytes {header[:80]!r} in {size} bytes", hint=f"ask for bytes between 0 and {size}")
        self.size = size


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """
    Read a `Range` header.

    Args:
        header: Its value; empty when there was none.
        size: Length of the content in bytes.

    Returns:
        The first byte and the one after the last; None when the whole is to be sent: no range, several ranges, or another unit,
        all of which a server may ignore.

    Raises:
        RangeError: It is a range, but outside of the content.
    """
    match = _ONE_RANGE.fullmatch(header)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start = int(match[1])
        last = int(match[2]) if match[2] else size - 1
        if match[2] and last < start:
            return None
        stop = min(size, last + 1)
    if start >= stop:
        raise RangeError(header, size)
    return start, stop
