"""
A hub in memory with a clock that moves by hand: the twin of the chain for tests of workers.

It keeps the protocol's rules for the part of a task's life that workers take part in; stake moves, but nobody is paid.

Source: poco-protocol.md 9, 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import anyio.lowlevel
from msgspec.structs import replace

from voisin.chain import Admission
from voisin.errors import RevertError, StateError, UnavailableError
from voisin.protocol.ids import ZERO_ADDRESS, ZERO_HASH, Address, DealId, Hash32, TaskId, task_id
from voisin.protocol.records import Account, AppInfo, Contribution, ContributionStatus, DatasetInfo, Deal, Resource, Task, TaskStatus
from voisin.protocol.results import authorization_digest, enclave_digest, result_hash, result_seal
from voisin.protocol.rules import new_task
from voisin.protocol.signatures import signed_by
from voisin.protocol.tags import NO_TAG, Tag, needs_enclave
from voisin.protocol.trust import agreed_result
from voisin.units import NRLC, UnixSeconds
from voisin.worker.ports import Glance

K = TypeVar("K")
V = TypeVar("V")

HUB: Final = Address("0x0000000000000000000000000000000000000042")
NO_CONTRIBUTION: Final = Contribution(
    status=ContributionStatus.UNSET, result_hash=ZERO_HASH, result_seal=ZERO_HASH, enclave_challenge=ZERO_ADDRESS, weight=0
)


def make_deal(app: Address, workerpool: Address, scheduler: Address, /, **changes: object) -> Deal:
    """
    Describe a deal for one task of trust 1 at 10 nRLC, started at time 1,000.

    Args:
        app: The app's entry.
        workerpool: The workerpool's entry.
        scheduler: Its owner.
        changes: Fields that differ.
    """
    nobody = Resource(ZERO_ADDRESS, ZERO_ADDRESS, NRLC(0))
    deal = Deal(
        app=Resource(app, scheduler, NRLC(0)),
        dataset=nobody,
        workerpool=Resource(workerpool, scheduler, NRLC(10)),
        trust=1,
        category=0,
        tag=Tag(NO_TAG),
        requester=scheduler,
        beneficiary=scheduler,
        callback=ZERO_ADDRESS,
        params="",
        start_time=UnixSeconds(1_000),
        bot_first=0,
        bot_size=1,
        worker_stake=NRLC(3),
        scheduler_reward_ratio=1,
        sponsor=scheduler,
    )
    return replace(deal, **changes)


@dataclass
class MemoryHub:
    """
    A hub in memory. `ledger` gives one worker's view of it.

    Attributes:
        chain_id: The chain's number.
        address: The hub's address.
        time_s: The chain's clock [Unix s]; move it at will.
        time_ref_s: Reference time of every category [s].
        is_silent: Whether the node does not answer.
        refusal: What the chain says to every transaction; empty: it takes them.
        sent: Every transaction that was carried out: what, who, which task.
    """

    chain_id: int = 31337
    address: Address = HUB
    time_s: int = 1_000
    time_ref_s: int = 300
    is_silent: bool = False
    refusal: str = ""
    deals: dict[DealId, Deal] = field(default_factory=dict)
    tasks: dict[TaskId, Task] = field(default_factory=dict)
    contributions: dict[tuple[TaskId, Address], Contribution] = field(default_factory=dict)
    accounts: dict[Address, Account] = field(default_factory=dict)
    balances: dict[Address, NRLC] = field(default_factory=dict)
    apps: dict[Address, AppInfo] = field(default_factory=dict)
    datasets: dict[Address, DatasetInfo] = field(default_factory=dict)
    sent: list[tuple[str, Address, TaskId | None]] = field(default_factory=list)

    def initialize(self, deal_id: DealId, index: int) -> TaskId:
        """Open a task for contributions."""
        deal, name = self.deals[deal_id], task_id(deal_id, index)
        self.tasks[name] = new_task(deal_id, index, deal, self.time_ref_s)
        return name

    def contribute(self, name: TaskId, worker: Address, digest: Hash32, admission: Admission) -> None:
        """
        Commit a worker to a result, and see whether enough agree.

        Raises:
            RevertError: The task, the time, the stake, the authorisation or the enclave's signature does not allow it.
        """
        task, deal = self.tasks[name], self.deals[self.tasks[name].deal_id]
        account = self.accounts.get(worker, Account(NRLC(0), NRLC(0)))
        if not self._admits(name, worker, digest, admission) or account.stake < deal.worker_stake:
            raise RevertError("the hub refuses the contribution")
        self.accounts[worker] = Account(NRLC(account.stake - deal.worker_stake), NRLC(account.locked + deal.worker_stake))
        self.contributions[name, worker] = Contribution(
            status=ContributionStatus.CONTRIBUTED,
            result_hash=result_hash(name, digest),
            result_seal=result_seal(worker, name, digest),
            enclave_challenge=admission.enclave,
            weight=1,
        )
        self.tasks[name] = replace(task, contributors=(*task.contributors, worker))
        self._agree(name, deal.trust)

    def _admits(self, name: TaskId, worker: Address, digest: Hash32, admission: Admission) -> bool:
        """Tell whether a task takes a worker's result: open, new, authorised, and signed by the enclave that is named."""
        task, deal, enclave = self.tasks[name], self.deals[self.tasks[name].deal_id], admission.enclave
        is_open = task.status is TaskStatus.ACTIVE and self.time_s < task.contribution_deadline and (name, worker) not in self.contributions
        digests = authorization_digest(worker, name, enclave), enclave_digest(worker, name, digest)
        is_signed = enclave == ZERO_ADDRESS or signed_by(enclave, digests[1], admission.enclave_sign)
        has_enclave = enclave != ZERO_ADDRESS or not needs_enclave(deal.tag)
        return is_open and has_enclave and is_signed and signed_by(deal.workerpool.owner, digests[0], admission.authorization)

    def finish_alone(self, name: TaskId, worker: Address, digest: Hash32, admission: Admission) -> None:
        """
        Commit the only worker to a result, and complete the task at once; no stake is locked.

        Raises:
            RevertError: Another has contributed, the deal wants more trust, or as for `contribute`.
        """
        task, deal = self.tasks[name], self.deals[self.tasks[name].deal_id]
        if not self._admits(name, worker, digest, admission) or task.contributors or deal.trust != 1:
            raise RevertError("the hub refuses to finish the task")
        mine = result_hash(name, digest)
        self.contributions[name, worker] = Contribution(
            status=ContributionStatus.PROVED,
            result_hash=mine,
            result_seal=result_seal(worker, name, digest),
            enclave_challenge=admission.enclave,
            weight=0,
        )
        self.tasks[name] = replace(task, status=TaskStatus.COMPLETED, consensus=mine, result_digest=digest, contributors=(worker,))

    def _agree(self, name: TaskId, trust: int) -> None:
        groups: dict[Hash32, list[int]] = {}
        for (task, _), each in self.contributions.items():
            if task == name and each.status is ContributionStatus.CONTRIBUTED:
                groups.setdefault(each.result_hash, []).append(2)
        agreed = agreed_result(groups, trust)
        if agreed is not None:
            deadline = UnixSeconds(self.time_s + 2 * self.time_ref_s)
            self.tasks[name] = replace(
                self.tasks[name],
                status=TaskStatus.REVEALING,
                consensus=agreed,
                reveal_deadline=deadline,
                winner_counter=len(groups[agreed]),
            )

    def reveal(self, name: TaskId, worker: Address, digest: Hash32) -> None:
        """
        Show a digest.

        Raises:
            RevertError: It is not the agreed one, not this worker's, or too late.
        """
        task, own = self.tasks[name], self.contributions.get((name, worker), NO_CONTRIBUTION)
        is_mine = own.status is ContributionStatus.CONTRIBUTED and own.result_seal == result_seal(worker, name, digest)
        is_open = task.status is TaskStatus.REVEALING and self.time_s < task.reveal_deadline
        if not is_open or not is_mine or task.consensus != own.result_hash:
            raise RevertError("the hub refuses the reveal")
        self.contributions[name, worker] = replace(own, status=ContributionStatus.PROVED)
        self.tasks[name] = replace(task, reveal_counter=task.reveal_counter + 1, result_digest=digest)

    def finish(self, name: TaskId, status: TaskStatus) -> None:
        """End a task and give every stake back."""
        self.tasks[name] = replace(self.tasks[name], status=status)
        stake = self.deals[self.tasks[name].deal_id].worker_stake
        for worker in self.tasks[name].contributors:
            account = self.accounts[worker]
            self.accounts[worker] = Account(NRLC(account.stake + stake), NRLC(account.locked - stake))

    def ledger(self, worker: Address) -> MemoryLedger:
        """Give one worker's view."""
        return MemoryLedger(self, worker)


class MemoryLedger:
    """
    One worker's view of a hub in memory.

    Args:
        world: The hub.
        worker: The worker's address.
    """

    def __init__(self, world: MemoryHub, worker: Address) -> None:
        self._world = world
        self._worker = worker

    @property
    def chain_id(self) -> int:
        """The chain's number."""
        return self._world.chain_id

    @property
    def hub(self) -> Address:
        """The hub."""
        return self._world.address

    async def _listen(self) -> MemoryHub:
        await anyio.lowlevel.checkpoint()
        if self._world.is_silent:
            raise UnavailableError("the node does not answer")
        return self._world

    async def now(self) -> UnixSeconds:
        """Tell the hub's clock [Unix s]."""
        return UnixSeconds((await self._listen()).time_s)

    async def deal(self, deal_id: DealId) -> Deal:
        """Look a deal up."""
        return _known((await self._listen()).deals, deal_id, "deal")

    async def task(self, task_id: TaskId) -> Task:
        """Look a task up."""
        return _known((await self._listen()).tasks, task_id, "task")

    async def app(self, entry: Address) -> AppInfo:
        """Look an app up."""
        return _known((await self._listen()).apps, entry, "app")

    async def dataset(self, entry: Address) -> DatasetInfo:
        """Look a dataset up."""
        return _known((await self._listen()).datasets, entry, "dataset")

    async def is_signed_by(self, owner: Address, digest: bytes, signature: str) -> bool:
        """Tell whether an owner's key signed a digest."""
        await self._listen()
        return signed_by(owner, digest, signature)

    async def own_contribution(self, task_id: TaskId) -> Contribution:
        """Look the worker's contribution up."""
        return (await self._listen()).contributions.get((task_id, self._worker), NO_CONTRIBUTION)

    async def glance(self, task_id: TaskId) -> Glance:
        """Look up in one go what a step depends on."""
        return Glance(await self.task(task_id), await self.own_contribution(task_id), await self.now())

    async def own_account(self) -> Account:
        """Tell the worker's money at the hub [nRLC]."""
        return (await self._listen()).accounts.get(self._worker, Account(NRLC(0), NRLC(0)))

    async def own_balance(self) -> NRLC:
        """Tell the worker's money outside the hub [nRLC]."""
        return (await self._listen()).balances.get(self._worker, NRLC(0))

    async def _act(self, what: str, task_id: TaskId | None = None) -> MemoryHub:
        world = await self._listen()
        if world.refusal:
            raise RevertError(world.refusal, reason=world.refusal)
        world.sent.append((what, self._worker, task_id))
        return world

    async def deposit(self, amount: NRLC) -> None:
        """Move money from the wallet into the hub [nRLC]."""
        world = await self._act("deposit")
        account = await self.own_account()
        world.balances[self._worker] = NRLC(world.balances[self._worker] - amount)
        world.accounts[self._worker] = replace(account, stake=NRLC(account.stake + amount))

    async def withdraw(self, amount: NRLC) -> None:
        """Move free money out of the hub into the wallet [nRLC]."""
        world = await self._act("withdraw")
        account = await self.own_account()
        world.balances[self._worker] = NRLC(world.balances.get(self._worker, NRLC(0)) + amount)
        world.accounts[self._worker] = replace(account, stake=NRLC(account.stake - amount))

    async def contribute(self, task_id: TaskId, digest: Hash32, admission: Admission) -> bool:
        """Commit to a result; answers whether that made it the agreed one."""
        world = await self._act("contribute", task_id)
        world.contribute(task_id, self._worker, digest, admission)
        task = world.tasks[task_id]
        return task.status is TaskStatus.REVEALING and task.consensus == result_hash(task_id, digest)

    async def finish(self, task_id: TaskId, digest: Hash32, admission: Admission, *, results: bytes, callback: bytes) -> None:
        """Commit to a result as the only worker, and complete the task at once."""
        world = await self._act("finish", task_id)
        world.finish_alone(task_id, self._worker, digest, admission)
        world.tasks[task_id] = replace(world.tasks[task_id], results=results, results_callback=callback)

    async def reveal(self, task_id: TaskId, digest: Hash32) -> None:
        """Show the digest of a result."""
        (await self._act("reveal", task_id)).reveal(task_id, self._worker, digest)

    async def claim(self, task_id: TaskId) -> None:
        """End a task whose final deadline has passed."""
        world = await self._act("claim", task_id)
        task = world.tasks[task_id]
        if world.time_s < task.final_deadline or task.status not in (TaskStatus.ACTIVE, TaskStatus.REVEALING):
            raise RevertError("the hub refuses the claim")
        world.finish(task_id, TaskStatus.FAILED)


def _known(found: Mapping[K, V], key: K, what: str) -> V:
    if key not in found:
        raise StateError(f"unknown {what} {key}")
    return found[key]
