"""The running pool among twins of chain, storage and workers: deals come to their end, whatever is killed on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskGroup

from tests.support.pool_worker import DEADLINE_S, TestWorker, TwinHand, TwinSocket
from tests.unit.pool.conftest import START, make_deal
from voisin.errors import RevertError, StateError, UnavailableError
from voisin.pool import PoolSettings, run_pool
from voisin.pool.bags.twin import TwinBagLedger
from voisin.pool.chain.twin import TwinLedger
from voisin.pool.database.memory import MemoryStore
from voisin.pool.heart.records import Changes, Position
from voisin.pool.opening import Pool
from voisin.pool.running.desk import Socket
from voisin.pool.running.surroundings import Surroundings
from voisin.pool.running.uploads import TwinResults
from voisin.pool.wire.views import UnknownError, task_view, worker_views
from voisin.protocol.archive import pack_files
from voisin.protocol.ids import DealId, Hash32, TaskId, as_address, task_id
from voisin.protocol.records import Resource, TaskStatus
from voisin.protocol.results import decode_link
from voisin.protocol.signatures import KeySigner
from voisin.protocol.wire import AskReveal, AskUpload, Assign, Release, Welcome
from voisin.units import NRLC

pytestmark = pytest.mark.anyio

POOL = as_address("0x" + "a1" * 20)
SCHEDULER = KeySigner(b"\x51" * 32)


@dataclass
class World:
    """A chain, a storage, the records of a pool, and workers: everything that outlives the pool."""

    now: float = float(START)
    results: TwinResults = field(default_factory=TwinResults)
    store: MemoryStore = field(default_factory=MemoryStore)
    workers: dict[str, TestWorker] = field(default_factory=dict)
    deals: int = 0

    def __post_init__(self) -> None:
        self.ledger = TwinLedger(lambda: self.now)

    @asynccontextmanager
    async def pool(self, **changes: object) -> AsyncIterator[Pool]:
        """Run the pool until the context ends, as sudden as that may be."""
        settings = PoolSettings(workerpool=POOL, heartbeat_s=1000, tick_s=0.01, step_pause_s=0.01, **changes)
        around = Surroundings(
            ledger=self.ledger, bags=TwinBagLedger(lambda: self.now), store=self.store, results=self.results, wall=lambda: self.now
        )
        async with run_pool(settings, SCHEDULER, around, None) as pool:
            yield pool

    def deal(self, volume: int = 1, *, trust: int = 1, **changes: object) -> list[TaskId]:
        """Make a deal with the pool."""
        self.deals += 1
        deal_id = DealId(Hash32(f"0x{self.deals:064x}"))
        ours = Resource(POOL, SCHEDULER.address, NRLC(0))
        self.ledger.make_deal(deal_id, make_deal(volume, trust, int(self.now), workerpool=ours, **changes))
        return [task_id(deal_id, index) for index in range(volume)]

    def worker(self, name: str, **changes: object) -> TestWorker:
        """A worker by name."""
        if name not in self.workers:
            wallet = KeySigner(name.encode().rjust(32, b"\1"))

            async def put(data: bytes) -> str:
                return self.results.put(data)

            self.workers[name] = TestWorker(wallet, TwinHand(self.ledger, wallet), put, name=name, **changes)
        return self.workers[name]

    async def status(self, task: TaskId) -> TaskStatus:
        """Where a task stands on the chain."""
        found = (await self.ledger.tasks([task]))[0]
        return found.status if found else TaskStatus.UNSET


def join(tasks: TaskGroup, pool: Pool, worker: TestWorker) -> TwinSocket:
    """Have a worker connect."""
    socket = TwinSocket()
    tasks.start_soon(_meet, pool, worker, socket)
    return socket


async def _meet(pool: Pool, worker: TestWorker, socket: TwinSocket) -> None:
    with socket:
        async with anyio.create_task_group() as meeting:
            meeting.start_soon(pool.service.desk.serve, socket)
            meeting.start_soon(worker.run, socket.line)


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition."""
    with anyio.fail_after(DEADLINE_S):
        while not await is_so():
            await anyio.lowlevel.checkpoint()


async def completed(world: World, *tasks: TaskId) -> None:
    """Wait until tasks are completed on the chain."""

    async def are() -> bool:
        return all([await world.status(task) is TaskStatus.COMPLETED for task in tasks])

    await until(are)


async def shown(pool: Pool, task: TaskId) -> tuple[str, str]:
    """What the pool says of a task: its phase and why; empty while it does not know it."""
    try:
        view = await task_view(pool.service, task)
    except UnknownError:
        return "", ""
    return view.phase, view.why


async def known_as(pool: Pool, task: TaskId, phase: str) -> str:
    """Wait until the pool sees a task in a phase; answers why it says it is there."""

    async def is_there() -> bool:
        return (await shown(pool, task))[0] == phase

    await until(is_there)
    return (await shown(pool, task))[1]


async def test_a_deal_is_done_by_two_workers() -> None:
    world = World()
    async with world.pool() as pool, anyio.create_task_group() as tasks:
        workers = [world.worker("alice"), world.worker("bob")]
        for worker in workers:
            join(tasks, pool, worker)
        done = world.deal(5, trust=4)
        await completed(world, *done)
        for worker in workers:
            await worker.heard_of(Release, 5)
        why = await known_as(pool, done[0], "completed")
        assert why == "completed: 2 workers agreed and were paid"
        view = await task_view(pool.service, done[0])
        assert {replica.outcome for replica in view.replicas} == {"proved"}
        link = decode_link((await world.ledger.tasks(done))[0].results)
        assert link == view.result
        assert world.results.blobs[link] == workers[0].archive(done[0])
        tasks.cancel_scope.cancel()


async def test_a_liar_is_outvoted_and_fined() -> None:
    world = World()
    async with world.pool() as pool, anyio.create_task_group() as tasks:
        liar = world.worker("liar", answer="wrong")
        world.ledger.scores[liar.wallet.address] = 9
        join(tasks, pool, liar)
        (task,) = world.deal(trust=4)
        await liar.heard_of(Assign)
        for name in ("alice", "bob", "carol", "dave"):
            join(tasks, pool, world.worker(name))
        await completed(world, task)
        assert await known_as(pool, task, "completed") == "completed: 4 workers agreed and were paid, 1 worker fined"
        outcomes = {replica.worker_name: replica.outcome for replica in (await task_view(pool.service, task)).replicas}
        assert outcomes == {"liar": "faulty", "alice": "proved", "bob": "proved", "carol": "proved", "dave": "proved"}
        (shown,) = [view for view in worker_views(pool.service) if view.name == "liar"]
        assert (shown.faulty, shown.score) == (1, 6)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("stop", [Assign, AskReveal, AskUpload, Release])
async def test_killed_at_any_step_it_goes_on(stop: type) -> None:
    world = World()
    worker = world.worker("alice", stops_at=stop)
    async with world.pool() as pool, anyio.create_task_group() as tasks:
        join(tasks, pool, worker)
        (task,) = world.deal()
        await worker.heard_of(stop)
        tasks.cancel_scope.cancel()
    worker.stops_at = None
    async with world.pool() as pool, anyio.create_task_group() as tasks:
        join(tasks, pool, worker)
        await completed(world, task)
        assert await known_as(pool, task, "completed")
        tasks.cancel_scope.cancel()
    assert world.ledger.sent.count("finalize") == 1


@pytest.mark.parametrize("stop", [Assign, AskReveal, AskUpload])
async def test_without_its_records_it_goes_on_too(stop: type) -> None:
    world = World()
    worker = world.worker("alice", stops_at=stop)
    async with world.pool() as pool, anyio.create_task_group() as tasks:
        join(tasks, pool, worker)
        (task,) = world.deal()
        await worker.heard_of(stop)
        tasks.cancel_scope.cancel()
    world.store = MemoryStore()
    worker.stops_at = None
    async with world.pool() as pool, anyio.create_task_group() as tasks:
        join(tasks, pool, worker)
        await completed(world, task)
        tasks.cancel_scope.cancel()


async def test_a_worker_that_vanishes_is_replaced() -> None:
    world = World()
    async with world.pool() as pool, anyio.create_task_group() as tasks:
        lost = world.worker("lost", stops_at=Assign)
        socket = join(tasks, pool, lost)
        (task,) = world.deal()
        await lost.heard_of(Assign)
        socket.line.hang_up()
        join(tasks, pool, world.worker("alice"))
        await completed(world, task)
        view = await task_view(pool.service, task)
        assert {replica.worker_name: replica.outcome for replica in view.replicas}["lost"] == "lost"
        tasks.cancel_scope.cancel()


async def test_a_winner_that_never_reveals_is_waited_for_until_its_deadline() -> None:
    world = World()
    async with world.pool() as pool, anyio.create_task_group() as tasks:
        silent = world.worker("silent", stops_at=AskReveal)
        for worker in (silent, world.worker("alice")):
            join(tasks, pool, worker)
        (task,) = world.deal(trust=4)
        await silent.heard_of(AskReveal)
        await world.worker("alice").heard_of(AskUpload)
        world.now += 601
        await completed(world, task)
        assert await known_as(pool, task, "completed") == "completed: 1 worker agreed and was paid, 1 worker fined"
        tasks.cancel_scope.cancel()


async def test_nobody_reveals_and_others_do_it() -> None:
    world = World()
    async with world.pool() as pool, anyio.create_task_group() as tasks:
        silent = world.worker("silent", stops_at=AskReveal)
        join(tasks, pool, silent)
        (task,) = world.deal()
        await silent.heard_of(AskReveal)
        world.now += 601
        join(tasks, pool, world.worker("alice"))
        await completed(world, task)
        assert "reopen" in world.ledger.sent
        tasks.cancel_scope.cancel()


async def test_a_false_upload_is_refused_and_another_worker_uploads() -> None:
    world = World()
    async with world.pool() as pool, anyio.create_task_group() as tasks:
        false = world.worker("false", uploads=pack_files({"answer.txt": b"something else"}))
        join(tasks, pool, false)
        (task,) = world.deal(trust=4)
        await false.heard_of(Assign)
        join(tasks, pool, world.worker("alice"))
        await completed(world, task)
        link = decode_link((await world.ledger.tasks([task]))[0].results)
        assert world.results.blobs[link] == world.worker("alice").archive(task)
        tasks.cancel_scope.cancel()


async def test_what_nobody_does_is_refunded_at_the_deadline_where_the_hub_is_an_original() -> None:
    world = World()
    world.ledger.can_give_back = False
    async with world.pool() as pool:
        opened, unopened = world.deal(50)[0], world.deal(50)[-1]
        await known_as(pool, opened, "running")
        assert await known_as(pool, unopened, "new")
        world.now += 2101
        assert "no worker was free" in await known_as(pool, opened, "failed")
        world.now += 1000
        why = await known_as(pool, opened, "claimed")
        assert why.startswith("the requester has the money back: no worker was free")
        await known_as(pool, unopened, "claimed")
        assert await world.status(unopened) is TaskStatus.FAILED


async def test_what_nobody_can_do_is_given_back() -> None:
    world = World()
    async with world.pool() as pool, anyio.create_task_group() as tasks:
        join(tasks, pool, world.worker("alice"))
        fitting, other = world.deal()[0], world.deal(25, params='{"voisin_limits":{"memory_bytes":2000000000}}')
        await completed(world, fitting)
        world.now += 3
        for task in other:
            why = await known_as(pool, task, "claimed")
            assert why.startswith("the requester has the money back: the only known worker cannot do it: the task may use 2,000 MB")
            assert await world.status(task) is TaskStatus.FAILED
        assert {message.task_id for message in world.worker("alice").heard if isinstance(message, Assign)} == {fitting}
        tasks.cancel_scope.cancel()


async def test_refused_steps_are_tried_again() -> None:
    world = World()
    world.ledger.failures.extend([UnavailableError("the node is away"), RevertError("somebody was faster")])
    async with world.pool() as pool, anyio.create_task_group() as tasks:
        join(tasks, pool, world.worker("alice"))
        (task,) = world.deal()

        async def is_named() -> bool:
            world.now += 0.01
            return "somebody was faster" in (await shown(pool, task))[1]

        await until(is_named)
        assert "somebody was faster" in pool.service.troubles()[0]
        world.now += 1
        await completed(world, task)
        assert pool.service.troubles() == []
        tasks.cancel_scope.cancel()


async def test_a_chain_that_went_back_stops_the_pool_loudly() -> None:
    world = World()
    world.ledger.mine()
    await world.store.save(Changes(), Position(2, Hash32("0x" + "99" * 32)))
    with pytest.raises(StateError, match="went back"):
        async with world.pool():
            await anyio.sleep_forever()


async def test_strangers_are_told_of_the_workers() -> None:
    world = World()
    async with world.pool() as pool, anyio.create_task_group() as tasks:
        poor = world.worker("poor", slots=3)
        world.ledger.stakes[poor.wallet.address] = NRLC(0)
        join(tasks, pool, poor)
        await poor.heard_of(Welcome)

        async def is_listed() -> bool:
            return bool(worker_views(pool.service))

        await until(is_listed)
        (view,) = worker_views(pool.service)
        assert (view.name, view.online, view.slots, view.busy, view.faulty) == ("poor", True, 3, 0, 0)
        assert "deals that ask for a stake will be refused" in view.note
        tasks.cancel_scope.cancel()


def _fits(socket: TwinSocket) -> Socket:
    """A twin socket is a socket."""
    return socket
