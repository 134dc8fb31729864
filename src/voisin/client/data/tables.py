"""
The schema of a table, found by reading it once: columns, types, gaps and rows, and no value.

A column has the narrowest type that holds all its values; an empty cell is a gap. Comma, semicolon and tab are told apart by the head.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Final, TextIO

from voisin.client.data.sources import Source
from voisin.errors import InputError
from voisin.protocol.data_schema import MAX_ENTRIES, Column, ColumnType, DataForm, DataSchema

TABLES: Final = {".csv": "text/csv", ".tsv": "text/tab-separated-values"}
"""Endings of files that are tables, and their media types."""
_SEPARATORS: Final = ",;\t"
_INT64: Final = 2**63
_MAX_NAME: Final = 200
_MOST_CELL: Final = 1 << 24
_BOOL = re.compile(r"true|false", re.IGNORECASE)
_INT = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.ASCII | re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?", re.ASCII)


def schema_of(source: Source, *, is_table: bool = True) -> DataSchema:
    """
    Describe what is to be protected; a table is read for it.

    Args:
        source: The file or folder.
        is_table: Whether a file that is named as a table is read as one.

    Raises:
        InputError: It is named as a table and cannot be read as one.
    """
    if source.is_folder:
        named = source.files[:MAX_ENTRIES]
        return DataSchema(form=DataForm.FOLDER, size_bytes=source.size_bytes, media="application/zip", files=named, count=len(source.files))
    media = TABLES.get(source.path.suffix.lower())
    if media is None or not is_table:
        return DataSchema(form=DataForm.FILE, size_bytes=source.size_bytes)
    columns, rows = read_table(source.path)
    return DataSchema(
        form=DataForm.TABLE, size_bytes=source.size_bytes, media=media, rows=rows, columns=columns[:MAX_ENTRIES], count=len(columns)
    )


def read_table(path: Path) -> tuple[tuple[Column, ...], int]:
    """
    Find a table's columns with their types, and count its rows without the head.

    Raises:
        InputError: It is not text in UTF-8, has no head, two columns of one name, or a row that is longer than the head.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(path, file)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint="check the path") from None
    except UnicodeDecodeError:
        raise InputError(f"the table {path} is not text in UTF-8", hint="convert it, or protect it as it is with --no-table") from None


def _read(path: Path, file: TextIO) -> tuple[tuple[Column, ...], int]:
    csv.field_size_limit(_MOST_CELL)
    head_line = file.readline()
    separator = max(_SEPARATORS, key=head_line.count)
    file.seek(0)
    rows = csv.reader(file, delimiter=separator, strict=True)
    try:
        head = next(rows, [])
        _check_head(path, head)
        guesses = [_Guess() for _ in head]
        for row in rows:
            if not row:
                continue
            if len(row) > len(head):
                raise _no_table(path, f"line {rows.line_num} has {len(row)} cells, and the head has {len(head)}")
            for guess, cell in zip(guesses, [*row, *[""] * (len(head) - len(row))], strict=True):
                guess.see(cell)
    except csv.Error as error:
        raise _no_table(path, f"line {rows.line_num}: {error}") from None
    columns = tuple(Column(name, guess.type, guess.has_gaps) for name, guess in zip(head, guesses, strict=True))
    return columns, guesses[0].seen


def _check_head(path: Path, head: list[str]) -> None:
    if not any(head):
        raise _no_table(path, "it has no head with the names of its columns")
    if len(set(head)) != len(head) or not all(head):
        raise _no_table(path, "two columns have the same name, or one has none")
    if max(map(len, head)) > _MAX_NAME:
        raise _no_table(path, f"a column's name is longer than {_MAX_NAME} characters")


def _no_table(path: Path, why: str) -> InputError:
    return InputError(f"{path} cannot be read as a table: {why}", hint="mend it, or protect it as it is with --no-table")


class _Guess:
    """The type of a column, as far as it was seen."""

    def __init__(self) -> None:
        self.seen = 0
        self._gaps = 0
        self._left = list(_HOLDS)

    @property
    def has_gaps(self) -> bool:
        """Whether a cell was empty."""
        return self._gaps > 0

    @property
    def type(self) -> ColumnType:
        """The narrowest type that holds all values; text for a column without any."""
        return self._left[0] if self.seen > self._gaps else ColumnType.TEXT

    def see(self, cell: str) -> None:
        """Take the next cell into account."""
        self.seen += 1
        if not cell:
            self._gaps += 1
            return
        if self.seen - self._gaps == 1 or not _HOLDS[self._left[0]](cell):
            self._left = [each for each in self._left if _HOLDS[each](cell)]


def _is_int(cell: str) -> bool:
    return _INT.fullmatch(cell) is not None and -_INT64 <= int(cell) < _INT64


def _parses(read: Callable[[str], object], cell: str) -> bool:
    try:
        read(cell)
    except ValueError:
        return False
    return True


_HOLDS: Final[dict[ColumnType, Callable[[str], bool]]] = {
    ColumnType.BOOL: lambda cell: _BOOL.fullmatch(cell) is not None,
    ColumnType.INT64: _is_int,
    ColumnType.FLOAT64: lambda cell: _FLOAT.fullmatch(cell) is not None,
    ColumnType.DATE: lambda cell: _DATE.fullmatch(cell) is not None and _parses(date.fromisoformat, cell),
    ColumnType.TIME: lambda cell: _TIME.fullmatch(cell) is not None and _parses(datetime.fromisoformat, cell),
    ColumnType.TEXT: lambda _cell: True,
}
"""Each type's values. A whole number is a float as well, and everything is a text; else no value has two types."""
