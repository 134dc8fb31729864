"""
Bulks of datasets: what a deal's `bulk_cid` names, looked up in storage.

A bulk is a JSON list of CIDs, one for each task of the deal; each names a slice, a JSON list of signed dataset orders. What storage
does not have yet is asked for again, ever less often; what is there and makes no sense is a bulk without slices, or a slice without
datasets.

Source: client-surface.md 5.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
import msgspec
import structlog

from voisin.errors import InputError, UnavailableError, VoisinError
from voisin.index.deals import order_row
from voisin.index.draft import Key, Row, Version
from voisin.protocol.codec import decode
from voisin.protocol.ids import DealId, Hash32, as_address, as_hash32, as_uint, from_hex, task_id
from voisin.protocol.ipld import parse_name
from voisin.protocol.orders import DatasetOrder
from voisin.protocol.tags import as_tag
from voisin.storage import StorageClient
from voisin.storage.fetching import fetch_file
from voisin.units import NRLC, UnixSeconds

MAX_BYTES = 1 << 20
"""Longest document of a bulk [bytes]."""
MAX_SLICES, MAX_ORDERS = 10_000, 1_000
FIRST_RETRY_S, LAST_RETRY_S = 2, 3600
LOOK_S = 1.0
"""Pause between two looks for bulks that are due [s]."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    A bulk that is to be looked up.

    Attributes:
        deal_id: The deal that names it.
        block: The block of the deal.
        cid: The bulk's name.
        first: Index of the deal's first task.
        size: How many tasks the deal has.
        attempts: How often it was looked for in vain.
    """

    deal_id: DealId
    block: int
    cid: str
    first: int
    size: int
    attempts: int = 0


class BulkStore(Protocol):
    """Where wanted bulks are noted, and found ones kept."""

    async def due_bulk(self, now: UnixSeconds) -> Wanted | None:
        """Find a bulk that is due."""
        ...

    async def keep_bulk(self, wanted: Wanted, versions: list[Version]) -> None:
        """Keep what a bulk is, unless its deal is gone."""
        ...

    async def postpone_bulk(self, wanted: Wanted, retry_at: UnixSeconds) -> None:
        """Note that a bulk was looked for in vain."""
        ...


class _Order(msgspec.Struct, frozen=True):
    """A signed dataset order as clients write it: numbers as text, mostly."""

    dataset: str
    datasetprice: str | int
    volume: str | int
    tag: str
    apprestrict: str
    workerpoolrestrict: str
    requesterrestrict: str
    salt: str
    sign: str


class BulkFinder:
    """Looks wanted bulks up."""

    def __init__(self, store: BulkStore, storage: StorageClient, *, clock: Callable[[], UnixSeconds]) -> None:
        """
        Args:
            store: The records.
            storage: Where bulks lie.
            clock: Tells the time.
        """
        self._store = store
        self._storage = storage
        self._clock = clock

    async def run(self) -> None:
        """Look bulks up until cancelled."""
        while True:
            try:
                found = await self.look_once()
            except UnavailableError as error:
                _log.warning("bulks_not_kept", reason=error.message)
                found = False
            if not found:
                await anyio.sleep(LOOK_S)

    async def look_once(self) -> bool:
        """Look one bulk up, if one is due; answers whether one was."""
        wanted = await self._store.due_bulk(self._clock())
        if wanted is None:
            return False
        try:
            versions = await self._read(wanted)
        except VoisinError as error:
            pause_s = min(FIRST_RETRY_S * 2 ** min(wanted.attempts, 20), LAST_RETRY_S)
            _log.info("bulk_missing", deal_id=wanted.deal_id, cid=wanted.cid, reason=error.message)
            await self._store.postpone_bulk(wanted, UnixSeconds(self._clock() + pause_s))
        else:
            await self._store.keep_bulk(wanted, versions)
        return True

    async def _read(self, wanted: Wanted) -> list[Version]:
        """Make the entities of a bulk; raises when a part of it is not there."""
        versions = [Version(Key("Bulk", wanted.deal_id), wanted.block, {"hash": wanted.cid})]
        for index, cid in enumerate(_listed(await self._fetch(wanted.cid))):
            if wanted.first <= index < wanted.first + wanted.size and isinstance(cid, str) and is_name(cid):
                versions += slice_of(wanted, index, cid, await self._fetch(cid))
        return versions

    async def _fetch(self, cid: str) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "document"
            await fetch_file(self._storage, parse_name(cid), (), target, max_bytes=MAX_BYTES)
            return await anyio.Path(target).read_bytes()


def slice_of(wanted: Wanted, index: int, cid: str, document: bytes) -> list[Version]:
    """Make the entities of one slice; orders that make no sense are left out."""
    task = task_id(wanted.deal_id, index)
    orders: list[tuple[str, Row]] = []
    for place, raw in enumerate(_listed(document)[:MAX_ORDERS]):
        try:
            order = _read_order(msgspec.convert(raw, _Order))
        except (InputError, ValueError):  # msgspec's refusals are ValueErrors
            continue
        orders.append((f"{task}-{place}", order_row(order)))
    row: Row = {
        "task": task,
        "hash": cid,
        "bulk": wanted.deal_id,
        "index": index,
        "datasets": tuple(str(order["dataset"]) for _, order in orders),
        "datasetOrders": tuple(name for name, _ in orders),
    }
    named = [Version(Key("DatasetOrder", name), wanted.block, order) for name, order in orders]
    return [Version(Key("BulkSlice", f"{wanted.deal_id}-{index}"), wanted.block, row), *named]


def is_name(cid: str) -> bool:
    """Tell whether something can be looked up by a name at all."""
    try:
        parse_name(cid)
    except InputError:
        return False
    return len(cid) <= 128


def _listed(document: bytes) -> list[object]:
    try:
        return decode(document, list[object], "the document")[:MAX_SLICES]
    except (InputError, RecursionError):
        return []


def _read_order(raw: _Order) -> DatasetOrder:
    from_hex(raw.sign)
    return DatasetOrder(
        dataset=as_address(raw.dataset),
        datasetprice=NRLC(as_uint(int(raw.datasetprice), "the price")),
        volume=as_uint(int(raw.volume), "the volume"),
        tag=as_tag(raw.tag),
        apprestrict=as_address(raw.apprestrict),
        workerpoolrestrict=as_address(raw.workerpoolrestrict),
        requesterrestrict=as_address(raw.requesterrestrict),
        salt=Hash32(as_hash32(raw.salt)),
        sign=raw.sign,
    )
