"""Any files come back out of an archive, and any bytes at all are either refused or read safely."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile

from hypothesis import given
from hypothesis import strategies as st

from voisin.errors import InputError
from voisin.protocol.archive import ArchiveLimits, check_path, open_archive, pack_files, unpack_files

LETTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\")
PARTS = st.text(LETTERS, min_size=1, max_size=8).filter(lambda part: part not in (".", ".."))
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
SMALL = ArchiveLimits(unpacked_bytes=1 << 16, files=20)


def is_tree(files: dict[str, bytes]) -> bool:
    return not any(other.startswith(f"{path}/") for path in files for other in files)


FILES = st.dictionaries(PATHS, st.binary(max_size=300), max_size=6).filter(is_tree)


@given(FILES)
def test_what_goes_in_comes_out(files: dict[str, bytes]) -> None:
    packed = pack_files(files)
    assert unpack_files(packed) == files
    assert open_archive(packed).hashes() == {path: hashlib.sha256(data).digest() for path, data in files.items()}
    with zipfile.ZipFile(io.BytesIO(packed)) as other_reader:
        assert other_reader.testzip() is None


@given(FILES, FILES)
def test_different_files_have_different_digests(one: dict[str, bytes], two: dict[str, bytes]) -> None:
    digests = [open_archive(pack_files(files)).digest() for files in (one, two)]
    assert (digests[0] == digests[1]) == (one == two)


def read_everything(data: bytes) -> None:
    archive = open_archive(data, SMALL)
    contents = {path: archive.read(path) for path in archive.sizes}
    assert sum(map(len, contents.values())) <= SMALL.unpacked_bytes
    assert len(contents) <= SMALL.files
    assert all(check_path(path) for path in contents)
    archive.digest()
    archive.callback_data()


@given(st.binary(max_size=400))
def test_noise_is_refused(noise: bytes) -> None:
    with contextlib.suppress(InputError):
        read_everything(noise)


@given(FILES, st.data())
def test_a_spoiled_archive_is_refused_or_read_safely(files: dict[str, bytes], data: st.DataObject) -> None:
    packed = bytearray(pack_files({"computed.json": b'{"callback-data": "0x01"}', **files} if is_tree(files) else {}))
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        read_everything(bytes(packed))


@given(st.lists(st.tuples(st.text(min_size=1, max_size=12), st.binary(max_size=40)), max_size=6, unique_by=lambda member: member[0]))
def test_any_names_are_refused_or_safe(members: list[tuple[str, bytes]]) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive, contextlib.suppress(UnicodeEncodeError):
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    with contextlib.suppress(InputError):
        read_everything(target.getvalue())
