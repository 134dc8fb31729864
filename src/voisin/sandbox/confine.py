"""
The walls around a sandbox process, for the day the engine itself has a hole: limits of the system, no access to files but its own
folder and the compiled modules (Landlock), no new processes and no network (seccomp). Each is raised by the process itself, needs no
privilege, and is left out where the system lacks it.

Source: Linux user-space API, landlock.h and seccomp.h; the numbers of system calls are those of the architecture's table.
"""

from __future__ import annotations

import ctypes
import errno
import math
import os
import platform
import resource
import struct
import sys
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SIGKILL = 9
_ADDRESS_SPACE_BYTES = 16 << 30  # a guest's memory reserves 4 GiB of it, whether used or not
_COMPILER_ADDRESS_SPACE_BYTES = 4 << 30
_OPEN_FILES = 2_048
_CPU_MARGIN_S = 5

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446  # the same on every architecture
_LANDLOCK_VERSION_FLAG = 1
_LANDLOCK_PATH_BENEATH = 1
_FS_READ_FILE = 1 << 2
_FS_RIGHTS_BY_VERSION = {1: 13, 2: 14, 3: 15, 4: 15}  # how many of the rights exist; 16 from version 5 on
_NET_TCP = 3
_SCOPES = 3  # abstract sockets and signals stay inside
# write and read files, list, remove folders and files, make folders and files, rename between folders, truncate
_OWN_FOLDER = sum(1 << bit for bit in (1, 2, 3, 4, 5, 7, 8, 13, 14))

_SECCOMP_MODE_FILTER = 2
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_X32_BIT = 0x40000000
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_ARCHITECTURES = tuple(_AUDIT)
_REFUSED: dict[str, tuple[int | None, int | None]] = {  # numbers on x86_64 and aarch64; None where it does not exist
    # network
    "socket": (41, 198), "socketpair": (53, 199), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202), "connect": (42, 203),
    "accept4": (288, 242),
    # processes
    "clone": (56, 220), "clone3": (435, 435), "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "kill": (62, 129), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    # namespaces and file systems
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_by_handle_at": (304, 265),
    # wide doors into the kernel
    "bpf": (321, 280), "userfaultfd": (323, 282), "perf_event_open": (298, 241), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104),
}  # fmt: skip
_BPF_LOAD, _BPF_EQUAL, _BPF_AT_LEAST, _BPF_RETURN = 0x20, 0x15, 0x35, 0x06
_BPF_INSTRUCTION = struct.Struct("<HBBI")


class _BpfProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def enter(compiled_folder: Path | None) -> tuple[str, ...]:
    """
    Raise all walls this system has. The current folder stays usable.

    Args:
        compiled_folder: Where compiled modules may be read; None for a process that only compiles.

    Returns:
        The names of the walls that stand.
    """
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    if sys.platform == "linux":  # elsewhere this limit is not kept, or not even accepted
        _limit(resource.RLIMIT_AS, _ADDRESS_SPACE_BYTES)
    layers = ["rlimits"]
    if hasattr(_libc, "prctl") and _prctl(_PR_SET_NO_NEW_PRIVS, 1) == 0:
        _prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        if _enter_landlock(Path.cwd(), compiled_folder):
            layers.append("landlock")
        if _enter_seccomp():
            layers.append("seccomp")
    return tuple(layers)


def allow_run(*, file_bytes: int, time_s: float) -> None:
    """
    Set the system's own limits for the next guest, a little behind those that end it properly.

    Args:
        file_bytes: The largest file it can make.
        time_s: How long it may run [s].
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_FSIZE, file_bytes)
    _limit(resource.RLIMIT_CPU, math.ceil(usage.ru_utime + usage.ru_stime + time_s) + _CPU_MARGIN_S)


def allow_compile() -> None:
    """Set the system's own limit on the memory of a compiler."""
    if sys.platform == "linux":
        _limit(resource.RLIMIT_AS, _COMPILER_ADDRESS_SPACE_BYTES)


def _limit(kind: int, value: int) -> None:
    """Set the soft limit only, so that the next run can have another one."""
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _prctl(option: int, value: int, pointer: int = 0) -> int:
    return int(_libc.prctl(option, ctypes.c_ulong(value), ctypes.c_void_p(pointer), ctypes.c_ulong(0), ctypes.c_ulong(0)))


def _enter_landlock(own_folder: Path, readable: Path | None) -> bool:
    version = _libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), _LANDLOCK_VERSION_FLAG)
    if version < 1:
        return False
    rights = (1 << _FS_RIGHTS_BY_VERSION.get(version, 16)) - 1
    fields = struct.pack("<QQQ", rights, _NET_TCP, _SCOPES)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = _libc.syscall(_LANDLOCK_CREATE, fields, ctypes.c_size_t(len(fields)), 0)
    if ruleset < 0:
        return False
    try:
        allowed = [(own_folder, _OWN_FOLDER)] + ([(readable, _FS_READ_FILE)] if readable is not None else [])
        return all(_landlock_add(ruleset, path, access & rights) for path, access in allowed) and (
            _libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0) == 0
        )
    finally:
        os.close(ruleset)


def _landlock_add(ruleset: int, path: Path, access: int) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        rule = struct.pack("<Qi", access, descriptor)
        return bool(_libc.syscall(_LANDLOCK_ADD, ruleset, _LANDLOCK_PATH_BENEATH, rule, 0) == 0)
    finally:
        os.close(descriptor)


def _enter_seccomp() -> bool:
    machine = platform.machine()
    if machine not in _AUDIT:
        return False
    column = _ARCHITECTURES.index(machine)
    refused = [(name, numbers[column]) for name, numbers in _REFUSED.items() if numbers[column] is not None]
    # Layout: check the architecture, load the number, compare with each refused one, allow; then the two ways of refusing.
    count = len(refused)
    program = [(_BPF_LOAD, 0, 0, 4), (_BPF_EQUAL, 1, 0, _AUDIT[machine]), (_BPF_RETURN, 0, 0, _KILL), (_BPF_LOAD, 0, 0, 0)]
    program.append((_BPF_AT_LEAST, count + 1, 0, _X32_BIT))
    for index, (name, number) in enumerate(refused):
        program.append((_BPF_EQUAL, count - index + (1 if name == "clone3" else 0), 0, number or 0))
    program += [
        (_BPF_RETURN, 0, 0, _ALLOW),
        (_BPF_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_BPF_RETURN, 0, 0, _ERRNO | errno.ENOSYS),  # for clone3, so that the C library falls back to clone
    ]
    code = ctypes.create_string_buffer(b"".join(_BPF_INSTRUCTION.pack(*instruction) for instruction in program))
    filter_program = _BpfProgram(len(program), ctypes.addressof(code))
    return _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(filter_program)) == 0
