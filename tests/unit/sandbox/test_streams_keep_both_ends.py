"""Of what a guest prints its start and its end are kept, in memory and in files alike, whatever the pieces it came in."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voisin.sandbox.folders import read_stream
from voisin.sandbox.streams import END_SUFFIX, NOTE_BYTES, FileStream, Stream

PIECES = st.lists(st.integers(0, 300), max_size=12)


def printed(sizes: list[int]) -> list[bytes]:
    """Pieces in which no two stretches of a few bytes are alike."""
    whole = b"".join(number.to_bytes(2, "big") for number in range(sum(sizes) // 2 + 1))
    ends = [sum(sizes[: place + 1]) for place in range(len(sizes))]
    return [whole[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def expected(whole: bytes, max_bytes: int) -> bytes:
    """The rule, written down a second time."""
    last = max_bytes // 2 - NOTE_BYTES
    if last <= 0:
        return whole[:max_bytes]
    first = (max_bytes + 1) // 2
    if len(whole) <= first + last:
        return whole
    return whole[:first] + b"\n[... %d bytes left out ...]\n" % (len(whole) - first - last) + whole[-last:]


@given(PIECES, st.integers(0, 1_000))
def test_start_and_end(sizes: list[int], max_bytes: int) -> None:
    stream = Stream(max_bytes)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [os.open(folder / f"stdout{suffix}", os.O_WRONLY | os.O_CREAT) for suffix in ("", END_SUFFIX)]
        filed, whole = FileStream(*files, max_bytes), b""
        for piece in printed(sizes):
            whole += piece
            before = (folder / "stdout").read_bytes()
            stream.write(memoryview(piece))
            filed.write(memoryview(piece))
            assert stream.kept == expected(whole, max_bytes)
            assert read_stream(folder, "stdout", max_bytes) == stream.kept, "killed now, it leaves the same"
            assert (folder / "stdout").read_bytes().startswith(before), "who reads along is not misled"
        for file in files:
            os.close(file)
    assert len(stream.kept) <= max_bytes


@pytest.mark.parametrize("count", [0, 1, 3, 1 << 63])
def test_a_count_that_lies_does_no_harm(tmp_path: Path, count: int) -> None:
    """The process that ran a guest may be the guest's by now."""
    (tmp_path / "stdout").write_bytes(b"a" * 200)
    (tmp_path / f"stdout{END_SUFFIX}").write_bytes(count.to_bytes(8, "little") + b"bc" * 1_000)
    found = read_stream(tmp_path, "stdout", 200)
    assert re.fullmatch(rb"a{100}(\n\[\.\.\. \d+ bytes left out \.\.\.\]\n)?[bc]{0,36}", found)
    assert len(found) <= 200
