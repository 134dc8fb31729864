"""
Whatever a guest passes to whichever system call, in whichever order: it gets an error code or is stopped. A guest that could make the
sandbox itself fail would pass for a broken machine, on every machine.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from wasmtime import Config, Engine, Module, Store
from wasmtime import Instance as WasmInstance

from tests.support.nights import examples
from voisin.sandbox.abi import CallError
from voisin.sandbox.files import Quota, QuotaError, walk
from voisin.sandbox.guest import SIGNATURES, Guest
from voisin.sandbox.memory import MemoryPlan
from voisin.sandbox.meter import Meter, StopError
from voisin.sandbox.streams import FileStream

PAGE = 65_536
NAMES = [b"a", b"b", b"a/b", b"../a", b".", b"a/", b"given.txt", b"folder", b"folder/deep", b"/etc/passwd", b"\xff", b"", b"a\0"]
NAME_AT = 1_024  # names lie 32 bytes apart from here on; ranges for reading and writing lie at 512
SMALL = st.integers(0, 12)
ANY_32 = st.one_of(SMALL, st.sampled_from([512, NAME_AT, PAGE - 1, PAGE, 2**31, 2**32 - 1]), st.integers(0, 2**32 - 1))
ANY_64 = st.one_of(SMALL, st.sampled_from([2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1]), st.integers(0, 2**64 - 1))
FDS = st.sampled_from([0, 1, 3, 4, 5, 5, 5, 6, 6, 7])
RIGHTS = st.sampled_from([0, 2, 64, 66, 2**29, 2**64 - 1])


class World:
    """A guest with a memory of one page, in this process."""

    def __init__(self, folder: Path) -> None:
        config = Config()
        config.consume_fuel = True
        self.plan = MemoryPlan(config)
        engine = Engine(config)
        self.store = Store(engine)
        self.plan.reset(PAGE)
        meter = Meter(self.store, instructions=10**12, time_s=10)
        WasmInstance(self.store, Module(engine, '(module (memory (export "memory") 1))'), [])
        self.contents, self.log = folder / "contents", os.open(folder / "log", os.O_RDWR | os.O_CREAT)
        self.contents.mkdir()
        (folder / "input").write_bytes(b"given")
        self.input = os.open(folder / "input", os.O_RDONLY)
        log = FileStream(self.log, self.log, 400)
        self.guest = Guest(meter, streams=(log, log), contents=self.contents, quota=Quota(10_000, 20), clock_unix_ns=0)
        self.guest.give(("x",), {"A": "b"}, seed=b"")
        self.guest.add_input("folder/deep/given.txt", self.input)
        self.guest.add_input("given.txt", self.input)
        self.guest.memory = self.plan.lend()
        self.guest.memory.write(512, b"".join(pair.to_bytes(4, "little") for pair in (2_048, 100, 4_096, 0, 2_100, 7)))
        for index, name in enumerate(NAMES):
            self.guest.memory.write(NAME_AT + 32 * index, name)

    def close(self) -> None:
        self.guest.close_all()
        assert self.guest.memory is not None
        self.guest.memory.close()
        self.store.close()
        os.close(self.log)
        os.close(self.input)


class AnyCalls(RuleBasedStateMachine):
    """Calls with numbers that mean nothing, and calls that mostly make sense, mixed."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()

    @initialize()
    def start(self) -> None:
        self.world = World(Path(self.folder.name))
        self.open(3, NAMES.index(b"given.txt"), 0, 2, 0)
        self.open(4, NAMES.index(b"a"), 1, 66, 0)

    def _call(self, name: str, *parameters: int) -> None:
        with contextlib.suppress(CallError, StopError, QuotaError):
            getattr(self.world.guest, name)(*parameters)

    @rule(data=st.data(), name=st.sampled_from(sorted(SIGNATURES)))
    def nonsense(self, data: st.DataObject, name: str) -> None:
        self._call(name, *(data.draw(ANY_64 if letter == "I" else ANY_32) for letter in SIGNATURES[name]))

    @rule(fd=FDS, name=st.sampled_from(range(len(NAMES))), oflags=st.integers(0, 15), rights=RIGHTS, flags=st.sampled_from([0, 1]))
    def open(self, fd: int, name: int, oflags: int, rights: int, flags: int) -> None:
        self._call("path_open", fd, 0, NAME_AT + 32 * name, len(NAMES[name]), oflags, rights, rights, flags, 8)

    @rule(
        call=st.sampled_from(["path_create_directory", "path_remove_directory", "path_unlink_file"]),
        fd=FDS,
        name=st.sampled_from(range(len(NAMES))),
    )
    def change(self, call: str, fd: int, name: int) -> None:
        self._call(call, fd, NAME_AT + 32 * name, len(NAMES[name]))

    @rule(fd=FDS, to=SMALL, old=st.sampled_from(range(len(NAMES))), new=st.sampled_from(range(len(NAMES))))
    def rename(self, fd: int, to: int, old: int, new: int) -> None:
        self._call("path_rename", fd, NAME_AT + 32 * old, len(NAMES[old]), to, NAME_AT + 32 * new, len(NAMES[new]))

    @rule(call=st.sampled_from(["fd_read", "fd_write"]), fd=FDS, count=st.integers(0, 3))
    def transfer(self, call: str, fd: int, count: int) -> None:
        self._call(call, fd, 512, count, 8)

    @rule(call=st.sampled_from(["fd_pread", "fd_pwrite"]), fd=FDS, count=st.integers(0, 3), offset=ANY_64)
    def transfer_at(self, call: str, fd: int, count: int, offset: int) -> None:
        self._call(call, fd, 512, count, offset, 8)

    @rule(fd=FDS, distance=ANY_64, whence=st.integers(0, 3))
    def seek(self, fd: int, distance: int, whence: int) -> None:
        self._call("fd_seek", fd, distance, whence, 8)

    @invariant()
    def nothing_is_left_uncounted(self) -> None:
        if not hasattr(self, "world"):
            return
        quota, guest = self.world.guest._quota, self.world.guest
        files = list(self.world.contents.iterdir())
        assert quota.bytes_used == sum(path.stat().st_size for path in files) <= 10_000
        named = [path for path, _ in walk(guest.outputs)]
        assert len(named) <= quota.files_used <= 20
        assert all(path.name.isdecimal() and path.is_file() and not path.is_symlink() for path in files)

    @invariant()
    def inputs_are_as_they_were(self) -> None:
        if hasattr(self, "world"):
            assert [path for path, _ in walk(self.world.guest.inputs)] == ["folder", "folder/deep", "folder/deep/given.txt", "given.txt"]
            assert os.pread(self.world.input, 10, 0) == b"given"

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.close()
        self.folder.cleanup()


TestAnyCalls = AnyCalls.TestCase
TestAnyCalls.settings = settings(max_examples=examples(20))
