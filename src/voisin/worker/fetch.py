"""From the terms of a task to a job that can be run: everything it needs is on this disk, and is what the chain says."""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import structlog

from voisin.errors import TrustError, UnavailableError, VoisinError
from voisin.protocol.cid import Cid
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, TaskId, from_hex
from voisin.protocol.ipld import Name
from voisin.protocol.orders import DatasetOrder
from voisin.protocol.params import Bag
from voisin.protocol.records import DatasetInfo
from voisin.protocol.wire_words import MachineFailure
from voisin.sandbox import Job
from voisin.worker.bulk import MAX_LIST_BYTES, bulk_environment, read_name, read_slice, slice_name
from voisin.worker.cache import ContentCache
from voisin.worker.checks import Terms
from voisin.worker.content import Content, WebContent, entry_content, fetch_content, web_content
from voisin.worker.disk import Disk
from voisin.worker.pauses import Pauses
from voisin.worker.plan import (
    Inputs,
    RequestError,
    bag_cid,
    bag_entry,
    check_texts,
    plan_args,
    plan_environment,
    plan_inputs,
    read_bag,
)
from voisin.worker.ports import Parts, Storage
from voisin.worker.refusal import RefusalError
from voisin.worker.store import WorkerFolder
from voisin.worker.vocabulary import Replica

MAX_BAG_BYTES = 16 << 20
MAX_MODULE_BYTES = 256 << 20
ATTEMPTS = 2
"""How often content is asked for; the storage client itself insists as well."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A job with everything it needs on this disk, and the orders of the datasets that it opens together."""

    job: Job
    bulk: tuple[DatasetOrder, ...] = ()


class Fetcher:
    """
    Gets apps and inputs.

    Args:
        folder: Where inputs are laid out.
        cache: Where content is kept.
        disk: What tasks may use of the disk.
        parts: The world: the chain, which knows the datasets, and the web.
        pauses: Makes the pauses between attempts.
        max_input_bytes: Inputs of one task together.
    """

    def __init__(
        self,
        folder: WorkerFolder,
        cache: ContentCache,
        *,
        disk: Disk,
        parts: Parts,
        pauses: Callable[[], Pauses],
        max_input_bytes: int,
    ) -> None:
        self._folder = folder
        self._cache = cache
        self._disk = disk
        self._ledger = parts.ledger
        self._pauses = pauses
        self._web = parts.web
        self._max_input_bytes = max_input_bytes

    async def job(self, replica: Replica, terms: Terms, storage: Storage, *, holds: ExitStack) -> Prepared:
        """
        Make a task ready to run.

        Args:
            replica: The task.
            terms: What the chain says of it.
            storage: Where content comes from.
            holds: Takes what must be given back after the run.

        Raises:
            RequestError: The requester asked for what cannot be done.
            RefusalError: This machine could not get what is needed.
        """
        if terms.params is None:
            raise RequestError(terms.fault)
        entry = bag_entry(await self.bag(bag_cid(terms.params), storage), replica.index)
        inputs = plan_inputs(terms.params, entry, allow_web=terms.deal.trust <= 1)
        bulk = await self._bulk(terms.params.bulk_cid, replica, storage)
        environment = plan_environment(replica.task_id, replica.deal_id, terms.deal, index=replica.index, inputs=inputs)
        environment |= bulk_environment(bulk) if terms.params.bulk_cid else {}
        args = plan_args(terms.params, entry)
        check_texts(args, environment)
        module = await self.module(terms, storage, holds)
        left_bytes = await self.lay_out(replica.task_id, terms, inputs, storage, holds=holds)
        for order in bulk:
            left_bytes -= await self._lay_bulk(replica, order.dataset, storage, left_bytes=left_bytes, holds=holds)
        job = Job(
            module=module,
            module_sha256=(terms.app.sha256 or b"").hex(),
            args=args,
            env=environment,
            input_dir=self._folder.inputs(replica.task_id),
            output_dir=self._folder.outputs(replica.task_id),
            limits=terms.limits,
            seed=from_hex(replica.task_id),
            clock_unix_s=terms.deal.start_time,
        )
        return Prepared(job, bulk)

    async def _bulk(self, cid: str, replica: Replica, storage: Storage) -> tuple[DatasetOrder, ...]:
        """Fetch the list of the datasets that a task opens together."""
        if not cid:
            return ()
        root = await self._list(read_name(cid), replica, storage)
        return read_slice(await self._list(slice_name(root, replica.index), replica, storage))

    async def _list(self, name: Name, replica: Replica, storage: Storage) -> bytes:
        target = self._folder.inputs(replica.task_id).with_suffix(".list")
        try:
            await self._patiently(
                lambda: fetch_content(Content(name, None), storage, target, max_bytes=MAX_LIST_BYTES),
                MachineFailure.INPUT_UNAVAILABLE,
                "a list of datasets",
            )
            return await anyio.to_thread.run_sync(target.read_bytes)
        finally:
            target.unlink(missing_ok=True)

    async def _lay_bulk(self, replica: Replica, entry: Address, storage: Storage, *, left_bytes: int, holds: ExitStack) -> int:
        """Put one dataset of a list among the inputs; one that cannot be had is left out, and the others still run."""
        try:
            dataset = await self._ledger.dataset(entry)
            content = place_of(dataset)
            target, allowed = self._folder.inputs(replica.task_id) / entry, min(left_bytes, self._disk.free_bytes)
            if isinstance(content, WebContent):
                size = await content.fetch(self._web, target, max_bytes=allowed)
            else:
                holds.enter_context(self._cache.use(content.cid))
                source = await self._cache.fetch(content, storage, max_bytes=allowed)
                size = await anyio.to_thread.run_sync(_lay, source, target)
        except VoisinError as error:
            log.warning("dataset_left_out", task_id=replica.task_id, dataset=entry, reason=error.message)
            return 0
        self._disk.add(replica.task_id, size)
        return size

    async def bag(self, cid: Cid | None, storage: Storage) -> Bag | None:
        """Get a bag of tasks; None without one. Raises `RefusalError` when it cannot be had, `RequestError` when it is malformed."""
        if cid is None:
            return None
        data = await self._patiently(
            lambda: storage.get_bytes(cid, max_bytes=MAX_BAG_BYTES), MachineFailure.INPUT_UNAVAILABLE, "the bag of tasks"
        )
        return read_bag(data)

    async def module(self, terms: Terms, storage: Storage, holds: ExitStack) -> Path:
        """Get an app's module; raises `RefusalError` when it cannot be had."""
        holds.enter_context(self._cache.use(terms.app.cid))
        return await self._patiently(
            lambda: self._cache.fetch(terms.app, storage, max_bytes=MAX_MODULE_BYTES, verify=True),
            MachineFailure.APP_UNAVAILABLE,
            "the app",
        )

    async def _dataset(self, terms: Terms) -> dict[str, Content | WebContent]:
        pointer = terms.deal.dataset.pointer
        return {} if pointer == ZERO_ADDRESS else {pointer: place_of(await self._ledger.dataset(pointer))}

    async def lay_out(self, name: Hash32, terms: Terms, inputs: Inputs, storage: Storage, *, holds: ExitStack) -> int:
        """
        Put every input under its name into an input folder.

        Args:
            name: The task, or the deal whose tasks share the folder.
            terms: What the chain says of it.
            inputs: What is wanted beside the deal's dataset.
            storage: Where content comes from.
            holds: Takes what must be given back after the run.

        Returns:
            How much more the folder may hold [bytes].

        Raises:
            RefusalError: This machine could not get it.
        """
        dataset = await self._dataset(terms)
        stored = {place: content for place, content in dataset.items() if isinstance(content, Content)}
        left_bytes = await self._lay_files(name, {**inputs.files, **stored}, storage, holds=holds)
        pages: dict[str, str | WebContent] = dict(inputs.web)
        pages |= {place: content for place, content in dataset.items() if isinstance(content, WebContent)}
        for web_name, page in pages.items():
            left_bytes -= await self._fetch_web(name, web_name, page, left_bytes)
        return left_bytes

    async def _lay_files(self, place: Hash32, files: dict[str, Content], storage: Storage, *, holds: ExitStack) -> int:
        folder, left_bytes = self._folder.inputs(TaskId(place)), self._max_input_bytes
        await anyio.to_thread.run_sync(_make_empty, folder)
        for name, content in files.items():
            holds.enter_context(self._cache.use(content.cid))
            what, allowed = f"the input {name!r}", min(left_bytes, self._disk.free_bytes)
            source = await self._patiently(
                lambda content=content, allowed=allowed: self._cache.fetch(content, storage, max_bytes=allowed),  # type: ignore[misc]
                MachineFailure.INPUT_UNAVAILABLE,
                what,
            )
            size = await anyio.to_thread.run_sync(_lay, source, folder / name)
            if size > left_bytes:
                detail = f"the inputs are larger than the {self._max_input_bytes} bytes that this worker takes"
                raise RefusalError(MachineFailure.NO_RESOURCES, detail, hint="raise max_input_bytes")
            self._disk.add(place, size)
            left_bytes -= size
        return left_bytes

    async def _fetch_web(self, place: Hash32, name: str, page: str | WebContent, left_bytes: int) -> int:
        """Fetch an input from the web, and see that it has its hash if it has one; answers its size [bytes]."""
        target, allowed = self._folder.inputs(TaskId(place)) / name, min(left_bytes, self._disk.free_bytes)
        if isinstance(page, WebContent):
            get, url = partial(page.fetch, self._web), page.url
        else:
            get, url = partial(self._web.fetch, page), page
        size = await self._patiently(lambda: get(target, max_bytes=allowed), MachineFailure.INPUT_UNAVAILABLE, f"the input {url[:200]!r}")
        self._disk.add(place, size)
        return size

    async def _patiently(self, get: Callable[[], Awaitable[T]], failure: MachineFailure, what: str) -> T:
        """Get something, trying a few times while storage does not answer."""
        pauses = self._pauses()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await get()
            except UnavailableError as error:
                if attempt == ATTEMPTS:
                    raise RefusalError(failure, f"{what} cannot be fetched: {error.message}") from None
            except TrustError as error:
                raise RefusalError(MachineFailure.WRONG_HASH, f"{what} is not what its address says: {error.message}") from None
            except VoisinError as error:
                raise RefusalError(failure, f"{what} cannot be fetched: {error.message}") from None
            await anyio.sleep(pauses.next_s())
        raise AssertionError("unreachable")


def place_of(dataset: DatasetInfo) -> Content | WebContent:
    """Tell where a dataset lies; raises `RefusalError` when no worker finds it there, or nothing says what is right."""
    found = entry_content(dataset.multiaddr, dataset.checksum) or web_content(dataset.multiaddr, dataset.checksum)
    if found is None:
        detail = f"the dataset lies at {dataset.multiaddr[:200]!r}; workers read /ipfs/<cid>, and the web if its entry has a checksum"
        raise RefusalError(MachineFailure.INPUT_UNAVAILABLE, detail)
    return found


def _make_empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)


def _lay(source: Path, target: Path) -> int:
    """Put a file of the cache under another name; answers its size [bytes]."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target.stat().st_size
