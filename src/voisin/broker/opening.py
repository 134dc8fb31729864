"""Opening a broker: its chain, its market, its loop and its application, for as long as it is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import structlog
from litestar import Litestar

from voisin.broker.api import create_app
from voisin.broker.ledger import ChainLedger
from voisin.broker.reading import HttpBook
from voisin.broker.service import BrokerService
from voisin.broker.settings import BrokerSettings
from voisin.chain import Sender, open_chain
from voisin.errors import InputError
from voisin.protocol.ids import ZERO_ADDRESS
from voisin.protocol.signatures import KeySigner
from voisin.service.background import beside
from voisin.service.serving import serve_app, until_stopped

HTTP_TIMEOUT_S = 30

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Broker:
    """
    A running broker.

    Attributes:
        app: Its ASGI application, to be served.
        service: What it does, for use without HTTP.
    """

    app: Litestar
    service: BrokerService


@asynccontextmanager
async def open_broker(settings: BrokerSettings, wallet: KeySigner) -> AsyncIterator[Broker]:
    """
    Open a broker on a chain's node and a market, and have it fill requests as long as the context lasts.

    Args:
        settings: How it is set up.
        wallet: Sends the matches and pays their gas; it needs no RLC.

    Raises:
        InputError: There is no hub at that address.
        UnavailableError: The node does not answer.
    """
    if settings.hub == ZERO_ADDRESS:
        raise InputError("the broker does not know its hub", hint="set VOISIN_BROKER_HUB to the hub's address")
    async with (
        open_chain(settings.rpc_url, settings.hub) as chain,
        httpx.AsyncClient(timeout=HTTP_TIMEOUT_S) as http,
    ):
        book = HttpBook(http, settings.market_url, max_orders=settings.max_orders)
        service = BrokerService(wallet.address, book, ChainLedger(chain, Sender(chain, wallet)), settings)
        async with beside(service.run):
            yield Broker(create_app(service, settings), service)


async def serve_broker(settings: BrokerSettings, wallet: KeySigner, *, ready: Callable[[str], None] = lambda _url: None) -> None:
    """
    Serve a broker on its port until it is cancelled, interrupted or terminated.

    Args:
        settings: How it is set up.
        wallet: Pays the gas.
        ready: Told the broker's address once it answers.

    Raises:
        InputError: The port is taken, or there is no hub at that address.
        UnavailableError: The node does not answer.
    """
    async with open_broker(settings, wallet) as broker, serve_app(broker.app, host=settings.host, port=settings.port) as url:
        _log.info("broker_open", url=url, hub=settings.hub, broker=wallet.address)
        await until_stopped("broker", url, ready)
