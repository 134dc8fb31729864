"""
The box: a whole market on one machine: one process, one for the books (market and index), and the workers.

What is opened last is closed first: workers, then pool, index, market, vault and storage, then the chain; each keeps what it knows in the
box's folder, and finds it there at the next start.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
from pydantic_settings import BaseSettings

from voisin.box.faucet import Faucet, create_faucet_app
from voisin.box.founding import deployed, found_market
from voisin.box.keys import hub_owner
from voisin.box.lock import only_one
from voisin.box.parts import Part, apart
from voisin.box.readiness import wait_until_ready
from voisin.box.settings import (
    BROKER_PORT,
    CHAIN_PORT,
    FAUCET_PORT,
    INDEX_PORT,
    MARKET_PORT,
    POOL_PORT,
    STORAGE_PORT,
    VAULT_PORT,
    BoxSettings,
)
from voisin.box.wallets import BROKER, REQUESTER, SCHEDULER, VAULT_KEY_FILE, WALLETS_FOLDER, Wallets, open_wallets, worker_role
from voisin.box.workers import Employed, WorkerSpec, keep_running
from voisin.broker import BrokerSettings, open_broker
from voisin.chain import Chain, Deployment, Sender, open_chain
from voisin.chain.devnet import DevnetSettings, serve_devnet
from voisin.client.network import Network, save_network
from voisin.index import IndexSettings
from voisin.market import MarketSettings
from voisin.pool import PoolSettings, announced, open_pool
from voisin.protocol.ids import Address
from voisin.service.fast_http import FastHttpProtocol
from voisin.service.serving import serve_app
from voisin.storage import BlobStore, create_storage_app
from voisin.vault import VaultSettings, create_key_file, vault_at

Say = Callable[[str], None]
"""Tells a person what happens, one line at a time."""

ALONE_LEASE_S = 15.0
"""Lease of a box's scheduler [s]: nobody else waits for its deals, so it need not renew it twice a second."""
SAVE_S = 0.5
"""How long a box's pool gathers what it writes down [s]: it stands on this machine's chain as well, and a task is over sooner than that."""


@dataclass(frozen=True)
class Box:
    """A running box."""

    network: Network
    wallets: Wallets


def _silent(_line: str) -> None:
    """Tell nobody."""


@asynccontextmanager
async def open_box(settings: BoxSettings, say: Say = _silent) -> AsyncIterator[Box]:
    """
    Run a market for as long as the context lasts.

    Args:
        settings: The box's settings.
        say: Told about progress.

    Yields:
        The box, once its workers are online and its pool's order is in the book.

    Raises:
        StateError: Another box runs in the same home folder.
        InputError: A port is taken, or a keystore is broken.
        UnavailableError: A part did not come up.
    """
    settings.folder.mkdir(parents=True, exist_ok=True)
    with only_one(settings.folder):
        wallets = open_wallets(settings.home, settings.workers, has_broker=settings.broker)
        founder = hub_owner()
        async with (
            apart("market", "index", log_file=settings.folder / "logs" / "books.log") as books,
            serve_devnet(_chain_settings(settings)) as node,
        ):
            say(f"chain on {node.rpc_url}")
            deployment = await deployed(node.rpc_url, founder, settings)
            async with open_chain(node.rpc_url, deployment.hub) as chain:
                workerpool = await found_market(chain, founder, wallets, settings)
                say(f"hub {deployment.hub}, workerpool {workerpool}")
                async with _services(settings, chain, deployment, workerpool, wallets, books) as network:
                    say(f"market on {network.market_url}, pool on {network.pool_url}")
                    say(f"storage on {network.storage_url}, vault on {network.vault_url}")
                    async with keep_running(describe_workers(settings, network, wallets)):
                        await wait_until_ready(network, workers=settings.workers, trust_max=PoolSettings().trust_max)
                        save_network(settings.home, network)
                        try:
                            yield Box(network, wallets)
                        finally:
                            save_network(settings.home, msgspec.structs.replace(network, pid=0))


def _chain_settings(settings: BoxSettings) -> DevnetSettings:
    return DevnetSettings(
        db=settings.folder / "chain.db",
        host=settings.host,
        port=settings.port_of(CHAIN_PORT),
        chain_id=settings.chain_id,
        engine=settings.engine,
        nonce_settle_ms=0 if settings.engine == "anvil" else settings.nonce_settle_ms,
    )


@asynccontextmanager
async def _services(
    settings: BoxSettings, chain: Chain, deployment: Deployment, workerpool: Address, wallets: Wallets, books: Part
) -> AsyncIterator[Network]:
    """Run storage, vault, market, index and pool beside the chain."""
    store = BlobStore(settings.folder / "blobs")
    rpc_url = chain.rpc.url
    async with (
        serve_app(create_storage_app(store), host=settings.host, port=settings.port_of(STORAGE_PORT), http=FastHttpProtocol) as storage_url,
        _vault(settings, rpc_url, deployment) as vault_url,
        books.serving(_books(settings, rpc_url, deployment, storage_url)) as urls,
        _faucet(settings, chain) as faucet_url,
    ):
        market_url, index_url = urls["market"], urls["index"]
        pool_settings = PoolSettings(
            database_url=f"sqlite:///{settings.folder / 'pool.db'}",
            rpc_url=rpc_url,
            hub=deployment.hub,
            workerpool=workerpool,
            storage_url=storage_url,
            market_url=market_url,
            index_url=index_url,
            vault_url=vault_url,
            allow_simulated=True,
            price=settings.price,
            categories=tuple(number for number in settings.sold_categories if number < len(settings.categories)),
            start_block=deployment.block,
            public_rpc_url=rpc_url,
            faucet_url=faucet_url,
            lease_s=ALONE_LEASE_S,
            save_s=SAVE_S,
        )
        async with (
            open_pool(pool_settings, wallets.signers[SCHEDULER]) as pool,
            serve_app(pool.app, host=settings.host, port=settings.port_of(POOL_PORT)) as pool_url,
            announced(pool_settings, chain.domain, wallets.signers[SCHEDULER], pool_url, wall=time.time, duty=pool.service.lead),
            _broker(settings, rpc_url, deployment, market_url, wallets) as broker_url,
        ):
            pool.service.answer_at(pool_url)
            yield Network(
                chain_id=settings.chain_id,
                rpc_url=rpc_url,
                hub=deployment.hub,
                market_url=market_url,
                storage_url=storage_url,
                pool_url=pool_url,
                index_url=index_url,
                vault_url=vault_url,
                broker_url=broker_url,
                workerpool=workerpool,
                wallets={role: str(wallets.path(role).relative_to(settings.home)) for role in (REQUESTER, SCHEDULER)},
                password_file=str(wallets.password_file.relative_to(settings.home)),
                first_block=deployment.block,
                bag_window_s=settings.bag_window_s,
                pid=os.getpid(),
            )


@asynccontextmanager
async def _faucet(settings: BoxSettings, chain: Chain) -> AsyncIterator[str]:
    """Give wallets that come from outside what the box's own workers had at first."""
    faucet = Faucet(chain, Sender(chain, hub_owner()), settings.worker_rlc)
    async with serve_app(create_faucet_app(faucet), host=settings.host, port=settings.port_of(FAUCET_PORT)) as url:
        yield url


@asynccontextmanager
async def _broker(settings: BoxSettings, rpc_url: str, deployment: Deployment, market_url: str, wallets: Wallets) -> AsyncIterator[str]:
    """Run the broker, if the box has one; its address is empty otherwise."""
    if not settings.broker:
        yield ""
        return
    broker_settings = BrokerSettings(market_url=market_url, rpc_url=rpc_url, hub=deployment.hub)
    async with (
        open_broker(broker_settings, wallets.signers[BROKER]) as broker,
        serve_app(broker.app, host=settings.host, port=settings.port_of(BROKER_PORT)) as broker_url,
    ):
        yield broker_url


def _books(settings: BoxSettings, rpc_url: str, deployment: Deployment, storage_url: str) -> dict[str, BaseSettings]:
    """Describe the two that write down all that happens on the chain: their work must not hold up a task that waits for its next step."""
    market = MarketSettings(
        database_url=f"sqlite:///{settings.folder / 'market.db'}",
        rpc_url=rpc_url,
        hub=deployment.hub,
        start_block=deployment.block,
        host=settings.host,
        port=settings.port_of(MARKET_PORT),
        allow_simulated=True,
    )
    index = IndexSettings(
        database_url=f"sqlite:///{settings.folder / 'index.db'}",
        rpc_url=rpc_url,
        hub=deployment.hub,
        start_block=deployment.block,
        host=settings.host,
        port=settings.port_of(INDEX_PORT),
        storage_url=storage_url,
    )
    return {"market": market, "index": index}


@asynccontextmanager
async def _vault(settings: BoxSettings, rpc_url: str, deployment: Deployment) -> AsyncIterator[str]:
    """Run the vault; its key lies among the wallets, its records in the box's folder."""
    key_file = settings.home / WALLETS_FOLDER / VAULT_KEY_FILE
    database = settings.folder / "vault.db"
    if not database.exists() and not key_file.exists():
        create_key_file(key_file)
    vault = VaultSettings(
        database_url=f"sqlite:///{database}",
        key_file=key_file,
        rpc_url=rpc_url,
        hub=deployment.hub,
        host=settings.host,
        port=settings.port_of(VAULT_PORT),
        allow_simulated=True,
    )
    if settings.vault_apart:
        async with apart("vault", log_file=settings.folder / "logs" / "vault.log") as part, part.serving({"vault": vault}) as urls:
            yield urls["vault"]
        return
    async with vault_at(vault) as url:
        yield url


def describe_workers(settings: BoxSettings, network: Network, wallets: Wallets) -> list[Employed]:
    """Describe the worker processes of a box."""
    employed = []
    for number in range(1, settings.workers + 1):
        role = worker_role(number)
        spec = WorkerSpec(
            name=role,
            pool_url=network.pool_url,
            rpc_url=network.rpc_url,
            hub=network.hub,
            folder=str(settings.folder / "workers" / role),
            keystore=str(wallets.path(role)),
            password_file=str(wallets.password_file),
            slots=settings.slots,
            memory_bytes=settings.worker_memory_bytes,
            disk_bytes=settings.worker_disk_bytes,
            allow_private_web=settings.allow_private_web,
        )
        employed.append(Employed(spec, settings.folder / "logs" / f"{role}.log"))
    return employed
