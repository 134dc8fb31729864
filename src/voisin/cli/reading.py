"""How words on a command line become values; what cannot be read is a usage error that says what to write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from voisin.errors import InputError, VoisinError
from voisin.units import NRLC, parse_amount

if TYPE_CHECKING:
    from voisin.protocol.records import Category

T = TypeVar("T")


def told(read: Callable[[str], T]) -> Callable[[str], T]:
    """Make a reader's refusal a usage error."""

    def reader(text: str) -> T:
        try:
            return read(text)
        except VoisinError as error:
            raise typer.BadParameter(str(error)) from None

    reader.__name__ = getattr(read, "__name__", "value")
    return reader


@told
def amount(text: str) -> NRLC:
    """Read an amount of money."""
    return parse_amount(text)


@told
def category(text: str) -> Category:
    """Read a class of duration, for example `XS=300`."""
    from voisin.protocol.records import Category

    name, _, seconds = text.partition("=")
    if not name or not seconds.isascii() or not seconds.isdigit() or int(seconds) == 0:
        raise InputError(f"{text!r} is not a class of duration", hint='write its name and seconds, for example "XS=300"')
    return Category(name, "", int(seconds))


@told
def address(text: str) -> str:
    """Read an address."""
    from voisin.protocol.ids import as_address

    return as_address(text)


@told
def hash32(text: str) -> str:
    """Read the id of a deal or task, or the hash of an order."""
    from voisin.protocol.ids import as_hash32

    return as_hash32(text)


@told
def tag(text: str) -> str:
    """Read a tag by names or as hex."""
    from voisin.protocol.tags import as_tag

    return as_tag(text)


def settings_of(pairs: Sequence[str], option: str = "--set") -> dict[str, str]:
    """
    Read `name=value` pairs.

    Args:
        pairs: What was given.
        option: The option's name, for errors.
    """
    read: dict[str, str] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint=option)
        if name in read:
            raise typer.BadParameter(f"{name!r} is given twice", param_hint=option)
        read[name] = value
    return read


def inputs_of(given: Sequence[str]) -> dict[str, Path]:
    """Read `FILE` or `NAME=FILE`; a file without name is seen by the app under its own."""
    inputs: dict[str, Path] = {}
    for word in given:
        name, separator, file = word.partition("=")
        path = Path(file if separator else word)
        key = name if separator else path.name
        if key in inputs:
            raise typer.BadParameter(f"two inputs are called {key!r}", param_hint="--input")
        inputs[key] = path
    return inputs
