"""Opening a pool: its chain, its records, its loop, its offers and its application, for as long as it is needed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import anyio
import httpx
import structlog
from litestar import Litestar

from voisin.chain import Chain, Sender, open_chain
from voisin.errors import InputError
from voisin.pool.bags.ledger import ChainBagLedger
from voisin.pool.chain.ledger import ChainLedger
from voisin.pool.database.store import open_store
from voisin.pool.running.service import PoolService
from voisin.pool.running.surroundings import Surroundings
from voisin.pool.running.uploads import HttpResults
from voisin.pool.selling.announcing import announced
from voisin.pool.selling.keeper import OfferKeeper
from voisin.pool.selling.market import HttpMarket
from voisin.pool.selling.offers import MarketBook
from voisin.pool.settings import PoolSettings
from voisin.pool.wire.api import create_app
from voisin.protocol.ids import ZERO_ADDRESS
from voisin.protocol.signatures import KeySigner, Signer
from voisin.service.enclaves import open_real_enclaves
from voisin.service.serving import serve_app, until_stopped
from voisin.service.vaults import HttpVault

if TYPE_CHECKING:
    from voisin.service.serving import ASGIApp

HTTP_TIMEOUT_S = 30

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pool:
    """
    A running pool.

    Attributes:
        app: Its ASGI application, to be served.
        service: What it does, for use without HTTP.
        keeper: What keeps its offers; None without market.
    """

    app: Litestar
    service: PoolService
    keeper: OfferKeeper | None


@asynccontextmanager
async def open_pool(settings: PoolSettings, scheduler: KeySigner) -> AsyncIterator[Pool]:
    """
    Open a pool on a chain's node, and have it work as long as the context lasts.

    Args:
        settings: How it is set up.
        scheduler: The wallet that owns the workerpool; it signs and sends.

    Raises:
        InputError: Hub or workerpool are missing or wrong, the wallet does not own the workerpool, or the database is another pool's.
        StateError: The chain went back behind what the records say.
        UnavailableError: The node or the database does not answer.
    """
    _require(settings)
    async with (
        open_chain(settings.rpc_url, settings.hub) as chain,
        httpx.AsyncClient(timeout=HTTP_TIMEOUT_S) as http,
        HttpResults(http, settings.storage_url) as results,
        open_store(settings.database_url, chain.domain, settings.workerpool, settings.start_block) as store,
        open_real_enclaves(settings) as enclaves,
    ):
        await _require_owner(chain, settings, scheduler)
        sender = Sender(chain, scheduler, turns=store.turns(scheduler.address))
        around = Surroundings(
            ledger=ChainLedger(chain, sender),
            bags=ChainBagLedger(chain, sender),
            store=store,
            results=results,
            wall=time.time,
            vault=HttpVault(http, settings.vault_url, chain.domain, scheduler) if settings.vault_url else None,
            enclaves=enclaves,
        )
        market = HttpMarket(http, settings.market_url, scheduler) if settings.market_url else None
        async with run_pool(settings, scheduler, around, market) as pool:
            yield pool


@asynccontextmanager
async def run_pool(settings: PoolSettings, scheduler: Signer, around: Surroundings, market: MarketBook | None) -> AsyncIterator[Pool]:
    """
    Have a pool work in given surroundings as long as the context lasts.

    Args:
        settings: How it is set up.
        scheduler: The wallet that owns the workerpool.
        around: What it works with.
        market: Where it keeps its offers; None for nowhere.

    Raises:
        StateError: The chain went back behind what the records say.
        UnavailableError: The node or the database does not answer.
    """
    if settings.allow_simulated:
        _log.warning("simulated_enclaves_allowed", workerpool=settings.workerpool)
    service = PoolService(settings, scheduler, around)
    keeper = OfferKeeper(settings, service.machine.book, around.ledger, market, scheduler) if market is not None else None
    service.keeper = keeper
    failures: list[Exception] = []
    try:
        async with anyio.create_task_group() as running:

            async def work() -> None:
                try:
                    await service.run()
                except Exception as error:  # noqa: BLE001  (the top of the service: it stops loudly, and says why to whoever opened it)
                    _log.exception("pool_stopped")
                    failures.append(_cause(error))
                    running.cancel_scope.cancel()

            running.start_soon(work)
            try:
                yield Pool(create_app(service), service, keeper)
            except Exception as error:  # noqa: BLE001  (raised again below: an error leaves as it is, not in a group)
                failures.append(error)
            finally:
                running.cancel_scope.cancel()
    finally:
        service.close()
    if failures:
        raise failures[0]


async def serve_pool(settings: PoolSettings, scheduler: KeySigner, *, ready: Callable[[str], None] = lambda _url: None) -> None:
    """
    Serve a pool on its port until it is cancelled, interrupted or terminated.

    Args:
        settings: How it is set up.
        scheduler: The wallet that owns the workerpool.
        ready: Told the pool's address once it answers.

    Raises:
        InputError: The port is taken, or as for `open_pool`.
        StateError: As for `open_pool`.
        UnavailableError: As for `open_pool`.
    """
    async with (
        open_pool(settings, scheduler) as pool,
        serve_app(cast("ASGIApp", pool.app), host=settings.host, port=settings.port, max_message_bytes=settings.max_message_bytes) as url,
        announced(settings, pool.service.ledger.domain, scheduler, url, wall=time.time, duty=pool.service.lead),
    ):
        pool.service.answer_at(url)
        _log.info("pool_open", url=url, workerpool=settings.workerpool)
        await until_stopped("pool", url, ready)


def _cause(error: Exception) -> Exception:
    """Take an error out of the groups of the tasks in which it arose."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _require(settings: PoolSettings) -> None:
    if settings.hub == ZERO_ADDRESS:
        raise InputError("the pool does not know its hub", hint="set VOISIN_POOL_HUB to the hub's address")
    if settings.workerpool == ZERO_ADDRESS:
        raise InputError("the pool does not know its workerpool", hint="set VOISIN_POOL_WORKERPOOL to the address of its entry")


async def _require_owner(chain: Chain, settings: PoolSettings, scheduler: Signer) -> None:
    if not await chain.registries.is_workerpool(settings.workerpool):
        raise InputError(f"{settings.workerpool} is not in the workerpool registry", hint="create a workerpool first, and give its address")
    owner = await chain.registries.owner_of(settings.workerpool)
    if owner != scheduler.address:
        raise InputError(f"workerpool {settings.workerpool} belongs to {owner}, not to {scheduler.address}", hint="use its owner's wallet")
