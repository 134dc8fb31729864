"""The parent's side of a guest's files: what goes in, what comes out, and where it lies meanwhile. All functions block on the disk."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from voisin.errors import InputError, UnavailableError
from voisin.sandbox.job import Job, Limits
from voisin.sandbox.streams import COUNT_BYTES, END_SUFFIX, join

MAX_INPUT_FILES = 500
MAX_TEXT_BYTES = 128 << 10
MAX_MODULE_BYTES = 256 << 20
MAX_MEMORY_BYTES = 4 << 30
_SHA256 = re.compile("[0-9a-f]{64}")


class OutputRefusedError(UnavailableError):
    """A sandbox process handed over what no guest can make; it is not to be trusted any more."""

    code = "sandbox-failed"


def check_job(job: Job) -> None:
    """
    Refuse a job that cannot be run as it is.

    Args:
        job: The job.

    Raises:
        InputError: Names what is wrong and how to mend it.
    """
    limits = job.limits
    if _SHA256.fullmatch(job.module_sha256) is None:
        raise InputError("the module's SHA-256 is not 64 lower-case hex digits", hint="give the hash of the .wasm file")
    if not job.module.is_file():
        raise InputError(f"there is no module {job.module}", hint="check the path")
    if job.module.stat().st_size > MAX_MODULE_BYTES:
        raise InputError(f"the module is larger than {MAX_MODULE_BYTES} bytes", hint="strip it of debug information")
    numbers = (limits.instructions, limits.memory_bytes, limits.output_bytes, limits.output_files, limits.log_bytes)
    if min(numbers) < 0 or limits.time_s <= 0 or limits.memory_bytes > MAX_MEMORY_BYTES or limits.instructions >= 1 << 63:
        raise InputError(f"these limits cannot be kept: {limits}", hint="give positive numbers, and at most 4 GiB of memory")
    if not 0 <= job.clock_unix_s < 1 << 33:
        raise InputError(f"the clock cannot start at {job.clock_unix_s}", hint="give seconds since 1970")
    texts = [*job.args, *(f"{name}={value}" for name, value in job.env.items())]
    if any("\0" in text for text in texts) or any("=" in name or not name for name in job.env):
        raise InputError("an argument or variable holds a NUL character or a bad name", hint="remove it")
    if sum(len(text.encode(errors="replace")) + 1 for text in texts) + len(job.seed) > MAX_TEXT_BYTES:
        raise InputError(f"arguments and variables are larger than {MAX_TEXT_BYTES} bytes", hint="put large inputs into files")
    if job.output_dir.exists() and any(job.output_dir.iterdir()):
        raise InputError(f"the output folder {job.output_dir} is not empty", hint="give an empty folder or a new path")


def input_files(folder: Path | None) -> dict[str, Path]:
    """
    List the regular files a guest may read.

    Args:
        folder: The input folder; None for no inputs.

    Returns:
        Host paths by the paths the guest sees; symbolic links and special files are left out.

    Raises:
        InputError: There is no such folder, there are too many files, or a name is not UTF-8.
    """
    if folder is None:
        return {}
    if not folder.is_dir():
        raise InputError(f"there is no input folder {folder}", hint="check the path")
    found: dict[str, Path] = {}
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(root, name)
            if stat.S_ISREG(path.lstat().st_mode):
                found[path.relative_to(folder).as_posix()] = path
    if len(found) > MAX_INPUT_FILES:
        raise InputError(f"the input folder holds more than {MAX_INPUT_FILES} files", hint="pack them into one archive")
    try:
        for name in found:
            name.encode()
    except UnicodeEncodeError:
        raise InputError("the name of an input file is not UTF-8", hint="rename it") from None
    return found


def read_stream(work: Path, name: str, max_bytes: int) -> bytes:
    """
    Read what is kept of what a guest printed.

    Args:
        work: The folder of the sandbox process.
        name: The stream's name.
        max_bytes: How much of it is kept.
    """
    start, end = (read_from(work / f"{name}{suffix}", 0, max_bytes + COUNT_BYTES) for suffix in ("", END_SUFFIX))
    return join(start, end[COUNT_BYTES:], int.from_bytes(end[:COUNT_BYTES], "little"), max_bytes)


def read_from(path: Path, start: int, max_bytes: int = 64 << 10) -> bytes:
    """
    Read on in a log that a guest writes.

    Args:
        path: The file; a missing one reads as empty, anything but a regular file too.
        start: Where to go on [bytes].
        max_bytes: How much to read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(descriptor, max_bytes, start) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Harvest:
    """What a run left behind; sizes are of its output files and count its files and folders."""

    stdout: bytes
    stderr: bytes
    output_bytes: int = 0
    output_files: int = 0


def prepare(job: Job) -> dict[str, Path]:
    """
    Check a job and list its inputs.

    Args:
        job: The job.

    Returns:
        As `input_files`.

    Raises:
        InputError: The job cannot be run as it is.
    """
    check_job(job)
    return input_files(job.input_dir)


def harvest(work: Path, job: Job, *, is_success: bool) -> Harvest:
    """
    Take over what a run left behind, and leave its folder empty.

    Args:
        work: The folder of the sandbox process.
        job: What was run.
        is_success: Whether the outputs are wanted.

    Returns:
        Logs and sizes.

    Raises:
        OutputRefusedError: As `collect`.
    """
    stdout, stderr = (read_stream(work, name, job.limits.log_bytes) for name in ("stdout", "stderr"))
    size, files = collect(work / "out", job.output_dir, job.limits) if is_success else (0, 0)
    clear(work)
    return Harvest(stdout, stderr, size, files)


def collect(out: Path, target: Path, limits: Limits) -> tuple[int, int]:
    """
    Take over the outputs of a guest that succeeded.

    Args:
        out: Where the sandbox process left them.
        target: Where they go; absent or empty.
        limits: What they must keep to.

    Returns:
        Bytes of all files, and number of files and folders.

    Raises:
        OutputRefusedError: There is a link, a special file, or more than the limits allow: the process does not do its work.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        out.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise OutputRefusedError(f"the outputs cannot be taken over: {error.strerror}", hint="check the output folder") from error
        _measure(out, limits)
        shutil.copytree(out, target, symlinks=True, dirs_exist_ok=True)
    try:
        return _measure(target, limits)
    except OutputRefusedError:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _measure(folder: Path, limits: Limits) -> tuple[int, int]:
    size = count = 0
    pending = [folder]
    while pending:
        current = pending.pop()
        if not stat.S_ISDIR(current.lstat().st_mode):
            raise OutputRefusedError("the output is not a folder")
        with os.scandir(current) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                count += 1
                if stat.S_ISDIR(status.st_mode):
                    pending.append(Path(entry.path))
                elif stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                    size += status.st_size
                else:
                    raise OutputRefusedError(f"the output {entry.name!r} is neither a file nor a folder")
                if size > limits.output_bytes or count > limits.output_files:
                    raise OutputRefusedError("the output is larger than its limit")
    return size, count


def clear(folder: Path) -> None:
    """
    Empty a folder.

    Args:
        folder: It stays.
    """
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


class Scratch:
    """
    A folder for one program's passing files. What a killed program left behind is removed by the next that opens one beside it.

    Args:
        parent: Where it is made; created when missing.

    Attributes:
        folder: The folder itself, while it is open.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._lock = -1
        self.folder = parent / secrets.token_hex(8)

    def open(self) -> None:
        """Make the folder, and remove those nobody holds any more."""
        self._parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in self._parent.glob("*.lock"):
            _remove_if_unheld(old)
        self._lock = _hold(self.folder.with_suffix(".lock"))
        self.folder.mkdir(mode=0o700)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.with_suffix(".lock").unlink(missing_ok=True)
        os.close(self._lock)


def _hold(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _remove_if_unheld(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        shutil.rmtree(path.with_suffix(""), ignore_errors=True)
        path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
