"""
Blocks that link to other blocks: the `dag-pb` codec, the form of IPFS's files and folders.

A node has links (to a block, under a name, with the size of everything below) and data. It is a Protocol Buffers message with the links
first; a block has one encoding only, so that equal nodes have equal names.

Source: IPLD, "DAG-PB" specification; Protocol Buffers, "Encoding".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from voisin.errors import InputError
from voisin.protocol.ipld import Name, name_from_bytes

MAX_NODE_BYTES: Final = 2 << 20
"""Longest node that is read, as IPFS's own nodes have it [bytes]."""
MAX_UINT64: Final = (1 << 64) - 1
VARINT: Final = 0
BYTES: Final = 2
_LINKS, _DATA = 2, 1
_HASH, _NAME, _SIZE = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Link:
    """
    A link to a block.

    Attributes:
        name: The block.
        label: Name of the link: a file's in a folder, empty inside a file.
        size: What the block and all blocks below it take [bytes]; said by whoever wrote the node, for nothing to rely on.
    """

    name: Name
    label: str
    size: int


@dataclass(frozen=True, slots=True)
class Node:
    """A block with links."""

    links: tuple[Link, ...]
    data: bytes


def encode_node(node: Node) -> bytes:
    """Write a node as the bytes of a block."""
    out = bytearray()
    for link in node.links:
        body = field_bytes(_HASH, link.name.raw) + field_bytes(_NAME, link.label.encode()) + field_number(_SIZE, link.size)
        out += field_bytes(_LINKS, body)
    return bytes(out + field_bytes(_DATA, node.data))


def decode_node(block: bytes) -> Node:
    """
    Read a block as a node.

    Raises:
        InputError: It is none, is too long, or links to what is not known here.
    """
    if len(block) > MAX_NODE_BYTES:
        raise InputError(f"a node of {len(block)} bytes is too long", hint=f"nodes have up to {MAX_NODE_BYTES} bytes")
    links, data = [], None
    for field, value in fields(block):
        if field == _LINKS and isinstance(value, bytes):
            links.append(_decode_link(value))
        elif field == _DATA and isinstance(value, bytes) and data is None:
            data = value
        else:
            raise InputError(f"the node has a field {field} that does not belong there")
    return Node(tuple(links), data or b"")


def _decode_link(body: bytes) -> Link:
    found: dict[int, int | bytes] = {}
    for field, value in fields(body):
        if field in found or field not in (_HASH, _NAME, _SIZE):
            raise InputError(f"the link has a field {field} that does not belong there")
        found[field] = value
    target, label, size = found.get(_HASH, b""), found.get(_NAME, b""), found.get(_SIZE, 0)
    if not isinstance(target, bytes) or not isinstance(label, bytes) or not isinstance(size, int):
        raise InputError("the link has a field of a wrong type")
    try:
        return Link(name_from_bytes(target), label.decode(), size)
    except UnicodeDecodeError:
        raise InputError("the name of a link is not text") from None


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """
    Walk the fields of a Protocol Buffers message.

    Yields:
        The field's number, and its value: a whole number or bytes.

    Raises:
        InputError: The message is cut off, or has a field of another type.
    """
    at = 0
    while at < len(message):
        tag, at = read_varint(message, at)
        value, at = read_varint(message, at)
        if tag & 7 == VARINT:
            yield tag >> 3, value
        elif tag & 7 == BYTES:
            if value > len(message) - at:
                raise InputError("the message is cut off")
            yield tag >> 3, message[at : at + value]
            at += value
        else:
            raise InputError(f"the message has a field of type {tag & 7}")


def read_varint(message: bytes, at: int) -> tuple[int, int]:
    """
    Read a number of variable length.

    Returns:
        The number, and where it ends.

    Raises:
        InputError: It is cut off, or has more than 64 bits.
    """
    number = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            if number > MAX_UINT64:
                break
            return number, at
        shift += 7
    raise InputError("the message has a number that is cut off or too long")


def varint(number: int) -> bytes:
    """Write a number of variable length."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field_bytes(field: int, value: bytes) -> bytes:
    """Write a field of bytes."""
    return varint(field << 3 | BYTES) + varint(len(value)) + value


def field_number(field: int, value: int) -> bytes:
    """Write a field with a whole number."""
    return varint(field << 3 | VARINT) + varint(value)
