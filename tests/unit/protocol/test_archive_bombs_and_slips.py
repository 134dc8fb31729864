"""An archive made by an enemy is refused before it does harm; ours are the same bytes every time."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable

import pytest

from voisin.errors import InputError
from voisin.protocol.archive import ArchiveLimits, check_path, open_archive, pack_files, unpack_files, write_archive

BAD_PATHS = [
    "",
    "/etc/passwd",
    "../outside",
    "a/../../outside",
    "a//b",
    "./a",
    "a/.",
    "a/",
    "a\\b",
    "a\nb",
    "a\0b",
    "a\x7f",
    "x" * 256,
    "/".join(["deep"] * 1_000),
    "\udcff",
]


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Write a ZIP without any of our checks."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return target.getvalue()


@pytest.mark.parametrize("path", BAD_PATHS)
def test_bad_paths_are_refused(path: str) -> None:
    with pytest.raises(InputError, match="file name"):
        check_path(path)
    with pytest.raises(InputError):
        pack_files({path: b""})


@pytest.mark.parametrize("path", ["a", "a/b", "été.png", "..a", "a..", "a b", "C:x", "-rf", "x" * 255, "日本/語"])
def test_ordinary_paths_are_taken(path: str) -> None:
    assert unpack_files(pack_files({path: b"data"})) == {path: b"data"}


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside", "a/../../outside", "a\\..\\b", "a\nb", "x" * 256])
def test_a_member_cannot_leave_the_folder(path: str) -> None:
    with pytest.raises(InputError):
        open_archive(zipped((path, b"evil")))


def test_a_bomb_is_refused_by_what_it_says_it_unpacks_to() -> None:
    bomb = zipped(("zeros", bytes(8 << 20)))
    assert len(bomb) < 20_000
    with pytest.raises(InputError, match="unpacks to 8388608 bytes"):
        open_archive(bomb, ArchiveLimits(unpacked_bytes=1 << 20))


def test_a_bomb_that_lies_about_its_size_gives_no_more_than_it_says() -> None:
    bomb = bytearray(zipped(("zeros", bytes(1 << 20))))
    directory = bomb.index(b"PK\1\2")
    struct.pack_into("<L", bomb, directory + 24, 10)
    struct.pack_into("<L", bomb, 22, 10)
    archive = open_archive(bytes(bomb), ArchiveLimits(unpacked_bytes=1_000))
    with pytest.raises(InputError, match="malformed"):
        archive.read("zeros")


def test_too_many_files_are_refused_before_they_are_listed() -> None:
    crowd = zipped(*((str(number), b"") for number in range(200)))
    with pytest.raises(InputError, match="200 files"):
        open_archive(crowd, ArchiveLimits(files=100))
    with pytest.raises(InputError, match="list of names"):
        open_archive(crowd, ArchiveLimits(directory_bytes=1_000))


def test_overlapping_members_are_refused() -> None:
    """Two entries of the directory that share one member's bytes: the quoted overlap of a bomb."""
    single = zipped(("zeros", bytes(1 << 20)))
    directory = single.index(b"PK\1\2")
    entry = single[directory : single.index(b"PK\5\6")]
    twin = entry.replace(b"zeros", b"zer0s")
    ending = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, 2 * len(entry), directory, 0)
    with pytest.raises(InputError, match="overlap"):
        open_archive(single[:directory] + entry + twin + ending)


def member(name: str, **changes: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    for attribute, value in changes.items():
        setattr(info, attribute, value)
    return info


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFSOCK])
def test_only_ordinary_files_are_taken(kind: int) -> None:
    with pytest.raises(InputError, match="not an ordinary file"):
        open_archive(zipped((member("link", external_attr=(kind | 0o777) << 16), b"/etc/passwd")))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compression_is_refused(method: int) -> None:
    with pytest.raises(InputError, match="unknown way"):
        open_archive(zipped(("a", b"data"), method=method))


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(zipped(("a", b"data")))
    data[data.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(InputError, match="encrypted"):
        open_archive(bytes(data))


@pytest.mark.parametrize("name", [b"abc.txt\0exe", b"\0" * 11])
def test_a_cut_off_name_is_refused(name: bytes) -> None:
    data = zipped(("abc.txt.exe", b"data")).replace(b"abc.txt.exe", name)
    with pytest.raises(InputError, match="cut off"):
        open_archive(data)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_is_refused() -> None:
    with pytest.raises(InputError, match="same name"):
        open_archive(zipped(("a", b"one"), ("a", b"two")))


def test_a_name_that_is_file_and_folder_is_refused() -> None:
    with pytest.raises(InputError, match="file and a folder"):
        open_archive(zipped(("a", b"one"), ("a/b", b"two")))
    with pytest.raises(InputError, match="file and a folder"):
        pack_files({"a": b"one", "a/b": b"two"})


def with_comment(data: bytes) -> bytes:
    return data[:-2] + struct.pack("<H", 4) + b"note"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: b"PK",
        lambda data: b"x" * 100,
        lambda data: data[:-1],
        lambda data: data[1:],
        lambda data: b"#!/bin/sh\n" + data,
        lambda data: data + b"more",
        lambda data: data[:-22] + struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1) + data[-22:],
        with_comment,
    ],
)
def test_broken_archives_are_refused(spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(InputError, match="malformed"):
        open_archive(spoil(zipped(("a", b"data"))))


def test_damaged_bytes_are_noticed() -> None:
    data = pack_files({"a": bytes(range(256))})
    spoiled = data.replace(bytes(range(256)), bytes(reversed(range(256))))
    assert spoiled != data
    with pytest.raises(InputError, match="malformed"):
        open_archive(spoiled).read("a")


def test_a_missing_file_names_those_that_are_there() -> None:
    with pytest.raises(InputError, match=r"no file 'b'.*a\.txt"):
        open_archive(pack_files({"a.txt": b""})).read("b")


def test_folders_of_foreign_archives_are_skipped() -> None:
    assert unpack_files(zipped(("sub/", b""), ("sub/a", b"one"))) == {"sub/a": b"one"}


def test_equal_files_give_equal_bytes_in_any_order() -> None:
    files = {"b": b"two" * 1_000, "a": b"one", "c/d": bytes(range(256))}
    packed = pack_files(files)
    assert packed == pack_files(dict(reversed(files.items())))
    assert [info.filename for info in zipfile.ZipFile(io.BytesIO(packed)).infolist()] == ["a", "b", "c/d"]
    assert {info.date_time for info in zipfile.ZipFile(io.BytesIO(packed)).infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_files_that_do_not_shrink_are_stored() -> None:
    packed = zipfile.ZipFile(io.BytesIO(pack_files({"text": b"a" * 5_000, "noise": bytes(range(256))})))
    assert packed.getinfo("text").compress_type == zipfile.ZIP_DEFLATED
    assert packed.getinfo("noise").compress_type == zipfile.ZIP_STORED


def test_long_files_pass_in_pieces() -> None:
    data = bytes(range(256)) * 12_000
    target = io.BytesIO()
    write_archive(target, {"long": lambda: io.BytesIO(data)})
    chunks = list(open_archive(target).chunks("long"))
    assert b"".join(chunks) == data
    assert max(map(len, chunks)) <= 1 << 20
