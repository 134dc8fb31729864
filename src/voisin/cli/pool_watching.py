"""What the commands that look after a pool do: ask its schedulers, and speak to them through their database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import httpx
from sqlalchemy import make_url

from voisin.chain import Sender, open_chain
from voisin.cli.serving import pool_entry
from voisin.client import Network
from voisin.errors import InputError, UnavailableError
from voisin.pool import PoolSettings
from voisin.pool.bags.ledger import ChainBagLedger
from voisin.pool.chain.ledger import ChainLedger
from voisin.pool.database.claims import SqlClaims
from voisin.pool.database.opening import open_existing
from voisin.pool.database.store import open_store
from voisin.pool.rebuilding import Rebuilt, Sources, rebuild
from voisin.pool.running.uploads import HttpResults
from voisin.pool.wire.operator import SchedulerStatus
from voisin.protocol.codec import decode
from voisin.protocol.signatures import KeySigner

TIMEOUT_S = 10.0
LOOK_EVERY_S = 1.0


async def ask_all(url: str) -> list[SchedulerStatus]:
    """
    Ask a scheduler, and those that it names, how they are; one of these that does not answer is left out.

    Raises:
        UnavailableError: The first does not answer, or is no pool.
    """
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as http:
        first = await _ask(http, url)
        found = [first]
        for other in first.schedulers:
            if other != first.url:
                try:
                    found.append(await _ask(http, other))
                except UnavailableError:
                    continue
    return sorted(found, key=lambda each: each.scheduler)


async def _ask(http: httpx.AsyncClient, url: str) -> SchedulerStatus:
    try:
        answer = await http.get(f"{url.rstrip('/')}/v1/status")
        answer.raise_for_status()
        return decode(answer.content, SchedulerStatus, "the scheduler's answer")
    except (httpx.HTTPError, InputError) as error:
        raise UnavailableError(f"no pool answers at {url}: {error or type(error).__name__}", hint="see whether it runs") from None


async def drain_pool(database: str, wait: bool, note: Callable[[str], None]) -> int:
    """
    Have a pool take no new deals, and wait until it has finished what it has.

    Args:
        database: Its database.
        wait: Whether to wait.
        note: Told how far it is.

    Returns:
        How many deals are still open.
    """
    async with _claims(database) as claims, httpx.AsyncClient(timeout=TIMEOUT_S) as http:
        await claims.drain(is_draining=True)
        told = -1
        while True:
            left = await claims.open_deals()
            if not wait or (not left and await _are_drained(claims, http)):
                return left
            if left != told:
                note(f"{left} open deals are left")
                told = left
            await anyio.sleep(LOOK_EVERY_S)


async def _are_drained(claims: SqlClaims, http: httpx.AsyncClient) -> bool:
    """Tell whether all living schedulers have heard that the pool drains, and have neither deals nor offers."""
    for peer in await claims.peers():
        try:
            if peer.url and not (await _ask(http, peer.url)).is_drained:
                return False
        except UnavailableError:
            return False
    return True


async def resume_pool(database: str) -> None:
    """Have a pool take deals again."""
    async with _claims(database) as claims:
        await claims.drain(is_draining=False)


@asynccontextmanager
async def _claims(database: str) -> AsyncIterator[SqlClaims]:
    url = make_url(database)
    if url.get_backend_name() == "sqlite" and not await anyio.Path(url.database or "").is_file():
        raise InputError(f"there is no database {url.database}", hint="name the pool's database with --database")
    async with open_existing(database) as engine:
        yield SqlClaims(engine)


async def rebuild_pool(network: Network, scheduler: KeySigner, description: str, database: str) -> Rebuilt:
    """Write a pool's records anew from the chain into an empty database."""
    entry = await pool_entry(network, scheduler, description)
    settings = PoolSettings(database_url=database, hub=network.hub, start_block=network.first_block, workerpool=entry)
    async with (
        open_chain(network.rpc_url, network.hub) as chain,
        open_store(database, chain.domain, entry, settings.start_block) as store,
        httpx.AsyncClient(timeout=TIMEOUT_S) as http,
        HttpResults(http, network.storage_url) as results,
    ):
        sender = Sender(chain, scheduler)
        sources = Sources(ledger=ChainLedger(chain, sender), bags=ChainBagLedger(chain, sender), results=results)
        return await rebuild(settings, scheduler.address, sources, store)
