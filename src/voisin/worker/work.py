"""
The part of a task that only reads the chain: check, fetch, run.

All of it can be stopped at any time, and leaves nothing at stake.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass

import anyio
import structlog

from voisin.errors import StateError, UnavailableError, VoisinError
from voisin.protocol.ids import Address, TaskId, to_hex
from voisin.protocol.results import GuestFailure
from voisin.protocol.wire import Printed, Takes
from voisin.protocol.wire_words import EnclaveKind, MachineFailure
from voisin.sandbox import Cause, Job, OnOutput, Outcome
from voisin.sandbox.packing import Packed, pack_failure, pack_run
from voisin.units import NRLC
from voisin.worker.cache import ContentCache
from voisin.worker.checks import Ability, Terms, check_task
from voisin.worker.disk import Disk
from voisin.worker.enclave.orders import EnclaveWork
from voisin.worker.fetch import Fetcher, Prepared
from voisin.worker.pauses import Pauses
from voisin.worker.plan import BAD_REQUEST, RequestError
from voisin.worker.ports import Parts, Runner, Storage
from voisin.worker.printing import Printer
from voisin.worker.refusal import RefusalError
from voisin.worker.settings import WorkerSettings
from voisin.worker.store import WorkerFolder
from voisin.worker.treasury import Treasury
from voisin.worker.vocabulary import Approved, Computed, Fetched, Replica
from voisin.worker.web import require_public

BOOKKEEPING_BYTES = 1 << 20
"""Disk that a task takes beside its inputs, its outputs and their archive."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Ties:
    """
    What ties the work to the rest of the worker.

    Attributes:
        worker: The wallet's address.
        takes: Says what the owner wants done.
        print_out: Told what apps print.
    """

    worker: Address
    takes: Callable[[], Takes]
    print_out: Callable[[Printed], None]


class Work:
    """
    Brings a task from its assignment to a result on disk.

    Args:
        settings: What the worker was told.
        parts: The world.
        folder: The worker's files.
        treasury: The worker's stake.
        ties: The rest of the worker.

    Attributes:
        disk: What tasks use of the disk.
        cache: Apps and inputs that were needed before.
        fetcher: Gets apps and inputs.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        parts: Parts,
        *,
        folder: WorkerFolder,
        treasury: Treasury,
        ties: Ties,
    ) -> None:
        self._settings = settings
        self._random = parts.random
        self._enclave = parts.enclave_kind
        self._ledger = parts.ledger
        self._runner = parts.runner
        self._folder = folder
        self._treasury = treasury
        self._ties = ties
        self.disk = Disk(settings.disk_bytes)
        self.cache = ContentCache(folder.cache / "content", settings.cache_bytes)
        self.fetcher = Fetcher(
            folder,
            self.cache,
            disk=self.disk,
            parts=parts,
            pauses=self._pauses,
            max_input_bytes=settings.max_input_bytes,
        )
        self._enclave_work = EnclaveWork(parts, folder, self._pauses, worker=ties.worker, check=self._check_vault)
        self._terms: dict[TaskId, Terms] = {}
        self._ready: dict[TaskId, Prepared | GuestFailure] = {}
        self._holds: dict[TaskId, ExitStack] = {}

    def _pauses(self) -> Pauses:
        return Pauses(self._settings.retry_s, self._settings.max_retry_s, self._random)

    async def _check_vault(self, url: str) -> None:
        """Refuse the address of a vault that lies where only this machine may go, unless its owner allows that."""
        if not self._settings.allow_private_web:
            await require_public(url)

    def adopt(self, task_id: TaskId, size_bytes: int) -> None:
        """Count the disk of a task that a restart brought back [bytes]."""
        self.disk.settle(task_id, size_bytes)

    def forget(self, task_id: TaskId) -> None:
        """Give back everything that is held for a task."""
        self._terms.pop(task_id, None)
        self._ready.pop(task_id, None)
        self._holds.pop(task_id, ExitStack()).close()
        self.disk.free(task_id)

    async def check(self, replica: Replica, workerpool: Address) -> Approved:
        """
        Make sure that a task is worth working on, and set disk and stake aside for it.

        Raises:
            RefusalError: It is not, or there is too little.
        """
        takes = self._ties.takes()
        self.disk.quota_bytes = takes.disk_bytes
        ability = Ability(worker=self._ties.worker, workerpool=workerpool, settings=self._settings, enclave=self._enclave)
        terms = await check_task(replica, self._ledger, ability, takes)
        self.disk.add(replica.task_id, 2 * terms.limits.output_bytes + BOOKKEEPING_BYTES)
        stake = NRLC(0) if replica.is_direct else terms.deal.worker_stake  # finishing at once locks nothing
        try:
            await self._treasury.reserve(replica.task_id, stake)
        except UnavailableError as error:
            raise RefusalError(MachineFailure.CHAIN_UNREACHABLE, error.message) from None
        self._terms[replica.task_id] = terms
        return Approved(replica.task_id, terms.limits.memory_bytes, stake, terms.final_deadline, is_alone=terms.deal.trust <= 1)

    async def fetch(self, replica: Replica, storage: Callable[[], Awaitable[Storage]]) -> Fetched:
        """
        Get what a task needs. What the requester got wrong becomes the task's result.

        Raises:
            RefusalError: This machine cannot get it.
        """
        holds = self._holds.setdefault(replica.task_id, ExitStack())
        terms = self._terms[replica.task_id]
        try:
            self._ready[replica.task_id] = await self.fetcher.job(replica, terms, await storage(), holds=holds)
        except RequestError as error:
            self._ready[replica.task_id] = GuestFailure(BAD_REQUEST, error.message)
        except UnavailableError as error:
            raise RefusalError(MachineFailure.CHAIN_UNREACHABLE, error.message) from None
        except StateError as error:
            raise RefusalError(MachineFailure.INPUT_UNAVAILABLE, error.message) from None
        except OSError as error:
            raise RefusalError(MachineFailure.NO_RESOURCES, f"the inputs cannot be written: {error.strerror}") from None
        return Fetched(replica.task_id)

    async def run(self, replica: Replica, vault_url: str) -> Computed:
        """
        Run a task's app and put its result on disk; an app that fails gives a result, too.

        Args:
            replica: The task.
            vault_url: Where the secrets are, for a task in an enclave.

        Raises:
            RefusalError: This machine could not run it to its end.
        """
        signature = "0x"
        try:
            with anyio.move_on_after(await self._left_s(replica)):
                if self._terms[replica.task_id].in_enclave:
                    packed, signature = await self._in_enclave(replica, vault_url)
                else:
                    packed = await self._result(replica)
                return await self._computed(replica, packed, signature)
        except OSError as error:
            raise RefusalError(MachineFailure.NO_RESOURCES, f"the result cannot be written: {error.strerror}") from None
        finally:
            self._holds.pop(replica.task_id, ExitStack()).close()
        raise RefusalError(MachineFailure.TASK_NOT_ACTIVE, "the app was not done in time for the contribution deadline")

    async def _left_s(self, replica: Replica) -> float:
        """Say how long a run may take at most [s]."""
        if isinstance(self._ready[replica.task_id], GuestFailure) and not self._terms[replica.task_id].in_enclave:
            return math.inf
        try:
            now = await self._ledger.now()
        except UnavailableError as error:
            raise RefusalError(MachineFailure.CHAIN_UNREACHABLE, error.message) from None
        return max(self._terms[replica.task_id].contribution_deadline - self._settings.margin_s - now, 0)

    async def _computed(self, replica: Replica, packed: Packed, signature: str) -> Computed:
        with anyio.CancelScope(shield=True):
            self.disk.settle(replica.task_id, await anyio.to_thread.run_sync(self._swept, replica.task_id))
        enclave = self._enclave if self._terms[replica.task_id].in_enclave else EnclaveKind.NONE
        cause = packed.failure.cause if packed.failure else ""
        log.info("task_computed", task_id=replica.task_id, digest=packed.digest, cause=cause, enclave=enclave)
        return Computed(replica.task_id, packed.digest, to_hex(packed.callback_data), signature, packed.exit_code)

    def _swept(self, task_id: TaskId) -> int:
        """Remove what the run needed; answers what the task takes on the disk then [bytes]."""
        self._folder.sweep(task_id)
        return self._folder.size_bytes(task_id)

    async def _in_enclave(self, replica: Replica, vault_url: str) -> tuple[Packed, str]:
        printer = Printer(replica.task_id, self._ties.print_out)
        done = await self._enclave_work.run(
            replica, self._terms[replica.task_id], self._ready[replica.task_id], vault_url=vault_url, on_output=printer.take
        )
        printer.finish(b"", b"")
        return done

    async def _result(self, replica: Replica) -> Packed:
        ready, terms = self._ready[replica.task_id], self._terms[replica.task_id]
        target = self._folder.result(replica.task_id)
        if isinstance(ready, GuestFailure):
            return await anyio.to_thread.run_sync(lambda: pack_failure(ready, target, has_callback=terms.has_callback))
        printer = Printer(replica.task_id, self._ties.print_out)
        outcome = await run_twice(self._runner, ready.job, printer.take)
        printer.finish(outcome.stdout, outcome.stderr)
        return await anyio.to_thread.run_sync(lambda: pack_run(outcome, ready.job.output_dir, target, has_callback=terms.has_callback))


async def run_twice(runner: Runner, job: Job, on_output: OnOutput) -> Outcome:
    """
    Run an app; once more if the sandbox itself broke, and what is told of its output then begins at the end.

    Args:
        runner: What runs apps.
        job: The run; its output folder is emptied before.
        on_output: Told what the app prints.

    Raises:
        RefusalError: This machine could not run it to its end.
    """
    try:
        outcome = await _run_once(runner, job, on_output)
    except UnavailableError as error:
        log.warning("sandbox_broke", error=error.message)
        try:
            outcome = await _run_once(runner, job, None)
        except VoisinError as again:
            raise RefusalError(MachineFailure.SANDBOX_BROKEN, again.message) from None
    except VoisinError as error:
        raise RefusalError(MachineFailure.SANDBOX_BROKEN, error.message) from None
    if outcome.cause is Cause.TIME_LIMIT and outcome.instructions == 0:
        detail = f"this machine is too slow for the task: the app was not done after {job.limits.time_s:g} s"
        raise RefusalError(MachineFailure.NO_RESOURCES, detail)
    return outcome


async def _run_once(runner: Runner, job: Job, on_output: OnOutput | None) -> Outcome:
    await anyio.to_thread.run_sync(lambda: shutil.rmtree(job.output_dir, ignore_errors=True))
    return await runner.run(job, on_output=on_output)
