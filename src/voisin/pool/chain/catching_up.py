"""What the chain told about a deal between where its records stop and where the scheduler that takes it over has read to."""

from __future__ import annotations

from collections.abc import Sequence

from voisin.pool.chain.ledger import Ledger
from voisin.pool.heart.facts import CHAIN_EVENTS, ChainFact
from voisin.pool.heart.records import Taken
from voisin.protocol.events import AccurateContribution, FaultyContribution
from voisin.protocol.ids import TaskId, task_id


async def events_between(ledger: Ledger, taken: Sequence[Taken], until: int) -> list[ChainFact]:
    """
    Read the events of deals that were taken over; scores are left out, as every scheduler counts them for all workers.

    Args:
        ledger: The chain.
        taken: The deals, each with the block from which its records lack events.
        until: The first block that the scheduler has not read yet.
    """
    start = min(each.from_block for each in taken)
    if start >= until:
        return []
    since: dict[TaskId, int] = {
        task_id(each.deal.deal_id, index): each.from_block for each in taken for index in each.deal.indexes if index not in each.ended
    }
    found: list[ChainFact] = []
    async for stretch in ledger.ranges(start, None):
        for logged in stretch.events:
            event = logged.event
            if not isinstance(event, CHAIN_EVENTS) or isinstance(event, AccurateContribution | FaultyContribution):
                continue
            if since.get(event.task_id, until) <= logged.block < until:
                found.append(event)
        if stretch.last >= until - 1:
            break
    return found
