"""
The worker's folder: who uses it, which pool it works for, and every replica, so that nothing at stake is lost with the process.

    lock                    held as long as a worker runs
    identity.json           wallet and pool that the folder belongs to
    spent.json              what was deposited by itself so far
    tasks/<task>/           replica.json, progress.json, input/, output/, result.zip
    damaged/<task>/         records that could not be read
    cache/                  apps and inputs by content address, compiled apps

What a power cut must not take is the digest of a result whose contribution is on its way: `replica.json` is on the disk before anything is
sent. All that comes before can be done again, and all that comes after is on the chain; `progress.json` has it for a restart, and need not
survive more than the process.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from voisin.errors import InputError, StateError
from voisin.protocol.codec import decode, encode
from voisin.protocol.ids import Address, TaskId, as_hash32
from voisin.sandbox.packing import sync_folder
from voisin.units import NRLC
from voisin.worker.vocabulary import EARLY, Phase, Replica

T = TypeVar("T")
log = structlog.get_logger(__name__)

_RECORD, _PROGRESS, _RESULT, _INPUT, _OUTPUT = "replica.json", "progress.json", "result.zip", "input", "output"


class Identity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom a folder belongs to: a wallet, and the pool that it joined first."""

    worker: Address
    chain_id: int
    hub: Address
    workerpool: Address
    storage_url: str = ""
    vault_url: str = ""


class Spent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was moved from the wallet into the hub without being asked [nRLC]; written down before it is done."""

    deposited: NRLC = NRLC(0)


class WorkerFolder:
    """
    The files of one worker. All methods block for short disk work; records are replaced whole, never half written.

    Args:
        folder: Where they are; created when missing, for this user alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tasks = folder / "tasks"
        self.cache = folder / "cache"
        for each in (folder, self.tasks, self.cache):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """
        Keep every other worker out of the folder.

        Raises:
            StateError: Another worker is using it.
        """
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StateError(f"another worker uses the folder {self.folder}", hint="stop it, or give this one its own folder") from None
            yield
        finally:
            os.close(descriptor)

    def identity(self) -> Identity | None:
        """
        Read whom the folder belongs to; None as long as it is new.

        Raises:
            InputError: The file is damaged.
        """
        return self._read(self.folder / "identity.json", Identity)

    def keep_identity(self, identity: Identity) -> None:
        """Write down whom the folder belongs to."""
        self._write(self.folder / "identity.json", identity)

    def spent(self) -> Spent:
        """
        Read what was deposited so far.

        Raises:
            InputError: The file is damaged.
        """
        return self._read(self.folder / "spent.json", Spent) or Spent()

    def keep_spent(self, spent: Spent) -> None:
        """Write down what was deposited so far."""
        self._write(self.folder / "spent.json", spent)

    # --- replicas ---

    def result(self, task_id: TaskId) -> Path:
        """Say where a task's result lies."""
        return self._task(task_id) / _RESULT

    def inputs(self, task_id: TaskId) -> Path:
        """Say where a task's inputs lie."""
        return self._task(task_id) / _INPUT

    def outputs(self, task_id: TaskId) -> Path:
        """Say where a task's output folder lies."""
        return self._task(task_id) / _OUTPUT

    def keep(self, replica: Replica) -> None:
        """Write a replica down; once this returns for one that is about to be contributed, a power cut does not lose it."""
        folder = self._task(replica.task_id)
        folder.mkdir(exist_ok=True, mode=0o700)
        if replica.phase is Phase.CONTRIBUTING:
            self._write(folder / _RECORD, replica)
            sync_folder(self.tasks)
        self._write(folder / _PROGRESS, replica, is_durable=False)

    def sweep(self, task_id: TaskId) -> None:
        """Remove what a run needed, and leave the record and the result."""
        for folder in (self.inputs(task_id), self.outputs(task_id)):
            shutil.rmtree(folder, ignore_errors=True)

    def drop(self, task_id: TaskId) -> None:
        """Remove everything of a task."""
        shutil.rmtree(self._task(task_id), ignore_errors=True)

    def size_bytes(self, task_id: TaskId) -> int:
        """Measure what a task takes on disk [bytes]."""
        return sum(path.lstat().st_size for path in self._task(task_id).rglob("*") if path.is_file())

    def restore(self) -> tuple[Replica, ...]:
        """
        Read every replica after a start, and remove what a killed worker left half done.

        Returns:
            The replicas.
        """
        found = []
        for folder in sorted(self.tasks.iterdir()):
            replica = self._load(folder)
            if replica is not None:
                self.sweep(replica.task_id)
                if replica.phase in EARLY:
                    self.result(replica.task_id).unlink(missing_ok=True)
                found.append(replica)
        return tuple(found)

    def _load(self, folder: Path) -> Replica | None:
        """Read a task's record. A damaged one may be all that is known of something at stake: it is put aside, not removed."""
        try:
            replica = self._record(folder / _RECORD)
        except InputError as error:
            log.error("record_damaged", folder=folder.name, error=error.message)
            aside = self.folder / "damaged"
            aside.mkdir(exist_ok=True, mode=0o700)
            shutil.rmtree(aside / folder.name, ignore_errors=True)
            folder.rename(aside / folder.name)
            return None
        replica = self._furthest(replica, folder)
        if replica is None:
            log.warning("leftover_removed", folder=folder.name)
            if folder.is_dir():
                shutil.rmtree(folder, ignore_errors=True)
            else:
                folder.unlink()
        return replica

    def _record(self, path: Path) -> Replica | None:
        replica = self._read(path, Replica)
        if replica is not None and (replica.task_id != path.parent.name or (replica.phase not in EARLY and replica.digest is None)):
            raise InputError(f"the record {path} is not that of its folder, or misses the digest")
        return replica

    def _furthest(self, safe: Replica | None, folder: Path) -> Replica | None:
        """Go on from a task's progress, unless a power cut left less of it than what was safe before."""
        try:
            latest = self._record(folder / _PROGRESS)
        except InputError as error:
            log.warning("progress_lost", folder=folder.name, error=error.message)
            return safe
        return safe if latest is None or (safe is not None and latest.phase in EARLY) else latest

    def _task(self, task_id: TaskId) -> Path:
        assert as_hash32(task_id) == task_id
        return self.tasks / task_id

    def _read(self, path: Path, kind: type[T]) -> T | None:
        try:
            return decode(path.read_bytes(), kind, f"the record {path}")
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _write(self, path: Path, record: msgspec.Struct, *, is_durable: bool = True) -> None:
        partial = path.with_suffix(".part")
        with partial.open("wb") as file:
            file.write(encode(record))
            if is_durable:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
        if is_durable:
            sync_folder(path.parent)
