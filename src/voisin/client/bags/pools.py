"""Where the pool of a deal answers: the network's own, or what the directory says of another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from voisin.client.links import Links
from voisin.client.services import PoolDesk, Service
from voisin.errors import StateError
from voisin.protocol.ids import Address


@asynccontextmanager
async def find_pool(links: Links, workerpool: Address) -> AsyncIterator[PoolDesk]:
    """
    Connect to a workerpool's service.

    Args:
        links: The network.
        workerpool: The workerpool.

    Raises:
        StateError: Nobody says where it answers.
        UnavailableError: The directory does not answer.
    """
    if links.pool is not None and links.network.workerpool in (workerpool, None):
        yield links.pool
        return
    if links.index is None:
        raise StateError(f"nobody says where workerpool {workerpool} answers", hint="name it as the network's workerpool, with pool_url")
    async with Service("pool", (await links.index.pool(workerpool)).api_url) as service:
        yield PoolDesk(service)
