"""Running the tasks of a bag, together or alone, up to the archive of each result."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import structlog

from voisin.errors import UnavailableError, VoisinError
from voisin.protocol.ids import Hash32, TaskId, task_id, to_hex
from voisin.protocol.results import GuestFailure, sha256
from voisin.protocol.wire_words import MachineFailure
from voisin.sandbox import Cause, Series, ShortRun
from voisin.sandbox.packing import Packed, pack_in_memory, pack_run, pack_short
from voisin.worker.bags.kit import Kit, fetch_alone
from voisin.worker.bags.prints import Printing
from voisin.worker.bags.store import SMALL_BYTES, BagStore
from voisin.worker.fetch import Fetcher
from voisin.worker.plan import BAD_REQUEST, RequestError
from voisin.worker.ports import Runner, Storage
from voisin.worker.refusal import RefusalError
from voisin.worker.store import WorkerFolder
from voisin.worker.work import run_twice

ATTEMPTS: Final = 2

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Result:
    """
    A task that has come to a result.

    Attributes:
        index: The task.
        packed: What the worker commits to.
        location: SHA-256 of the archive.
        archive: The archive; None for a large one, whose file is in its place.
    """

    index: int
    packed: Packed
    location: Hash32
    archive: bytes | None


@dataclass
class End:
    """
    What came of some runs.

    Attributes:
        results: Tasks that have a result.
        left: Tasks that were not begun.
        failed: Tasks that this machine cannot do.
        why: Why it cannot.
        each_s: How long a task's app took [s].
    """

    results: list[Result] = field(default_factory=list)
    left: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    why: RefusalError | None = None
    each_s: float = 0.0


class Runs:
    """
    Runs tasks.

    Args:
        runner: What runs apps.
        store: Where large archives go.
        folder: The worker's files.
        fetcher: Gets inputs.
        prints: Told what apps print.
    """

    def __init__(self, runner: Runner, store: BagStore, folder: WorkerFolder, fetcher: Fetcher, prints: Printing) -> None:
        self._runner = runner
        self._store = store
        self._folder = folder
        self._fetcher = fetcher
        self._prints = prints

    async def series(self, kit: Kit, indexes: tuple[int, ...]) -> End:
        """
        Run tasks one after the other in one process, as far as that goes; a task that turns out not to be short is left.

        Args:
            kit: Their deal.
            indexes: The tasks; none has inputs of its own.
        """
        end, turns = End(), {}
        for index in indexes:
            try:
                turns[index] = kit.turn(index)
            except RequestError as error:
                end.results.append(_unrunnable(kit, index, error))
        if not turns or kit.job is None:
            return end
        try:
            runs = await self._run_series(Series(job=kit.job, turns=tuple(turns.values())))
        except RefusalError as error:
            end.failed, end.why = tuple(turns), error
            return end
        end.each_s = sum(run.outcome.wall_s for run in runs) / max(1, len(runs))
        begun = list(zip(turns, runs, strict=False))
        whole = [(index, run) for index, run in begun if run.is_whole]
        kit.is_series = bool(runs) and len(whole) == len(begun) and not _is_too_slow(runs[-1])
        if begun and _is_too_slow(begun[-1][1]):
            whole = [(index, run) for index, run in whole if index != begun[-1][0]]
        for index, run in whole:
            end.results.append(_result(kit, index, run))
            self._prints.tell(kit.deal_id, index, run.outcome)
        self._prints.flush(kit.deal_id)
        done = {result.index for result in end.results}
        end.left = tuple(index for index in indexes if index not in done)
        return end

    async def alone(self, kit: Kit, index: int, storage: Callable[[], Awaitable[Storage]]) -> End:
        """
        Run one task.

        Args:
            kit: Its deal.
            index: The task.
            storage: Where inputs of its own come from.
        """
        name = TaskId(task_id(kit.deal_id, index))
        try:
            with ExitStack() as holds:
                return await self._alone(kit, index, storage, holds)
        except RequestError as error:
            return End([_unrunnable(kit, index, error)])
        except RefusalError as error:
            return End(failed=(index,), why=error)
        except OSError as error:
            return End(failed=(index,), why=RefusalError(MachineFailure.NO_RESOURCES, f"the result cannot be written: {error.strerror}"))
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._folder.drop, name)

    async def _alone(self, kit: Kit, index: int, storage: Callable[[], Awaitable[Storage]], holds: ExitStack) -> End:
        if kit.has_own_inputs(index):
            job = await fetch_alone(kit, index, await storage(), fetcher=self._fetcher, folder=self._folder, holds=holds)
        else:
            job = kit.alone(index, self._folder)
        printer = self._prints.printer(TaskId(task_id(kit.deal_id, index)))
        outcome = await run_twice(self._runner, job, printer.take)
        printer.finish(outcome.stdout, outcome.stderr)
        target = self._store.folder(kit.deal_id) / f"{index}.zip"
        packed = await anyio.to_thread.run_sync(lambda: pack_run(outcome, job.output_dir, target, has_callback=kit.terms.has_callback))
        location, archive = await anyio.to_thread.run_sync(_adopt, self._store, kit, target)
        return End([Result(index, packed, location, archive)], each_s=outcome.wall_s)

    async def _run_series(self, series: Series) -> list[ShortRun]:
        """Run a series; once more if the sandbox itself broke."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._runner.run_series(series)
            except UnavailableError as error:
                log.warning("sandbox_broke", error=error.message)
                if attempt == ATTEMPTS:
                    raise RefusalError(MachineFailure.SANDBOX_BROKEN, error.message) from None
            except VoisinError as error:
                raise RefusalError(MachineFailure.SANDBOX_BROKEN, error.message) from None
        raise AssertionError("unreachable")


def _is_too_slow(run: ShortRun) -> bool:
    """Whether a run ended because of this machine's speed, which is no result."""
    return run.outcome.cause is Cause.TIME_LIMIT and run.outcome.instructions == 0


def _result(kit: Kit, index: int, run: ShortRun) -> Result:
    packed, archive = pack_short(run, has_callback=kit.terms.has_callback)
    return Result(index, packed, Hash32(to_hex(sha256(archive))), archive)


def _unrunnable(kit: Kit, index: int, error: RequestError) -> Result:
    """What the requester got wrong is a result, too: every worker comes to it."""
    failure = GuestFailure(BAD_REQUEST, error.message)
    packed, archive = pack_in_memory(failure, (), has_callback=kit.terms.has_callback)
    return Result(index, packed, Hash32(to_hex(sha256(archive))), archive)


def _adopt(store: BagStore, kit: Kit, path: Path) -> tuple[Hash32, bytes | None]:
    """Take an archive over: into memory if it is small, else to its place."""
    with path.open("rb") as file:
        location = Hash32(to_hex(hashlib.file_digest(file, "sha256").digest()))
        if file.tell() <= SMALL_BYTES:
            file.seek(0)
            data = file.read()
            path.unlink()
            return location, data
    path.replace(store.large(kit.deal_id, location))
    return location, None
