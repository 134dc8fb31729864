"""The embedded chain as a running node: threads, file and port, opened and closed together."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from voisin.chain.devnet.accounts import DEVELOPMENT_BALANCE, development_keys
from voisin.chain.devnet.archive import Archive
from voisin.chain.devnet.block_clock import WallClock
from voisin.chain.devnet.engine import Engine
from voisin.chain.devnet.lanes import Lane
from voisin.chain.devnet.ledger import Ledger, LedgerRules, OnBlock
from voisin.chain.devnet.methods import MethodTable
from voisin.chain.devnet.params import Json
from voisin.chain.devnet.rpc import Dispatcher
from voisin.chain.devnet.server import LoopServer, RpcApp, bind_socket
from voisin.chain.devnet.settings import DevnetSettings
from voisin.chain.devnet.store import ChainStore
from voisin.chain.devnet.subscriptions import Subscriptions
from voisin.chain.devnet.values import Block
from voisin.errors import UnavailableError

_log = structlog.get_logger(__name__)
_STOP_LIMIT_S = 5.0


class Devnet(ABC):
    """
    A running chain.

    Args:
        host: Address it listens on.
        port: Its TCP port.
        chain_id: Its chain id.
    """

    def __init__(self, host: str, port: int, *, chain_id: int) -> None:
        self.host = host
        self.port = port
        self.chain_id = chain_id

    @property
    def rpc_url(self) -> str:
        """Where it answers JSON-RPC over HTTP."""
        return f"http://{_in_url(self.host)}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where it answers JSON-RPC over WebSocket."""
        return f"ws://{_in_url(self.host)}:{self.port}"

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
        host: Address it listens on.
        port: Its TCP port.
        chain_id: Its chain id.
        dispatcher: Carries requests out.
    """

    def __init__(self, host: str, port: int, *, chain_id: int, dispatcher: Dispatcher) -> None:
        super().__init__(host, port, chain_id=chain_id)
        self._dispatcher = dispatcher

    async def request(self, method: str, params: list[Json] | None = None) -> Json:
        """Call a method; see `Devnet`."""
        return await self._dispatcher.call(method, params or [])


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
        listener = stack.enter_context(bind_socket(settings.host, settings.port))
        path = settings.db or Path(stack.enter_context(TemporaryDirectory(prefix="voisin-devnet-"))) / "chain.sqlite"
        ledger_lane = Lane("devnet-ledger", max_waiting=settings.max_waiting)
        stack.push_async_callback(ledger_lane.close)
        archive_lane = Lane("devnet-archive", max_waiting=settings.max_waiting)
        stack.push_async_callback(archive_lane.close)
        engine = make_engine(settings)
        subscriptions = Subscriptions()
        on_block = partial(_publish_on, asyncio.get_running_loop(), subscriptions)
        store, ledger = await ledger_lane.run(partial(_open_ledger, path, settings, engine=engine, clock=clock, on_block=on_block))
        stack.push_async_callback(ledger_lane.run, store.close)
        archive = await archive_lane.run(partial(Archive, path))
        stack.push_async_callback(archive_lane.run, archive.close)
        client_version = f"voisin-devnet/{engine.name}"
        methods = MethodTable(
            ledger, archive, settings=settings, ledger_lane=ledger_lane, archive_lane=archive_lane, client_version=client_version
        ).build()
        server = LoopServer(RpcApp(methods, subscriptions, settings=settings), max_request_bytes=settings.max_request_bytes)
        serving = asyncio.create_task(server.serve([listener]), name="devnet-server")
        stack.push_async_callback(_stop, server, serving)
        await server.is_listening.wait()
        host, port = listener.getsockname()[:2]
        _log.info("devnet_started", url=f"http://{_in_url(host)}:{port}", chain_id=settings.chain_id, block=ledger.head.number)
        yield EmbeddedDevnet(host, port, chain_id=settings.chain_id, dispatcher=Dispatcher(methods, max_batch=settings.max_batch))
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
            from voisin.chain.devnet.eels import EelsEngine

            return EelsEngine()
        from voisin.chain.devnet.pyevm import PyEvmEngine

        return PyEvmEngine()
    except ImportError as error:
        packages = {"eels": "ethereum-execution", "pyevm": "py-evm"}
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


def _open_ledger(path: Path, settings: DevnetSettings, *, engine: Engine, clock: WallClock, on_block: OnBlock) -> tuple[ChainStore, Ledger]:
    store = ChainStore(path, is_durable=settings.is_durable)
    rules = LedgerRules(settings.chain_id, settings.base_fee, settings.gas_limit)
    try:
        return store, Ledger(store, engine, rules=rules, allocation=genesis_allocation(settings), wall=clock, on_block=on_block)
    except BaseException:
        store.close()
        raise


def _publish_on(loop: asyncio.AbstractEventLoop, subscriptions: Subscriptions, block: Block) -> None:
    loop.call_soon_threadsafe(subscriptions.publish, block)


async def _stop(server: LoopServer, serving: asyncio.Task[None]) -> None:
    server.should_exit = True
    async with asyncio.timeout(_STOP_LIMIT_S):
        await serving


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
