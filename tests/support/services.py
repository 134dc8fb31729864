"""All services of a market with their real parts, each on a port of its own, on one embedded chain that has a past."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from tests.support.chain_rig import Rig
from tests.support.pool_rig import open_pool_rig
from voisin.index.opening import open_index
from voisin.index.settings import IndexSettings
from voisin.market.opening import open_market
from voisin.market.settings import MarketSettings
from voisin.protocol.api import DealPage, PublishedOrder
from voisin.protocol.codec import decode, encode
from voisin.service.serving import serve_app
from voisin.vault.opening import open_vault
from voisin.vault.settings import VaultSettings

BLOB = b"a blob that is there"
KEY = base64.b64encode(bytes(32)).decode()
STRANGE = {
    **dict.fromkeys(("order_hash", "deal_id", "task_id"), "0x" + "5e" * 32),
    **dict.fromkeys(("address", "holder"), "0x" + "5e" * 20),
    "cid": "bafkreie7q3iidccmpvszul7kudcvvuavuo7u6gzlbobczuk5nqk3b4akba",
    "chain_id": "1",
    "kind": "dataset",
}
"""Values of path parameters that are well formed, and nobody's."""


@dataclass(frozen=True)
class Services:
    """
    Running services.

    Attributes:
        urls: Where each is, by its name.
        known: Values of path parameters, by name, that are known to the services.
    """

    rig: Rig
    urls: dict[str, str]
    known: dict[str, str]


@asynccontextmanager
async def open_services(folder: Path) -> AsyncIterator[Services]:
    """
    Start all services on databases of their own, with an order in the book, a deal, and a blob.

    Args:
        folder: Where their records go.
    """
    async with AsyncExitStack() as stack:
        pool_rig = await stack.enter_async_context(open_pool_rig(folder))
        await pool_rig.refresh(folder)
        rig = pool_rig.rig
        urls = {"storage": pool_rig.storage_url}
        chain: dict[str, Any] = {"rpc_url": rig.node.rpc_url, "hub": rig.deployment.hub}
        past = {**chain, "start_block": rig.deployment.block}
        market = open_market(MarketSettings(database_url=f"sqlite:///{folder}/market.sqlite", **past))
        index = open_index(IndexSettings(database_url=f"sqlite:///{folder}/index.sqlite", **past))
        vault = open_vault(
            VaultSettings(database_url=f"sqlite:///{folder}/vault.sqlite", key=SecretStr(base64.b64encode(bytes(32)).decode()), **chain)
        )
        urls["market"] = await stack.enter_async_context(serve_app((await stack.enter_async_context(market)).app))
        urls["index"] = await stack.enter_async_context(serve_app((await stack.enter_async_context(index)).app))
        urls["vault"] = await stack.enter_async_context(serve_app((await stack.enter_async_context(vault)).app))
        running = await stack.enter_async_context(pool_rig.pool())
        urls["pool"] = running.url
        task, _ = await pool_rig.deal(2)
        http = await stack.enter_async_context(httpx.AsyncClient())
        app_order, *_ = rig.orders(pool_rig.app, pool_rig.workerpool)
        known = {
            "cid": await pool_rig.storage.put_bytes(BLOB),
            "order_hash": await _published(http, urls["market"], "app", app_order),
            "deal_id": await _deal(http, urls["market"]),
            "task_id": task,
            "address": pool_rig.workerpool,
            "holder": pool_rig.app,
            "chain_id": str(rig.chain.chain_id),
            "kind": "app",
        }
        yield Services(rig, urls, known)


async def _published(http: httpx.AsyncClient, url: str, kind: str, order: object) -> str:
    answer = await http.post(f"{url}/v1/orders", content=encode({"kind": kind, "order": order}))
    return decode(answer.raise_for_status().content, PublishedOrder, "the order").hash


async def _deal(http: httpx.AsyncClient, url: str) -> str:
    while True:
        page = decode((await http.get(f"{url}/v1/deals")).raise_for_status().content, DealPage, "the deals")
        if page.deals:
            return page.deals[0].deal_id
