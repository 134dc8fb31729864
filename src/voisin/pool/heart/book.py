"""
The pool's memory while it runs: open deals and tasks, known workers, what is due when, and what has to be saved.

Everything that survives a restart is in the frozen records; what stands beside them (steps in flight, leases, sessions)
is forgotten by a restart and asked for again.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from voisin.errors import StateError
from voisin.policy import more_replicas
from voisin.policy.placement import Needs
from voisin.pool.heart.commands import AssignReplica, Command
from voisin.pool.heart.facts import Instant, Step, UploadReported
from voisin.pool.heart.records import ENDS, Changes, DealRecord, Phase, ReplicaRecord, StoryLine, TaskRecord, WorkerRecord
from voisin.pool.settings import PoolSettings
from voisin.protocol.api import Moment
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, TaskId
from voisin.protocol.params import DealParams
from voisin.protocol.rules import contribution_deadline, final_deadline
from voisin.protocol.tags import needs_enclave
from voisin.protocol.trust import LOWEST_WEIGHT, worker_weight
from voisin.protocol.wire import Resources, Takes
from voisin.units import NRLC, UnixSeconds

MOVES: dict[Phase, frozenset[Phase]] = {
    Phase.NEW: frozenset({Phase.RUNNING, Phase.FAILED, Phase.CLAIMED}),
    Phase.RUNNING: frozenset({Phase.REVEALING, Phase.FAILED, Phase.CLAIMED}),
    Phase.REVEALING: frozenset({Phase.RUNNING, Phase.COMPLETED, Phase.FAILED, Phase.CLAIMED}),
    Phase.FAILED: frozenset({Phase.REVEALING, Phase.COMPLETED, Phase.CLAIMED}),
    Phase.COMPLETED: frozenset(),
    Phase.CLAIMED: frozenset(),
}
"""Every move of a task from phase to phase. FAILED is the pool's own verdict, which the chain may overrule."""

MAX_STORY = 500
"""Lines of a task's story that are kept; a task that fails over and over does not fill the disk."""


@dataclass(slots=True)
class StepState:
    """A step of the pool for one task: in flight since `sent_at`, or refused and to be tried again at `retry_at` [Unix s]."""

    step: Step
    sent_at: float = 0
    retry_at: float = 0
    refusals: int = 0
    reason: str = ""

    def is_due(self, at: Instant, resend_s: float) -> bool:
        """Tell whether the step may be sent now."""
        return at.wall >= (self.retry_at or self.sent_at + resend_s)


@dataclass(slots=True)
class UploadState:
    """
    Who uploads a task's result.

    Attributes:
        uploader: Who is asked now.
        until: When its lease ends [Unix s].
        asked: Everybody who was asked, in order.
        released_at: When the last uploader was given up [Unix s].
        checking: CID of the upload that is being looked at; empty when none is.
        problem: What was wrong with the last attempt.
        early: What workers uploaded whose reveal the chain has not told of yet.
    """

    uploader: Address | None = None
    until: float = 0
    asked: list[Address] = field(default_factory=list)
    released_at: float = 0
    checking: str = ""
    problem: str = ""
    early: dict[Address, UploadReported] = field(default_factory=dict)

    def turn_of(self, worker: Address) -> tuple[int, int]:
        """Say whose turn it is: the lowest, asked least often and then longest ago."""
        last = max((place for place, asked in enumerate(self.asked) if asked == worker), default=-1)
        return self.asked.count(worker), last

    def release(self, at: Instant, problem: str) -> None:
        """Give the uploader up."""
        self.uploader, self.released_at, self.problem = None, at.wall, problem


@dataclass(frozen=True, slots=True)
class Despair:
    """
    Why nobody can do a deal, since when that is so, and until when somebody who can is waited for [Unix s].

    `is_unfit` says that there are workers, and that none of them could ever do it: its tasks are not even opened.
    """

    reason: str
    since: float
    until: float
    is_unfit: bool


@dataclass(slots=True)
class DealState:
    """
    An open deal with its open tasks by index.

    `fresh` are the indexes that are not on the chain yet, `opening` those whose initialisation is in flight, since when [Unix s].
    `unsettled` are the workers that have not said yet what they hold of a deal that was taken over from another scheduler; until all
    have, or it is `settle_by` [Unix s], nobody else is given its tasks.
    `needs` are worked out when they are first asked for. `took_s` is how long the last replicas took [s].
    """

    record: DealRecord
    params: DealParams
    fresh: deque[int] = field(default_factory=deque)
    opening: dict[int, float] = field(default_factory=dict)
    opening_step: StepState = field(default_factory=lambda: StepState(Step.INITIALIZE))
    tasks: dict[int, TaskState] = field(default_factory=dict)
    is_certain: bool = False
    unsettled: set[Address] = field(default_factory=set)
    settle_by: float = 0
    needs: Needs | None = None
    took_s: deque[float] = field(default_factory=lambda: deque(maxlen=64))

    @property
    def contribution_deadline(self) -> UnixSeconds:
        """Until when workers may contribute [Unix s]."""
        return contribution_deadline(self.record.deal.start_time, self.record.time_ref_s)

    @property
    def final_deadline(self) -> UnixSeconds:
        """From when an unfinished task may be claimed [Unix s]."""
        return final_deadline(self.record.deal.start_time, self.record.time_ref_s)

    @property
    def allowance_s(self) -> float:
        """How long an app may run [s]."""
        asked = self.params.voisin_limits.time_s
        return min(asked, self.record.time_ref_s) if asked > 0 else self.record.time_ref_s

    @property
    def has_callback(self) -> bool:
        """Whether the result goes to a contract."""
        return self.record.deal.callback != ZERO_ADDRESS

    @property
    def needs_enclave(self) -> bool:
        """Whether its tasks run in enclaves."""
        return needs_enclave(self.record.deal.tag)


@dataclass(slots=True)
class TaskState:
    """
    An open task with its replicas, and what is under way for it.

    `is_doubted` says that the pool counts an agreement where the chain, some time after the last contribution, sees none.
    `challenge_retry_at` is when the vault is asked again for the task's challenge [Unix s], `challenge_refusals` how often it gave
    none, and `challenge_trouble` why. `faults` are the workers that found something wrong with the task itself, `assigned_at` says since
    when its workers have it [Unix s], `copies` how many replicas were added because others straggle.
    """

    record: TaskRecord
    deal: DealState
    replicas: dict[Address, ReplicaRecord] = field(default_factory=dict)
    story: list[StoryLine] = field(default_factory=list)
    upload: UploadState = field(default_factory=UploadState)
    step: StepState | None = None
    asked_reveal: set[Address] = field(default_factory=set)
    deadline_asked_at: float = 0
    is_certain: bool = False
    contributed_at: float = 0
    is_doubted: bool = False
    challenge_retry_at: float = 0
    challenge_refusals: int = 0
    challenge_trouble: str = ""
    faults: set[Address] = field(default_factory=set)
    assigned_at: dict[Address, float] = field(default_factory=dict)
    copies: int = 0
    next_wall: float = 0
    next_chain: int = 0

    @property
    def place(self) -> tuple[int, int, TaskId]:
        """Its place in the order in which tasks are served: by deal, then by index."""
        return (self.deal.record.seq, self.record.index, self.record.task_id)

    @property
    def lacks_challenge(self) -> bool:
        """Whether the vault has still to name the key of the task's enclave."""
        return self.deal.needs_enclave and self.record.challenge is None

    @property
    def is_direct(self) -> bool:
        """Whether one worker contributes and finalises at once: in an enclave, when one is enough and none has contributed."""
        is_first = all(replica.result_hash is None for replica in self.replicas.values())
        return self.deal.needs_enclave and self.deal.record.deal.trust <= 1 and is_first

    def assignment(self, worker: Address) -> AssignReplica:
        """Say what a worker is told to do."""
        return AssignReplica(
            worker,
            self.record.deal_id,
            self.record.index,
            self.record.task_id,
            self.deal.contribution_deadline,
            self.record.challenge or ZERO_ADDRESS,
            self.is_direct,
        )

    def groups(self) -> dict[Hash32, list[int]]:
        """Give, for each result hash that the hub counts, the weights of its workers."""
        groups: dict[Hash32, list[int]] = {}
        for replica in self.replicas.values():
            if replica.is_counted and replica.result_hash is not None:
                groups.setdefault(replica.result_hash, []).append(replica.weight)
        return groups

    def winners(self) -> list[ReplicaRecord]:
        """List the contributions that agree with the consensus."""
        wanted = self.record.consensus
        return [replica for replica in self.replicas.values() if wanted and replica.result_hash == wanted and replica.is_counted]


@dataclass(slots=True)
class WorkerState:
    """
    A known worker; `open` are the tasks in which it has a running replica, `computing` those that take a slot.

    `rejoin_by` is set after a restart of the pool: until then its replicas wait for it [Unix s]. `takes` are its owner's rules, if it
    has said any since it joined; `resources` what it offers, if it was here since the pool started. `elsewhere` are its slots that other
    schedulers of the pool use. `since` is when it came, short breaks aside [Unix s]; `speed` and `content` are as in
    `voisin.policy.placement.Machine`. `stake` is what it had free when it joined [nRLC],
    `confirmed` how many of its results in bags others have confirmed since this pool started.
    """

    record: WorkerRecord
    is_online: bool = False
    heard_at: float = 0
    rejoin_by: float = 0
    turn: int = 0
    takes: Takes | None = None
    elsewhere: int = 0
    resources: Resources | None = None
    since: float = 0
    speed: float = 1
    content: frozenset[str] = frozenset()
    stake: NRLC = NRLC(0)
    confirmed: int = 0
    open: set[TaskId] = field(default_factory=set)
    computing: set[TaskId] = field(default_factory=set)

    @property
    def weight(self) -> int:
        """What its next contribution weighs."""
        return worker_weight(self.record.score)

    @property
    def is_free(self) -> bool:
        """Whether it can take a replica now."""
        return self.is_online and not self.record.ban and len(self.computing) + self.elsewhere < self.slots

    @property
    def slots(self) -> int:
        """Replicas that it takes at a time: what its machine can do, or less if its owner wants so."""
        return self.record.slots if self.takes is None else min(self.record.slots, self.takes.slots)


class HungryTasks:
    """The tasks that need a worker, in the order in which they are served."""

    def __init__(self) -> None:
        self._places: list[tuple[int, int, TaskId]] = []

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[TaskId]:
        return (place[2] for place in self._places)

    def first(self, count: int) -> list[TaskId]:
        """List the first tasks, at most `count`."""
        return list(islice(self, count))

    def put(self, place: tuple[int, int, TaskId], *, is_hungry: bool) -> None:
        """Take a task in, or out."""
        found = bisect_left(self._places, place)
        is_in = found < len(self._places) and self._places[found] == place
        if is_hungry and not is_in:
            insort(self._places, place)
        elif is_in and not is_hungry:
            del self._places[found]


class Book:
    """
    All of the above, with one door for each kind of change, so that nothing changes unsaved.

    `tasks` are those not at an end, `closed` those that are and are not saved yet. `unopened` are the deals that have tasks to
    be opened on the chain. `present` are the workers that are online, or may still come back after a restart of the pool. `gives_back`
    says that the hub lets tasks be given back. `hopeless` are deals that nobody here can do, `unjudged` those of which that is still to
    be seen; `troubled` are tasks with failed attempts, `suspects` those of which is still to be seen whether somebody may yet try.
    """

    def __init__(self, settings: PoolSettings, scheduler: Address) -> None:
        self.settings = settings
        self.scheduler = scheduler
        self.deals: dict[DealId, DealState] = {}
        self.tasks: dict[TaskId, TaskState] = {}
        self.closed: dict[TaskId, TaskState] = {}
        self.unopened: dict[DealId, DealState] = {}
        self.workers: dict[Address, WorkerState] = {}
        self.present: dict[Address, WorkerState] = {}
        self.hungry = HungryTasks()
        self.is_live = False
        self.unsettled: dict[DealId, DealState] = {}
        self.gives_back = False
        self.has_crew_changed = False
        self.review_at: float = 0
        self.hopeless: dict[DealId, Despair] = {}
        self.unjudged: dict[DealId, None] = {}
        self.suspects: dict[TaskId, None] = {}
        self.troubled: set[TaskId] = set()
        self.turns = 0
        self.dirty: dict[TaskId, None] = {}
        self.changes = Changes()
        self.out: list[Command] = []
        self._owners = {worker: group[0] for group in settings.same_owner for worker in group}
        self._wall: list[tuple[float, TaskId]] = []
        self._chain: list[tuple[int, TaskId]] = []

    def owner_of(self, worker: Address) -> Address:
        """Name who stands behind a worker: itself, or the first of its group."""
        return self._owners.get(worker, worker)

    def worker(self, address: Address) -> WorkerState:
        """Give a worker's state, made when it is new."""
        state = self.workers.get(address)
        if state is None:
            state = self.workers[address] = WorkerState(WorkerRecord(address=address))
        return state

    def touch(self, task: TaskState) -> None:
        """Have a task's plan made again."""
        self.dirty[task.record.task_id] = None

    def write_task(self, task: TaskState, record: TaskRecord) -> None:
        """Replace a task's record."""
        task.record = record
        self.changes.tasks[record.task_id] = record
        self._mark(task)
        self.touch(task)

    def write_worker(self, worker: WorkerState, record: WorkerRecord) -> None:
        """Replace a worker's record."""
        worker.record = record
        self.changes.workers[record.address] = record

    def write_replica(self, task: TaskState, record: ReplicaRecord) -> None:
        """Replace a replica's record, and keep its worker's slots right."""
        task.replicas[record.worker] = record
        self.changes.replicas[(record.task_id, record.worker)] = record
        self._mark(task)
        self.file_replica(record)
        self.touch(task)

    def file_replica(self, record: ReplicaRecord) -> None:
        """Keep the sets of a replica's worker right."""
        worker = self.worker(record.worker)
        is_open = record.is_pending or record.is_counted
        (worker.open.add if is_open else worker.open.discard)(record.task_id)
        (worker.computing.add if record.is_computing else worker.computing.discard)(record.task_id)

    def move(self, task: TaskState, phase: Phase, at: Instant, what: str, detail: str = "") -> None:
        """
        Bring a task into another phase, and say so in its story.

        Raises:
            StateError: `MOVES` has no such move.
        """
        if phase not in MOVES[task.record.phase]:
            raise StateError(f"a task cannot go from {task.record.phase} to {phase}")
        task.step = None
        self.write_task(task, replace(task.record, phase=phase))
        self.note(task, at, what, detail)

    def note(self, task: TaskState, at: Instant, what: str, detail: str = "", *, worker: str = "") -> None:
        """Add a line to a task's story."""
        if len(task.story) >= MAX_STORY:
            return
        line = StoryLine(task_id=task.record.task_id, worker=worker, moment=Moment(UnixSeconds(int(at.wall)), what, detail))
        task.story.append(line)
        self.changes.story.append(line)
        self._mark(task)

    def _mark(self, task: TaskState) -> None:
        """Remember to which deal it belongs what is to be saved about a task."""
        self.changes.deal_of[task.record.task_id] = task.record.deal_id

    def add_task(self, task: TaskState) -> None:
        """Take an open task in."""
        self.tasks[task.record.task_id] = task
        task.deal.tasks[task.record.index] = task
        for replica in task.replicas.values():
            self.file_replica(replica)

    def drop_task(self, task: TaskState) -> None:
        """Put a task aside that is at an end; it is forgotten once the store has it."""
        self.closed[task.record.task_id] = task
        self._remove(task)
        if not task.deal.tasks:
            self._forget_deal(task.deal.record.deal_id)
            self.changes.over.add(task.deal.record.deal_id)

    def lose_deals(self, deals: Collection[DealId]) -> None:
        """Forget deals that another scheduler works on, with everything that was to be saved about them."""
        for deal_id in deals:
            deal = self.deals.get(deal_id)
            for task in list(deal.tasks.values()) if deal else ():
                self._remove(task)
            self._forget_deal(deal_id)
        self.closed = {task_id: task for task_id, task in self.closed.items() if task.record.deal_id not in deals}
        self.changes.strike(deals)

    def _remove(self, task: TaskState) -> None:
        self.tasks.pop(task.record.task_id, None)
        self.dirty.pop(task.record.task_id, None)
        self.troubled.discard(task.record.task_id)
        self.hungry.put(task.place, is_hungry=False)
        for address in task.replicas:
            worker = self.worker(address)
            worker.open.discard(task.record.task_id)
            worker.computing.discard(task.record.task_id)
        task.deal.tasks.pop(task.record.index, None)

    def _forget_deal(self, deal_id: DealId) -> None:
        for deals in (self.deals, self.unopened, self.unsettled):
            deals.pop(deal_id, None)
        self.hopeless.pop(deal_id, None)

    def feed(self, task: TaskState) -> None:
        """Note whether a task needs a further worker."""
        self.hungry.put(task.place, is_hungry=self.needs_worker(task))

    def needs_worker(self, task: TaskState) -> bool:
        """Tell whether a task is to be given to a further worker now."""
        return not task.deal.unsettled and self.lacks_worker(task)

    def lacks_worker(self, task: TaskState) -> bool:
        """Tell whether the workers of a task, if they all agree, would not decide it."""
        if task.record.phase is not Phase.RUNNING or task.lacks_challenge:
            return False
        if task.is_doubted:
            return True
        return more_replicas(task.deal.record.deal.trust, task.groups(), self.pending_weights(task), [LOWEST_WEIGHT]) > 0

    def pending_weights(self, task: TaskState) -> list[int]:
        """List the weights of the workers that are to contribute."""
        return [self.worker(replica.worker).weight for replica in task.replicas.values() if replica.is_pending]

    def wake(self, task: TaskState, *, wall: float = 0, chain: int = 0) -> None:
        """Have a task's plan made again at a time of either clock [Unix s]."""
        if wall and task.next_wall != wall:
            task.next_wall = wall
            heapq.heappush(self._wall, (wall, task.record.task_id))
        if chain and task.next_chain != chain:
            task.next_chain = chain
            heapq.heappush(self._chain, (chain, task.record.task_id))

    def due(self, at: Instant) -> list[TaskState]:
        """Take out the tasks whose time has come."""
        found: dict[TaskId, None] = {}
        while self._wall and self._wall[0][0] <= at.wall:
            found[heapq.heappop(self._wall)[1]] = None
        while self._chain and self._chain[0][0] <= at.chain:
            found[heapq.heappop(self._chain)[1]] = None
        return [self.tasks[task_id] for task_id in found if task_id in self.tasks]

    def take_changes(self) -> Changes:
        """Hand out what has to be saved."""
        changes, self.changes = self.changes, Changes()
        return changes

    def is_unfit(self, deal_id: DealId) -> bool:
        """Tell whether no known worker could ever do a deal."""
        return deal_id in self.hopeless and self.hopeless[deal_id].is_unfit

    def open_count(self) -> int:
        """Count the tasks that are not at an end."""
        return sum(1 for task in self.tasks.values() if task.record.phase not in ENDS)
