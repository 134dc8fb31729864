"""The open connections of a client: chain, order book, pool, storage, vault and index of one network."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from voisin.chain import Chain, open_chain
from voisin.client.index import IndexDesk
from voisin.client.keys import ReaderKeys
from voisin.client.network import Network
from voisin.client.services import OrderBook, PoolDesk, Service
from voisin.client.vault import VaultDesk
from voisin.errors import InputError
from voisin.storage import StorageClient


@dataclass(frozen=True)
class Links:
    """
    Connections to a network.

    Attributes:
        network: Where everything is.
        chain: The chain.
        book: The market's order book.
        pool: The default workerpool; None when the network names none.
        storage: Where apps, inputs and results lie.
        vault: Where secrets are kept; None when the network names none.
        keys: The private keys that open sealed results; None without a home folder.
        index: The index of the chain and the directory of pools; None when the network names none.
    """

    network: Network
    chain: Chain
    book: OrderBook
    pool: PoolDesk | None
    storage: StorageClient
    vault: VaultDesk | None = None
    keys: ReaderKeys | None = None
    index: IndexDesk | None = None


@asynccontextmanager
async def open_links(network: Network, keys: ReaderKeys | None = None) -> AsyncIterator[Links]:
    """
    Connect to a network for as long as the context lasts.

    Args:
        network: Where everything is.
        keys: The private keys that open sealed results.

    Raises:
        UnavailableError: The chain does not answer.
        InputError: The hub is not there, or the node serves another chain.
    """
    async with (
        open_chain(network.rpc_url, network.hub) as chain,
        Service("market", network.market_url) as market,
        Service("pool", network.pool_url or network.market_url) as pool,
        Service("vault", network.vault_url) as safe,
        Service("index", network.index_url) as catalog,
        StorageClient(network.storage_url) as storage,
    ):
        if chain.chain_id != network.chain_id:
            words = f"the node at {network.rpc_url} serves chain {chain.chain_id}, not {network.chain_id}"
            raise InputError(words, hint="check the address of the node, and chain_id in box.json")
        vault = VaultDesk(safe, time.time) if network.vault_url else None
        index = IndexDesk(catalog, chain.domain) if network.index_url else None
        yield Links(network, chain, OrderBook(market), PoolDesk(pool) if network.pool_url else None, storage, vault, keys, index)
