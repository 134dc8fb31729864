"""
Numbers and layouts of WASI preview 1 that both the file tree and the system calls need.

Source: the witx definition of `wasi_snapshot_preview1` (WebAssembly/WASI, legacy/preview1).
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag


class Errno(IntEnum):
    """The error codes this implementation answers with."""

    SUCCESS = 0
    ACCES = 2
    BADF = 8
    EXIST = 20
    FAULT = 21
    ILSEQ = 25
    INVAL = 28
    ISDIR = 31
    MFILE = 33
    NAMETOOLONG = 37
    NOENT = 44
    NOSYS = 52
    NOTDIR = 54
    NOTEMPTY = 55
    NOTSUP = 58
    NOTSOCK = 57
    OVERFLOW = 61
    PERM = 63
    SPIPE = 70
    NOTCAPABLE = 76


class FileType(IntEnum):
    """What a descriptor or a directory entry is."""

    CHARACTER_DEVICE = 2
    DIRECTORY = 3
    REGULAR_FILE = 4


class OpenFlag(IntFlag):
    """`oflags` of `path_open`."""

    CREAT = 1
    DIRECTORY = 2
    EXCL = 4
    TRUNC = 8


class FdFlag(IntFlag):
    """`fdflags`: only appending means something here, the others are kept and given back."""

    NONE = 0
    APPEND = 1
    ALL = 31


class TimeFlag(IntFlag):
    """`fstflags`: which times to set, and to what."""

    ATIM = 1
    ATIM_NOW = 2
    MTIM = 4
    MTIM_NOW = 8


class Right(IntFlag):
    """The rights that are looked at; the rest of the 30 bits only travel."""

    FD_READ = 1 << 1
    FD_WRITE = 1 << 6
    ALL = (1 << 30) - 1


class Whence(IntEnum):
    """Where a seek starts."""

    SET = 0
    CUR = 1
    END = 2


class Clock(IntEnum):
    """The four clocks; the two of processor time show the same as the monotonic one."""

    REALTIME = 0
    MONOTONIC = 1
    PROCESS_CPUTIME = 2
    THREAD_CPUTIME = 3


class EventType(IntEnum):
    """What `poll_oneoff` waits for."""

    CLOCK = 0
    FD_READ = 1
    FD_WRITE = 2


SUBSCRIPTION_SIZE = 48
CLOCK_IS_ABSOLUTE = 1

DIRENT = struct.Struct("<QQIBxxx")  # next cookie, inode, length of the name, type
EVENT = struct.Struct("<QHBxxxxxQHxxxxxx")  # user data, errno, type, bytes, flags
FDSTAT = struct.Struct("<BxHxxxxQQ")  # type, flags, rights, inheriting rights
FILESTAT = struct.Struct("<QQBxxxxxxxQQQQQ")  # device, inode, type, links, size, atim, mtim, ctim
IOVEC = struct.Struct("<II")  # pointer, length
PRESTAT_DIR = struct.Struct("<BxxxI")  # tag 0, length of the name
U32 = struct.Struct("<I")
U64 = struct.Struct("<Q")


class CallError(Exception):
    """A system call that fails with an error code; the guest goes on."""

    def __init__(self, errno: Errno) -> None:
        super().__init__(errno.name)
        self.errno = errno
