"""A pool of bags among twins of chain, storage and records, with workers of `bag_worker`: everything that outlives the pool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from tests.support.bag_worker import BagWorker
from tests.support.patience import a_moment
from tests.support.pool_worker import DEADLINE_S, TwinSocket
from voisin.pool import PoolSettings, run_pool
from voisin.pool.bags.twin import TwinBagLedger
from voisin.pool.chain.twin import TWIN_DOMAIN, TwinLedger
from voisin.pool.database.memory import MemoryStore
from voisin.pool.database.store import PoolStore
from voisin.pool.opening import Pool
from voisin.pool.running.surroundings import Surroundings
from voisin.pool.running.uploads import TwinResults
from voisin.protocol.ids import ZERO_ADDRESS, DealId, Hash32, as_address
from voisin.protocol.records import Deal, Resource
from voisin.protocol.signatures import KeySigner
from voisin.protocol.tags import NO_TAG
from voisin.units import NRLC, UnixSeconds

START = 1_700_000_000
POOL = as_address("0x" + "a1" * 20)
SCHEDULER = KeySigner(b"\x51" * 32)
PARAMS = '{"voisin_window":"000005"}'
PRICE = NRLC(1_000)


def bag_deal(volume: int, *, trust: int = 1, start: int = START, owner: str = SCHEDULER.address, **changes: object) -> Deal:
    """A deal that is settled as a bag."""
    nobody = Resource(ZERO_ADDRESS, ZERO_ADDRESS, NRLC(0))
    fields: dict[str, object] = {
        "app": nobody,
        "dataset": nobody,
        "workerpool": Resource(POOL, as_address(owner), PRICE),
        "trust": trust,
        "category": 0,
        "tag": NO_TAG,
        "requester": ZERO_ADDRESS,
        "beneficiary": ZERO_ADDRESS,
        "callback": ZERO_ADDRESS,
        "params": PARAMS,
        "start_time": UnixSeconds(start),
        "bot_first": 0,
        "bot_size": volume,
        "worker_stake": NRLC(0),
        "scheduler_reward_ratio": 1,
        "sponsor": ZERO_ADDRESS,
    }
    return Deal(**(fields | changes))


@dataclass
class BagStage:
    """The world around a pool."""

    now: float = float(START)
    results: TwinResults = field(default_factory=TwinResults)
    store: PoolStore = field(default_factory=MemoryStore)
    workers: dict[str, BagWorker] = field(default_factory=dict)
    deals: int = 0

    def __post_init__(self) -> None:
        self.ledger = TwinLedger(lambda: self.now)
        self.hub = TwinBagLedger(lambda: self.now)

    @asynccontextmanager
    async def pool(self, **changes: object) -> AsyncIterator[Pool]:
        """Run the pool until the context ends, as sudden as that may be."""
        fields: dict[str, object] = {"workerpool": POOL, "heartbeat_s": 1000, "tick_s": 0.01, "step_pause_s": 0.01, "resend_s": 0.5}
        settings = PoolSettings(**(fields | changes))
        around = Surroundings(ledger=self.ledger, bags=self.hub, store=self.store, results=self.results, wall=lambda: self.now)
        async with run_pool(settings, SCHEDULER, around, None) as pool:
            yield pool

    def deal(self, volume: int, *, trust: int = 1, **changes: object) -> DealId:
        """Make a deal with the pool."""
        self.deals += 1
        deal_id = DealId(Hash32(f"0x{self.deals:064x}"))
        self.ledger.make_deal(deal_id, bag_deal(volume, trust=trust, start=int(self.now), **changes))
        return deal_id

    def worker(self, name: str, **changes: object) -> BagWorker:
        """A worker by name."""
        if name not in self.workers:

            async def put(data: bytes) -> str:
                return self.results.put(data)

            wallet = KeySigner(name.encode().rjust(32, b"\1"))
            self.workers[name] = BagWorker(wallet, TWIN_DOMAIN, SCHEDULER.address, put, name=name, **changes)
        return self.workers[name]


def join(tasks: TaskGroup, pool: Pool, *workers: BagWorker) -> list[TwinSocket]:
    """Have workers connect."""
    sockets = []
    for worker in workers:
        sockets.append(TwinSocket())
        tasks.start_soon(_meet, pool, worker, sockets[-1])
    return sockets


async def _meet(pool: Pool, worker: BagWorker, socket: TwinSocket) -> None:
    with socket:
        async with anyio.create_task_group() as meeting:
            meeting.start_soon(pool.service.desk.serve, socket)
            meeting.start_soon(worker.run, socket.line)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for a condition."""
    with anyio.fail_after(DEADLINE_S):
        while not is_so():
            await a_moment()
