"""The schema of a table: what a renter sees is columns, types and counts, and no value of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from voisin.client.data.sources import look_at
from voisin.client.data.tables import schema_of
from voisin.errors import InputError
from voisin.protocol.data_schema import ColumnType, DataForm

TABLE = """id;name;weight;born;seen;healthy;note
1;Ann;61.5;1990-02-01;2026-01-31T12:00:00Z;true;
2;"B; o""b";70;1985-12-31;2026-01-31 12:00;FALSE;
-3;Cy;1e3;;2026-01-31T12:00:00.5+01:00;true;
"""
TYPES = [
    ("id", ColumnType.INT64, False),
    ("name", ColumnType.TEXT, False),
    ("weight", ColumnType.FLOAT64, False),
    ("born", ColumnType.DATE, True),
    ("seen", ColumnType.TIME, False),
    ("healthy", ColumnType.BOOL, False),
    ("note", ColumnType.TEXT, True),
]


def written(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_types_are_found(tmp_path: Path) -> None:
    schema = schema_of(look_at(written(tmp_path, TABLE)))
    assert [(column.name, column.type, column.has_gaps) for column in schema.columns] == TYPES
    assert (schema.form, schema.rows, schema.count, schema.media) == (DataForm.TABLE, 3, 7, "text/csv")


def test_no_value_is_in_the_schema(tmp_path: Path) -> None:
    spelled = msgspec.json.encode(schema_of(look_at(written(tmp_path, TABLE)))).decode()
    assert not [value for value in ("Ann", "61.5", "1990", "1e3", "FALSE") if value in spelled]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "2"], ColumnType.INT64),
        (["1", "2.0"], ColumnType.FLOAT64),
        ([str(2**63 - 1), str(-(2**63))], ColumnType.INT64),
        ([str(2**63)], ColumnType.FLOAT64),
        (["nan", "-inf", ".5"], ColumnType.FLOAT64),
        (["2026-02-30"], ColumnType.TEXT),
        (["2026-02-28", "2026-02-28T00:00"], ColumnType.TEXT),
        (["true", "1"], ColumnType.TEXT),
        (["", ""], ColumnType.TEXT),
        (["٣"], ColumnType.TEXT),
    ],
    ids=str,
)
def test_a_column_has_the_narrowest_type_that_holds_all(tmp_path: Path, cells: list[str], expected: ColumnType) -> None:
    schema = schema_of(look_at(written(tmp_path, "\n".join(["x,y", *(f"{cell},z" for cell in cells)]))))
    assert schema.columns[0].type is expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no head"),
        ("a,a\n1,2\n", "same name"),
        ("a,\n1,2\n", "has none"),
        ("a,b\n1,2,3\n", "line 2 has 3 cells"),
        ('a,b\n"1,2\n', "line"),
        ("x" * 201 + ",b\n", "longer than 200"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_table_is_refused_with_the_place(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        schema_of(look_at(written(tmp_path, text)))
    assert "--no-table" in caught.value.hint


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("größe\n1\n".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        schema_of(look_at(path))
    assert schema_of(look_at(path), is_table=False).form is DataForm.FILE


def test_other_files_and_folders_say_their_size(tmp_path: Path) -> None:
    path = written(tmp_path, "abc", "model.bin")
    assert schema_of(look_at(path)).size_bytes == 3
    schema = schema_of(look_at(tmp_path))
    assert (schema.form, schema.count, schema.files[0].path) == (DataForm.FOLDER, 1, "model.bin")
