"""One run of one guest: the rest of the system calls, and how the engine's calls reach them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path

from voisin.sandbox.abi import CLOCK_IS_ABSOLUTE, EVENT, SUBSCRIPTION_SIZE, U32, U64, CallError, Clock, Errno, EventType
from voisin.sandbox.files import Quota
from voisin.sandbox.job import Cause
from voisin.sandbox.meter import Meter, StopError
from voisin.sandbox.paths import PathCalls
from voisin.sandbox.streams import Stream

PROGRAM_NAME = "app"
MAX_SUBSCRIPTIONS = 1_024
_RANDOM_BLOCK = 1 << 16
_SUBSCRIPTION = struct.Struct("<QBxxxxxxxIxxxxQQHxxxxxx")  # user data, type, clock or fd, timeout, precision, flags

SIGNATURES: Mapping[str, str] = {
    "args_get": "ii",
    "args_sizes_get": "ii",
    "clock_res_get": "ii",
    "clock_time_get": "iIi",
    "environ_get": "ii",
    "environ_sizes_get": "ii",
    "fd_advise": "iIIi",
    "fd_allocate": "iII",
    "fd_close": "i",
    "fd_datasync": "i",
    "fd_fdstat_get": "ii",
    "fd_fdstat_set_flags": "ii",
    "fd_fdstat_set_rights": "iII",
    "fd_filestat_get": "ii",
    "fd_filestat_set_size": "iI",
    "fd_filestat_set_times": "iIIi",
    "fd_pread": "iiiIi",
    "fd_prestat_dir_name": "iii",
    "fd_prestat_get": "ii",
    "fd_pwrite": "iiiIi",
    "fd_read": "iiii",
    "fd_readdir": "iiiIi",
    "fd_renumber": "ii",
    "fd_seek": "iIii",
    "fd_sync": "i",
    "fd_tell": "ii",
    "fd_write": "iiii",
    "path_create_directory": "iii",
    "path_filestat_get": "iiiii",
    "path_filestat_set_times": "iiiiIIi",
    "path_link": "iiiiiii",
    "path_open": "iiiiiIIii",
    "path_readlink": "iiiiii",
    "path_remove_directory": "iii",
    "path_rename": "iiiiii",
    "path_symlink": "iiiii",
    "path_unlink_file": "iii",
    "poll_oneoff": "iiii",
    "proc_exit": "i",
    "proc_raise": "i",
    "random_get": "ii",
    "sched_yield": "",
    "sock_accept": "iii",
    "sock_recv": "iiiiii",
    "sock_send": "iiiii",
    "sock_shutdown": "ii",
}
"""Every function of `wasi_snapshot_preview1`: `i` is a 32-bit parameter, `I` a 64-bit one; all but `proc_exit` return an error code."""


class Guest(PathCalls):
    """
    The world of one guest: its files, arguments, clock and random numbers.

    Args:
        meter: Counts what it uses.
        streams: Standard output and standard error.
        contents: Host folder for the contents of its outputs.
        quota: What it may write.
        clock_unix_ns: What its clock shows at instruction 0 [Unix ns].
    """

    def __init__(self, meter: Meter, *, streams: tuple[Stream, Stream], contents: Path, quota: Quota, clock_unix_ns: int) -> None:
        super().__init__(meter, streams=streams, contents=contents, quota=quota, clock_unix_ns=clock_unix_ns)
        self._args: list[bytes] = []
        self._env: list[bytes] = []
        self._seed = b""
        self._random_blocks = 0

    def give(self, args: tuple[str, ...], env: Mapping[str, str], *, seed: bytes) -> None:
        """
        Set what the guest can ask about itself.

        Args:
            args: Arguments after the program's name.
            env: Environment variables; the guest sees them in the order of their names.
            seed: Where its random numbers come from.
        """
        self._args = [text.encode() for text in (PROGRAM_NAME, *args)]
        self._env = [f"{name}={value}".encode() for name, value in sorted(env.items())]
        self._seed = seed

    def _sizes(self, texts: list[bytes], count: int, size: int) -> None:
        self._guest.write(count, U32.pack(len(texts)))
        self._guest.write(size, U32.pack(sum(len(text) + 1 for text in texts)))

    def _texts(self, texts: list[bytes], pointers: int, buffer: int) -> None:
        for index, text in enumerate(texts):
            self._guest.write(pointers + 4 * index, U32.pack(buffer))
            self._guest.write(buffer, text + b"\0")
            buffer += len(text) + 1

    def args_get(self, pointers: int, buffer: int) -> None:
        """Hand over the arguments."""
        self._texts(self._args, pointers, buffer)

    def args_sizes_get(self, count: int, size: int) -> None:
        """Say how many arguments there are, and how long they are together."""
        self._sizes(self._args, count, size)

    def environ_get(self, pointers: int, buffer: int) -> None:
        """Hand over the environment."""
        self._texts(self._env, pointers, buffer)

    def environ_sizes_get(self, count: int, size: int) -> None:
        """Say how many variables there are, and how long they are together."""
        self._sizes(self._env, count, size)

    def _clock_ns(self, clock: int) -> int:
        if clock == Clock.REALTIME:
            return self.now_ns()
        if clock in (Clock.MONOTONIC, Clock.PROCESS_CPUTIME, Clock.THREAD_CPUTIME):
            return self.meter.elapsed_ns()
        raise CallError(Errno.INVAL)

    def clock_res_get(self, clock: int, result: int) -> None:
        """Say that clocks tick every nanosecond."""
        self._clock_ns(clock)
        self._guest.write(result, U64.pack(1))

    def clock_time_get(self, clock: int, _precision: int, result: int) -> None:
        """Tell the guest's own time."""
        self._guest.write(result, U64.pack(self._clock_ns(clock)))

    def random_get(self, buffer: int, size: int) -> None:
        """Hand out random bytes: SHAKE-256 of the seed and a counter."""
        self.meter.charge(size)
        self._guest.view(buffer, size).release()
        for start in range(0, size, _RANDOM_BLOCK):
            block = hashlib.shake_256(U64.pack(self._random_blocks) + self._seed)
            self._random_blocks += 1
            self._guest.write(buffer + start, block.digest(min(_RANDOM_BLOCK, size - start)))

    def poll_oneoff(self, subscriptions: int, events: int, count: int, result: int) -> None:
        """
        Wait for the first of some events.

        A file or stream is always ready. If only clocks are waited for, the guest's clock jumps to the earliest.
        """
        if not 0 < count <= MAX_SUBSCRIPTIONS:
            raise CallError(Errno.INVAL)
        wanted = list(_SUBSCRIPTION.iter_unpack(self._guest.read(subscriptions, count * SUBSCRIPTION_SIZE)))
        ready = [self._file_event(*each[:3]) for each in wanted if each[1] != EventType.CLOCK]
        if not ready:
            waits = [(self._wait_ns(clock, timeout, flags), user) for user, _, clock, timeout, _, flags in wanted]
            shortest = min(wait for wait, _ in waits)
            self.meter.sleep(shortest)
            ready = [EVENT.pack(user, Errno.SUCCESS, EventType.CLOCK, 0, 0) for wait, user in waits if wait == shortest]
        self._guest.write(events, b"".join(ready))
        self._guest.write(result, U32.pack(len(ready)))

    def _wait_ns(self, clock: int, timeout: int, flags: int) -> int:
        return max(0, timeout - self._clock_ns(clock)) if flags & CLOCK_IS_ABSOLUTE else timeout

    def _file_event(self, user: int, kind: int, fd: int) -> bytes:
        if kind not in (EventType.FD_READ, EventType.FD_WRITE):
            raise CallError(Errno.INVAL)
        found = self._descriptors.get(fd)
        if found is None:
            return EVENT.pack(user, Errno.BADF, kind, 0, 0)
        size = found.node.size - found.offset if found.node is not None and kind == EventType.FD_READ else 1
        return EVENT.pack(user, Errno.SUCCESS, kind, max(0, size), 0)

    def proc_exit(self, code: int) -> None:
        """End the guest."""
        if code == 0:
            raise StopError(None)
        raise StopError(Cause.EXIT_CODE, f"exit code {code}", code)

    def proc_raise(self, _signal: int) -> None:
        """Refuse: there are no signals."""
        raise CallError(Errno.NOTSUP)

    def sched_yield(self) -> None:
        """Do nothing: there is nobody to yield to."""

    def sock_accept(self, *_: int) -> None:
        """Refuse: there is no network."""
        raise CallError(Errno.NOTSOCK)

    def sock_recv(self, *_: int) -> None:
        """Refuse: there is no network."""
        raise CallError(Errno.NOTSOCK)

    def sock_send(self, *_: int) -> None:
        """Refuse: there is no network."""
        raise CallError(Errno.NOTSOCK)

    def sock_shutdown(self, *_: int) -> None:
        """Refuse: there is no network."""
        raise CallError(Errno.NOTSOCK)
