"""What is protected: a folder becomes the same archive each time, in pieces, and a change while it is read does not pass."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from voisin.client.data.sources import Measured, look_at, open_source
from voisin.errors import InputError, StateError


def folder(place: Path) -> Path:
    """A folder with files of some sizes, one of them in a folder of its own."""
    (place / "inner").mkdir(parents=True)
    (place / "b.txt").write_bytes(b"second")
    (place / "a.bin").write_bytes(bytes(3 << 20))
    (place / "inner" / "empty").write_bytes(b"")
    return place


def content(path: Path) -> bytes:
    with open_source(look_at(path)) as source:
        return b"".join(iter(lambda: source.read(700_001), b""))


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 1_000)
    assert content(path) == b"abc" * 1_000
    assert look_at(path).size_bytes == 3_000


def test_a_folder_is_an_archive_of_its_files(tmp_path: Path) -> None:
    path = folder(tmp_path / "data")
    (path / "link").symlink_to(path / "b.txt")
    with zipfile.ZipFile(io.BytesIO(content(path))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.bin", "b.txt", "inner/empty"]
        assert archive.read("a.bin") == bytes(3 << 20)
        assert archive.read("b.txt") == b"second"
    assert [(entry.path, entry.size_bytes) for entry in look_at(path).files] == [("a.bin", 3 << 20), ("b.txt", 6), ("inner/empty", 0)]


def test_the_same_folder_makes_the_same_archive(tmp_path: Path) -> None:
    one, two = folder(tmp_path / "one"), folder(tmp_path / "two")
    assert hashlib.sha256(content(one)).digest() == hashlib.sha256(content(two)).digest()


def test_an_archive_comes_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.mkdir()
    (path / "huge").write_bytes(bytes(40 << 20))
    sizes = []
    with Measured(open_source(look_at(path)), sizes.append) as source:
        while source.read(1 << 20):
            pass
    assert max(sizes) <= 1 << 20
    assert sum(sizes) == source.size_bytes


@pytest.mark.parametrize("change", ["size", "content", "more"])
def test_a_change_is_seen(tmp_path: Path, change: str) -> None:
    path = folder(tmp_path / "data")
    source = look_at(path)
    source.require_same()
    if change == "size":
        (path / "b.txt").write_bytes(b"longer than before")
    elif change == "content":
        (path / "b.txt").write_bytes(b"SECOND")
        import os

        os.utime(path / "b.txt", ns=(1, 1))
    else:
        (path / "c.txt").write_bytes(b"")
    with pytest.raises(StateError, match="changed"):
        source.require_same()


def test_what_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no file"):
        look_at(tmp_path / "empty")
    with pytest.raises(InputError, match="cannot be read"):
        look_at(tmp_path / "missing")
