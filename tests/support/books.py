"""
The books of a market, kept a second time in plain Python: what every account has, who owes what, and what must be refused.

Written from the protocol's text, not from the contracts. Where the contracts count on, this counts anew: the weight of a group is
the product over its supporters, and what an account has locked is the sum over all open deals and tasks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from math import prod

KITTY = "0x99c2268479b93fDe36232351229815DF80837e23"
ONE_RLC = 10**9


class Status(IntEnum):
    """Where a task stands."""

    UNSET = 0
    ACTIVE = 1
    REVEALING = 2
    COMPLETED = 3
    FAILED = 4


class Voice(IntEnum):
    """Where a contribution stands."""

    CONTRIBUTED = 1
    PROVED = 2
    REJECTED = 3


@dataclass
class Vote:
    """What a worker said, and how much it weighed when it was said."""

    digest: bytes
    weight: int
    voice: Voice = Voice.CONTRIBUTED


@dataclass
class TaskBook:
    """One task."""

    status: Status = Status.UNSET
    votes: dict[str, Vote] = field(default_factory=dict)
    agreed: bytes = b""
    reveal_deadline: int = 0

    @property
    def is_open(self) -> bool:
        """Money is still locked for it."""
        return self.status in (Status.UNSET, Status.ACTIVE, Status.REVEALING)

    def winners(self) -> list[Vote]:
        """Who agrees with the consensus and was not rejected."""
        return [vote for vote in self.votes.values() if vote.digest == self.agreed and vote.voice != Voice.REJECTED]

    def reveals(self) -> int:
        """How many have revealed."""
        return sum(vote.voice == Voice.PROVED for vote in self.votes.values())


@dataclass
class DealBook:
    """One deal and its tasks by index."""

    sponsor: str
    scheduler: str
    app_owner: str
    dataset_owner: str
    app_price: int
    dataset_price: int
    price: int
    trust: int
    start: int
    time_ref: int
    worker_stake: int
    ratio: int
    tasks: dict[int, TaskBook]

    @property
    def cost(self) -> int:
        """What a task costs [nRLC]."""
        return self.app_price + self.dataset_price + self.price

    @property
    def pledge(self) -> int:
        """What the scheduler locks for a task [nRLC]."""
        return self.price * 30 // 100


class Books:
    """All accounts, deals and scores."""

    def __init__(self, hub: str) -> None:
        self.hub = hub
        self.free: defaultdict[str, int] = defaultdict(int)
        self.scores: defaultdict[str, int] = defaultdict(int)
        self.deals: dict[bytes, DealBook] = {}
        self.kitty = 0
        self.policy = (30, 1)

    # --- what must be true at any time
    def locked(self, account: str) -> int:
        """What open deals and tasks make an account lock, counted anew [nRLC]."""
        total = self.kitty if account == KITTY else 0
        for deal in self.deals.values():
            for task in deal.tasks.values():
                if task.is_open:
                    total += deal.cost * (account == deal.sponsor)
                    total += deal.pledge * (account == deal.scheduler)
                    total += deal.worker_stake * (account in task.votes)
        return total

    def kept(self) -> int:
        """What the hub keeps for everybody: all that is locked, and what was sent to it as a present [nRLC]."""
        people = {KITTY}
        for deal in self.deals.values():
            people |= {deal.sponsor, deal.scheduler, *(worker for task in deal.tasks.values() for worker in task.votes)}
        return sum(self.locked(account) for account in people) + self.free[self.hub]

    # --- money
    def deposit(self, account: str, amount: int) -> None:
        """Money comes in."""
        self.free[account] += amount

    def withdraw(self, account: str, amount: int) -> bool:
        """Money goes out."""
        if self.free[account] < amount:
            return False
        self.free[account] -= amount
        return True

    def transfer(self, account: str, to: str, amount: int) -> bool:
        """Money changes hands."""
        if not self.withdraw(account, amount):
            return False
        self.free[to] += amount
        return True

    # --- deals
    def match(self, deal_id: bytes, deal: DealBook) -> bool:
        """A deal is made, if both can pay."""
        volume = len(deal.tasks)
        due: defaultdict[str, int] = defaultdict(int)
        due[deal.sponsor] += deal.cost * volume
        due[deal.scheduler] += deal.pledge * volume
        if any(self.free[account] < amount for account, amount in due.items()):
            return False
        for account, amount in due.items():
            self.free[account] -= amount
        self.deals[deal_id] = deal
        return True

    # --- tasks
    def initialize(self, deal: DealBook, index: int) -> bool:
        """A task is opened."""
        task = deal.tasks.get(index)
        if task is None or task.status != Status.UNSET:
            return False
        task.status = Status.ACTIVE
        return True

    def contribute(self, deal: DealBook, task: TaskBook, worker: str, digest: bytes, now: int) -> bool:
        """A worker commits, if it may and can pay its stake."""
        if task.status != Status.ACTIVE or now >= deal.start + 7 * deal.time_ref or worker in task.votes:
            return False
        if self.free[worker] < deal.worker_stake:
            return False
        self.free[worker] -= deal.worker_stake
        task.votes[worker] = Vote(digest, max(self.scores[worker] // 3, 3) - 1)
        products: defaultdict[bytes, list[int]] = defaultdict(list)
        for vote in task.votes.values():
            if vote.voice != Voice.REJECTED:
                products[vote.digest].append(vote.weight)
        mine = prod(products.pop(digest))
        others = sum(prod(weights) for weights in products.values())
        if mine > (1 + others) * (deal.trust - 1):
            task.status, task.agreed, task.reveal_deadline = Status.REVEALING, digest, now + 2 * deal.time_ref
        return True

    def reveal(self, task: TaskBook, worker: str, digest: bytes, now: int) -> bool:
        """A winner shows its digest."""
        vote = task.votes.get(worker)
        if task.status != Status.REVEALING or now >= task.reveal_deadline or vote is None:
            return False
        if vote.voice != Voice.CONTRIBUTED or vote.digest != task.agreed or digest != task.agreed:
            return False
        vote.voice = Voice.PROVED
        return True

    def reopen(self, deal: DealBook, task: TaskBook, now: int) -> bool:
        """Nobody has revealed in time."""
        if task.status != Status.REVEALING or now >= deal.start + 10 * deal.time_ref:
            return False
        if now < task.reveal_deadline or task.reveals():
            return False
        for vote in task.winners():
            vote.voice = Voice.REJECTED
        task.status, task.agreed, task.reveal_deadline = Status.ACTIVE, b"", 0
        return True

    def finalize(self, deal: DealBook, task: TaskBook, now: int) -> bool:
        """The scheduler settles."""
        if task.status != Status.REVEALING or now >= deal.start + 10 * deal.time_ref:
            return False
        all_revealed = task.reveals() == len(task.winners())
        if not all_revealed and (task.reveals() == 0 or now < task.reveal_deadline):
            return False
        task.status = Status.COMPLETED
        self._pay_owners(deal)
        provers = {worker: vote for worker, vote in task.votes.items() if vote.voice == Voice.PROVED}
        total = deal.price + deal.worker_stake * (len(task.votes) - len(provers))
        for_workers = total * (100 - deal.ratio) // 100
        logs = {worker: vote.weight.bit_length() - 1 for worker, vote in provers.items()}
        shares = {worker: for_workers * log // sum(logs.values()) for worker, log in logs.items()}
        for worker in task.votes:
            if worker in provers:
                self.free[worker] += deal.worker_stake + shares[worker]
                self.scores[worker] += len(task.votes) > 1
            else:
                self.scores[worker] = self.scores[worker] * 2 // 3
        self.free[deal.scheduler] += total - sum(shares.values())
        return True

    def contribute_and_finalize(self, deal: DealBook, task: TaskBook, worker: str, now: int) -> bool:
        """One worker does it all; nothing is staked."""
        if task.status != Status.ACTIVE or now >= deal.start + 7 * deal.time_ref or task.votes or deal.trust != 1:
            return False
        task.status = Status.COMPLETED
        task.votes[worker] = Vote(b"", 1, Voice.PROVED)
        self._pay_owners(deal)
        share = deal.price * (100 - deal.ratio) // 100
        self.free[worker] += share
        self.free[deal.scheduler] += deal.price - share
        return True

    def claim(self, deal: DealBook, task: TaskBook, now: int) -> bool:
        """A task that was not settled ends."""
        if task.status not in (Status.ACTIVE, Status.REVEALING) or now < deal.start + 10 * deal.time_ref:
            return False
        task.status = Status.FAILED
        self.free[deal.sponsor] += deal.cost
        self.kitty += deal.pledge
        for worker in task.votes:
            self.free[worker] += deal.worker_stake
        return True

    def give_back(self, deal: DealBook, indexes: Sequence[int], most: int, now: int) -> bool:
        """The scheduler ends tasks without a result; what was said already costs it all, what was not as much as the time it took."""
        tasks = [deal.tasks[index] for index in indexes if index in deal.tasks]
        final = 10 * deal.time_ref
        if len(set(indexes)) != len(indexes) or len(tasks) != len(indexes) or now >= deal.start + final:
            return False
        if any(task.status not in (Status.UNSET, Status.ACTIVE) for task in tasks):
            return False
        silent = sum(not task.votes for task in tasks)
        cost = deal.pledge * (len(tasks) - silent) + deal.pledge * silent * (now - deal.start) // final
        if cost > most:
            return False
        for task in tasks:
            task.status = Status.FAILED
            self.free[deal.sponsor] += deal.cost
            for worker in task.votes:
                self.free[worker] += deal.worker_stake
        self.free[deal.scheduler] += deal.pledge * len(tasks) - cost
        self.kitty += cost
        return True

    def _pay_owners(self, deal: DealBook) -> None:
        self.free[deal.app_owner] += deal.app_price
        self.free[deal.dataset_owner] += deal.dataset_price
        self.free[deal.scheduler] += deal.pledge
        share = min(max(self.kitty // 10, ONE_RLC), self.kitty)
        self.kitty -= share
        self.free[deal.scheduler] += share
