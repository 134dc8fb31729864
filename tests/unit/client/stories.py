"""The worked example of the protocol's specification (poco-protocol.md 12.4), written down by hand as events."""

from __future__ import annotations

from voisin.protocol.events import (
    AccurateContribution,
    ConsensusReached,
    Event,
    FaultyContribution,
    Locked,
    Logged,
    OrdersMatched,
    Rewarded,
    SchedulerNotice,
    Seized,
    TaskClaimed,
    TaskContributed,
    TaskFinalized,
    TaskInitialized,
    TaskRevealed,
    Transferred,
    Unlocked,
)
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, OrderHash, as_address, task_id
from voisin.protocol.records import Deal, Resource
from voisin.protocol.rules import KITTY_ADDRESS
from voisin.protocol.tags import NO_TAG
from voisin.units import NRLC, UnixSeconds


def address(number: int) -> Address:
    """Make an address up."""
    return as_address(f"0x{number:040x}")


def hash_of(number: int) -> Hash32:
    """Make a hash up."""
    return Hash32(f"0x{number:064x}")


HUB = address(0x99)
APP, DATASET, POOL = address(1), address(2), address(3)
APP_OWNER, DATASET_OWNER, SCHEDULER, REQUESTER = address(11), address(12), address(13), address(14)
WORKER_A, WORKER_B, WORKER_C, WORKER_D = address(0xA1), address(0xB1), address(0xC1), address(0xD1)
DEAL_ID = DealId(hash_of(0xDEA1))
TASK_0, TASK_1 = task_id(DEAL_ID, 0), task_id(DEAL_ID, 1)
GOOD, BAD = hash_of(0x600D), hash_of(0xBAD)
STAKE = NRLC(350_000_002)
PRICE = NRLC(6_000_000_007)

DEAL = Deal(
    app=Resource(APP, APP_OWNER, NRLC(3_000_000_000)),
    dataset=Resource(DATASET, DATASET_OWNER, NRLC(2_000_000_000)),
    workerpool=Resource(POOL, SCHEDULER, NRLC(1_000_000_007)),
    trust=10,
    category=2,
    tag=NO_TAG,
    requester=REQUESTER,
    beneficiary=REQUESTER,
    callback=ZERO_ADDRESS,
    params="",
    start_time=UnixSeconds(1_700_000_000),
    bot_first=0,
    bot_size=2,
    worker_stake=STAKE,
    scheduler_reward_ratio=5,
    sponsor=REQUESTER,
)

MATCH: list[Event] = [
    Transferred(REQUESTER, HUB, NRLC(12_000_000_014)),
    Locked(REQUESTER, NRLC(12_000_000_014)),
    Transferred(SCHEDULER, HUB, NRLC(600_000_004)),
    Locked(SCHEDULER, NRLC(600_000_004)),
    SchedulerNotice(POOL, DEAL_ID),
    OrdersMatched(DEAL_ID, OrderHash(hash_of(1)), OrderHash(hash_of(2)), OrderHash(hash_of(3)), OrderHash(hash_of(4)), 2),
]

FINALIZE_0: list[Event] = [
    Seized(REQUESTER, PRICE, TASK_0),
    Transferred(HUB, APP_OWNER, NRLC(3_000_000_000)),
    Rewarded(APP_OWNER, NRLC(3_000_000_000), TASK_0),
    Transferred(HUB, DATASET_OWNER, NRLC(2_000_000_000)),
    Rewarded(DATASET_OWNER, NRLC(2_000_000_000), TASK_0),
    Transferred(HUB, SCHEDULER, NRLC(300_000_002)),
    Unlocked(SCHEDULER, NRLC(300_000_002)),
    Seized(WORKER_C, STAKE, TASK_0),
    FaultyContribution(WORKER_C, TASK_0),
    Unlocked(WORKER_A, STAKE),
    Rewarded(WORKER_A, NRLC(641_250_004), TASK_0),
    AccurateContribution(WORKER_A, TASK_0),
    Unlocked(WORKER_B, STAKE),
    Rewarded(WORKER_B, NRLC(213_750_001), TASK_0),
    AccurateContribution(WORKER_B, TASK_0),
    Unlocked(WORKER_D, STAKE),
    Rewarded(WORKER_D, NRLC(427_500_002), TASK_0),
    AccurateContribution(WORKER_D, TASK_0),
    Rewarded(SCHEDULER, NRLC(67_500_002), TASK_0),
    TaskFinalized(TASK_0, b"link"),
]

CLAIM_1: list[Event] = [
    Transferred(HUB, REQUESTER, PRICE),
    Unlocked(REQUESTER, PRICE),
    Seized(SCHEDULER, NRLC(300_000_002), TASK_1),
    Rewarded(KITTY_ADDRESS, NRLC(300_000_002), TASK_1),
    Locked(KITTY_ADDRESS, NRLC(300_000_002)),
    Transferred(HUB, WORKER_C, STAKE),
    Unlocked(WORKER_C, STAKE),
    TaskClaimed(TASK_1),
]


def contributed(task: object, worker: Address, result: Hash32) -> list[Event]:
    """One contribution, with the stake it locks."""
    return [Locked(worker, STAKE), TaskContributed(task, worker, result)]  # type: ignore[arg-type]


TRANSACTIONS: list[tuple[Address, list[Event]]] = [
    (REQUESTER, MATCH),
    (SCHEDULER, [TaskInitialized(TASK_0, POOL), TaskInitialized(TASK_1, POOL)]),
    (WORKER_C, contributed(TASK_0, WORKER_C, BAD)),
    (WORKER_A, contributed(TASK_0, WORKER_A, GOOD)),
    (WORKER_B, contributed(TASK_0, WORKER_B, GOOD)),
    (WORKER_D, [*contributed(TASK_0, WORKER_D, GOOD), ConsensusReached(TASK_0, GOOD)]),
    (WORKER_C, contributed(TASK_1, WORKER_C, BAD)),
    (WORKER_A, [TaskRevealed(TASK_0, WORKER_A, GOOD)]),
    (WORKER_B, [TaskRevealed(TASK_0, WORKER_B, GOOD)]),
    (WORKER_D, [TaskRevealed(TASK_0, WORKER_D, GOOD)]),
    (SCHEDULER, FINALIZE_0),
    (REQUESTER, CLAIM_1),
]
"""Who sent what, one transaction a block."""


def logs(count: int = len(TRANSACTIONS)) -> list[Logged]:
    """The first transactions' events, each with its place; block and hash are numbered from 100."""
    return [
        Logged(event, HUB, 100 + number, place, hash_of(100 + number))
        for number, (_, events) in enumerate(TRANSACTIONS[:count])
        for place, event in enumerate(events)
    ]
