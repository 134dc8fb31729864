"""What takes time in a worker's bags; each piece of work ends with events for the heart."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import anyio
import anyio.to_thread
import structlog

from voisin.errors import InputError, TrustError
from voisin.protocol.bag_wire import Contributions, HoldsBag
from voisin.protocol.ids import Address, DealId, TaskId
from voisin.protocol.signatures import Signer
from voisin.protocol.wire import FromWorker, Takes
from voisin.protocol.wire_words import MachineFailure
from voisin.units import NRLC
from voisin.worker.bags.checks import check_bag
from voisin.worker.bags.kit import Kit, fetch_kit
from voisin.worker.bags.machine import parts
from voisin.worker.bags.prints import Printing
from voisin.worker.bags.runs import End, Result, Runs
from voisin.worker.bags.showing import Showing
from voisin.worker.bags.signing import check_receipts, check_statement, sign_results
from voisin.worker.bags.store import BagStore, GroupCommit, drop_deal, keep_receipts, keep_results, keep_statement, keep_terms
from voisin.worker.bags.words import (
    Approved,
    BagEvent,
    CheckReceipts,
    CheckStatement,
    Compute,
    Distrusted,
    Fetched,
    Kept,
    NotStored,
    ReceiptsKept,
    Refused,
    SayAll,
    StatementKept,
    Store,
    Stored,
    TasksFailed,
    Written,
)
from voisin.worker.checks import Terms
from voisin.worker.disk import Disk
from voisin.worker.fetch import Fetcher
from voisin.worker.pauses import Pauses
from voisin.worker.ports import Parts, Storage
from voisin.worker.refusal import RefusalError
from voisin.worker.settings import WorkerSettings
from voisin.worker.store import WorkerFolder

BOOKKEEPING_BYTES: Final = 16 << 20
"""Disk that a deal takes beside its inputs and what its running tasks may write."""

log = structlog.get_logger(__name__)


class Workshop:
    """
    Does the work of bags.

    Args:
        settings: What the worker is told.
        signer: Its wallet.
        parts: The world.
        folder: The worker's files.
        fetcher: Gets apps and inputs.
        disk: What tasks may use of the disk.
        store: The records of bags.
        storage: Opens the storage.
        takes: Tells what the owner wants.
        say: Tells the pool.
        pauses: Makes the pauses between attempts.
    """

    def __init__(  # noqa: PLR0913  (the worker's parts, handed on)
        self,
        settings: WorkerSettings,
        signer: Signer,
        parts: Parts,
        *,
        folder: WorkerFolder,
        fetcher: Fetcher,
        disk: Disk,
        store: BagStore,
        storage: Callable[[], Awaitable[Storage]],
        takes: Callable[[], Takes],
        say: Callable[[FromWorker], None],
        pauses: Callable[[], Pauses],
    ) -> None:
        self._settings = settings
        self._signer = signer
        self._ledger, self._chain = parts.ledger, parts.bag_ledger
        self._folder = folder
        self._fetcher = fetcher
        self._disk = disk
        self._store = store
        self._storage = storage
        self._takes = takes
        self._say = say
        self.commit = GroupCommit(store)
        self._showing = Showing(store, storage, pauses)
        self._runs = Runs(parts.runner, store, folder, fetcher, Printing(say))
        self._terms: dict[DealId, Terms] = {}
        self._kits: dict[DealId, Kit] = {}
        self._recent: dict[DealId, dict[int, Kept]] = {}
        self._earned: dict[DealId, NRLC] = {}
        self._statements = anyio.Lock()

    async def check(self, deal_id: DealId, workerpool: Address) -> BagEvent:
        """See whether a deal is worth it, and write down that this worker takes part."""
        try:
            money, terms = await check_bag(deal_id, self._ledger, self._chain, self._settings, self._takes(), workerpool=workerpool)
            self._disk.add(deal_id, 2 * self._settings.slots * terms.limits.output_bytes + BOOKKEEPING_BYTES)
            await self.commit.write(keep_terms(money))
        except RefusalError as error:
            return Refused(deal_id, error.failure, error.message)
        except OSError as error:
            return Refused(deal_id, MachineFailure.NO_RESOURCES, f"the deal cannot be written down: {error.strerror}")
        self._terms[deal_id] = terms
        return Approved(money)

    async def fetch(self, deal_id: DealId) -> BagEvent:
        """Get what all tasks of a deal need."""
        try:
            self._kits[deal_id] = await fetch_kit(deal_id, self._terms[deal_id], self._storage, fetcher=self._fetcher, folder=self._folder)
        except RefusalError as error:
            return Refused(deal_id, error.failure, error.message)
        return Fetched(deal_id)

    async def run(self, compute: Compute) -> End:
        """Run tasks: together, as far as that can be done; else one."""
        kit = self._kits.get(compute.deal_id)
        if kit is None:
            return End(failed=compute.indexes, why=RefusalError(MachineFailure.TASK_NOT_ACTIVE, "the deal is over"))
        if kit.fault is not None or (compute.is_series and kit.is_series and not any(map(kit.has_own_inputs, compute.indexes))):
            return await self._runs.series(kit, compute.indexes)
        end = await self._runs.alone(kit, compute.indexes[0], self._storage)
        end.left = compute.indexes[1:]
        return end

    async def write(self, deal_id: DealId, results: Sequence[Result]) -> BagEvent:
        """Sign results and write them down."""
        try:
            kept = await anyio.to_thread.run_sync(sign_results, self._signer, self._chain.domain, deal_id, results)
            archives = {result.location: result.archive for result in results if result.archive is not None}
            await self.commit.write(keep_results(deal_id, kept, archives))
        except OSError as error:
            indexes = tuple(result.index for result in results)
            return TasksFailed(deal_id, indexes, MachineFailure.NO_RESOURCES, f"the results cannot be written: {error.strerror}")
        self._recent.setdefault(deal_id, {}).update((each.index, each) for each in kept)
        return Written(deal_id, tuple(each.contribution for each in kept))

    async def check_receipts(self, command: CheckReceipts) -> list[BagEvent]:
        """Check receipts and write them down."""
        terms = command.terms
        said = {kept.index: kept.said for kept in await self._results(terms.deal_id, [receipt.index for receipt in command.receipts])}
        good, fault = await anyio.to_thread.run_sync(
            lambda: check_receipts(command.receipts, said, terms=terms, domain=self._chain.domain, worker=self._signer.address)
        )
        events: list[BagEvent] = []
        if good:
            await self.commit.write(keep_receipts(terms.deal_id, good))
            events.append(ReceiptsKept(terms.deal_id, tuple(receipt.index for receipt in good)))
        return [*events, Distrusted(terms.deal_id, fault)] if fault else events

    async def check_statement(self, command: CheckStatement) -> BagEvent | None:
        """Check a statement and write it down, unless it is not more than the one before."""
        terms, statement = command.terms, command.statement
        fault = check_statement(statement, terms=terms, domain=self._chain.domain, worker=self._signer.address)
        if fault:
            return Distrusted(terms.deal_id, fault)
        async with self._statements:
            if statement.amount <= max(command.earned, self._earned.get(terms.deal_id, NRLC(0))):
                return None
            await self.commit.write(keep_statement(statement))
            self._earned[terms.deal_id] = statement.amount
        return StatementKept(terms.deal_id, statement.amount)

    async def show(self, command: Store, now_s: Callable[[], float]) -> BagEvent:
        """Put archives into storage, so that results can be shown."""
        results = await self._results(command.deal_id, command.indexes)
        try:
            await self._showing.upload(command.deal_id, results)
        except (InputError, TrustError) as error:
            log.error("results_not_stored", deal_id=command.deal_id, error=error.message)
            return NotStored(command.deal_id, command.indexes)
        recent = self._recent.get(command.deal_id, {})
        for index in command.indexes:
            recent.pop(index, None)
        return Stored(command.deal_id, tuple(kept.shown for kept in results), now_s())

    async def say_all(self, command: SayAll) -> None:
        """Tell the pool everything that there is of a deal, in as many messages as that takes."""
        waiting = parts(command.waiting) or [()]
        for part in waiting:
            self._say(HoldsBag(deal_id=command.deal_id, waiting=part, contributed=(), earned=command.earned))
        after = -1
        while results := await anyio.to_thread.run_sync(self._store.page, command.deal_id, after):
            for said in parts(tuple(kept.contribution for kept in results)):
                self._say(HoldsBag(deal_id=command.deal_id, waiting=(), contributed=said, earned=command.earned))
            after = results[-1].index

    async def repeat(self, deal_id: DealId, indexes: Iterable[int]) -> None:
        """Tell the pool contributions again."""
        results = await self._results(deal_id, list(indexes))
        self._say(Contributions(deal_id, tuple(kept.contribution for kept in results)))

    def release(self, deal_id: DealId) -> None:
        """Give back what running tasks need."""
        kit = self._kits.pop(deal_id, None)
        if kit is not None:
            kit.holds.close()
        self._terms.pop(deal_id, None)
        self._disk.free(deal_id)

    async def drop(self, deal_id: DealId) -> None:
        """Forget a deal, and free its disk."""
        self.release(deal_id)
        self._showing.forget(deal_id)
        self._recent.pop(deal_id, None)
        self._earned.pop(deal_id, None)
        await self.commit.write(drop_deal(deal_id))
        await anyio.to_thread.run_sync(self._store.remove_files, deal_id)
        await anyio.to_thread.run_sync(self._folder.drop, TaskId(deal_id))

    async def _results(self, deal_id: DealId, indexes: Sequence[int]) -> list[Kept]:
        """Find results, from the disk if they are not fresh."""
        recent = self._recent.get(deal_id, {})
        fresh = [recent[index] for index in indexes if index in recent]
        old = [index for index in indexes if index not in recent]
        return fresh + (await anyio.to_thread.run_sync(self._store.results, deal_id, old) if old else [])
