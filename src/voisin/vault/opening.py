"""Opening a vault: its chain, its keys, its records and its application, for as long as it is needed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import anyio
import anyio.to_thread
import structlog
from litestar import Litestar

from voisin.chain import open_chain
from voisin.errors import InputError, UnavailableError
from voisin.protocol.ids import ZERO_ADDRESS
from voisin.service.background import beside
from voisin.service.enclaves import open_real_enclaves
from voisin.service.serving import serve_app, until_stopped
from voisin.vault.api import create_app
from voisin.vault.keys import open_keyring
from voisin.vault.ledger import ChainLedger, Ledger
from voisin.vault.service import VaultService, open_service
from voisin.vault.settings import VaultSettings
from voisin.vault.store import open_store

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Vault:
    """
    A running vault.

    Attributes:
        app: Its ASGI application, to be served.
        service: What it does, for use without HTTP.
    """

    app: Litestar
    service: VaultService


@asynccontextmanager
async def open_vault(settings: VaultSettings) -> AsyncIterator[Vault]:
    """
    Open a vault on a chain's node.

    Args:
        settings: How it is set up.

    Raises:
        InputError: There is no hub at that address, the database belongs to another one, or the keys are missing or badly kept.
        TrustError: The keys do not open the records.
        UnavailableError: The node or the database does not answer.
    """
    if settings.hub == ZERO_ADDRESS:
        raise InputError("the vault does not know its hub", hint="set VOISIN_VAULT_HUB to the hub's address")
    async with (
        open_chain(settings.rpc_url, settings.hub) as chain,
        run_vault(settings, ChainLedger(chain, time.time), time.time) as vault,
    ):
        yield vault


@asynccontextmanager
async def run_vault(settings: VaultSettings, ledger: Ledger, wall: Callable[[], float]) -> AsyncIterator[Vault]:
    """
    Open a vault on a ledger.

    Args:
        settings: How it is set up.
        ledger: The chain, or its twin.
        wall: This machine's clock [Unix s].

    Raises:
        InputError: The database belongs to another hub, the keys are missing or badly kept, or the policy of enclaves cannot be used.
        TrustError: The keys do not open the records.
        UnavailableError: The database does not answer.
    """
    keyring = await anyio.to_thread.run_sync(open_keyring, settings)
    async with open_store(settings.database_url, ledger.domain) as store, open_real_enclaves(settings) as real:
        service = await open_service(settings, store, keyring, ledger, wall, real)
        if settings.allow_simulated:
            _log.warning("simulated_enclaves_allowed", vault=service.id.vault)
        async with beside(partial(_sweep, service, settings.sweep_s)):
            yield Vault(create_app(service), service)


async def _sweep(service: VaultService, period_s: float) -> None:
    while True:
        try:
            gone = await service.sweep()
            if gone:
                _log.info("challenges_forgotten", count=gone)
        except UnavailableError as error:
            _log.warning("sweep_failed", error=str(error))
        await anyio.sleep(period_s)


@asynccontextmanager
async def vault_at(settings: VaultSettings) -> AsyncIterator[str]:
    """
    Serve a vault on its port for as long as the context lasts; yields its address.

    Args:
        settings: How it is set up.

    Raises:
        InputError: The port is taken, or as for `open_vault`.
        TrustError: The keys do not open the records.
        UnavailableError: The node or the database does not answer.
    """
    async with (
        open_vault(settings) as vault,
        serve_app(vault.app, host=settings.host, port=settings.port) as url,
    ):
        _log.info("vault_open", url=url, hub=settings.hub, vault=vault.service.id.vault)
        yield url


async def serve_vault(settings: VaultSettings, *, ready: Callable[[str], None] = lambda _url: None) -> None:
    """
    Serve a vault on its port until it is cancelled, interrupted or terminated; requests under way are finished.

    Args:
        settings: How it is set up.
        ready: Told the vault's address once it answers.

    Raises:
        InputError: The port is taken, or as for `open_vault`.
        TrustError: The keys do not open the records.
        UnavailableError: The node or the database does not answer.
    """
    async with vault_at(settings) as url:
        await until_stopped("vault", url, ready)
