"""A stage for the pool's machine: one pool, its clock, and facts told in one line each."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from eth_utils import keccak

from voisin.pool.heart.commands import AssignReplica, Command, Tell
from voisin.pool.heart.facts import (
    CaughtUp,
    DealFound,
    Fact,
    Instant,
    ReplicaFailed,
    StageReached,
    Ticked,
    UploadChecked,
    UploadReported,
    WorkerHeard,
    WorkerJoined,
    WorkerLeft,
)
from voisin.pool.heart.machine import PoolMachine
from voisin.pool.heart.records import Position, Snapshot, TaskFile
from voisin.pool.settings import PoolSettings
from voisin.protocol.events import (
    ConsensusReached,
    FaultyContribution,
    TaskClaimed,
    TaskContributed,
    TaskFinalized,
    TaskInitialized,
    TaskReopened,
    TaskRevealed,
)
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, TaskId, as_address, task_id, to_hex
from voisin.protocol.records import Deal, Resource
from voisin.protocol.results import encode_link
from voisin.protocol.tags import NO_TAG
from voisin.protocol.wire import Held, Resources
from voisin.protocol.wire_words import EnclaveKind, MachineFailure, ReplicaStage
from voisin.units import NRLC, UnixSeconds

START = 1_700_000_000
SCHEDULER = as_address("0x" + "50" * 20)
NAMES = ("alice", "bob", "carol", "dave", "erin")
CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


def wallet(name: str) -> Address:
    """The same address for the same name, always."""
    return as_address("0x" + keccak(text=name)[:20].hex())


def digest_of(text: str) -> Hash32:
    """The digest of a result, named by a word."""
    return Hash32(to_hex(keccak(text=text)))


def hash_of(task: TaskId, text: str) -> Hash32:
    """What a worker that computed `text` commits to (poco-protocol.md 4.1)."""
    return Hash32(to_hex(keccak(bytes.fromhex(task[2:]) + keccak(text=text))))


class Scene:
    """A pool's machine with a clock; each method tells a fact and answers the commands that follow."""

    def __init__(self, *, live: bool = True, gives_back: bool = False, **settings: object) -> None:
        self.settings = PoolSettings(**settings)
        self.machine = PoolMachine(self.settings, SCHEDULER)
        self.machine.book.gives_back = gives_back
        self.wall = float(START)
        self.chain = START
        self.deals = 0
        self.log: list[Command] = []
        if live:
            self.tell(CaughtUp())

    def tell(self, fact: Fact) -> list[Command]:
        commands = self.machine.handle(fact, at=Instant(self.wall, UnixSeconds(self.chain)))
        self.log += commands
        return commands

    def after(self, seconds: float) -> list[Command]:
        """Let time pass; workers that are connected stay heard of."""
        self.wall, self.chain = self.wall + seconds, int(self.chain + seconds)
        heard = []
        for address, worker in list(self.machine.book.workers.items()):
            if worker.is_online:
                heard += self.tell(WorkerHeard(address))
        return heard + self.tell(Ticked())

    def silence(self, seconds: float) -> list[Command]:
        """Let time pass in which nobody is heard of."""
        self.wall, self.chain = self.wall + seconds, int(self.chain + seconds)
        return self.tell(Ticked())

    def deal(self, volume: int = 1, *, trust: int = 1, **changes: object) -> list[TaskId]:
        """Make a deal of category XS (300 s) and have its tasks on the chain."""
        tasks = self.found(volume, trust=trust, **changes)
        for task in tasks:
            self.opened(task)
        return tasks

    def found(self, volume: int = 1, *, trust: int = 1, **changes: object) -> list[TaskId]:
        """Make a deal whose tasks are not on the chain yet."""
        self.deals += 1
        deal_id = DealId(Hash32(to_hex(keccak(text=f"deal {self.deals}"))))
        deal = make_deal(volume, trust, self.chain, **changes)
        self.tell(DealFound(deal_id, deal, 300, self.deals))
        return [task_id(deal_id, index) for index in range(volume)]

    def opened(self, task: TaskId) -> list[Command]:
        """Have one task on the chain."""
        return self.tell(TaskInitialized(task, ZERO_ADDRESS))

    def tell_time(self) -> list[Command]:
        """Say what time it is."""
        return self.tell(Ticked())

    def join(
        self,
        name: str,
        *,
        slots: int = 1,
        score: int = 0,
        holding: dict[TaskId, ReplicaStage] | None = None,
        enclave: EnclaveKind = EnclaveKind.NONE,
        **resources: object,
    ) -> list[Command]:
        held = tuple(Held(task, stage) for task, stage in (holding or {}).items())
        fact = WorkerJoined(
            worker=wallet(name),
            name=name,
            slots=slots,
            score=score,
            holding=held,
            enclave=enclave,
            resources=make_resources(slots, **resources) if resources else None,
        )
        return self.tell(fact)

    def leave(self, name: str, why: str = "the connection closed") -> list[Command]:
        return self.tell(WorkerLeft(wallet(name), why))

    def stage(self, name: str, task: TaskId, stage: ReplicaStage) -> list[Command]:
        return self.tell(StageReached(wallet(name), task, stage))

    def fail(self, name: str, task: TaskId, failure: MachineFailure, detail: str = "") -> list[Command]:
        return self.tell(ReplicaFailed(wallet(name), task, failure, detail))

    def contribute(self, name: str, task: TaskId, result: str = "right") -> list[Command]:
        return self.tell(TaskContributed(task, wallet(name), hash_of(task, result)))

    def agree(self, task: TaskId, result: str = "right") -> list[Command]:
        return self.tell(ConsensusReached(task, hash_of(task, result)))

    def reveal(self, name: str, task: TaskId, result: str = "right") -> list[Command]:
        return self.tell(TaskRevealed(task, wallet(name), digest_of(result)))

    def upload(self, name: str, task: TaskId, *, cid: str = CID, callback: str = "0x") -> list[Command]:
        return self.tell(UploadReported(wallet(name), task, cid, callback))

    def checked(self, name: str, task: TaskId, *, cid: str = CID, callback: str = "0x", problem: str = "") -> list[Command]:
        return self.tell(UploadChecked(wallet(name), task, cid, callback, problem))

    def reopened(self, task: TaskId) -> list[Command]:
        return self.tell(TaskReopened(task))

    def finalized(self, task: TaskId, *, cid: str = CID) -> list[Command]:
        return self.tell(TaskFinalized(task, encode_link(cid)))

    def claimed(self, task: TaskId) -> list[Command]:
        return self.tell(TaskClaimed(task))

    def fined(self, name: str, task: TaskId) -> list[Command]:
        return self.tell(FaultyContribution(wallet(name), task))

    def phase(self, task: TaskId) -> str:
        """Where an open task stands; `end` when it is at an end."""
        state = self.machine.book.tasks.get(task)
        return state.record.phase if state else "end"

    def outcomes(self, task: TaskId) -> dict[str, str]:
        """What became of each worker's part in an open task."""
        by_wallet = {wallet(name): name for name in NAMES}
        return {by_wallet[address]: replica.outcome for address, replica in self.machine.book.tasks[task].replicas.items()}

    def restarted(self, *, wait: bool = False) -> Scene:
        """Kill the pool and start another from what it saved."""
        return restart(self, wait=wait)


def restart(old: Scene, *, wait: bool = False) -> Scene:
    """Start a machine from the records of another, as a store would give them back."""
    new = Scene(live=False, gives_back=old.machine.book.gives_back, **old.settings.model_dump())
    new.wall, new.chain, new.deals = old.wall, old.chain, old.deals
    book = old.machine.book
    files = [TaskFile(task=t.record, replicas=tuple(t.replicas.values()), story=tuple(t.story)) for t in book.tasks.values()]
    snapshot = Snapshot(
        position=Position(1),
        deals=tuple(deal.record for deal in book.deals.values()),
        tasks=tuple(files),
        workers=tuple(worker.record for worker in book.workers.values()),
    )
    new.machine.restore(snapshot, Instant(new.wall, UnixSeconds(new.chain)))
    if not wait:
        new.tell(CaughtUp())
    return new


def make_resources(slots: int = 1, **changes: object) -> Resources:
    """What a machine of 1 GB offers."""
    fields: dict[str, object] = {"slots": slots, "memory_bytes": 2**30, "disk_bytes": 2**30}
    return Resources(**(fields | changes))


def foreign_task() -> TaskId:
    """A task of another pool."""
    other = Scene()
    other.deals = 1000
    return other.found()[0]


def make_deal(volume: int, trust: int, start: int, **changes: object) -> Deal:
    """A deal of this pool at its simplest."""
    nobody = Resource(ZERO_ADDRESS, ZERO_ADDRESS, NRLC(0))
    fields: dict[str, object] = {
        "app": nobody,
        "dataset": nobody,
        "workerpool": Resource(ZERO_ADDRESS, SCHEDULER, NRLC(0)),
        "trust": trust,
        "category": 0,
        "tag": NO_TAG,
        "requester": ZERO_ADDRESS,
        "beneficiary": ZERO_ADDRESS,
        "callback": ZERO_ADDRESS,
        "params": "",
        "start_time": UnixSeconds(start),
        "bot_first": 0,
        "bot_size": volume,
        "worker_stake": NRLC(0),
        "scheduler_reward_ratio": 1,
        "sponsor": ZERO_ADDRESS,
    }
    return Deal(**(fields | changes))


def assigned(commands: list[Command]) -> list[tuple[str, int]]:
    """Who was given the task of which index, in order."""
    by_wallet = {wallet(name): name for name in NAMES}
    return [(by_wallet[c.worker], c.index) for c in commands if isinstance(c, AssignReplica)]


def told(commands: list[Command]) -> list[tuple[str, str]]:
    """Who was told what, by the kind of the message."""
    by_wallet = {wallet(name): name for name in NAMES}
    return [(by_wallet[c.worker], type(c.message).__name__) for c in commands if isinstance(c, Tell)]


@pytest.fixture
def scene() -> Scene:
    """A live pool without workers or deals."""
    return Scene()


@pytest.fixture
def new_scene() -> Callable[..., Scene]:
    """Makes pools with other settings."""
    return Scene


@pytest.fixture
def who() -> Callable[[list[Command]], list[tuple[str, int]]]:
    """Reads assignments off commands."""
    return assigned


@pytest.fixture
def words() -> Callable[[list[Command]], list[tuple[str, str]]]:
    """Reads messages off commands."""
    return told
