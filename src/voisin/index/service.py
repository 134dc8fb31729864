"""What an index does for those who come to it."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio
import msgspec

from voisin.errors import UnavailableError
from voisin.index.compass import Compass
from voisin.index.dataprotector import DATAPROTECTOR
from voisin.index.follower import IndexFollower
from voisin.index.ledger import Ledger
from voisin.index.metrics import IndexMetrics
from voisin.index.poco import POCO
from voisin.index.queries import Answer, GraphQL, GraphQLRequest
from voisin.index.settings import IndexSettings
from voisin.index.store import SqlStore
from voisin.protocol.ids import Address
from voisin.units import UnixSeconds

CHAIN_WAIT_S = 10
"""How long the chain may take to answer a question about health [s]."""

Clock = Callable[[], UnixSeconds]


class IndexHealth(msgspec.Struct, frozen=True, kw_only=True):
    """
    How an index is.

    Attributes:
        chain_id: The chain it follows.
        hub: The hub it follows.
        next_block: First block that is not in its records yet.
        head: The chain's latest block.
        lag_blocks: How many blocks its records are behind.
    """

    chain_id: int
    hub: Address
    next_block: int
    head: int
    lag_blocks: int


def wall_clock() -> UnixSeconds:
    """Tell the time."""
    return UnixSeconds(int(time.time()))


class IndexService:
    """
    An index at work.

    Attributes:
        compass: The directory of pools.
        graphs: What answers GraphQL queries, by the name of the catalog.
        follower: The loop that follows the chain; whoever opens the index runs it.
        metrics: What it counts.
        chain_id: The chain it follows.
    """

    def __init__(self, ledger: Ledger, store: SqlStore, settings: IndexSettings, *, clock: Clock = wall_clock) -> None:
        """
        Args:
            ledger: The chain.
            store: The records.
            settings: How the index is set up.
            clock: Tells the time.
        """
        self.compass = Compass(ledger, store, settings, clock=clock)
        self.chain_id = ledger.domain.chain_id
        self.metrics = IndexMetrics()
        self.follower = IndexFollower(ledger, store, self.metrics, settings)
        deployment = f"{ledger.domain.chain_id}-{ledger.domain.hub.lower()}"
        self.graphs = {catalog.name: GraphQL(catalog, store, settings, f"{catalog.name}-{deployment}") for catalog in (POCO, DATAPROTECTOR)}
        self._ledger = ledger
        self._settings = settings
        self._store = store

    async def ask(self, catalog: str, request: GraphQLRequest) -> Answer:
        """
        Answer a GraphQL query, from records that hold every block of the chain, unless those of the latest do not come in time.

        Args:
            catalog: The catalog that is asked.
            request: The query.

        Raises:
            UnavailableError: The database does not answer.
        """
        started = time.perf_counter()
        await self.follower.catch_up(self._settings.catch_up_s)
        answer = await self.graphs[catalog].answer(request)
        outcome = "refused" if answer.is_request_error else "failed" if "errors" in answer.body else "answered"
        self.metrics.queries.labels(outcome).observe(time.perf_counter() - started)
        return answer

    async def health(self) -> IndexHealth:
        """
        Tell how the index is.

        Raises:
            UnavailableError: The database or the chain does not answer, or the index does not get on with the chain.
        """
        if self.follower.failure:
            raise UnavailableError(f"the chain is not followed: {self.follower.failure}", hint="the index goes on trying; see its log")
        next_block = (await self._store.position()).next_block
        try:
            with anyio.fail_after(CHAIN_WAIT_S):
                head = await self._ledger.head()
        except (UnavailableError, TimeoutError):
            raise UnavailableError("the chain does not answer", hint="see whether the node runs") from None
        domain = self._ledger.domain
        return IndexHealth(
            chain_id=domain.chain_id, hub=domain.hub, next_block=next_block, head=head, lag_blocks=max(head + 1 - next_block, 0)
        )
