"""
Where an enclave keeps files: in memory that no other process sees, and that is gone with the enclave, however it ends.

It is a file system in memory, mounted for this process and its children alone (a mount namespace, behind a user namespace where the
process is not root). Where the system refuses that, the system's own shared memory is used if its folder is one; what a killed enclave
left there is removed by the next. A disk is used by simulated enclaves only, which hide nothing anyway.

Source: Linux man pages unshare(2), mount_namespaces(7), user_namespaces(7), tmpfs(5).
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from voisin.errors import StateError

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108  (a folder of this account is made below it)
_MOUNTS, _SWAPS = Path("/proc/self/mountinfo"), Path("/proc/swaps")
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_REC, _MS_PRIVATE = 2, 4, 16384, 1 << 18
_PR_SET_DUMPABLE = 4
_IN_MEMORY = frozenset({"tmpfs", "ramfs", "rootfs"})


class Hold(StrEnum):
    """How well files are kept, best first."""

    PRIVATE = "memory of this process alone"
    SHARED = "the system's shared memory, readable by this account and by root"
    DISK = "a disk"


@dataclass(frozen=True)
class Place:
    """
    Where an enclave keeps files.

    Attributes:
        folder: The folder.
        hold: How well it keeps them.
    """

    folder: Path
    hold: Hold


def close_doors() -> None:
    """Have no other process of this account read this one's memory, and the system write none of it to a disk when it ends badly."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def open_place() -> Place:
    """Find the best place there is; to be called before the process has a second thread."""
    if sys.platform == "linux" and SHARED_MEMORY.is_dir() and _mount_private(SHARED_MEMORY):
        return Place(SHARED_MEMORY, Hold.PRIVATE)
    name = f"voisin-enclave-{os.getuid()}"
    if is_memory(SHARED_MEMORY):
        return Place(SHARED_MEMORY / name, Hold.SHARED)
    return Place(Path(tempfile.gettempdir()) / name, Hold.DISK)


def require_memory(place: Place) -> None:
    """
    Require that nothing of an enclave can reach a disk.

    Raises:
        StateError: It can.
    """
    if place.hold is Hold.DISK:
        raise StateError("an enclave needs a file system in memory, and this machine has none", hint=f"mount a tmpfs on {SHARED_MEMORY}")
    if swaps := swap_areas():
        raise StateError(f"this machine writes memory to {', '.join(swaps)}", hint="switch swapping off in a confidential machine")


def swap_areas() -> tuple[str, ...]:
    """List where the system writes memory that is not used for a while."""
    try:
        lines = _SWAPS.read_text().splitlines()[1:]
    except OSError:
        return ()
    return tuple(line.split()[0] for line in lines if line.strip())


def is_memory(folder: Path) -> bool:
    """Whether a folder is the root of a file system in memory."""
    try:
        mounts = [line.split() for line in _MOUNTS.read_text().splitlines()]
    except OSError:
        return False
    return any(fields[4] == str(folder) and fields[fields.index("-") + 1] in _IN_MEMORY for fields in mounts)


def _mount_private(folder: Path) -> bool:
    """Mount memory over a folder, for this process and its children alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWNS) != 0:
        if libc.unshare(_CLONE_NEWNS | _CLONE_NEWUSER) != 0:
            return False
        try:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        except OSError:
            return False
    if libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        return False
    return bool(libc.mount(b"voisin", os.fsencode(folder), b"tmpfs", _MS_NOSUID | _MS_NODEV, b"mode=0700") == 0)
