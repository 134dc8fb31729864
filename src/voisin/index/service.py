"""What an index does for those who come to it."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio
import msgspec

from voisin.errors import UnavailableError
from voisin.index.compass import Compass
from voisin.index.ledger import Ledger
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
        head: The chain's latest block.
    """

    chain_id: int
    hub: Address
    head: int


def wall_clock() -> UnixSeconds:
    """Tell the time."""
    return UnixSeconds(int(time.time()))


class IndexService:
    """
    An index at work.

    Attributes:
        compass: The directory of pools.
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
        self._ledger = ledger

    async def health(self) -> IndexHealth:
        """
        Tell how the index is.

        Raises:
            UnavailableError: The database or the chain does not answer, or the index does not get on with the chain.
        """
        try:
            with anyio.fail_after(CHAIN_WAIT_S):
                head = await self._ledger.head()
        except (UnavailableError, TimeoutError):
            raise UnavailableError("the chain does not answer", hint="see whether the node runs") from None
        domain = self._ledger.domain
        return IndexHealth(chain_id=domain.chain_id, hub=domain.hub, head=head)
