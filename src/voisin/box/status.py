"""What runs: a look at the box of a home folder from outside, by asking each of its services."""

from __future__ import annotations

import os

import anyio
import httpx
import msgspec

from voisin.chain import Rpc
from voisin.client.network import Network
from voisin.errors import InputError, VoisinError
from voisin.protocol.api import PoolView
from voisin.protocol.codec import decode

PATIENCE_S = 3.0


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One service: where it is, whether it answers, and one line about it."""

    name: str
    url: str
    is_up: bool
    detail: str


class BoxStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A box: its process, its services, and its pool with workers when that answers."""

    pid: int
    is_running: bool
    services: tuple[ServiceStatus, ...]
    pool: PoolView | None


async def box_status(network: Network) -> BoxStatus:
    """Ask every service of a network how it is; one that does not answer within seconds counts as down."""
    found: dict[str, ServiceStatus] = {}
    pool: list[PoolView] = []
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http, anyio.create_task_group() as tasks:
        tasks.start_soon(_ask_chain, network, found)
        for name, url in _services(network).items():
            tasks.start_soon(_ask_service, http, name, url, found)
        if network.pool_url:
            tasks.start_soon(_ask_pool, http, network.pool_url, found, pool)
    services = tuple(found[name] for name in dict.fromkeys(("chain", "market", "pool", *_services(network))) if name in found)
    return BoxStatus(pid=network.pid, is_running=_is_alive(network.pid), services=services, pool=pool[0] if pool else None)


def _services(network: Network) -> dict[str, str]:
    """List the services that only say whether they are well; those that a network may lack only where it has them."""
    optional = {"vault": network.vault_url, "index": network.index_url, "broker": network.broker_url}
    always = {"market": network.market_url, "storage": network.storage_url}
    return always | {name: url for name, url in optional.items() if url}


async def _ask_chain(network: Network, found: dict[str, ServiceStatus]) -> None:
    try:
        async with Rpc(network.rpc_url, timeout_s=PATIENCE_S) as rpc:
            with anyio.fail_after(PATIENCE_S):
                height = int(str(await rpc.call("eth_blockNumber")), 16)
        found["chain"] = ServiceStatus(name="chain", url=network.rpc_url, is_up=True, detail=f"block {height}, chain id {network.chain_id}")
    except (VoisinError, TimeoutError, ValueError) as error:
        found["chain"] = _down("chain", network.rpc_url, error)


async def _ask_service(http: httpx.AsyncClient, name: str, url: str, found: dict[str, ServiceStatus]) -> None:
    try:
        (await http.get(f"{url}/v1/health")).raise_for_status()
        found[name] = ServiceStatus(name=name, url=url, is_up=True, detail="answers")
    except httpx.HTTPError as error:
        found[name] = _down(name, url, error)


async def _ask_pool(http: httpx.AsyncClient, url: str, found: dict[str, ServiceStatus], pool: list[PoolView]) -> None:
    try:
        answer = (await http.get(f"{url}/v1/pool")).raise_for_status()
        view = decode(answer.content, PoolView, "the pool's answer")
    except (httpx.HTTPError, InputError) as error:
        found["pool"] = _down("pool", url, error)
        return
    online = sum(worker.online for worker in view.workers)
    detail = f"{online} of {len(view.workers)} workers online, {view.open_tasks} open tasks"
    found["pool"] = ServiceStatus(name="pool", url=url, is_up=True, detail=detail)
    pool.append(view)


def _down(name: str, url: str, error: Exception) -> ServiceStatus:
    return ServiceStatus(name=name, url=url, is_up=False, detail=f"does not answer ({type(error).__name__})")


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
