"""From the end of a run to the archive of its result, and the digest that its worker commits to."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from voisin.errors import InputError
from voisin.protocol.archive import Opener, check_path, open_archive, write_archive
from voisin.protocol.codec import encode
from voisin.protocol.ids import Hash32
from voisin.protocol.results import ERROR_FILE, STDERR_FILE, STDOUT_FILE, GuestFailure
from voisin.sandbox.job import Cause, Outcome, ShortRun

BAD_OUTPUT: Final = "bad-output"
"""Cause of a failure when the app's files cannot be a result, beside the sandbox's causes."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """
    A result on disk.

    Attributes:
        digest: What the worker commits to.
        callback_data: What the deal's callback gets; empty without one.
        failure: Why the app failed; None when it succeeded.
        exit_code: What the app exited with; None when it did not end by itself.
    """

    digest: Hash32
    callback_data: bytes
    failure: GuestFailure | None
    exit_code: int | None = None


def failure_of_run(outcome: Outcome) -> GuestFailure | None:
    """Say what a run's failure is called in its result; None for a success."""
    return None if outcome.cause is None else GuestFailure(outcome.cause.value, outcome.detail)


def pack_run(outcome: Outcome, output: Path, target: Path, *, has_callback: bool) -> Packed:
    """
    Make the result of a run. Blocks on the disk; once it returns, a power cut does not lose the result.

    Args:
        outcome: How the run ended.
        output: The app's output folder.
        target: The archive to write.
        has_callback: Whether the deal has a callback.

    Returns:
        What the worker commits to. An app whose output cannot be a result has failed, too.
    """
    exit_code = outcome.exit_code if outcome.cause in (None, Cause.EXIT_CODE) else None
    logs = {STDOUT_FILE: outcome.stdout, STDERR_FILE: outcome.stderr}
    failure = failure_of_run(outcome)
    if failure is None:
        try:
            files = {name: _memory(data) for name, data in logs.items() if data} | _files_below(output)
            return replace(_write(files, target, has_callback=has_callback), exit_code=exit_code)
        except InputError as error:
            failure = GuestFailure(BAD_OUTPUT, error.message.partition(": ")[0])
    return replace(pack_failure(failure, target, has_callback=has_callback, logs=logs), exit_code=exit_code)


def pack_failure(failure: GuestFailure, target: Path, *, has_callback: bool, logs: dict[str, bytes] | None = None) -> Packed:
    """
    Make the result of an app that failed.

    Args:
        failure: Why; must be the same on every honest machine.
        target: The archive to write.
        has_callback: Whether the deal has a callback.
        logs: What it printed, by file name.
    """
    files = {name: _memory(data) for name, data in (logs or {}).items() if data}
    return _write({**files, ERROR_FILE: _memory(encode(failure))}, target, has_callback=has_callback)


@lru_cache(maxsize=64)
def pack_in_memory(failure: GuestFailure | None, files: tuple[tuple[str, bytes], ...], *, has_callback: bool) -> tuple[Packed, bytes]:
    """
    Make a small result, without a disk; equal runs are packed once.

    Args:
        failure: Why the app failed; None for a success.
        files: All files of the result by path, with what the app printed, in order.
        has_callback: Whether the deal has a callback.

    Returns:
        What the worker commits to, but for the exit code, and the archive.
    """
    if failure is None:
        try:
            return _fill_bytes({check_path(path): _memory(data) for path, data in files}, has_callback=has_callback)
        except InputError as error:
            failure = GuestFailure(BAD_OUTPUT, error.message.partition(": ")[0])
    logs = {path: _memory(data) for path, data in files if path in (STDOUT_FILE, STDERR_FILE)}
    return _fill_bytes({**logs, ERROR_FILE: _memory(encode(failure))}, has_callback=has_callback)


def pack_short(run: ShortRun, *, has_callback: bool) -> tuple[Packed, bytes]:
    """
    Make the result of a run of a series.

    Args:
        run: The run.
        has_callback: Whether the deal has a callback.

    Returns:
        What the worker commits to, and the archive.
    """
    outcome = run.outcome
    logs = [(name, data) for name, data in ((STDOUT_FILE, outcome.stdout), (STDERR_FILE, outcome.stderr)) if data]
    files = {**dict(logs), **run.files}
    packed, archive = pack_in_memory(failure_of_run(outcome), tuple(sorted(files.items())), has_callback=has_callback)
    return replace(packed, exit_code=outcome.exit_code if outcome.cause in (None, Cause.EXIT_CODE) else None), archive


def _fill_bytes(files: dict[str, Opener], *, has_callback: bool) -> tuple[Packed, bytes]:
    file = BytesIO()
    packed = _fill(file, files, has_callback=has_callback)
    return packed, file.getvalue()


def _fill(file: BinaryIO, files: dict[str, Opener], *, has_callback: bool) -> Packed:
    write_archive(file, files)
    archive = open_archive(file)
    digest = archive.digest(has_callback=has_callback)
    return Packed(digest=digest, callback_data=archive.callback_data() if has_callback else b"", failure=archive.failure())


def _write(files: dict[str, Opener], target: Path, *, has_callback: bool) -> Packed:
    partial = target.with_suffix(".part")
    try:
        with partial.open("w+b") as file:
            packed = _fill(file, files, has_callback=has_callback)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
        sync_folder(target.parent)
    finally:
        partial.unlink(missing_ok=True)
    return packed


def sync_folder(folder: Path) -> None:
    """Make sure that a folder's new names survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files_below(folder: Path) -> dict[str, Opener]:
    """
    List an output folder; empty folders and everything that is no regular file are left out.

    Raises:
        InputError: A name cannot be part of a result.
    """
    found = {}
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(root, name)
            if path.is_file() and not path.is_symlink():
                found[check_path(path.relative_to(folder).as_posix())] = _disk(path)
    return found


def _disk(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")


def _memory(data: bytes) -> Callable[[], BinaryIO]:
    return lambda: BytesIO(data)
