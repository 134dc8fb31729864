"""Opening a market: its chain, its records, its follower and its application, for as long as it is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from litestar.types import ASGIApp

from voisin.chain import open_chain
from voisin.errors import InputError
from voisin.market.api import create_front
from voisin.market.ledger import ChainLedger, Ledger
from voisin.market.service import MarketService
from voisin.market.settings import MarketSettings
from voisin.market.store import open_store
from voisin.protocol.ids import ZERO_ADDRESS
from voisin.service.background import beside
from voisin.service.fast_http import FastHttpProtocol
from voisin.service.serving import serve_app, until_stopped

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Market:
    """
    A running market.

    Attributes:
        app: Its ASGI application, to be served.
        service: What it does, for use without HTTP.
    """

    app: ASGIApp
    service: MarketService


@asynccontextmanager
async def open_market(settings: MarketSettings) -> AsyncIterator[Market]:
    """
    Open a market on a chain's node, and follow the chain as long as the context lasts.

    Args:
        settings: How it is set up.

    Raises:
        InputError: There is no hub at that address, or the database belongs to another one.
        UnavailableError: The node or the database does not answer.
    """
    if settings.hub == ZERO_ADDRESS:
        raise InputError("the market does not know its hub", hint="set VOISIN_MARKET_HUB to the hub's address")
    async with (
        open_chain(settings.rpc_url, settings.hub) as chain,
        run_market(settings, ChainLedger(chain, poll_s=settings.poll_s, gather_s=settings.gather_s)) as market,
    ):
        yield market


@asynccontextmanager
async def run_market(settings: MarketSettings, ledger: Ledger) -> AsyncIterator[Market]:
    """
    Open a market on a ledger, and follow it as long as the context lasts.

    Args:
        settings: How it is set up.
        ledger: The chain, or its twin.

    Raises:
        InputError: The database belongs to another hub.
        UnavailableError: The database does not answer.
    """
    async with open_store(settings.database_url, ledger.domain, settings.start_block) as store:
        await store.refresh()
        service = MarketService(ledger, store, settings)
        async with beside(service.follower.run), beside(service.feed.run):
            yield Market(create_front(service, settings), service)


@asynccontextmanager
async def market_at(settings: MarketSettings) -> AsyncIterator[str]:
    """
    Serve a market on its port for as long as the context lasts; yields its address.

    Args:
        settings: How it is set up.

    Raises:
        InputError: The port is taken, there is no hub at that address, or the database belongs to another one.
        UnavailableError: The node or the database does not answer.
    """
    async with (
        open_market(settings) as market,
        serve_app(market.app, host=settings.host, port=settings.port, http=FastHttpProtocol) as url,
    ):
        _log.info("market_open", url=url, hub=settings.hub)
        yield url


async def serve_market(settings: MarketSettings, *, ready: Callable[[str], None] = lambda _url: None) -> None:
    """
    Serve a market on its port until it is cancelled, interrupted or terminated; requests under way are finished.

    Args:
        settings: How it is set up.
        ready: Told the market's address once it answers.

    Raises:
        InputError: The port is taken, there is no hub at that address, or the database belongs to another one.
        UnavailableError: The node or the database does not answer.
    """
    async with market_at(settings) as url:
        await until_stopped("market", url, ready)
