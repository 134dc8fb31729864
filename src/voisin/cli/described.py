"""Arguments of calls and events on a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voisin.cli.show import short

if TYPE_CHECKING:
    from voisin.chain.describing import Argument, Plain


def arguments_line(arguments: tuple[Argument, ...]) -> str:
    """Write arguments in a line, addresses and hashes short."""
    return ", ".join(f"{each.name}={_value(each.value)}" if each.name else _value(each.value) for each in arguments)


def _value(value: Plain) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={_value(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(part) for part in value) + "]"
    return str(value).lower() if isinstance(value, bool) else short(value) if value.startswith("0x") else value
