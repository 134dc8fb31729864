"""What a guest's files take is known at every moment, whatever it does with them: compared with a plain model of byte strings."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from voisin.sandbox.files import File, Quota, QuotaError

MAX_BYTES, MAX_FILES = 64, 4


class Files(RuleBasedStateMachine):
    """Makes, writes, cuts, opens, closes and unlinks files."""

    files = Bundle("files")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.quota = Quota(MAX_BYTES, MAX_FILES)
        self.contents: dict[File, bytes] = {}
        self.holds: dict[File, int] = {}
        self.made = 0

    @rule(target=files)
    def make(self) -> File | None:
        self.made += 1
        try:
            self.quota.add_files(1)
        except QuotaError:
            assert len(self.contents) == MAX_FILES
            return None
        file = File(self.made, 0, path=Path(self.folder.name, str(self.made)), quota=self.quota)
        file.open()
        self.contents[file], self.holds[file] = b"", 1
        return file

    @rule(file=files, data=st.binary(max_size=30), offset=st.integers(0, 80))
    def write(self, file: File | None, data: bytes, offset: int) -> None:
        if file is None or not self.holds.get(file):
            return
        before = self.contents[file]
        after = before.ljust(offset, b"\0")[:offset] + data + before[offset + len(data) :] if data else before
        if self._others(file) + len(after) > MAX_BYTES:
            with pytest.raises(QuotaError, match="64 bytes"):
                file.write_from(memoryview(data), offset)
        else:
            assert file.write_from(memoryview(data), offset) == len(data)
            self.contents[file] = after

    @rule(file=files, size=st.integers(0, 80))
    def cut(self, file: File | None, size: int) -> None:
        if file is None or not self.holds.get(file):
            return
        if self._others(file) + size > MAX_BYTES:
            with pytest.raises(QuotaError):
                file.truncate(size)
        else:
            file.truncate(size)
            self.contents[file] = self.contents[file][:size].ljust(size, b"\0")

    @rule(file=files)
    def open_again(self, file: File | None) -> None:
        if file is not None and self.holds.get(file):
            file.open()
            self.holds[file] += 1

    @rule(file=files)
    def close(self, file: File | None) -> None:
        if file is not None and self.holds.get(file, 0) > 1:
            file.close()
            self.holds[file] -= 1

    @rule(file=consumes(files))
    def unlink_and_close(self, file: File | None) -> None:
        if file is None or file not in self.contents:
            return
        file.unlink()
        assert self._read(file) == self.contents[file], "it lives as long as somebody has it open"
        for _ in range(self.holds.pop(file)):
            file.close()
        del self.contents[file]

    @invariant()
    def counts_agree(self) -> None:
        assert self.quota.bytes_used == sum(map(len, self.contents.values()))
        assert self.quota.files_used == len(self.contents)
        assert len(list(Path(self.folder.name).iterdir())) == len(self.contents)

    @invariant()
    def contents_agree(self) -> None:
        for file, expected in self.contents.items():
            assert self._read(file) == expected

    def _others(self, file: File) -> int:
        return sum(len(data) for other, data in self.contents.items() if other is not file)

    def _read(self, file: File) -> bytes:
        buffer = bytearray(100)
        return bytes(buffer[: file.read_into(memoryview(buffer), 0)])

    def teardown(self) -> None:
        for file, count in self.holds.items():
            for _ in range(count):
                file.close()
        self.folder.cleanup()


TestFiles = Files.TestCase
