"""The embedded chain as a running node: threads, file and port, opened and closed together."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import structlog

from voisin.chain.devnet.accounts import DEVELOPMENT_BALANCE, development_keys
from voisin.chain.devnet.block_clock import WallClock
from voisin.chain.devnet.dev_ledger import DevLedger
from voisin.chain.devnet.engines.engine import Engine
from voisin.chain.devnet.lanes import Lane
from voisin.chain.devnet.ledger import LedgerRules, OnBlock
from voisin.chain.devnet.records.archive import Archive
from voisin.chain.devnet.records.store import ChainStore
from voisin.chain.devnet.settings import DevnetSettings
from voisin.chain.devnet.values import Block
from voisin.chain.devnet.wire.dispatcher import Dispatcher
from voisin.chain.devnet.wire.methods import MethodTable
from voisin.chain.devnet.wire.params import Json, Params
from voisin.chain.devnet.wire.server import RpcApp
from voisin.chain.devnet.wire.subscriptions import Subscriptions
from voisin.chain.near import NearNode, Push, node_at
from voisin.errors import UnavailableError
from voisin.service.fast_http import FastHttpProtocol
from voisin.service.serving import serve_app

_log = structlog.get_logger(__name__)


class Devnet(ABC):
    """
    A running chain.

    Attributes:
        rpc_url: Where it answers JSON-RPC over HTTP.
        ws_url: Where it answers JSON-RPC over WebSocket.
        chain_id: Its chain id.
    """

    def __init__(self, rpc_url: str, *, chain_id: int) -> None:
        self.rpc_url = rpc_url
        self.ws_url = "ws" + rpc_url.removeprefix("http")
        self.chain_id = chain_id

    @abstractmethod
    async def request(self, method: str, params: list[Json] | None = None) -> Json:
        """
        Call a method of the node from inside the process.

        Args:
            method: Its name.
            params: Its parameters.

        Returns:
            Its result.

        Raises:
            RpcError: The node refuses.
            RevertError: A contract refuses.
            UnavailableError: The node does not answer.
        """


class EmbeddedDevnet(Devnet):
    """
    A chain of our own, in this process.

    Args:
        rpc_url: Where it answers JSON-RPC over HTTP.
        chain_id: Its chain id.
        dispatcher: Carries requests out.
    """

    def __init__(self, rpc_url: str, *, chain_id: int, dispatcher: Dispatcher) -> None:
        super().__init__(rpc_url, chain_id=chain_id)
        self._dispatcher = dispatcher

    async def request(self, method: str, params: list[Json] | None = None) -> Json:
        """Call a method; see `Devnet`."""
        return await self._dispatcher.call(method, params or [])

    async def answer(self, body: bytes) -> bytes | None:
        """
        Answer a request as it comes over the wire, without a wire.

        Args:
            body: A JSON-RPC request or batch.

        Returns:
            The JSON answer; None for notifications.
        """
        return await self._dispatcher.answer(body)


@asynccontextmanager
async def serve_embedded(settings: DevnetSettings, *, clock: WallClock = time.time) -> AsyncIterator[EmbeddedDevnet]:
    """
    Run a chain of our own for as long as the context is open.

    Args:
        settings: How it is set up.
        clock: Gives the time now [Unix s].

    Yields:
        The running chain.

    Raises:
        InputError: The settings, the file or the address cannot be used.
        UnavailableError: The port or the file is in use.
    """
    async with AsyncExitStack() as stack:
        path = settings.db or Path(stack.enter_context(TemporaryDirectory(prefix="voisin-devnet-"))) / "chain.sqlite"
        subscriptions = Subscriptions()
        on_block = partial(_publish_on, asyncio.get_running_loop(), subscriptions)
        ledger_lane = await stack.enter_async_context(_lane("devnet-ledger", settings))
        ledger = await stack.enter_async_context(_open_ledger(ledger_lane, path, settings=settings, clock=clock, on_block=on_block))
        archive_lane = await stack.enter_async_context(_lane("devnet-archive", settings))
        archive = await stack.enter_async_context(_open_archive(archive_lane, path))
        table = MethodTable(ledger, archive, settings=settings, ledger_lane=ledger_lane, archive_lane=archive_lane).build()
        app = RpcApp(table, subscriptions, settings=settings)
        limit = settings.max_request_bytes
        serving = serve_app(app, host=settings.host, port=settings.port, max_message_bytes=limit, http=FastHttpProtocol)
        url = await stack.enter_async_context(serving)
        node = EmbeddedDevnet(url, chain_id=settings.chain_id, dispatcher=Dispatcher(table, max_batch=settings.max_batch))
        stack.enter_context(node_at(url, NearNode(node.answer, partial(_tell_heads, subscriptions))))
        _log.info("devnet_started", url=url, chain_id=settings.chain_id, block=ledger.head.number)
        yield node
    _log.info("devnet_stopped")


def make_engine(settings: DevnetSettings) -> Engine:
    """
    Make the engine that the settings name; it is imported only now, because that takes a moment.

    Args:
        settings: How the node is set up.

    Returns:
        The engine.

    Raises:
        UnavailableError: Its package is not installed.
    """
    try:
        if settings.engine == "eels":
            from voisin.chain.devnet.engines.eels import EelsEngine

            return EelsEngine()
        if settings.engine == "pyevm":
            from voisin.chain.devnet.engines.pyevm import PyEvmEngine

            return PyEvmEngine()
        from voisin.chain.devnet.engines.jit import JitEngine

        return JitEngine()
    except ImportError as error:
        packages = {"eels": "ethereum-execution", "pyevm": "py-evm", "jit": "voisin[chain]"}
        hint = f"install {packages.get(settings.engine, settings.engine)}, or choose another engine"
        raise UnavailableError(f"engine {settings.engine} is not installed", hint=hint) from error


def genesis_allocation(settings: DevnetSettings) -> Mapping[bytes, int]:
    """
    Add up who holds what in the genesis block.

    Args:
        settings: How the node is set up.

    Returns:
        Balances [wei] by address; the settings' own allocation goes before the development accounts'.
    """
    balances = {bytes.fromhex(key.address[2:]): DEVELOPMENT_BALANCE for key in development_keys(settings.accounts)}
    return balances | {bytes.fromhex(address[2:]): balance for address, balance in settings.allocation.items()}


@asynccontextmanager
async def _lane(name: str, settings: DevnetSettings) -> AsyncIterator[Lane]:
    lane = Lane(name, max_waiting=settings.max_waiting)
    try:
        yield lane
    finally:
        with anyio.CancelScope(shield=True):
            await lane.close()


@asynccontextmanager
async def _open_ledger(
    lane: Lane, path: Path, *, settings: DevnetSettings, clock: WallClock, on_block: OnBlock
) -> AsyncIterator[DevLedger]:
    """Open the chain on its thread; whatever happens, the file is closed there again."""
    with anyio.CancelScope(shield=True):
        engine = await lane.run(partial(make_engine, settings))
        store = await lane.run(partial(ChainStore, path, is_durable=settings.is_durable))
    try:
        rules = LedgerRules(settings.chain_id, settings.base_fee, settings.gas_limit)
        allocation = genesis_allocation(settings)
        yield await lane.run(partial(DevLedger, store, engine, rules=rules, allocation=allocation, wall=clock, on_block=on_block))
    finally:
        with anyio.CancelScope(shield=True):
            await lane.run(store.close)


@asynccontextmanager
async def _open_archive(lane: Lane, path: Path) -> AsyncIterator[Archive]:
    with anyio.CancelScope(shield=True):
        archive = await lane.run(partial(Archive, path))
    try:
        yield archive
    finally:
        with anyio.CancelScope(shield=True):
            await lane.run(archive.close)


def _tell_heads(subscriptions: Subscriptions, push: Push) -> Callable[[], None]:
    subscriptions.add(Params(["newHeads"], most=1), push)
    return partial(subscriptions.drop_client, push)


def _publish_on(loop: asyncio.AbstractEventLoop, subscriptions: Subscriptions, block: Block) -> None:
    if subscriptions.has_any:  # waking the loop costs more than asking
        loop.call_soon_threadsafe(subscriptions.publish, block)
