"""Starting a worker on the real world: its folder, its chain, its sandbox, its storage."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import anyio
import httpx
import structlog

from voisin.chain import Chain, Sender, open_chain
from voisin.errors import UnavailableError, VoisinError
from voisin.protocol.api import PoolView
from voisin.protocol.codec import decode
from voisin.protocol.ids import Address, as_address
from voisin.protocol.signatures import KeySigner
from voisin.sandbox import Sandbox
from voisin.service.vaults import HttpVault
from voisin.storage import StorageClient
from voisin.worker.bags.ledger import ChainBagLedger
from voisin.worker.enclave.distant import find_enclaves
from voisin.worker.enclave.outside import ProcessEnclaves
from voisin.worker.enclave.reaching import read_place
from voisin.worker.ledger import ChainLedger
from voisin.worker.life.control import controlled
from voisin.worker.life.machine_use import ThisMachine
from voisin.worker.life.steward import Steward
from voisin.worker.link import socket_url
from voisin.worker.membership import check_owner
from voisin.worker.pauses import Pauses
from voisin.worker.ports import Enclaves, Parts
from voisin.worker.service import Worker
from voisin.worker.settings import WorkerSettings
from voisin.worker.store import WorkerFolder
from voisin.worker.vocabulary import News
from voisin.worker.web import PublicWeb

ASK_S = 10.0
MAX_VIEW_BYTES = 16 << 20

log = structlog.get_logger(__name__)


async def run_worker(settings: WorkerSettings, wallet: KeySigner, *, on_event: Callable[[News], None] | None = None) -> None:
    """
    Work for a pool until cancelled, or until its owner has it leave by the socket in its folder.

    Pool, node and storage may come and go meanwhile: the worker tries again for ever, and what it has at stake is looked after
    on the chain with or without the pool.

    Args:
        settings: What the worker is told.
        wallet: Its wallet; one for each worker.
        on_event: Told what happens (`Connected`, `Disconnected`, `Moved`, `Failed`, `Settled`); must not block.

    Raises:
        StateError: Another worker uses the folder, or it belongs to another wallet.
        InputError: A setting is wrong, or there is no hub at its address.
    """
    with _unwrapped():
        async with open_worker(settings, wallet, on_event=on_event) as worker, controlled(worker, settings.folder):
            await worker.run()


@asynccontextmanager
async def open_worker(
    settings: WorkerSettings,
    wallet: KeySigner,
    *,
    on_event: Callable[[News], None] | None = None,
    change: Callable[[Parts], Parts] = lambda parts: parts,
) -> AsyncIterator[Worker]:
    """
    Make a worker ready to run, and hold its folder.

    Args:
        settings: What the worker is told.
        wallet: Its wallet.
        on_event: Told what happens.
        change: Puts other parts in the place of the real ones.

    Yields:
        The worker; `run` it.

    Raises:
        StateError: Another worker uses the folder, or it belongs to another wallet.
        InputError: A setting is wrong, or there is no hub at its address.
    """
    folder = WorkerFolder(settings.folder)
    with folder.hold():
        known = check_owner(folder, settings, wallet.address)
        steward = Steward(settings, ThisMachine())
        steward.check()
        hub = as_address(settings.hub) if settings.hub else known.hub if known else await _ask_pool(settings)
        async with open_parts(settings, wallet, folder=folder, hub=hub) as parts:
            yield Worker(settings, wallet, folder=folder, parts=change(parts), steward=steward, on_news=on_event)


@asynccontextmanager
async def open_parts(settings: WorkerSettings, wallet: KeySigner, *, folder: WorkerFolder, hub: Address) -> AsyncIterator[Parts]:
    """
    Open the real world of a worker; waits for a node or an enclave that does not answer yet.

    Args:
        settings: What the worker is told.
        wallet: Its wallet.
        folder: Its files.
        hub: The market's hub.

    Raises:
        InputError: There is no hub at the address.
        StateError: The enclave shows no evidence.
        TrustError: It is simulated, and none of those are allowed.
    """
    async with AsyncExitStack() as stack:
        enclaves = await _open_enclaves(settings, folder, wallet.address)
        chain = await _open_chain(settings, hub, stack)
        sandbox = Sandbox(folder.cache / "apps", slots=settings.slots, scratch_dir=folder.folder / "scratch")
        runner = await stack.enter_async_context(sandbox)
        sender = Sender(chain, wallet)
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=ASK_S))
        yield Parts(
            ledger=ChainLedger(chain, sender, wallet.address),
            bag_ledger=ChainBagLedger(chain, sender),
            runner=runner,
            open_storage=StorageClient,
            sessions=lambda url: HttpVault(http, url, chain.domain, wallet),
            enclaves=enclaves,
            web=PublicWeb(fetch_s=settings.web_s, allow_private=settings.allow_private_web),
            random=random.random,
        )


async def _open_enclaves(settings: WorkerSettings, folder: WorkerFolder, worker: Address) -> Enclaves | None:
    """Find the enclaves; waits for one that does not answer yet."""
    if not settings.enclave:
        if not settings.allow_simulated:
            return None
        log.warning("simulated_enclaves_allowed", worker=worker)
        return ProcessEnclaves(folder.folder / "enclaves", folder.cache / "apps")
    pauses = Pauses(settings.retry_s, settings.max_retry_s, random.random)
    while True:
        try:
            found = await find_enclaves(read_place(settings.enclave), worker, allow_simulated=settings.allow_simulated)
        except UnavailableError as error:
            log.warning("enclave_not_there", enclave=settings.enclave, error=error.message)
        else:
            tell = log.info if found.kind.is_hardware else log.warning
            tell("enclave_found", enclave=settings.enclave, kind=found.kind, slots=found.slots.total_tokens)
            return found
        await anyio.sleep(pauses.next_s())


async def _open_chain(settings: WorkerSettings, hub: Address, stack: AsyncExitStack) -> Chain:
    pauses = Pauses(settings.retry_s, settings.max_retry_s, random.random)
    while True:
        try:
            return await stack.enter_async_context(open_chain(settings.rpc_url, hub))
        except UnavailableError as error:
            log.warning("chain_not_there", rpc_url=settings.rpc_url, error=error.message)
        await anyio.sleep(pauses.next_s())


async def _ask_pool(settings: WorkerSettings) -> Address:
    """Ask the pool which hub it works for, as a worker must that was not told and has never joined; waits for the pool."""
    socket_url(settings.pool_url)
    url = f"{settings.pool_url.rstrip('/')}/v1/pool"
    pauses = Pauses(settings.retry_s, settings.max_retry_s, random.random)
    async with httpx.AsyncClient(timeout=ASK_S) as client:
        while True:
            try:
                response = await client.get(url)
                if response.is_success:
                    return as_address(decode(response.content[:MAX_VIEW_BYTES], PoolView, "the pool's view").hub)
                log.warning("pool_not_there", url=url, status=response.status_code)
            except (httpx.HTTPError, VoisinError) as error:
                log.warning("pool_not_there", url=url, error=type(error).__name__)
            await anyio.sleep(pauses.next_s())


@contextmanager
def _unwrapped() -> Iterator[None]:
    """Let the error that ends a worker come as itself, not in a group."""
    try:
        yield
    except BaseExceptionGroup as group:
        known, others = group.split(VoisinError)
        if known is None or others is not None:
            raise
        raise _first(known) from None


def _first(group: BaseExceptionGroup[VoisinError]) -> VoisinError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
