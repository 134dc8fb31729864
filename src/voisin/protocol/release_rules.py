"""
Rules by which a result goes to its reader although its owner does not look: what it may be, file by file.

A rule is part of the terms of use, so the owner's signature of the order covers it. It is judged inside the enclave, where the result is
still clear: a result that fits is sealed for its reader at once, any other waits for the owner. Nobody else hears why.

A rule says what is allowed, and nothing else is: a file that it does not name, a member of an object, a column of a table, a word that is
not listed. Every file has a largest size, for whatever is allowed can be arranged to say something; the size is the most that it can say.

Values are described in a part of JSON Schema, with its words and their meaning, except that members which are not named are refused.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from voisin.errors import InputError
from voisin.protocol.archive import ResultArchive, check_path
from voisin.protocol.results import SALT_FILE

MAX_FILES: Final = 64
"""Most files that a rule names."""
MAX_DEPTH: Final = 8
"""Deepest nesting of values that a rule describes."""
MAX_WORDS: Final = 256
"""Most words of one list, and most members of one object."""
MAX_FILE_BYTES: Final = 16 << 20
"""Largest file that a rule lets pass [bytes]: it is judged in the enclave's memory."""
_MOST: Final = 2**53 - 1
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_BETWEEN = re.compile(r"[ \t\r\n,]+")
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_MAX_DIGITS: Final = 32


class ValueType(StrEnum):
    """What a value is; the words are JSON Schema's."""

    OBJECT = "object"
    ARRAY = "array"
    NUMBER = "number"
    INTEGER = "integer"
    STRING = "string"
    BOOLEAN = "boolean"


_OWN_WORDS: Final[Mapping[ValueType, frozenset[str]]] = {
    ValueType.OBJECT: frozenset({"properties", "required"}),
    ValueType.ARRAY: frozenset({"items", "min_items", "max_items"}),
    ValueType.NUMBER: frozenset({"minimum", "maximum"}),
    ValueType.INTEGER: frozenset({"minimum", "maximum"}),
    ValueType.STRING: frozenset({"enum", "max_length"}),
    ValueType.BOOLEAN: frozenset(),
}
_SCALARS: Final = frozenset({ValueType.NUMBER, ValueType.INTEGER, ValueType.STRING, ValueType.BOOLEAN})


def _require_own_words(rule: ValueRule) -> None:
    """Refuse a bound that says nothing of its type: whoever wrote it meant something else."""
    own = _OWN_WORDS[rule.type] | {"type"}
    for field in msgspec.structs.fields(rule):
        default = {} if field.name == "properties" else field.default
        if field.name not in own and getattr(rule, field.name) != default:
            raise InputError(f"{field.encode_name} says nothing of a value of the type {rule.type.value}", hint="leave it out")


class ValueRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """
    What a value may be. A text has listed words or a largest length, a list a largest number of items.

    Attributes:
        type: What it is.
        minimum: Least number.
        maximum: Largest number.
        enum: All words that a text may be.
        max_length: Longest text [characters].
        items: What each item of a list may be.
        min_items: Least number of items.
        max_items: Most items.
        properties: Members that an object may have.
        required: Those that it must have.
    """

    type: ValueType
    minimum: int | None = None
    maximum: int | None = None
    enum: tuple[str, ...] = ()
    max_length: int | None = None
    items: ValueRule | None = None
    min_items: int = 0
    max_items: int | None = None
    properties: dict[str, ValueRule] = {}
    required: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require_own_words(self)
        for bound in (self.minimum, self.maximum, self.max_length, self.min_items, self.max_items):
            if bound is not None and abs(bound) > _MOST:
                raise InputError(f"the bound {bound} of a rule is out of range", hint="it lies within 2^53 - 1")
        if max(len(self.enum), len(self.properties), len(self.required)) > MAX_WORDS:
            raise InputError("a rule lists too many words", hint=f"at most {MAX_WORDS} in one list")
        if self.type is ValueType.STRING and not self.enum and self.max_length is None:
            raise InputError("a rule lets any text pass", hint="list its words as enum, or give maxLength")
        if self.type is ValueType.ARRAY and (self.items is None or self.max_items is None):
            raise InputError("a rule lets any list pass", hint="give items and maxItems")
        if set(self.required) - set(self.properties):
            raise InputError("a rule requires a member that it does not allow", hint="name it among the properties")


class TableRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """
    What a table of comma-separated values may be.

    Attributes:
        columns: Its columns, exactly these; the table's head names them in any order.
        min_rows: Least number of rows, without the head.
        max_rows: Most rows.
    """

    columns: dict[str, ValueRule]
    max_rows: int
    min_rows: int = 0

    def __post_init__(self) -> None:
        if not 1 <= len(self.columns) <= MAX_WORDS or any(column.type not in _SCALARS for column in self.columns.values()):
            raise InputError("a rule's table has columns of numbers, texts or truth values", hint=f"1 to {MAX_WORDS} of them")
        if not 0 <= self.min_rows <= self.max_rows <= _MOST:
            raise InputError("a rule's table has at most as many rows as maxRows, and at least minRows")


class NumbersRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """
    A text of numbers alone, with blanks, commas or line breaks between.

    Attributes:
        max_count: Most numbers.
        min_count: Least number of them.
        each: What each may be; any number unless given.
    """

    max_count: int
    min_count: int = 0
    each: ValueRule | None = None

    def __post_init__(self) -> None:
        if self.each is not None and self.each.type not in (ValueType.NUMBER, ValueType.INTEGER):
            raise InputError("a rule's numbers are of the type number or integer")
        if not 0 <= self.min_count <= self.max_count <= _MOST:
            raise InputError("a rule's numbers are at most maxCount, and at least minCount")


class FileRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """
    What a file of a result may be; anything, where no form is given.

    Attributes:
        path: Its path; what the app prints is `stdout.txt`.
        max_bytes: Its largest size [bytes].
        optional: Whether it may be missing.
        json: It is JSON, and this.
        table: It is a table, and this.
        numbers: It is numbers, and these.
    """

    path: str
    max_bytes: int
    optional: bool = False
    json: ValueRule | None = None
    table: TableRule | None = None
    numbers: NumbersRule | None = None

    def __post_init__(self) -> None:
        check_path(self.path)
        if not 0 <= self.max_bytes <= MAX_FILE_BYTES:
            raise InputError(f"a rule's file of {self.max_bytes} bytes is out of range", hint=f"at most {MAX_FILE_BYTES}")
        if sum(form is not None for form in (self.json, self.table, self.numbers)) > 1:
            raise InputError(f"the rule gives {self.path} two forms", hint="one of json, table and numbers")
        if self.json is not None and _depth(self.json) > MAX_DEPTH:
            raise InputError("a rule describes values that are nested too deeply", hint=f"at most {MAX_DEPTH} levels")


class ReleaseRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The files that a result may have; a result that has others waits for its owner."""

    files: tuple[FileRule, ...]

    def __post_init__(self) -> None:
        names = {file.path for file in self.files}
        if not 1 <= len(names) <= MAX_FILES or len(names) != len(self.files):
            raise InputError("a rule names the files of a result, each once", hint=f"1 to {MAX_FILES} of them")


def why_held(rule: ReleaseRule, result: ResultArchive) -> str:
    """
    Say why a result waits for its owner; empty when the rule lets it pass. The words may say something of the data: they are the owner's.

    Args:
        rule: The owner's rule.
        result: The clear result.
    """
    sizes = {path: size for path, size in result.sizes.items() if path != SALT_FILE}
    extra = sorted(sizes.keys() - {file.path for file in rule.files})
    if extra:
        return f"it has the file {extra[0]!r}, which the rule does not name"
    return next((reason for file in rule.files if (reason := _why_file(file, sizes, result.read))), "")


def _why_file(rule: FileRule, sizes: Mapping[str, int], read: Callable[[str], bytes]) -> str:
    if rule.path not in sizes:
        return "" if rule.optional else f"it has no file {rule.path!r}"
    if sizes[rule.path] > rule.max_bytes:
        return f"{rule.path} has {sizes[rule.path]} bytes, and at most {rule.max_bytes} pass"
    try:
        reason = _why_content(rule, read(rule.path))
    except UnicodeDecodeError:
        reason = "is not text in UTF-8"
    return f"{rule.path} {reason}" if reason else ""


def _why_content(rule: FileRule, data: bytes) -> str:
    if rule.json is not None:
        return _why_json(rule.json, data.decode())
    if rule.table is not None:
        return _why_table(rule.table, data.decode())
    if rule.numbers is not None:
        return _why_numbers(rule.numbers, data.decode())
    return ""


def _why_json(rule: ValueRule, text: str) -> str:
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant, parse_int=_short, parse_float=_short)
    except (ValueError, RecursionError):
        return "is not plain JSON"
    return _why_value(rule, value, "its value")


class _Number(str):
    """A number as it is spelled: how it is spelled counts as well as what it is."""


def _short(text: str) -> _Number:
    if len(text) > _MAX_DIGITS:
        raise ValueError("a number that is longer than any")
    return _Number(text)


def _once(members: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a member that is there twice: readers see the last alone."""
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a member twice")
    return found


def _no_constant(text: str) -> object:
    raise ValueError(text)


def _why_value(rule: ValueRule, value: object, what: str) -> str:
    if rule.type is ValueType.OBJECT and isinstance(value, dict):
        return _why_object(rule, value, what)
    if rule.type is ValueType.ARRAY and isinstance(value, list):
        return _why_list(rule, value, what)
    if rule.type is ValueType.BOOLEAN and isinstance(value, bool):
        return ""
    if isinstance(value, _Number):
        return _why_number(rule, value, what)
    if rule.type is ValueType.STRING and isinstance(value, str):
        return _why_text(rule, value, what)
    return f"has no {rule.type.value} as {what}"


def _why_object(rule: ValueRule, value: dict[str, object], what: str) -> str:
    if value.keys() - rule.properties.keys():
        return f"has members of {what} that the rule does not name"
    missing = sorted(set(rule.required) - value.keys())
    if missing:
        return f"has no member {missing[0]!r} of {what}"
    return next((why for name, each in value.items() if (why := _why_value(rule.properties[name], each, f"member {name!r}"))), "")


def _why_list(rule: ValueRule, value: list[object], what: str) -> str:
    assert rule.items is not None
    assert rule.max_items is not None
    if not rule.min_items <= len(value) <= rule.max_items:
        return f"has {len(value)} items in {what}"
    return next((why for each in value if (why := _why_value(rule.items, each, f"an item of {what}"))), "")


def _why_number(rule: ValueRule, text: str, what: str) -> str:
    is_whole = _WHOLE.fullmatch(text) is not None
    if rule.type is not ValueType.NUMBER and not (rule.type is ValueType.INTEGER and is_whole):
        return f"has no {rule.type.value} as {what}"
    number = int(text) if is_whole else float(text)
    if not math.isfinite(number):
        return f"has a number as {what} that is out of range"
    if rule.minimum is not None and number < rule.minimum:
        return f"has a number as {what} that is below {rule.minimum}"
    return f"has a number as {what} that is above {rule.maximum}" if rule.maximum is not None and number > rule.maximum else ""


def _why_text(rule: ValueRule, text: str, what: str) -> str:
    if rule.enum and text not in rule.enum:
        return f"has a text as {what} that the rule does not list"
    return f"has a text as {what} that is too long" if rule.max_length is not None and len(text) > rule.max_length else ""


def _why_table(rule: TableRule, text: str) -> str:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        return _why_rows(rule, rows)
    except csv.Error:
        return "is not a table of comma-separated values"


def _why_rows(rule: TableRule, rows: Iterator[list[str]]) -> str:
    head = next(rows, [])
    if len(head) != len(rule.columns) or set(head) != rule.columns.keys():
        return "does not have exactly the columns of the rule"
    count = 0
    for row in rows:
        count += 1
        if len(row) != len(head):
            return f"has a row of {len(row)} cells"
        for name, cell in zip(head, row, strict=True):
            if why := _why_cell(rule.columns[name], cell, f"cell of column {name!r}"):
                return why
    return "" if rule.min_rows <= count <= rule.max_rows else f"has {count} rows"


def _why_cell(rule: ValueRule, cell: str, what: str) -> str:
    if rule.type is ValueType.STRING:
        return _why_text(rule, cell, what)
    if rule.type is ValueType.BOOLEAN:
        return "" if cell in ("true", "false") else f"has no truth value as {what}"
    return _why_spelled(rule, cell, what)


def _why_spelled(rule: ValueRule, text: str, what: str) -> str:
    if len(text) > _MAX_DIGITS or not _NUMBER.fullmatch(text):
        return f"has no number as {what}"
    return _why_number(rule, text, what)


def _why_numbers(rule: NumbersRule, text: str) -> str:
    words = [word for word in _BETWEEN.split(text) if word]
    if not rule.min_count <= len(words) <= rule.max_count:
        return f"has {len(words)} numbers"
    each = rule.each or ValueRule(type=ValueType.NUMBER)
    return next((why for word in words if (why := _why_spelled(each, word, "one of them"))), "")


def _depth(rule: ValueRule) -> int:
    below = [*rule.properties.values(), *([rule.items] if rule.items is not None else [])]
    return 1 + max(map(_depth, below), default=0)
