"""
Filters as conditions on the tables.

A condition that meets null is neither true nor false, as in SQL: only `field: null` and `field_not: null` find out about it. Hex
digits may be given in any case; `nocase` means the letters A to Z.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cache
from typing import Any

from graphql import GraphQLError
from sqlalchemy import ColumnElement, FromClause, Text, and_, exists, false, func, literal, not_, or_, select, true, type_coerce

from voisin.index.entities import Catalog, Entity, Field, Interface, Kind
from voisin.index.schema import NOW, TABLES, bytewise, write_ids
from voisin.index.sdl import condition_names
from voisin.protocol.ids import MAX_UINT256
from voisin.units import NRLC_PER_RLC

MAX_CONDITIONS, MAX_NESTING, MAX_LIST = 200, 10, 10_000

Condition = ColumnElement[bool]

_HEX = re.compile(r"0x[0-9a-fA-F]*")
LONGEST_NUMBER = 200
"""Digits of the longest number in a filter, and the greatest power of ten."""


class Conditions:
    """Makes the conditions of one query."""

    def __init__(self, catalog: Catalog, block: int) -> None:
        """
        Args:
            catalog: What there is.
            block: As of which block it is asked.
        """
        self._catalog = catalog
        self._block = block
        self._left = MAX_CONDITIONS

    def holds(self, table: FromClause) -> Condition:
        """Say that a row of a table holds at the block."""
        return and_(table.c.from_block <= self._block, table.c.to_block > self._block)

    def fit(self, shape: Entity | Interface, table: FromClause, where: Mapping[str, object], *, depth: int = 0) -> list[Condition]:
        """
        Say that a row fits a filter.

        Args:
            shape: The entity, or an interface that it implements.
            table: The entity's table.
            where: The filter.
            depth: How deep the filter lies in another.

        Raises:
            GraphQLError: A value makes no sense, or there are too many.
        """
        if depth > MAX_NESTING:
            raise GraphQLError(f"a filter may be nested {MAX_NESTING} levels deep at most")
        return [self._one(shape, table, name, value, depth) for name, value in where.items()]

    def _one(self, shape: Entity | Interface, table: FromClause, name: str, value: object, depth: int) -> Condition:
        self._left -= 1
        if self._left < 0:
            raise GraphQLError(f"a query may have {MAX_CONDITIONS} conditions at most")
        if name in ("and", "or"):
            parts = [and_(true(), *self.fit(shape, table, part, depth=depth + 1)) for part in _mappings(value)]
            return and_(true(), *parts) if name == "and" else or_(false(), *parts) if parts else true()
        if name == "_change_block":
            (changed,) = _mappings([value]) or ({"number_gte": 0},)
            return table.c.from_block >= _clamped(int(str(changed["number_gte"])))
        operators = _operators(shape)
        if name not in operators:
            (inner,) = _mappings([value]) or ({},)
            return self._of_others(shape.field(name.removesuffix("_")), table, inner, depth)
        field, operator = operators[name]
        return _compare(field, expression(field, table), operator, value)

    def _of_others(self, field: Field, table: FromClause, where: Mapping[str, object], depth: int) -> Condition:
        """Say that an entity that hangs on this one fits a filter."""
        target = self._catalog.entities[field.target]
        other = TABLES[target.table_name].alias()
        match field.kind:
            case Kind.REF:
                hangs = other.c.id == expression(field, table)
            case Kind.REFS:
                hangs = _has(expression(field, table), literal('"') + other.c.id + literal('"'))
            case _:
                hangs = expression(target.field(field.via), other) == table.c.id
        return exists(select(1).select_from(other).where(hangs, self.holds(other), *self.fit(target, other, where, depth=depth + 1)))


@cache
def _operators(shape: Entity | Interface) -> Mapping[str, tuple[Field, str]]:
    """List the conditions of a filter: the field and the operator of each."""
    return {name: (field, operator) for field in shape.fields for name, operator in condition_names(field)}


def expression(field: Field, table: FromClause) -> ColumnElement[object]:
    """Give a field's column, or what it always is."""
    if field.constant is not None:
        constant: ColumnElement[object] = literal(field.constant, type_=None if isinstance(field.constant, bool) else bytewise(Text()))
        return constant
    column: ColumnElement[object] = table.c[field.stored_as]
    return column


def _mappings(value: object) -> list[Mapping[str, object]]:
    return [part for part in (value if isinstance(value, list | tuple) else ()) if isinstance(part, Mapping)]


def _clamped(number: int) -> int:
    return min(max(number, 0), NOW)


def _compare(field: Field, column: ColumnElement[object], operator: str, value: object) -> Condition:
    if value is None:
        return column.is_(None) if operator == "" else column.is_not(None) if operator == "not" else false()
    if field.kind is Kind.REFS:
        return _compare_list(column, operator, [_text(field, each) for each in _values(field, value)])
    if operator in ("in", "not_in"):
        parts = [_compare(field, column, "", each) for each in _values(field, value)]
        return or_(false(), *parts) if operator == "in" else and_(column.is_not(None), *(not_(part) for part in parts))
    match field.kind:
        case Kind.BIGINT | Kind.RLC:
            return _compare_number(column, operator, _number(field, value), MAX_UINT256)
        case Kind.INT:
            return _compare_number(column, operator, _number(field, value), NOW)
        case Kind.BOOLEAN:
            return column == value if operator == "" else column != value
        case _:
            return _compare_text(type_coerce(column, bytewise(Text())), operator, _text(field, value))


def _values(field: Field, value: object) -> list[object]:
    values = list(value) if isinstance(value, list | tuple) else [value]
    if len(values) > MAX_LIST:
        raise GraphQLError(f"a list of values of `{field.name}` may have {MAX_LIST} at most")
    return values


def _text(field: Field, value: object) -> str:
    if not isinstance(value, str) or "\0" in value or not _is_encodable(value):
        raise GraphQLError(f"{str(value)[:80]!r} is not a value of `{field.name}`")
    if field.kind is not Kind.STRING and _HEX.fullmatch(value):
        return value.lower()
    return value


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _number(field: Field, value: object) -> Fraction:
    try:
        if isinstance(value, bool) or not isinstance(value, int | str | float) or len(str(value)) > LONGEST_NUMBER:
            raise InvalidOperation
        number = Decimal(str(value))
        if not number.is_finite() or abs(number.adjusted()) > LONGEST_NUMBER:
            raise InvalidOperation
    except (InvalidOperation, ValueError):
        raise GraphQLError(f"{str(value)[:80]!r} is not a value of `{field.name}`") from None
    return Fraction(number) * (NRLC_PER_RLC if field.kind is Kind.RLC else 1)


def _compare_number(column: ColumnElement[object], operator: str, value: Fraction, most: int) -> Condition:
    """Compare a column of whole numbers from 0 to `most` with any number."""
    is_there = column.is_not(None)
    down, up = math.floor(value), math.ceil(value)
    match operator:
        case "":
            return column == down if down == up and 0 <= down <= most else false()
        case "not":
            return column != down if down == up and 0 <= down <= most else is_there
        case "gt" | "gte":
            least = down + 1 if operator == "gt" else up
            return is_there if least <= 0 else false() if least > most else column >= least
        case _:
            highest = up - 1 if operator == "lt" else down
            return false() if highest < 0 else is_there if highest >= most else column <= highest


def _compare_text(column: ColumnElement[str], operator: str, value: str) -> Condition:
    if operator in _COMPARISONS:
        return _COMPARISONS[operator](column, value)
    plain = operator.removeprefix("not_").removesuffix("_nocase")
    if operator.endswith("_nocase"):
        column, value = func.lower(column), _lower(value)
    if plain == "contains" and not value:
        return false() if operator.startswith("not_") else column.is_not(None)
    if plain == "contains":
        fits = _has(column, literal(value))
    elif plain == "starts_with":
        fits = func.substr(column, 1, len(value)) == value
    else:
        fits = and_(func.length(column) >= len(value), func.substr(column, func.length(column) - len(value) + 1) == value)
    return not_(fits) if operator.startswith("not_") else fits


_COMPARISONS: dict[str, Callable[[ColumnElement[str], str], Condition]] = {
    "": lambda column, value: column == value,
    "not": lambda column, value: column != value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
}


def _compare_list(column: ColumnElement[object], operator: str, values: list[str]) -> Condition:
    listed: ColumnElement[str] = type_coerce(column, bytewise(Text()))
    if operator in ("", "not"):
        return _COMPARISONS[operator](listed, write_ids(values))
    if operator.endswith("_nocase"):
        listed, values = func.lower(listed), [_lower(value) for value in values]
    has_all = and_(true(), *(_has(listed, literal(f'"{value}"')) for value in values))
    return not_(has_all) if operator.startswith("not_") else has_all


def _has(column: ColumnElement[Any], part: ColumnElement[str]) -> Condition:
    """Say that text has a part that is not empty; both kinds of database know `replace` and no other word for it."""
    return func.replace(type_coerce(column, bytewise(Text())), part, "") != type_coerce(column, bytewise(Text()))


def _lower(text: str) -> str:
    return text.translate(_LOWER)


_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
