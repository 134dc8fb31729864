"""The one door through which foreign bytes become values."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from voisin.errors import InputError

T = TypeVar("T")


def decode(data: bytes | str, kind: type[T], what: str) -> T:
    """
    Read JSON strictly: wrong types are refused, and unknown fields where the type forbids them.

    Args:
        data: The JSON text.
        kind: The type to read.
        what: What it is, for the error, for example `"the order"`.

    Raises:
        InputError: It is not JSON, or not of that type; the message says where.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise InputError(f"{what} is malformed: {error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{what} is not UTF-8 text") from None
    except RecursionError:
        raise InputError(f"{what} is malformed: it is nested too deeply") from None


def encode(value: object) -> bytes:
    """Write a value as JSON."""
    return msgspec.json.encode(value)


def storable(text: str) -> str:
    """Make a text from the chain fit for every database: PostgreSQL keeps no NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
