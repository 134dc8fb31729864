"""The money of a pool's scheduler in the hub, looked at now and then."""

from __future__ import annotations

from collections.abc import Iterable

import anyio
import structlog

from voisin.errors import VoisinError
from voisin.pool.chain.ledger import Ledger
from voisin.protocol.events import Logged, Rewarded
from voisin.protocol.ids import Address
from voisin.units import NRLC

LOOK_EVERY_S = 5.0

_log = structlog.get_logger()


class Purse:
    """
    What the scheduler has.

    Attributes:
        free: Money that nothing locks [nRLC].
        locked: Money that open tasks lock [nRLC].
        earned: What the hub has paid it since this process began to read the chain [nRLC].
    """

    def __init__(self, ledger: Ledger, owner: Address) -> None:
        """
        Args:
            ledger: The chain.
            owner: The scheduler's wallet.
        """
        self._ledger = ledger
        self._owner = owner
        self.free, self.locked, self.earned = NRLC(0), NRLC(0), NRLC(0)

    def hear(self, events: Iterable[Logged]) -> None:
        """Count what the hub pays."""
        for logged in events:
            if isinstance(logged.event, Rewarded) and logged.event.owner == self._owner:
                self.earned = NRLC(self.earned + logged.event.amount)

    async def run(self) -> None:
        """Look at the account until cancelled."""
        while True:
            try:
                self.free, self.locked = await self._ledger.money(self._owner)
            except VoisinError as error:
                _log.debug("account_not_read", reason=error.message)
            await anyio.sleep(LOOK_EVERY_S)
