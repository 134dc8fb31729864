"""When a box is ready: its workers are online, and its pool offers what they can reach together."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from voisin.client.network import Network
from voisin.client.services import OrderBook, PoolDesk, Service
from voisin.errors import UnavailableError
from voisin.policy import reachable_trust
from voisin.protocol.api import PoolView, PublishedWorkerpoolOrder
from voisin.protocol.tags import is_simulated
from voisin.protocol.trust import worker_weight

READY_S = 60.0
OFFER_S = 10.0
PAUSE_S = 0.05


async def wait_until_ready(network: Network, *, workers: int, trust_max: int) -> None:
    """
    Wait for a box.

    Args:
        network: Where its services are.
        workers: How many workers it runs; without any there is nothing to wait for.
        trust_max: The highest trust that its pool ever offers.

    Raises:
        UnavailableError: The workers or the first offer take too long.
    """
    if not workers:
        return
    async with Service("market", network.market_url) as market, Service("pool", network.pool_url) as pool:
        book, desk = OrderBook(market), PoolDesk(pool)

        async def look() -> tuple[PoolView, list[PublishedWorkerpoolOrder]]:
            return await desk.pool(), await book.workerpool_offers({"workerpool": network.workerpool})

        with anyio.move_on_after(READY_S) as patience:
            view, offers = await look()
            while online(view) < workers or not is_offered(offers):
                await anyio.sleep(PAUSE_S)
                view, offers = await look()
        if patience.cancelled_caught:
            hint = "their logs are in box/logs of the home folder"
            raise UnavailableError(f"the box's workers did not come online within {READY_S:.0f} s", hint=hint)
        with anyio.move_on_after(OFFER_S):  # a pool that counts fewer workers, because it has banned one, sells all the same
            while not is_fully_offered(view, offers, trust_max=trust_max):
                await anyio.sleep(PAUSE_S)
                view, offers = await look()


def online(view: PoolView) -> int:
    """Count the workers that a pool sees."""
    return sum(worker.online for worker in view.workers)


def is_offered(offers: Sequence[PublishedWorkerpoolOrder]) -> bool:
    """Tell whether a box's pool has begun to sell: plain tasks, and those in simulated enclaves."""
    return {is_simulated(offer.order.tag) for offer in offers} == {False, True}


def is_fully_offered(view: PoolView, offers: Sequence[PublishedWorkerpoolOrder], *, trust_max: int) -> bool:
    """
    Tell whether a pool offers what its workers reach together; it does a moment after the last one has come.

    Args:
        view: What the pool says.
        offers: Its offers in the book.
        trust_max: The highest trust that it ever offers.
    """
    weights = [worker_weight(worker.score) for worker in view.workers if worker.online]
    return max((offer.order.trust for offer in offers), default=0) >= min(reachable_trust(weights), trust_max)
