"""
Tags: the bits by which orders say what a machine must have.

Source: poco-protocol.md 4.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NewType

from voisin.errors import InputError
from voisin.protocol.ids import Hash32, as_hash32, uint_bytes

Tag = NewType("Tag", Hash32)

BITS: Final[dict[str, int]] = {"tee": 0, "scone": 1, "gramine": 2, "tdx": 3, "gpu": 8, "simulated": 16}
"""
Name of each known bit and its place, bit 0 being the least significant.

`simulated` is ours: a workerpool that offers it has no enclaves but processes that play them, and keeps no secret from whoever
runs the machine. To the hub it is a bit like any other.
"""

NO_TAG = Tag(Hash32("0x" + "00" * 32))
ENCLAVE_BITS: Final = (1 << BITS["simulated"]) | 0b1111
"""Bits that say what enclave is wanted, real or played."""
_FRAMEWORKS: Final = 0b1110
"""Bits of a dataset's tag that the hub ignores when it matches: the name of the enclave's framework."""


def tag_bits(tag: Tag) -> int:
    """Read a tag as a number."""
    return int(tag, 16)


def tag_from_bits(bits: int) -> Tag:
    """Write a number as a tag."""
    return Tag(Hash32("0x" + uint_bytes(bits).hex()))


def as_tag(text: str) -> Tag:
    """
    Read a tag from its 32-byte hex form or from names such as `"tee,tdx"`; the empty text is the empty tag.

    Raises:
        InputError: A name is unknown, or the hex is not 32 bytes.
    """
    if text.startswith("0x"):
        return Tag(as_hash32(text))
    return tag_of(name.strip() for name in text.split(",") if name.strip())


def tag_of(names: Iterable[str]) -> Tag:
    """
    Make a tag from names of bits.

    Raises:
        InputError: A name is unknown.
    """
    bits = 0
    for name in names:
        if name not in BITS:
            raise InputError(f"{name!r} is not a tag", hint=f"known tags are {', '.join(BITS)}")
        bits |= 1 << BITS[name]
    return tag_from_bits(bits)


def tag_names(tag: Tag) -> list[str]:
    """Name the bits of a tag, lowest first; an unknown bit is named `bit<n>`."""
    known = {place: name for name, place in BITS.items()}
    bits = tag_bits(tag)
    return [known.get(place, f"bit{place}") for place in range(bits.bit_length()) if bits >> place & 1]


def deal_tag(app: Tag, dataset: Tag, request: Tag) -> Tag:
    """
    Combine the tags of a match into what the workerpool must have.

    Source: poco-protocol.md 8.2, check 0x06.
    """
    return tag_from_bits(tag_bits(app) | (tag_bits(dataset) & ~_FRAMEWORKS) | tag_bits(request))


def missing_bits(wanted: Tag, offered: Tag) -> list[str]:
    """Name the bits that are wanted and not offered."""
    return tag_names(tag_from_bits(tag_bits(wanted) & ~tag_bits(offered)))


def both_tags(one: Tag, other: Tag) -> Tag:
    """Ask for what either of two tags asks for."""
    return tag_from_bits(tag_bits(one) | tag_bits(other))


def without(tag: Tag, bits: int) -> Tag:
    """Take bits out of a tag."""
    return tag_from_bits(tag_bits(tag) & ~bits)


def needs_enclave(tag: Tag) -> bool:
    """Tell whether the tag's TEE bit is set."""
    return bool(tag_bits(tag) & 1)


def is_simulated(tag: Tag) -> bool:
    """Tell whether the enclaves of a workerpool's tag are only played."""
    return bool(tag_bits(tag) >> BITS["simulated"] & 1)
