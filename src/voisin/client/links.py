"""The open connections of a client: chain, order book, pool and storage of one network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from voisin.chain import Chain, open_chain
from voisin.client.network import Network
from voisin.client.services import OrderBook, PoolDesk, Service
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
    """

    network: Network
    chain: Chain
    book: OrderBook
    pool: PoolDesk | None
    storage: StorageClient


@asynccontextmanager
async def open_links(network: Network) -> AsyncIterator[Links]:
    """
    Connect to a network for as long as the context lasts.

    Raises:
        UnavailableError: The chain does not answer.
        InputError: The hub is not there, or the node serves another chain.
    """
    async with (
        open_chain(network.rpc_url, network.hub) as chain,
        Service("market", network.market_url) as market,
        Service("pool", network.pool_url or network.market_url) as pool,
        StorageClient(network.storage_url) as storage,
    ):
        if chain.chain_id != network.chain_id:
            words = f"the node at {network.rpc_url} serves chain {chain.chain_id}, not {network.chain_id}"
            raise InputError(words, hint="check the address of the node, and chain_id in box.json")
        yield Links(network, chain, OrderBook(market), PoolDesk(pool) if network.pool_url else None, storage)
