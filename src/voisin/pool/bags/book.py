"""
The pool's memory of running bags: a few bytes for a task that waits or has ended, a small record for one that is under way.

Tasks that wait are counted, not listed; those that ended are in the store. What stands here beside the records (who computes what,
who was asked to show what) is forgotten by a restart: workers tell it again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from voisin.pool.bags.facts import Archive, BagStep
from voisin.pool.bags.records import BagChanges, BagRecord, EndedTask, Vote
from voisin.pool.bags.votes import wanted
from voisin.pool.heart.book import DealState
from voisin.pool.heart.facts import Instant
from voisin.protocol.bag_settlement import MAX_WORKERS
from voisin.protocol.bag_wire import ShownDigest
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32
from voisin.protocol.records import Deal
from voisin.protocol.rules import contribution_deadline
from voisin.units import NRLC, UnixSeconds

UNTOUCHED, OPEN, DONE, UNDONE = range(4)
"""What a place of a bag is: not looked at yet, under way, ended with a result, ended without."""

STRIKES_MAX = 3
"""Archives that are no good, of one worker for one task, after which its word does not count."""
GOOD_ARCHIVES = 4096
"""Archives that are known to be in storage, and are not looked at again [archives]."""
RATE_MEMORY_S = 2.0
"""How far back a worker's speed is measured [s]."""


@dataclass(slots=True)
class OpenTask:
    """
    A task that is under way.

    Attributes:
        index: The task.
        holders: Who computes it, and since when it has it [Unix s].
        votes: What each worker said.
        shown: What those that were asked have shown.
        silent: Who was asked, and showed nothing or something else.
        agreed: The result hash that its workers agree on, once they do.
        tried: How often each worker has failed it.
        failures: Attempts that failed.
        strikes: How often each worker has shown an archive that is no good.
        cause: Why the last of them did.
        was_copied: Whether it was given to one more worker because the first was slow.
        doubted_at: Since when more is wanted than the deal's trust; 0 if it is not [Unix s].
    """

    index: int
    holders: dict[Address, float] = field(default_factory=dict)
    votes: dict[Address, Hash32] = field(default_factory=dict)
    shown: dict[Address, ShownDigest] = field(default_factory=dict)
    silent: set[Address] = field(default_factory=set)
    agreed: Hash32 | None = None
    tried: dict[Address, int] = field(default_factory=dict)
    strikes: dict[Address, int] = field(default_factory=dict)
    failures: int = 0
    cause: str = ""
    was_copied: bool = False
    doubted_at: float = 0

    def winners(self) -> list[Address]:
        """List the workers whose results agree, but those that were asked and are silent."""
        return [worker for worker, said in self.votes.items() if said == self.agreed and worker not in self.silent]


@dataclass(slots=True)
class Member:
    """
    A worker's part in a bag.

    Attributes:
        address: The worker.
        held: The tasks that it computes, since when [Unix s], the oldest first.
        asked: The results that it was asked to show, since when [Unix s], the oldest first.
        lost: Tasks that it had when its connection went.
        left_at: When that was; 0 while it is here [Unix s].
        not_before: It is given nothing before this [Unix s].
        failures: Messages in a row in which it gave tasks up.
        failing_since: When the first of them came [Unix s].
        is_cut_off: Whether the last was for want of chain, storage or vault.
        is_barred: Whether it gave tasks up for a reason that does not pass.
        cause: Why, the last time.
        has_voted: Whether it ever contributed.
        unpaid: Its contributions to tasks that have not ended.
        rate: How many tasks it does [tasks/s].
        counted_at: When that was last measured [Unix s].
    """

    address: Address
    held: dict[int, float] = field(default_factory=dict)
    asked: dict[int, float] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    left_at: float = 0
    not_before: float = 0
    failures: int = 0
    failing_since: float = 0
    is_cut_off: bool = False
    is_barred: bool = False
    cause: str = ""
    has_voted: bool = False
    unpaid: int = 0
    rate: float = 0
    counted_at: float = 0

    def count(self, tasks: int, wall: float) -> None:
        """Measure its speed: tasks that came to a result since it was measured last."""
        passed = max(wall - self.counted_at, 1e-3)
        now, weight = tasks / passed, min(1.0, passed / RATE_MEMORY_S)
        self.rate = now if not self.rate else self.rate + (now - self.rate) * weight
        self.counted_at = wall


@dataclass(slots=True)
class StepState:
    """A step that was sent, or refused and is to be tried again at `retry_at` [Unix s]."""

    sent_at: float = 0
    retry_at: float = 0
    refusals: int = 0
    reason: str = ""


@dataclass(slots=True)
class Bag:
    """
    A bag that this scheduler runs.

    Attributes:
        record: What is saved of it.
        terms: Its deal, as the pool's rules of who may do what look at it.
        ends: What each place is.
        open: The tasks that are under way, by index.
        hungry: Those that need a further worker, in the order in which they are served.
        members: The workers' parts.
        earned: What each has earned [nRLC].
        dirty: Tasks to be looked at.
        good: Archives that are known to be good.
        checking: Archives that are being looked at, and the tasks that wait for each.
        steps: Steps in flight or refused, by kind and task.
        demands: Leaves that somebody asked for.
        proven: Results that are on the chain.
        moved_at: When anything last went forward [Unix s].
        wait_s: How long a task takes from being given to its result, by and large [s].
        resume_at: Nothing is given before this: workers tell first what they have [Unix s].
        misfit: Why none of the workers that are here can ever do it; empty when one can, or none is here.
        misfit_since: Since when that is so [Unix s].
        is_forgetful: Whether workers may have been given tasks that this scheduler does not know of.
        lacks_votes: Whether what workers signed of tasks that have ended is missing, as in `BagSnapshot`.
    """

    record: BagRecord
    terms: DealState
    ends: bytearray
    open: dict[int, OpenTask] = field(default_factory=dict)
    hungry: dict[int, None] = field(default_factory=dict)
    members: dict[Address, Member] = field(default_factory=dict)
    earned: dict[Address, NRLC] = field(default_factory=dict)
    dirty: dict[int, None] = field(default_factory=dict)
    good: OrderedDict[Archive, None] = field(default_factory=OrderedDict)
    checking: dict[Archive, set[int]] = field(default_factory=dict)
    steps: dict[tuple[BagStep, int | None], StepState] = field(default_factory=dict)
    demands: set[int] = field(default_factory=set)
    proven: set[int] = field(default_factory=set)
    done: int = 0
    undone: int = 0
    fresh: int = 0
    moved_at: float = 0
    wait_s: float = 0
    resume_at: float = 0
    misfit: str = ""
    misfit_since: float = 0
    is_forgetful: bool = False
    lacks_votes: bool = False

    @property
    def deal_id(self) -> DealId:
        """The deal."""
        return self.record.deal_id

    @property
    def deal(self) -> Deal:
        """The deal's terms."""
        return self.record.terms.deal

    @property
    def allowance_s(self) -> float:
        """How long an app may run [s]."""
        return self.terms.allowance_s

    @property
    def trust(self) -> int:
        """What the deal asks."""
        return self.deal.trust

    @property
    def has_callback(self) -> bool:
        """Whether results go to a contract."""
        return self.deal.callback != ZERO_ADDRESS

    @property
    def work_until(self) -> UnixSeconds:
        """From when tasks without result get none any more: late enough for the work, early enough for posting [Unix s]."""
        return contribution_deadline(self.deal.start_time, self.record.terms.time_ref_s)

    @property
    def is_all_ended(self) -> bool:
        """Whether every task has ended."""
        return self.done + self.undone == len(self.ends)

    @property
    def has_fresh(self) -> bool:
        """Whether there are tasks that nobody has looked at yet."""
        while self.fresh < len(self.ends) and self.ends[self.fresh] != UNTOUCHED:
            self.fresh += 1
        return self.fresh < len(self.ends)

    def has(self, index: int) -> bool:
        """Whether the deal has a task of that index."""
        return 0 <= index - self.record.first < len(self.ends)

    def end_of(self, index: int) -> int:
        """Say what a task's place is."""
        return self.ends[index - self.record.first]

    def member(self, worker: Address) -> Member:
        """Give a worker's part, made when it is new."""
        found = self.members.get(worker)
        if found is None:
            found = self.members[worker] = Member(worker)
        return found

    def may_join(self, worker: Address) -> bool:
        """Tell whether a worker may be paid by this bag, which pays only so many."""
        if worker in self.members or len(self.members) < MAX_WORKERS:
            return True
        for address in [each.address for each in self.members.values() if not (each.has_voted or each.held or each.asked or each.lost)]:
            del self.members[address]
        return len(self.members) < MAX_WORKERS

    def open_task(self, index: int) -> OpenTask:
        """Begin a task."""
        task = self.open[index] = OpenTask(index)
        self.ends[index - self.record.first] = OPEN
        return task

    def next_fresh(self) -> OpenTask:
        """Begin the first task that nobody has looked at yet; there must be one (`has_fresh`)."""
        return self.open_task(self.record.first + self.fresh)

    def wants(self, task: OpenTask) -> int:
        """Count the further workers that a task needs."""
        return 0 if task.agreed is not None else wanted(self.trust, task.votes, task.silent, len(task.holders))

    def feed(self, task: OpenTask) -> None:
        """Note whether a task needs a further worker."""
        if self.wants(task):
            self.hungry[task.index] = None
        else:
            self.hungry.pop(task.index, None)

    def hold(self, task: OpenTask, worker: Address, at: Instant) -> None:
        """Have a worker compute a task."""
        member = self.member(worker)
        if not member.held:
            member.counted_at = at.wall
        task.holders[worker] = member.held[task.index] = at.wall
        member.lost.discard(task.index)
        self.moved_at = at.wall

    def let_go(self, task: OpenTask, worker: Address) -> float | None:
        """Have a worker compute a task no more; answers since when it had it [Unix s], None if it had not."""
        self.member(worker).held.pop(task.index, None)
        return task.holders.pop(worker, None)

    def know_good(self, archive: Archive) -> None:
        """Remember that an archive need not be looked at again."""
        self.good[archive] = None
        while len(self.good) > GOOD_ARCHIVES:
            self.good.popitem(last=False)


class BagBook:
    """All running bags, with one door for each kind of change, so that nothing changes unsaved."""

    def __init__(self, owner_of: Callable[[Address], Address]) -> None:
        """
        Args:
            owner_of: Names who stands behind a worker.
        """
        self.owner_of = owner_of
        self.bags: dict[DealId, Bag] = {}
        self.speakers: set[Address] = set()
        self.changes = BagChanges()

    def write(self, bag: Bag, record: BagRecord) -> None:
        """Replace a bag's record."""
        bag.record = record
        self.changes.bags[record.deal_id] = record

    def write_vote(self, bag: Bag, task: OpenTask, vote: Vote) -> None:
        """Take a contribution in."""
        task.votes[vote.worker] = vote.said
        member = bag.member(vote.worker)
        member.has_voted, member.unpaid = True, member.unpaid + 1
        self.changes.votes.append((bag.deal_id, vote))

    def write_end(self, bag: Bag, task: OpenTask, ended: EndedTask, at: Instant) -> None:
        """End a task."""
        del bag.open[task.index]
        bag.hungry.pop(task.index, None)
        bag.dirty.pop(task.index, None)
        bag.ends[task.index - bag.record.first] = DONE if ended.has_result else UNDONE
        bag.done, bag.undone = bag.done + ended.has_result, bag.undone + (not ended.has_result)
        bag.moved_at = at.wall
        for worker in (*task.holders, *task.votes):
            member = bag.member(worker)
            member.held.pop(task.index, None)
            member.asked.pop(task.index, None)
            member.unpaid -= worker in task.votes
        self.changes.ended.append((bag.deal_id, ended))

    def pay(self, bag: Bag, worker: Address, share: NRLC) -> None:
        """Add to what a worker has earned."""
        bag.earned[worker] = NRLC(bag.earned.get(worker, 0) + share)
        self.changes.earned[bag.deal_id, worker] = bag.earned[worker]

    def held_by(self, worker: Address) -> int:
        """Count the tasks that a worker computes, of all bags."""
        return sum(len(bag.members[worker].held) for bag in self.bags.values() if worker in bag.members)

    def shares_owner(self, task: OpenTask, worker: Address) -> bool:
        """Tell whether somebody of the same owner as a worker has a part in a task."""
        owner = self.owner_of(worker)
        return any(self.owner_of(other) == owner for other in (*task.holders, *task.votes) if other != worker)

    def take_changes(self) -> BagChanges:
        """Hand out what has to be saved."""
        changes, self.changes = self.changes, BagChanges()
        return changes
