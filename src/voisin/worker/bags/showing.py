"""Putting the archives of results into storage before the results are shown: each distinct one once, small ones together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import anyio
import anyio.to_thread
import structlog

from voisin.errors import UnavailableError
from voisin.protocol.ids import DealId, Hash32
from voisin.worker.bags.store import BagStore
from voisin.worker.bags.words import Kept
from voisin.worker.pauses import Pauses
from voisin.worker.ports import Storage

BATCH_BYTES: Final = 8 << 20
BATCH_BLOBS: Final = 200

log = structlog.get_logger(__name__)


class Showing:
    """
    Uploads archives.

    Args:
        store: Where they lie.
        storage: Opens the storage.
        pauses: Makes the pauses between attempts.
    """

    def __init__(self, store: BagStore, storage: Callable[[], Awaitable[Storage]], pauses: Callable[[], Pauses]) -> None:
        self._store = store
        self._storage = storage
        self._pauses = pauses
        self._stored: dict[DealId, set[Hash32]] = {}
        self._turn = anyio.Lock()

    def forget(self, deal_id: DealId) -> None:
        """Forget a deal."""
        self._stored.pop(deal_id, None)

    async def upload(self, deal_id: DealId, results: Iterable[Kept]) -> None:
        """
        Put the archives of results into storage; tries as long as the storage does not answer.

        Args:
            deal_id: The deal.
            results: The results.

        Raises:
            InputError: The storage does not take an archive.
            TrustError: The storage claims to have stored something else.
        """
        stored, pauses = self._stored.setdefault(deal_id, set()), self._pauses()
        async with self._turn:
            wanted = list(dict.fromkeys(kept.location for kept in results if kept.location not in stored))
            while wanted:
                try:
                    await self._attempt(deal_id, wanted)
                except UnavailableError as error:
                    log.warning("archives_not_stored", deal_id=deal_id, count=len(wanted), error=error.message)
                    await anyio.sleep(pauses.next_s())
                else:
                    stored.update(wanted)
                    return

    async def _attempt(self, deal_id: DealId, locations: list[Hash32]) -> None:
        storage = await self._storage()
        batch: list[bytes] = []
        size = 0
        for location in locations:
            archive = await anyio.to_thread.run_sync(self._store.archive, deal_id, location)
            if archive is None:
                log.error("archive_lost", deal_id=deal_id, location=location)
            elif not isinstance(archive, bytes):
                await storage.put_result(archive)
            else:
                if batch and (size + len(archive) > BATCH_BYTES or len(batch) >= BATCH_BLOBS):
                    await storage.put_results(batch)
                    batch, size = [], 0
                batch.append(archive)
                size += len(archive)
        if batch:
            await storage.put_results(batch)
