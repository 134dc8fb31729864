"""
The pool's machine under any order of events: workers that come, go, lie, stall and fail, commands that are late or lost,
restarts with and without records, and time. Whatever happens, the hub's rules are kept and every task comes to an end.
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.nights import examples
from voisin.errors import RevertError
from voisin.pool.chain.clock import PoolClock
from voisin.pool.chain.steps import StepRunner
from voisin.pool.chain.twin import TwinLedger
from voisin.pool.database.memory import MemoryStore
from voisin.pool.heart.commands import (
    AskChallenge,
    AssignReplica,
    CheckUpload,
    Claim,
    Command,
    Drop,
    Finalize,
    GiveBack,
    Initialize,
    ReadDeadline,
    Reopen,
    Tell,
)
from voisin.pool.heart.facts import (
    CHAIN_EVENTS,
    CaughtUp,
    ChallengeFailed,
    ChallengeGiven,
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
from voisin.pool.heart.records import ENDS, Position
from voisin.pool.settings import PoolSettings
from voisin.protocol.events import SchedulerNotice
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, TaskId, as_address, hash32_of, task_id
from voisin.protocol.records import Deal, Resource, TaskStatus
from voisin.protocol.tags import NO_TAG, Tag, as_tag, tag_bits
from voisin.protocol.wire import Abort, AskReveal, AskUpload, Held, Release, Resources
from voisin.protocol.wire_words import EnclaveKind, MachineFailure, ReplicaStage
from voisin.units import NRLC, UnixSeconds

START = 1_700_000_000
TIME_REF = 100
SCHEDULER = as_address("0x" + "50" * 20)
POOL = as_address("0x" + "a1" * 20)
WORKERS = tuple(as_address(f"0x{number:040x}") for number in range(1, 6))
TWINS = (WORKERS[0], WORKERS[1])
CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
SETTINGS = PoolSettings(
    workerpool=POOL,
    same_owner=(TWINS,),
    initialize_chunk=2,
    initialize_ahead=3,
    failures_max=5,
    faulty_max=2,
    allow_simulated=True,
    vault_url="http://vault",
)
TEE = as_tag("tee,tdx")
CHALLENGE = as_address("0x" + "c4" * 20)

PROMPT = st.sampled_from([True, True, False])
TAGS = st.sampled_from([NO_TAG, TEE])
PARAMS = st.sampled_from(["", "", '{"voisin_limits":{"memory_bytes":2000000000}}'])

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine of the twins, none of which ever waits."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waited")


class PoolUnderAnything(RuleBasedStateMachine):
    """One pool on the twin of a chain; `todo` are commands that are not carried out yet."""

    def __init__(self) -> None:
        super().__init__()
        self.now = float(START)
        self.ledger = TwinLedger(lambda: self.now, time_refs=[TIME_REF])
        self.store = MemoryStore()
        self.online: dict[Address, int] = {}
        self.held: dict[Address, dict[TaskId, ReplicaStage]] = {worker: {} for worker in WORKERS}
        self.answers: dict[tuple[TaskId, Address], Hash32] = {}
        self.asked: dict[str, set[tuple[Address, TaskId]]] = {"reveal": set(), "upload": set()}
        self.uploaded: set[TaskId] = set()
        self.tasks: list[TaskId] = []
        self.deals = 0
        self.is_late = False
        self.is_vault_away = False
        self.start(Position(0))

    # --- the pool ---

    def start(self, position: Position) -> None:
        """Start a pool from what is saved; all connections are gone."""
        self.machine = PoolMachine(SETTINGS, SCHEDULER)
        self.machine.book.gives_back = self.ledger.can_give_back
        self.todo: list[Command] = []
        self.online.clear()
        for asked in self.asked.values():
            asked.clear()
        self.clock = PoolClock(lambda: self.now)
        self.runner = StepRunner(self.ledger, self.clock, self.tell)
        self.machine.restore(run(self.store.load()), self.at())
        self.next_block = position.next_block
        self.deliver()
        self.tell(CaughtUp())

    def at(self) -> Instant:
        return Instant(self.now, UnixSeconds(int(self.now)))

    def tell(self, fact: Fact) -> None:
        for command in self.machine.handle(fact, at=self.at()):
            self.check(command)
            self.todo.append(command)

    def deliver(self) -> None:
        """Tell what happened on the chain, and save."""
        if self.next_block <= run(self.ledger.head()):
            ranges = self.ledger.ranges(self.next_block, None)
            stretch = run(ranges.__anext__())
            for logged in stretch.events:
                if isinstance(logged.event, SchedulerNotice):
                    self.tell(DealFound(logged.event.deal_id, run(self.ledger.deal(logged.event.deal_id)), TIME_REF, logged.block))
                elif isinstance(logged.event, CHAIN_EVENTS):
                    self.tell(logged.event)
            self.next_block = stretch.last + 1
        changes = self.machine.take_changes()
        run(self.store.save(changes, Position(self.next_block)))
        self.machine.forget(changes)

    def carry_out(self, command: Command) -> None:
        match command:
            case Initialize() | Finalize() | Reopen() | Claim() | GiveBack() | ReadDeadline():
                run(self.runner.run(command))
            case AssignReplica() if command.worker in self.online:
                self.held[command.worker].setdefault(command.task_id, ReplicaStage.ASSIGNED)
            case Tell() if command.worker in self.online:
                self.hear(command.worker, command.message)
            case AskChallenge():
                answer = ChallengeFailed(command.task_id, "away") if self.is_vault_away else ChallengeGiven(command.task_id, CHALLENGE)
                self.tell(answer)
            case CheckUpload():
                problem = "" if command.cid == CID else "it is not the agreed result"
                if not problem:
                    self.uploaded.add(command.task_id)
                self.tell(UploadChecked(command.worker, command.task_id, command.cid, command.callback_data, problem))
            case Drop():
                self.online.pop(command.worker, None)
            case _:
                pass

    def hear(self, worker: Address, message: AskReveal | AskUpload | Abort | Release) -> None:
        match message:
            case AskReveal():
                self.asked["reveal"].add((worker, message.task_id))
            case AskUpload():
                self.asked["upload"].add((worker, message.task_id))
            case Abort() | Release():
                if self.held[worker].get(message.task_id) not in (ReplicaStage.CONTRIBUTED, ReplicaStage.REVEALED):
                    self.held[worker].pop(message.task_id, None)

    # --- what is always true ---

    def check(self, command: Command) -> None:
        """Judge a command by the chain at the moment when it is given."""
        match command:
            case AssignReplica():
                assert (command.task_id, command.worker) not in self.answers or self.next_block <= run(self.ledger.head()), "contributed"
                task = self.machine.book.tasks[command.task_id]
                others = [r for r in task.replicas.values() if r.worker != command.worker and (r.is_pending or r.result_hash)]
                owner = self.machine.book.owner_of(command.worker)
                needs_one = tag_bits(task.deal.record.deal.tag) != 0
                assert (command.challenge == CHALLENGE) is needs_one, "an enclave is named if and only if the deal asks for one"
                assert not needs_one or WORKERS.index(command.worker) % 2 == 0, "a machine without enclave"
                assert not command.is_direct or (needs_one and task.deal.record.deal.trust == 1 and not task.groups())
                memory = task.deal.params.voisin_limits.memory_bytes
                assert memory <= 10**9 * (1 + WORKERS.index(command.worker)), "a machine without the memory"
                assert owner not in {self.machine.book.owner_of(other.worker) for other in others}, "two workers of one owner"
            case Finalize():
                (found,) = run(self.ledger.tasks([command.task_id]))
                assert found is not None
                assert found.reveal_counter > 0, "nobody revealed"
                assert command.task_id in self.uploaded, "nothing good was uploaded"
                assert command.cid == CID
            case _:
                pass

    @invariant()
    def slots_are_kept(self) -> None:
        for worker in self.machine.book.workers.values():
            assert len(worker.computing) <= max(worker.record.slots, 0)

    @invariant()
    def replicas_are_bounded(self) -> None:
        """With everybody agreeing, two workers of weight 2 are enough for trust 4; each dissenter asks for two more at most."""
        for task in self.machine.book.tasks.values():
            pending = sum(1 for replica in task.replicas.values() if replica.is_pending)
            dissent = len(task.groups())
            assert pending <= 3 + 2 * dissent, task.record

    @invariant()
    def the_hub_never_refuses(self) -> None:
        """Nobody but the pool sends steps here, so each of them is in time, unless it was carried out late."""
        assert self.is_late or self.runner.trouble == ""

    @invariant()
    def phases_follow_the_chain(self) -> None:
        if self.next_block <= run(self.ledger.head()):
            return
        for known, found in zip(self.tasks, run(self.ledger.tasks(self.tasks)), strict=True):
            is_open = known in self.machine.book.tasks
            is_over = found is not None and found.status in (TaskStatus.COMPLETED, TaskStatus.FAILED)
            assert is_open != is_over

    def settle(self, is_prompt: bool) -> None:
        """Let pool and chain catch up with each other, or not."""
        for _ in range(4 if is_prompt else 0):
            self.carry_out_everything()
            self.deliver()

    def carry_out_everything(self) -> None:
        while self.todo:
            self.carry_out(self.todo.pop(0))

    # --- what happens ---

    @initialize(volume=st.integers(1, 3), trust=st.integers(1, 4), workers=st.integers(0, 4), gives_back=st.booleans())
    def begin(self, volume: int, trust: int, workers: int, gives_back: bool) -> None:
        self.ledger.can_give_back = self.machine.book.gives_back = gives_back
        for worker in WORKERS[:workers]:
            self.join(worker, False, True)
        self.make_deal(volume, trust, True)

    @precondition(lambda self: self.deals < 3)
    @rule(volume=st.integers(1, 3), trust=st.integers(1, 4), is_prompt=PROMPT, tag=TAGS, params=PARAMS)
    def make_deal(self, volume: int, trust: int, is_prompt: bool, tag: Tag = NO_TAG, params: str = "") -> None:
        self.deals += 1
        deal_id = DealId(hash32_of(self.deals.to_bytes(2, "big")))
        nobody = Resource(ZERO_ADDRESS, ZERO_ADDRESS, NRLC(0))
        deal = Deal(
            app=nobody,
            dataset=nobody,
            workerpool=Resource(POOL, SCHEDULER, NRLC(0)),
            trust=trust,
            category=0,
            tag=tag,
            requester=ZERO_ADDRESS,
            beneficiary=ZERO_ADDRESS,
            callback=ZERO_ADDRESS,
            params=params,
            start_time=UnixSeconds(int(self.now)),
            bot_first=0,
            bot_size=volume,
            worker_stake=NRLC(0),
            scheduler_reward_ratio=1,
            sponsor=ZERO_ADDRESS,
        )
        self.ledger.make_deal(deal_id, deal)
        self.tasks += [task_id(deal_id, index) for index in range(volume)]
        self.settle(is_prompt)

    @rule(worker=st.sampled_from(WORKERS), remembers=st.booleans(), is_prompt=PROMPT)
    def join(self, worker: Address, remembers: bool, is_prompt: bool) -> None:
        slots = 1 + WORKERS.index(worker) % 3
        kept = self.held[worker]
        if not remembers:
            kept = {task: stage for task, stage in kept.items() if stage in (ReplicaStage.CONTRIBUTED, ReplicaStage.REVEALED)}
        self.held[worker] = dict(kept)
        self.online[worker] = slots
        holding = tuple(Held(task, stage) for task, stage in kept.items())
        enclave = EnclaveKind.NONE if WORKERS.index(worker) % 2 else EnclaveKind.SIMULATED
        score = run(self.ledger.score(worker))
        resources = Resources(slots=slots, memory_bytes=10**9 * (1 + WORKERS.index(worker)), disk_bytes=10**9)
        fact = WorkerJoined(worker=worker, name="w", slots=slots, score=score, holding=holding, enclave=enclave, resources=resources)
        self.tell(fact)
        self.settle(is_prompt)

    @rule(is_away=st.booleans())
    def vault_comes_and_goes(self, is_away: bool) -> None:
        self.is_vault_away = is_away

    @precondition(lambda self: self.online)
    @rule(data=st.data(), is_prompt=PROMPT)
    def leave(self, data: st.DataObject, is_prompt: bool) -> None:
        worker = data.draw(st.sampled_from(sorted(self.online)))
        del self.online[worker]
        self.tell(WorkerLeft(worker, "gone"))
        self.settle(is_prompt)

    def at_work(self) -> list[tuple[Address, TaskId]]:
        early = (ReplicaStage.ASSIGNED, ReplicaStage.COMPUTED)
        return [(worker, task) for worker, held in self.held.items() for task, stage in held.items() if stage in early]

    @precondition(lambda self: self.at_work())
    @rule(data=st.data(), answer=st.sampled_from([b"right", b"right", b"right", b"wrong"]), is_prompt=PROMPT)
    def contribute(self, data: st.DataObject, answer: bytes, is_prompt: bool) -> None:
        self.contribute_as(*data.draw(st.sampled_from(self.at_work())), answer)
        self.settle(is_prompt)

    @precondition(lambda self: self.at_work())
    @rule(is_prompt=PROMPT)
    def everybody_works(self, is_prompt: bool) -> None:
        for worker, task in self.at_work():
            self.contribute_as(worker, task, b"right")
            self.settle(is_prompt)

    def contribute_as(self, worker: Address, task: TaskId, answer: bytes) -> None:
        (found,) = run(self.ledger.tasks([task]))
        is_open = found is not None and found.status is TaskStatus.ACTIVE and self.now < found.contribution_deadline
        if not is_open or (task, worker) in self.answers:
            self.held[worker].pop(task, None)
            return
        self.answers[task, worker] = hash32_of(answer)
        self.held[worker][task] = ReplicaStage.CONTRIBUTED
        self.ledger.contribute(task, worker, hash32_of(answer))

    @precondition(lambda self: self.at_work())
    @rule(data=st.data())
    def compute(self, data: st.DataObject) -> None:
        worker, task = data.draw(st.sampled_from(self.at_work()))
        self.held[worker][task] = ReplicaStage.COMPUTED
        if worker in self.online:
            self.tell(StageReached(worker, task, ReplicaStage.COMPUTED))

    @precondition(lambda self: self.at_work())
    @rule(data=st.data(), failure=st.sampled_from([MachineFailure.APP_UNAVAILABLE, MachineFailure.WRONG_HASH]))
    def fail(self, data: st.DataObject, failure: MachineFailure) -> None:
        worker, task = data.draw(st.sampled_from(self.at_work()))
        del self.held[worker][task]
        if worker in self.online:
            self.tell(ReplicaFailed(worker, task, failure, ""))

    @precondition(lambda self: self.asked["reveal"])
    @rule(data=st.data(), is_prompt=PROMPT)
    def reveal(self, data: st.DataObject, is_prompt: bool) -> None:
        self.reveal_as(*data.draw(st.sampled_from(sorted(self.asked["reveal"]))))
        self.settle(is_prompt)

    @precondition(lambda self: self.asked["reveal"])
    @rule(is_prompt=PROMPT)
    def everybody_reveals(self, is_prompt: bool) -> None:
        for worker, task in sorted(self.asked["reveal"]):
            self.reveal_as(worker, task)
            self.settle(is_prompt)

    def reveal_as(self, worker: Address, task: TaskId) -> None:
        self.asked["reveal"].discard((worker, task))
        (found,) = run(self.ledger.tasks([task]))
        is_open = found is not None and found.status is TaskStatus.REVEALING and self.now < found.reveal_deadline
        if is_open and self.held[worker].get(task) is ReplicaStage.CONTRIBUTED:
            with suppress(RevertError):  # it may have been reopened meanwhile, and this contribution rejected
                self.ledger.reveal(task, worker, self.answers[task, worker])
                self.held[worker][task] = ReplicaStage.REVEALED

    @precondition(lambda self: self.asked["upload"])
    @rule(is_good=st.sampled_from([True, True, False]), is_prompt=PROMPT)
    def upload(self, is_good: bool, is_prompt: bool) -> None:
        self.everybody_uploads(is_good)
        self.settle(is_prompt)

    @rule(steps=st.integers(1, 7))
    def go_well(self, steps: int) -> None:
        """For a while everybody does what they should."""
        for step in range(steps):
            self.settle(True)
            (self.everybody_works, self.everybody_reveals, self.everybody_uploads)[step % 3](True)

    def everybody_uploads(self, is_good: bool) -> None:
        for worker, task in sorted(self.asked["upload"]):
            self.asked["upload"].discard((worker, task))
            if worker in self.online:
                self.tell(UploadReported(worker, task, CID if is_good else CID[::-1], "0x"))

    @precondition(lambda self: self.todo)
    @rule(data=st.data())
    def carry_out_one(self, data: st.DataObject) -> None:
        self.carry_out(self.todo.pop(data.draw(st.integers(0, len(self.todo) - 1))))

    @rule()
    def follow(self) -> None:
        self.deliver()

    @rule(seconds=st.sampled_from([0.5, 3, 30, 61, 130, 201]))
    def pass_time(self, seconds: float) -> None:
        self.deliver()
        self.is_late = self.is_late or bool(self.todo)
        self.now += seconds
        for worker in self.online:
            self.tell(WorkerHeard(worker))
        self.tell(Ticked())

    @rule(how=st.sampled_from(["silence", "restart", "rebuild"]))
    def suffer(self, how: str) -> None:
        """Nobody is heard for a while; the pool is killed, with all that it had not saved; it loses even its records."""
        if how == "silence":
            self.deliver()
            self.is_late = self.is_late or bool(self.todo)
            self.now += 7
            self.tell(Ticked())
        if how == "rebuild":
            self.store = MemoryStore()
        if how != "silence":
            self.start(run(self.store.load()).position)

    def teardown(self) -> None:
        """Whatever happened: by the passage of time alone every task comes to an end."""
        for seconds in (0.0, 61.0, 10.0 * TIME_REF, 61.0, 61.0, 61.0):
            self.now += seconds
            self.deliver()
            self.tell(Ticked())
            for _ in range(10):
                self.settle(True)
        statuses = {task.status for task in run(self.ledger.tasks(self.tasks)) if task is not None}
        assert None not in run(self.ledger.tasks(self.tasks))
        assert statuses <= {TaskStatus.COMPLETED, TaskStatus.FAILED}
        assert not self.machine.book.tasks
        phases = [run(self.store.task(task)).task.phase for task in self.tasks]
        assert set(phases) <= ENDS


PoolUnderAnything.TestCase.settings = settings(max_examples=examples(20), stateful_step_count=60)
TestPoolUnderAnything = pytest.mark.slow(PoolUnderAnything.TestCase)
