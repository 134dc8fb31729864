"""A stage for the machine of bags: one pool, its clock, facts told in one line each, and commands that a person can read."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from eth_utils import keccak

from tests.support.bag_stage import PARAMS, PRICE, SCHEDULER, START, bag_deal
from voisin.pool.bags.commands import BagCommand, GiveReceipts, GiveStatement, Say
from voisin.pool.bags.facts import (
    Adopted,
    Archive,
    ArchivesChecked,
    BagFact,
    BagStep,
    BagStepFailed,
    Contributed,
    Holding,
    Posted,
    Shown,
    TasksGivenUp,
)
from voisin.pool.bags.leaves import Closing, closing_of
from voisin.pool.bags.machine import BagMachine
from voisin.pool.bags.records import BagChanges, BagRecord, BagSnapshot, EndedTask, Vote
from voisin.pool.heart.facts import CaughtUp, Instant, Ticked, WorkerJoined, WorkerLeft
from voisin.pool.heart.machine import PoolMachine
from voisin.pool.heart.records import DealRecord
from voisin.pool.settings import PoolSettings
from voisin.protocol.bag_settlement import PostedBag
from voisin.protocol.bag_wire import Contribution, ShownDigest
from voisin.protocol.ids import Address, DealId, Hash32, as_address, task_id, to_hex
from voisin.protocol.wire_words import MachineFailure
from voisin.units import NRLC, UnixSeconds

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank")
RICH = NRLC(10**15)
LOCATION = Hash32("0x" + "10" * 32)
DEAL = DealId(Hash32("0x" + "d1" * 32))


def wallet(name: str) -> Address:
    """The same address for the same name, always."""
    return as_address("0x" + keccak(text=name)[:20].hex())


def digest_of(answer: str) -> Hash32:
    """The digest of a result, named by a word."""
    return Hash32(to_hex(keccak(text=answer)))


def said_of(index: int, answer: str) -> Hash32:
    """What a worker commits to (contracts/SPEC.md 8)."""
    return Hash32(to_hex(keccak(bytes.fromhex(task_id(DEAL, index)[2:]) + keccak(text=answer))))


class Kept:
    """Everything that was saved, as a store would have it; a task ends once, a vote is given once."""

    def __init__(self) -> None:
        self.record: BagRecord | None = None
        self.votes: dict[tuple[int, Address], Vote] = {}
        self.ended: dict[int, EndedTask] = {}
        self.earned: dict[Address, NRLC] = {}

    def take(self, changes: BagChanges) -> None:
        self.record = changes.bags.get(DEAL, self.record)
        for _, vote in changes.votes:
            assert (vote.index, vote.worker) not in self.votes
            self.votes[vote.index, vote.worker] = vote
        for _, task in changes.ended:
            assert task.index not in self.ended
            self.ended[task.index] = task
        for (_, worker), amount in changes.earned.items():
            assert amount >= self.earned.get(worker, 0)
            self.earned[worker] = amount

    def snapshot(self) -> BagSnapshot:
        """What a pool that starts again goes on from."""
        assert self.record is not None
        votes = tuple(vote for vote in self.votes.values() if vote.index not in self.ended)
        ended = {index: task.has_result for index, task in self.ended.items()}
        return BagSnapshot(record=self.record, ended=ended, votes=votes, earned=dict(self.earned))

    def closing(self) -> Closing:
        """What would be posted."""
        assert self.record is not None
        return closing_of(self.record, [self.ended[index] for index in sorted(self.ended)], self.earned)


class Scene:
    """A pool's machine of bags with a clock; each method tells a fact and answers the commands that follow."""

    def __init__(self, volume: int = 4, *, trust: int = 1, params: str = PARAMS, **settings: object) -> None:
        self.settings = PoolSettings(**({"probation": 0, "audit_floor_ppm": 1} | settings))  # what is believed has tests of its own
        self.wall = float(START)
        self.kept = Kept()
        self.terms = DealRecord(deal_id=DEAL, seq=0, block=1, time_ref_s=300, deal=bag_deal(volume, trust=trust, params=params))
        self.begin()
        self.tell(Adopted(BagSnapshot(record=BagRecord(terms=self.terms), is_new=True)))

    def begin(self) -> None:
        """Start the machine, knowing nothing."""
        self.pool = PoolMachine(self.settings, SCHEDULER.address)
        self.pool.handle(CaughtUp(), at=self.at)
        self.machine = BagMachine(self.pool.book, b"drawn from this")

    def restart(self) -> list[BagCommand]:
        """Kill the pool and start another from what was saved."""
        self.begin()
        return self.tell(Adopted(self.kept.snapshot()))

    @property
    def at(self) -> Instant:
        """Now."""
        return Instant(self.wall, UnixSeconds(int(self.wall)))

    def tell(self, *facts: BagFact) -> list[BagCommand]:
        for fact in facts:
            if isinstance(fact, WorkerJoined | WorkerLeft):
                self.pool.handle(fact, at=self.at)
        commands = self.machine.handle(*facts, at=self.at)
        self.kept.take(self.machine.take_changes())
        return commands

    def after(self, seconds: float) -> list[BagCommand]:
        """Let time pass."""
        self.wall += seconds
        for worker in self.pool.book.workers.values():
            worker.heard_at = self.wall
        return self.tell(Ticked())

    def join(self, *names: str, slots: int = 1, version: int = 2) -> list[BagCommand]:
        facts = [WorkerJoined(worker=wallet(name), name=name, slots=slots, score=0, version=version, stake=RICH) for name in names]
        return self.tell(*facts)

    def leave(self, name: str) -> list[BagCommand]:
        return self.tell(WorkerLeft(wallet(name), "gone"))

    def say(self, name: str, *indexes: int, answer: str = "right") -> list[BagCommand]:
        return self.tell(Contributed(wallet(name), DEAL, tuple(contribution(index, answer) for index in indexes)))

    def show(self, name: str, *indexes: int, answer: str = "right", location: Hash32 = LOCATION) -> list[BagCommand]:
        shown = tuple(ShownDigest(index, digest_of(answer), location, 0) for index in indexes)
        return self.tell(Shown(wallet(name), DEAL, shown))

    def good(self, answer: str = "right", *, problem: str = "") -> list[BagCommand]:
        return self.tell(ArchivesChecked(DEAL, ((Archive(digest_of(answer), LOCATION), problem),)))

    def give_up(self, name: str, *indexes: int, failure: MachineFailure = MachineFailure.SANDBOX_BROKEN) -> list[BagCommand]:
        return self.tell(TasksGivenUp(wallet(name), DEAL, indexes, failure, "as the test wants"))

    def hold(self, name: str, *waiting: int, said: tuple[int, ...] = (), answer: str = "right") -> list[BagCommand]:
        return self.tell(Holding(wallet(name), DEAL, waiting, tuple(contribution(index, answer) for index in said)))

    def posted(self, *, window_s: int = 5) -> list[BagCommand]:
        closing = self.kept.closing()
        now = UnixSeconds(int(self.wall))
        bag = PostedBag(DEAL, closing.root, closing.location, closing.payouts, closing.done, now, UnixSeconds(now + window_s))
        return self.tell(Posted(bag))

    def refused(self, step: BagStep, reason: str) -> list[BagCommand]:
        return self.tell(BagStepFailed(step, DEAL, reason))


def contribution(index: int, answer: str) -> Contribution:
    """What a worker says; signatures are checked before the machine hears of it."""
    return Contribution(index, said_of(index, answer), "0x" + "51" * 65)


def words(commands: list[BagCommand]) -> list[str]:
    """What is asked for, for a person: `alice gives 0 1`."""
    by_wallet = {wallet(name): name for name in NAMES}
    found = []
    for command in commands:
        match command:
            case Say():
                tasks = " ".join(str(index) for index in getattr(command.message, "indexes", ()))
                found.append(f"{by_wallet[command.worker]} {type(command.message).__name__} {tasks}".strip())
            case GiveReceipts():
                found.append(f"{by_wallet[command.worker]} Receipts {' '.join(str(index) for index, _ in command.said)}")
            case GiveStatement():
                found.append(f"{by_wallet[command.worker]} Statement {command.amount}")
            case _:
                found.append(type(command).__name__)
    return found


@pytest.fixture
def new_scene() -> Callable[..., Scene]:
    """Makes pools with a bag."""
    return Scene


@pytest.fixture
def share() -> int:
    """What a task earns its workers together [nRLC]: 99 % of the price."""
    return PRICE * 99 // 100
