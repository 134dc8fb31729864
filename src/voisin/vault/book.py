"""
The deals of orders with terms of use, read from the chain up to its latest block.

Uses are counted from these alone, so a vault that was brought back from an old backup, or runs as several processes, counts no other
numbers than any other.
"""

from __future__ import annotations

import anyio
import structlog

from voisin.chain import WentBackError
from voisin.errors import StateError, UnavailableError
from voisin.protocol.ids import ZERO_HASH, DealId
from voisin.vault.ledger import Ledger, MatchRange
from voisin.vault.terms_records import MatchRecord, Position, TermsStore

MOST_VOLUME = 2**40
"""More tasks than that count as so many: sums stay in the range of every database."""
ATTEMPTS = 5

_log = structlog.get_logger()


class Book:
    """These deals."""

    def __init__(self, store: TermsStore, ledger: Ledger) -> None:
        """
        Args:
            store: Where they are kept.
            ledger: The chain.
        """
        self._store = store
        self._ledger = ledger
        self._turn = anyio.Lock()

    async def match(self, deal_id: DealId) -> MatchRecord | None:
        """
        Find a deal; None when it is of no order with terms.

        Raises:
            UnavailableError: The chain does not answer, or does not hold still.
        """
        await self.catch_up()
        return await self._store.match(deal_id)

    async def catch_up(self) -> None:
        """
        Read up to the chain's latest block; all over when the chain is another one than was read.

        Raises:
            UnavailableError: The chain does not answer, or does not hold still.
        """
        async with self._turn:
            for _ in range(ATTEMPTS):
                if await self._read_on():
                    return
        raise UnavailableError("the chain does not hold still", hint="try again")

    async def _read_on(self) -> bool:
        first_block = await self._store.first_block()
        if first_block is None:
            return True
        height, position = await self._ledger.height(), await self._store.position()
        if height == position.block and await self._ledger.block_hash(height) == position.name:
            return True
        is_new = position.name == ZERO_HASH
        first = first_block if is_new else position.block + 1
        try:
            if height <= position.block and not is_new:
                raise WentBackError(f"the chain has {height} blocks, and {position.block} other ones were read")
            async for part in self._ledger.matches(max(first, 1), height, None if is_new else position.name):
                upto = Position(part.last, part.last_hash)
                await self._close(part)
                if not await self._store.add_matches(await self._records(part), position, upto):
                    return False  # another process of this vault was quicker
                position = upto
        except StateError as error:  # the chain went back, or what was just read of it is gone
            _log.warning("deals_read_again", reason=error.message)
            await self._store.forget_matches(position)
            return False
        return True

    async def _records(self, part: MatchRange) -> list[MatchRecord]:
        known = await self._store.known([match.order_hash for match in part.matches])
        found = []
        for match in part.matches:
            if match.order_hash in known:
                deal = await self._ledger.deal(match.deal_id)
                volume = min(match.volume, MOST_VOLUME)
                dataset = known[match.order_hash]
                found.append(MatchRecord(match.deal_id, match.order_hash, dataset, deal.requester, volume, match.block, match.place))
        return found

    async def _close(self, part: MatchRange) -> None:
        known = await self._store.known(part.closed)
        if known:
            await self._store.revoke(list(known), await self._ledger.now())
