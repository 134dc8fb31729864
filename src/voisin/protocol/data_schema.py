"""
What may be known of a dataset without its content: a file's size and media type, a folder's files, a table's columns with their types.

Owners publish it with the terms of use, so that a renter can write an app for data that he never sees.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from voisin.errors import InputError

MAX_ENTRIES: Final = 512
"""Most files or columns that a schema names; it counts all."""
_MOST = 2**53 - 1


class DataForm(StrEnum):
    """What a dataset is: any file, an archive of a folder, or a table."""

    FILE = "file"
    FOLDER = "folder"
    TABLE = "table"


class ColumnType(StrEnum):
    """What a column holds; a date is as in 2026-01-31, a time as in 2026-01-31T12:00:00Z."""

    BOOL = "bool"
    INT64 = "int64"
    FLOAT64 = "float64"
    DATE = "date"
    TIME = "time"
    TEXT = "text"


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column of a table: its name, its type, and whether cells may be empty."""

    name: str
    type: ColumnType
    has_gaps: bool = False


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of a folder: its path, with `/` between, and its size [bytes]."""

    path: str
    size_bytes: int


class DataSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What may be known of a dataset's content.

    Attributes:
        form: What it is.
        size_bytes: Size of the content as an app sees it: of the file, of the archive [bytes].
        media: Media type of what an app sees, for example `text/csv`.
        rows: Rows of a table, without its head.
        columns: Columns of a table, in their order; at most `MAX_ENTRIES`.
        files: Files of a folder, in the order of their paths; at most `MAX_ENTRIES`.
        count: How many columns, or files, there are in all.
    """

    form: DataForm
    size_bytes: int
    media: str = "application/octet-stream"
    rows: int = 0
    columns: tuple[Column, ...] = ()
    files: tuple[FileEntry, ...] = ()
    count: int = 0

    def __post_init__(self) -> None:
        named = len(self.columns) + len(self.files)
        numbers = (self.size_bytes, self.rows, self.count, *(entry.size_bytes for entry in self.files))
        if not named <= MAX_ENTRIES or any(not 0 <= number <= _MOST for number in numbers) or named > self.count:
            raise InputError("a schema counts its columns or files, and names at most 512 of them", hint="name fewer")
