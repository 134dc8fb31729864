"""
The hub's constants and plain arithmetic of deadlines and stakes.

Source: poco-protocol.md 2, 8.2, 12.
"""

from __future__ import annotations

from typing import Final

from voisin.protocol.ids import ZERO_HASH, Address, DealId
from voisin.protocol.records import Category, Deal, Task, TaskStatus
from voisin.units import NRLC, UnixSeconds

CONTRIBUTION_DEADLINE_RATIO: Final = 7
REVEAL_DEADLINE_RATIO: Final = 2
FINAL_DEADLINE_RATIO: Final = 10
WORKERPOOL_STAKE_RATIO: Final = 30
KITTY_RATIO: Final = 10
KITTY_MIN: Final = NRLC(10**9)
KITTY_ADDRESS: Final = Address("0x99c2268479b93fDe36232351229815DF80837e23")
GROUP_MEMBER_PURPOSE: Final = 4
DEFAULT_WORKER_STAKE_RATIO: Final = 30
DEFAULT_SCHEDULER_REWARD_RATIO: Final = 1

DEFAULT_CATEGORIES: Final = (
    Category("XS", '""', 300),
    Category("S", '""', 1200),
    Category("M", '""', 3600),
    Category("L", '""', 10800),
    Category("XL", '""', 36000),
)


def contribution_deadline(start: UnixSeconds, time_ref_s: int) -> UnixSeconds:
    """Say until when workers of a deal may contribute."""
    return UnixSeconds(start + CONTRIBUTION_DEADLINE_RATIO * time_ref_s)


def final_deadline(start: UnixSeconds, time_ref_s: int) -> UnixSeconds:
    """Say from when an unfinished task of a deal may be claimed."""
    return UnixSeconds(start + FINAL_DEADLINE_RATIO * time_ref_s)


def give_back_cost(stake: NRLC, *, forfeited: int, others: int, late_s: int, time_ref_s: int) -> NRLC:
    """
    Tell what giving tasks of a deal back costs its scheduler [nRLC].

    Args:
        stake: What the scheduler locked for each task [nRLC].
        forfeited: Tasks that cost all of it: somebody contributed, or a lone enclave may settle them.
        others: All other tasks that are given back.
        late_s: Time since the match [s].
        time_ref_s: The unit of time of the deal's category [s].

    Source: contracts/SPEC.md 8.7.
    """
    return NRLC(stake * forfeited + stake * others * late_s // (FINAL_DEADLINE_RATIO * time_ref_s))


def new_task(deal_id: DealId, index: int, deal: Deal, time_ref_s: int) -> Task:
    """
    Give a task as it is once the hub has opened it for contributions.

    Args:
        deal_id: Its deal.
        index: Which of the deal's tasks it is.
        deal: What the deal says.
        time_ref_s: The unit of time of the deal's category [s].
    """
    return Task(
        status=TaskStatus.ACTIVE,
        deal_id=deal_id,
        index=index,
        time_ref_s=time_ref_s,
        contribution_deadline=contribution_deadline(deal.start_time, time_ref_s),
        reveal_deadline=UnixSeconds(0),
        final_deadline=final_deadline(deal.start_time, time_ref_s),
        consensus=ZERO_HASH,
        reveal_counter=0,
        winner_counter=0,
        contributors=(),
        result_digest=ZERO_HASH,
        results=b"",
        results_callback=b"",
    )


def workerpool_stake(price: NRLC, volume: int) -> NRLC:
    """Tell what a scheduler locks for a deal [nRLC]: rounded down per task, then times the volume."""
    return NRLC(price * WORKERPOOL_STAKE_RATIO // 100 * volume)


def worker_stake(price: NRLC, ratio: int) -> NRLC:
    """Tell what a worker locks for one contribution [nRLC]; `ratio` is the pool's policy in percent."""
    return NRLC(price * ratio // 100)
