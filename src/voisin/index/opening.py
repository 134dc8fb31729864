"""Opening an index: its chain, its records, its follower and its application, for as long as it is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from litestar import Litestar

from voisin.chain import open_chain
from voisin.errors import InputError
from voisin.index.api import create_app
from voisin.index.bulks import BulkFinder
from voisin.index.ledger import ChainLedger, Ledger
from voisin.index.service import Clock, IndexService, wall_clock
from voisin.index.settings import IndexSettings
from voisin.index.store import SqlStore, open_store
from voisin.protocol.ids import ZERO_ADDRESS
from voisin.service.background import beside
from voisin.service.serving import serve_app, until_stopped
from voisin.storage import StorageClient

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Index:
    """
    A running index.

    Attributes:
        app: Its ASGI application, to be served.
        service: What it does, for use without HTTP.
    """

    app: Litestar
    service: IndexService


@asynccontextmanager
async def open_index(settings: IndexSettings) -> AsyncIterator[Index]:
    """
    Open an index on a chain's node, and follow the chain as long as the context lasts.

    Args:
        settings: How it is set up.

    Raises:
        InputError: There is no hub at that address, or the database belongs to another one.
        UnavailableError: The node or the database does not answer.
    """
    if settings.hub == ZERO_ADDRESS:
        raise InputError("the index does not know its hub", hint="set VOISIN_INDEX_HUB to the hub's address")
    async with open_chain(settings.rpc_url, settings.hub) as chain, run_index(settings, ChainLedger(chain, settings)) as index:
        yield index


@asynccontextmanager
async def run_index(settings: IndexSettings, ledger: Ledger, *, clock: Clock = wall_clock) -> AsyncIterator[Index]:
    """
    Open an index on a ledger, and follow it as long as the context lasts.

    Args:
        settings: How it is set up.
        ledger: The chain, or its twin.
        clock: Tells the time.

    Raises:
        InputError: The database belongs to another hub.
        UnavailableError: The database does not answer.
    """
    async with open_store(settings.database_url, ledger.domain, settings.start_block) as store:
        service = IndexService(ledger, store, settings, clock=clock)
        async with beside(service.follower.run), _finding_bulks(settings, store, clock):
            yield Index(create_app(service, settings), service)


@asynccontextmanager
async def _finding_bulks(settings: IndexSettings, store: SqlStore, clock: Clock) -> AsyncIterator[None]:
    """Look bulks up beside the context's body, if there is storage."""
    if not settings.storage_url:
        yield
        return
    async with StorageClient(settings.storage_url) as storage, beside(BulkFinder(store, storage, clock=clock).run):
        yield


@asynccontextmanager
async def index_at(settings: IndexSettings) -> AsyncIterator[str]:
    """
    Serve an index on its port for as long as the context lasts; yields its address.

    Args:
        settings: How it is set up.

    Raises:
        InputError: The port is taken, there is no hub at that address, or the database belongs to another one.
        UnavailableError: The node or the database does not answer.
    """
    async with (
        open_index(settings) as index,
        serve_app(index.app, host=settings.host, port=settings.port) as url,
    ):
        _log.info("index_open", url=url, hub=settings.hub)
        yield url


async def serve_index(settings: IndexSettings, *, ready: Callable[[str], None] = lambda _url: None) -> None:
    """
    Serve an index on its port until it is cancelled, interrupted or terminated; requests under way are finished.

    Args:
        settings: How it is set up.
        ready: Told the index's address once it answers.

    Raises:
        InputError: The port is taken, there is no hub at that address, or the database belongs to another one.
        UnavailableError: The node or the database does not answer.
    """
    async with index_at(settings) as url:
        await until_stopped("index", url, ready)
