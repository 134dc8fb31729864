"""
A small hub in memory: the twin of a chain, for tests and simulations of a pool.

It keeps deals, tasks, contributions and scores, moves them by the hub's rules (statuses, deadlines, weights, consensus), and
logs the hub's events, one block for each transaction. It moves no money and checks no signatures.

Source: poco-protocol.md 9.1, 11.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Sequence

import anyio
from msgspec.structs import replace

from voisin.chain import EventRange
from voisin.errors import RevertError, StateError, VoisinError
from voisin.protocol.eip712 import Domain
from voisin.protocol.events import (
    AccurateContribution,
    ConsensusReached,
    Event,
    FaultyContribution,
    Logged,
    SchedulerNotice,
    TaskClaimed,
    TaskContributed,
    TaskFinalized,
    TaskInitialized,
    TaskReopened,
    TaskRevealed,
    TasksGivenBack,
)
from voisin.protocol.ids import ZERO_HASH, Address, DealId, Hash32, TaskId, as_address, hash32_of, task_id
from voisin.protocol.orders import WorkerpoolOrder
from voisin.protocol.records import Deal, Task, TaskStatus
from voisin.protocol.results import result_hash
from voisin.protocol.rules import (
    DEFAULT_CATEGORIES,
    REVEAL_DEADLINE_RATIO,
    final_deadline,
    give_back_cost,
    new_task,
    workerpool_stake,
)
from voisin.protocol.signatures import signed_by
from voisin.protocol.tags import needs_enclave
from voisin.protocol.trust import accurate_score, agreed_result, faulty_score, worker_weight
from voisin.units import NRLC, UnixSeconds, Wei

TWIN_DOMAIN = Domain(chain_id=31337, hub=as_address("0x" + "b0" * 20))


class TwinLedger:
    """A hub in memory; see `voisin.pool.chain.ledger.Ledger` for what a pool asks of it."""

    def __init__(self, now: Callable[[], float], *, time_refs: Sequence[int] = ()) -> None:
        """
        Args:
            now: The chain's clock [Unix s].
            time_refs: Units of time of the categories [s]; the protocol's own if empty.
        """
        self._now = now
        self._time_refs = tuple(time_refs) or tuple(category.time_ref_s for category in DEFAULT_CATEGORIES)
        self._blocks: list[tuple[UnixSeconds, tuple[Logged, ...]]] = [(self._time(), ())]
        self._news = anyio.Event()
        self._deals: dict[DealId, Deal] = {}
        self._tasks: dict[TaskId, Task] = {}
        self._votes: dict[TaskId, dict[Address, tuple[Hash32, int]]] = defaultdict(dict)
        self._revealed: dict[TaskId, set[Address]] = defaultdict(set)
        self.scores: dict[Address, int] = defaultdict(int)
        self.stakes: dict[Address, NRLC] = defaultdict(lambda: NRLC(10**18))
        self.balances: dict[Address, Wei] = defaultdict(lambda: Wei(10**18))
        self.closed: list[WorkerpoolOrder] = []
        self.sent: list[str] = []
        self.can_give_back = True
        self.failures: deque[VoisinError] = deque()
        """Errors that the pool's next steps meet, one each."""

    # --- what a pool reads ---

    @property
    def domain(self) -> Domain:
        """The hub and the chain that signatures are for."""
        return TWIN_DOMAIN

    async def is_signed_by(self, owner: Address, digest: bytes, signature: str) -> bool:
        """Tell whether an account's key signed a digest."""
        return signed_by(owner, digest, signature)

    async def head(self) -> int:
        """Tell the number of the latest block."""
        return len(self._blocks) - 1

    async def block_time(self) -> UnixSeconds:
        """Tell the time of the latest block [Unix s]."""
        return self._blocks[-1][0]

    async def deal(self, deal_id: DealId) -> Deal:
        """Read a deal."""
        if deal_id not in self._deals:
            raise StateError(f"unknown deal {deal_id}")
        return self._deals[deal_id]

    async def time_ref(self, category: int) -> int:
        """Read a category's unit of time [s]."""
        return self._time_refs[category]

    async def tasks(self, task_ids: Sequence[TaskId]) -> list[Task | None]:
        """Read tasks; None for those that are not on the chain."""
        return [self._tasks.get(each) for each in task_ids]

    async def score(self, worker: Address) -> int:
        """Read a worker's score."""
        return self.scores[worker]

    async def stake(self, owner: Address) -> NRLC:
        """Read an account's free money [nRLC]."""
        return self.stakes[owner]

    async def money(self, owner: Address) -> tuple[NRLC, NRLC]:
        """Read an account's free and locked money; nothing is ever locked here [nRLC]."""
        return self.stakes[owner], NRLC(0)

    @property
    def fees_paid(self) -> Wei:
        """What the steps have cost: nothing [wei]."""
        return Wei(0)

    async def native_balance(self, owner: Address) -> Wei:
        """Read what an account has to pay gas with [wei]."""
        return self.balances[owner]

    async def ranges(self, start_block: int, parent_hash: Hash32 | None) -> AsyncIterator[EventRange]:
        """Follow the events."""
        if parent_hash is not None and parent_hash != _hash_of(start_block - 1):
            raise StateError("the chain went back", hint="delete the pool's records, and start again")
        following = start_block
        while True:
            news, last = self._news, len(self._blocks) - 1
            if following > last:
                await news.wait()
                continue
            events = tuple(logged for _, block in self._blocks[following : last + 1] for logged in block)
            yield EventRange(following, last, events, _hash_of(last))
            following = last + 1

    # --- what a pool does ---

    async def initialize(self, tasks: Sequence[tuple[DealId, int]]) -> list[TaskInitialized]:
        """Open tasks for contributions."""
        self._begin("initialize")
        for deal_id, index in tasks:
            self._require(task_id(deal_id, index) not in self._tasks)
        opened = [self._open(deal_id, index) for deal_id, index in tasks]
        self._seal(*opened)
        return opened

    async def finalize(self, task_id: TaskId, results: bytes, callback: bytes, *, has_callback: bool, contributors: int) -> None:
        """Complete a task."""
        self._begin("finalize")
        task = self._task(task_id, TaskStatus.REVEALING)
        self._require(self._time() < task.final_deadline)
        is_over = task.reveal_counter > 0 and task.reveal_deadline <= self._time()
        self._require(task.reveal_counter == task.winner_counter or is_over)
        is_fit = hash32_of(callback) == task.result_digest if has_callback else not callback
        self._require(is_fit and contributors == len(task.contributors))
        self._tasks[task_id] = replace(task, status=TaskStatus.COMPLETED, results=results, results_callback=callback)
        self._seal(*self._settle(task_id, task), TaskFinalized(task_id, results))

    async def reopen(self, task_id: TaskId) -> None:
        """Take contributions again."""
        self._begin("reopen")
        task = self._task(task_id, TaskStatus.REVEALING)
        self._require(self._time() < task.final_deadline and task.reveal_deadline <= self._time() and not task.reveal_counter)
        votes = self._votes[task_id]
        self._votes[task_id] = {worker: (ZERO_HASH if vote == task.consensus else vote, weight) for worker, (vote, weight) in votes.items()}
        never = UnixSeconds(0)
        self._tasks[task_id] = replace(
            task, status=TaskStatus.ACTIVE, consensus=ZERO_HASH, reveal_deadline=never, winner_counter=0, result_digest=ZERO_HASH
        )
        self._seal(TaskReopened(task_id))

    async def claim(self, task_ids: Sequence[TaskId]) -> None:
        """Refund tasks past their final deadline."""
        self._begin("claim")
        for each in task_ids:
            self._fail(each)
        self._seal(*(TaskClaimed(each) for each in task_ids))

    async def initialize_and_claim(self, tasks: Sequence[tuple[DealId, int]]) -> None:
        """Refund tasks that were never opened."""
        self._begin("initialize_and_claim")
        opened = [self._open(deal_id, index) for deal_id, index in tasks]
        for event in opened:
            self._fail(event.task_id)
        self._seal(*opened, *(TaskClaimed(event.task_id) for event in opened))

    async def gives_back(self) -> bool:
        """Tell whether tasks can be given back."""
        return self.can_give_back

    async def give_back(self, deal_id: DealId, indexes: Sequence[int], *, most: NRLC, contributors: int) -> None:
        """Give tasks without a result back."""
        self._begin("give_back")
        deal, time_ref = self._deals[deal_id], self._time_refs[self._deals[deal_id].category]
        known = [self._tasks.get(task_id(deal_id, index)) for index in indexes]
        self._require(self.can_give_back and self._time() < final_deadline(deal.start_time, time_ref))
        self._require(all(task is None or task.status is TaskStatus.ACTIVE for task in known))
        self._require(contributors == sum(len(task.contributors) for task in known if task is not None))
        is_lone = needs_enclave(deal.tag) and deal.trust <= 1
        forfeited = sum(1 for task in known if task is not None and (task.contributors or is_lone))
        stake, late_s = workerpool_stake(deal.workerpool.price, 1), self._time() - deal.start_time
        cost = give_back_cost(stake, forfeited=forfeited, others=len(known) - forfeited, late_s=late_s, time_ref_s=time_ref)
        self._require(cost <= most)
        opened = [self._open(deal_id, index) for index, task in zip(indexes, known, strict=True) if task is None]
        ended = [task_id(deal_id, index) for index in indexes]
        for each in ended:
            self._tasks[each] = replace(self._tasks[each], status=TaskStatus.FAILED)
        self._seal(*opened, *(TaskClaimed(each) for each in ended), TasksGivenBack(deal_id, len(ended), cost))

    async def close_order(self, order: WorkerpoolOrder) -> None:
        """Cancel an order for good."""
        self._begin("close_order")
        self.closed.append(order)

    # --- what others do ---

    def make_deal(self, deal_id: DealId, deal: Deal) -> None:
        """Have orders matched into a deal."""
        self._deals[deal_id] = deal
        self._seal(SchedulerNotice(deal.workerpool.pointer, deal_id))

    def contribute(self, task_id: TaskId, worker: Address, digest: Hash32) -> None:
        """Have a worker contribute."""
        task = self._task(task_id, TaskStatus.ACTIVE)
        self._require(self._time() < task.contribution_deadline and worker not in self._votes[task_id])
        vote = result_hash(task_id, digest)
        self._votes[task_id][worker] = (vote, worker_weight(self.scores[worker]))
        task = self._tasks[task_id] = replace(task, contributors=(*task.contributors, worker))
        events: list[Event] = [TaskContributed(task_id, worker, vote)]
        if agreed_result(self._groups(task_id), self._deals[task.deal_id].trust) == vote:
            deadline = UnixSeconds(self._time() + REVEAL_DEADLINE_RATIO * task.time_ref_s)
            winners = sum(1 for other, _ in self._votes[task_id].values() if other == vote)
            self._tasks[task_id] = replace(
                task, status=TaskStatus.REVEALING, consensus=vote, reveal_deadline=deadline, reveal_counter=0, winner_counter=winners
            )
            events.append(ConsensusReached(task_id, vote))
        self._seal(*events)

    def reveal(self, task_id: TaskId, worker: Address, digest: Hash32) -> None:
        """Have a worker reveal."""
        task = self._task(task_id, TaskStatus.REVEALING)
        vote, _ = self._votes[task_id][worker]
        self._require(self._time() < task.reveal_deadline and worker not in self._revealed[task_id])
        self._require(vote == task.consensus == result_hash(task_id, digest))
        self._revealed[task_id].add(worker)
        self._tasks[task_id] = replace(task, reveal_counter=task.reveal_counter + 1, result_digest=digest)
        self._seal(TaskRevealed(task_id, worker, digest))

    def mine(self) -> None:
        """Make an empty block."""
        self._seal()

    # --- rules ---

    def _begin(self, step: str) -> None:
        if self.failures:
            raise self.failures.popleft()
        self.sent.append(step)

    def _require(self, is_met: bool) -> None:
        if not is_met:
            raise RevertError("the hub refused", reason="")

    def _task(self, task_id: TaskId, status: TaskStatus) -> Task:
        task = self._tasks.get(task_id)
        if task is None or task.status is not status:
            raise RevertError("the hub refused: the task has another status")
        return task

    def _open(self, deal_id: DealId, index: int) -> TaskInitialized:
        deal, time_ref = self._deals[deal_id], self._time_refs[self._deals[deal_id].category]
        self._require(deal.bot_first <= index < deal.bot_first + deal.bot_size)
        opened = task_id(deal_id, index)
        self._tasks[opened] = new_task(deal_id, index, deal, time_ref)
        return TaskInitialized(opened, deal.workerpool.pointer)

    def _fail(self, task_id: TaskId) -> None:
        task = self._tasks.get(task_id)
        is_open = task is not None and task.status in (TaskStatus.ACTIVE, TaskStatus.REVEALING)
        self._require(is_open and task is not None and task.final_deadline <= self._time())
        assert task is not None
        self._tasks[task_id] = replace(task, status=TaskStatus.FAILED)

    def _groups(self, task_id: TaskId) -> dict[Hash32, list[int]]:
        groups: dict[Hash32, list[int]] = {}
        for vote, weight in self._votes[task_id].values():
            if vote != ZERO_HASH:
                groups.setdefault(vote, []).append(weight)
        return groups

    def _settle(self, task_id: TaskId, task: Task) -> list[Event]:
        events: list[Event] = []
        for worker in task.contributors:
            if worker not in self._revealed[task_id]:
                self.scores[worker] = faulty_score(self.scores[worker])
                events.append(FaultyContribution(worker, task_id))
            elif len(task.contributors) > 1:
                self.scores[worker] = accurate_score(self.scores[worker])
                events.append(AccurateContribution(worker, task_id))
        return events

    def _time(self) -> UnixSeconds:
        return UnixSeconds(int(self._now()))

    def _seal(self, *events: Event) -> None:
        block = len(self._blocks)
        logged = tuple(
            Logged(event=event, address=TWIN_DOMAIN.hub, block=block, log_index=place, tx_hash=_hash_of(block))
            for place, event in enumerate(events)
        )
        self._blocks.append((self._time(), logged))
        self._news.set()
        self._news = anyio.Event()


def _hash_of(block: int) -> Hash32:
    return hash32_of(block.to_bytes(8, "big"))
