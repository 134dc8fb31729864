"""
Reading what the ecosystem's clients send: query parameters and signed orders, field by field.

Everything unknown is ignored, an address may be in any case, a number may be a number or its digits. The messages are those
that the clients' users know.

Source: client-surface.md 3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from voisin.errors import InputError
from voisin.protocol.ids import Address, Hash32, as_address
from voisin.protocol.orders import FIELDS, ORDER_TYPES, Order, OrderKind

ANY = "any"
SAFE = 2**53 - 1
"""The greatest number that the clients' language keeps exactly."""

_DIGITS = re.compile(r"-?\d{1,400}", re.ASCII)
_BYTES32 = re.compile(r"0x[0-9a-f]{64}")
_SIGN = re.compile(r"0x(?:[0-9a-f]{2})*", re.IGNORECASE)
_OPTIONAL = frozenset({"params"})


class Fields:
    """
    The fields of a query, a path or a body.

    Each method reads one; without `is_required` a field that is not there, or empty, is None. All raise `InputError` with the
    words that the clients' users know.
    """

    def __init__(self, values: Mapping[str, object], prefix: str = "") -> None:
        """
        Args:
            values: The fields by name.
            prefix: What stands before a name in messages.
        """
        self._values = values
        self._prefix = prefix

    def text(self, name: str, *, is_required: bool = False) -> str | None:
        """Read a text."""
        value = self._values.get(name)
        if value is None or value == "":
            if is_required:
                raise InputError(f"{self._prefix}{name} is a required field")
            return None
        if isinstance(value, bool | int | float):
            return str(value)
        if not isinstance(value, str):
            raise InputError(f"{self._prefix}{name} must be a `string` type")
        return value

    def address(self, name: str, *, is_required: bool = False) -> Address | None:
        """Read an address in any case; checksums are not looked at."""
        text = self.text(name, is_required=is_required)
        return None if text is None else self._address(name, text, "is not a valid ethereum address")

    def address_or_any(self, name: str) -> str | None:
        """Read an address or `any`."""
        text = self.text(name)
        return text if text in (None, ANY) else self._address(name, text, f'is neither "{ANY}" nor a valid ethereum address')

    def bytes32(self, name: str, *, is_required: bool = False) -> Hash32 | None:
        """Read 32 bytes of hex."""
        text = self.text(name, is_required=is_required)
        if text is None:
            return None
        if not _BYTES32.fullmatch(text.lower()):
            raise InputError(f"{self._prefix}{name} must be a bytes32 hexstring")
        return Hash32(text.lower())

    def number(self, name: str, *, least: int = 0, most: int = SAFE, is_required: bool = False) -> int | None:
        """Read a whole number within bounds."""
        if self.text(name, is_required=is_required) is None:
            return None
        found = self._whole(name, self._values[name])
        if found < least:
            raise InputError(f"{self._prefix}{name} must be greater than or equal to {least}")
        if found > most:
            raise InputError(f"{self._prefix}{name} must be less than or equal to {most}")
        return found

    def flag(self, name: str) -> bool:
        """Read a flag; False when it is not there."""
        text = self.text(name)
        if text is None:
            return False
        if text.lower() not in ("true", "false", "1", "0"):
            raise self._not_a("boolean", name)
        return text.lower() in ("true", "1")

    def signature(self, name: str) -> str:
        """Read a signature, which must be there."""
        text = self.text(name, is_required=True)
        assert text is not None
        if not _SIGN.fullmatch(text):
            raise InputError(f"{self._prefix}{name} must be a valid signature")
        return text

    def one_of(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """Read one of several words."""
        text = self.text(name) or default
        if text not in choices:
            raise InputError(f"{self._prefix}{name} must be one of the following values: {', '.join(choices)}")
        return text

    def chain(self, expected: int) -> str:
        """Read the chain's id, which must be there and the market's own; answers it as it was written."""
        text = self.text("chainId", is_required=True)
        assert text is not None
        if text != str(expected):
            raise InputError(f"chainId {text[:80]} is not supported")
        return text

    def below(self, name: str) -> Fields:
        """Go into a field that has fields itself; it must be there."""
        value = self._values.get(name)
        if value is None:
            raise InputError(f"{self._prefix}{name} is a required field")
        if not isinstance(value, Mapping):
            raise InputError(f"{self._prefix}{name} must be a `object` type")
        return Fields(value, f"{self._prefix}{name}.")

    def order(self, kind: OrderKind) -> Order:
        """Read the fields of a signed order, all of which must be there."""
        order_type = ORDER_TYPES[kind]
        values: dict[str, object] = {"sign": self.signature("sign")}
        for name, field_type in FIELDS[order_type]:
            match field_type:
                case "address":
                    values[name] = self.address(name, is_required=True)
                case "bytes32":
                    values[name] = self.bytes32(name, is_required=True)
                case "uint256":
                    values[name] = self.number(name, least=1 if name == "volume" else 0, is_required=True)
                case _:
                    values[name] = self.text(name, is_required=name not in _OPTIONAL) or ""
        return msgspec.convert(values, order_type)

    def _whole(self, name: str, value: object) -> int:
        match value:
            case bool():
                raise self._not_a("number", name)
            case int():
                return value
            case float() if value.is_integer():
                return int(value)
            case float():
                raise InputError(f"{self._prefix}{name} must be an integer")
            case str() if _DIGITS.fullmatch(value):
                return int(value)
        raise self._not_a("number", name)

    def _address(self, name: str, text: str, complaint: str) -> Address:
        try:
            return as_address(text.lower())
        except InputError:
            raise InputError(f"{self._prefix}{name} {complaint}") from None

    def _not_a(self, kind: str, name: str) -> InputError:
        return InputError(f"{self._prefix}{name} must be a `{kind}` type, but the final value was: `{self._values[name]!r}`"[:300])
