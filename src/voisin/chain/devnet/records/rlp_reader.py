"""
Reading recursive length prefixes (RLP): what a client sends as a transaction.

Only the one spelling that an encoder writes is taken, so that a transaction has one hash.

Source: the Ethereum yellow paper, appendix B.
"""

from __future__ import annotations

from typing import Final

from voisin.chain.devnet.records.rlp_writer import Item

MAX_DEPTH: Final = 64
"""Most lists in lists: a transaction has four."""

_STRING, _LIST = 0x80, 0xC0
_SHORT: Final = 55


class RlpError(ValueError):
    """Bytes are no RLP."""


def decode(data: bytes) -> Item:
    """
    Read one item, which takes all of the bytes.

    Raises:
        RlpError: They are no RLP, or not in the form that an encoder gives it.
    """
    item, end = _item(data, 0, len(data), 0)
    if end != len(data):
        raise RlpError(f"{len(data) - end} bytes too many")
    return item


def _item(data: bytes, at: int, limit: int, depth: int) -> tuple[Item, int]:
    """Read the item that begins at a place; answers where it ends, too."""
    if at >= limit:
        raise RlpError("the data end too early")
    first = data[at]
    if first < _STRING:
        return data[at : at + 1], at + 1
    start, end = _span(data, at, limit, first - (_LIST if first >= _LIST else _STRING))
    if first < _LIST:
        if end - start == 1 and data[start] < _STRING:
            raise RlpError("a byte has a prefix that it does not need")
        return data[start:end], end
    if depth == MAX_DEPTH:
        raise RlpError("there are too many lists in lists")
    items: list[Item] = []
    while start < end:
        item, start = _item(data, start, end, depth + 1)
        items.append(item)
    return items, end


def _span(data: bytes, at: int, limit: int, prefix: int) -> tuple[int, int]:
    """Tell where the content of an item begins and ends."""
    start, size = at + 1, prefix
    if prefix > _SHORT:
        start += prefix - _SHORT
        length = data[at + 1 : start]
        size = int.from_bytes(length, "big")
        if start > limit or length[0] == 0 or size <= _SHORT:
            raise RlpError("a length is not written as it should be")
    if start + size > limit:
        raise RlpError("the data end too early")
    return start, start + size
