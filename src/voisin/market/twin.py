"""
A small hub in memory: the twin of a chain, for tests and simulations.

It keeps what a market asks about (entries, money, consumed volumes, deals, tasks), changes it by the hub's rules as far as
the market can see them, and logs the hub's events, one block for each change. It checks no signatures of transactions: who
calls a method is believed to be entitled to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import anyio
import msgspec

from voisin.chain import EventRange
from voisin.errors import FundsError, StateError
from voisin.market.machine import price_of
from voisin.policy.matching import mismatches
from voisin.protocol.eip712 import Domain, order_hash
from voisin.protocol.events import (
    CategoryCreated,
    ConsensusReached,
    EntryTransferred,
    Event,
    Locked,
    Logged,
    OrderClosed,
    OrderSigned,
    OrdersMatched,
    SchedulerNotice,
    TaskClaimed,
    TaskFinalized,
    TaskInitialized,
    TaskReopened,
    Transferred,
    Unlocked,
)
from voisin.protocol.hashing import keccak
from voisin.protocol.ids import (
    ZERO_ADDRESS,
    ZERO_HASH,
    Address,
    DealId,
    Hash32,
    OrderHash,
    TaskId,
    as_address,
    deal_id,
    from_hex,
    task_id,
    to_hex,
)
from voisin.protocol.orders import (
    AppOrder,
    DatasetOrder,
    Order,
    OrderKind,
    RequestOrder,
    WorkerpoolOrder,
    order_kind,
    resource_of,
)
from voisin.protocol.records import Deal, Resource, Task, TaskStatus
from voisin.protocol.rules import (
    DEFAULT_CATEGORIES,
    DEFAULT_SCHEDULER_REWARD_RATIO,
    DEFAULT_WORKER_STAKE_RATIO,
    new_task,
    worker_stake,
    workerpool_stake,
)
from voisin.protocol.signatures import signed_by
from voisin.protocol.tags import NO_TAG, Tag, deal_tag
from voisin.units import NRLC, UnixSeconds

TWIN_DOMAIN = Domain(chain_id=31337, hub=as_address("0x" + "b0" * 20))
_START = 1_700_000_000
_REGISTRY = as_address("0x" + "e0" * 20)


class TwinLedger:
    """
    A hub in memory; see `voisin.market.ledger.Ledger` for what it answers.

    Attributes:
        domain: What its orders are signed for.
        span: Most blocks that it gives out in one range.
        interrupt: Awaited before each answer; may wait, or raise, to play a node that is slow or away.
    """

    def __init__(self, domain: Domain = TWIN_DOMAIN) -> None:
        """
        Args:
            domain: What its orders are signed for.
        """
        self.domain = domain
        self.span = 1000
        self.interrupt: Callable[[], Awaitable[None]] | None = None
        self._owners: dict[Address, tuple[OrderKind, Address]] = {}
        self._stakes: dict[Address, int] = {}
        self._consumed: dict[OrderHash, int] = {}
        self._presigned: dict[OrderHash, Address] = {}
        self._approved: set[tuple[Address, Hash32]] = set()
        self._deals: dict[DealId, Deal] = {}
        self._tasks: dict[TaskId, Task] = {}
        self._blocks: list[tuple[Logged, ...]] = []
        self._fork = 0
        self._news = anyio.Event()
        self._mine(*(CategoryCreated(number, *msgspec.structs.astuple(each)) for number, each in enumerate(DEFAULT_CATEGORIES)))

    # what a market asks

    async def head(self) -> int:
        """Tell the number of the latest block."""
        await self._asked()
        return len(self._blocks) - 1

    async def owners_of(self, entries: Sequence[tuple[OrderKind, Address]]) -> list[Address | None]:
        """Name the present owners of entries; None stands for one that is not in its kind's registry."""
        await self._asked()
        found = [self._owners.get(entry) for _, entry in entries]
        return [who[1] if who is not None and who[0] is kind else None for who, (kind, _) in zip(found, entries, strict=True)]

    async def owner_of(self, entry: Address) -> Address:
        """Name the present owner of a registered entry, whatever its kind."""
        await self._asked()
        return self._owner(entry)

    async def consumed(self, hashes: Sequence[OrderHash]) -> list[int]:
        """Tell how much of orders' volumes is used [tasks]; all of it once one is closed."""
        await self._asked()
        return [self._consumed.get(order_hash, 0) for order_hash in hashes]

    async def presigner(self, order_hash: OrderHash) -> Address:
        """Name who presigned an order on the chain; zero when nobody did."""
        await self._asked()
        return self._presigned.get(order_hash, ZERO_ADDRESS)

    async def have_code(self, accounts: Sequence[Address]) -> list[bool]:
        """Tell of accounts whether they are contracts; here none is."""
        await self._asked()
        return [False for _ in accounts]

    async def is_whole_from(self, block: int) -> bool:
        """Tell whether all that the hub ever did happened in a block or after it."""
        await self._asked()
        return block == 0

    async def is_signed_by(self, owner: Address, digest: Hash32, signature: str) -> bool:
        """Tell whether an account signed a digest by its key, or approved it as a contract would."""
        await self._asked()
        return (owner, digest) in self._approved or signed_by(owner, from_hex(digest), signature)

    async def stakes_of(self, owners: Sequence[Address]) -> list[NRLC]:
        """Tell how much free money accounts have [nRLC]."""
        await self._asked()
        return [NRLC(self._stakes.get(owner, 0)) for owner in owners]

    async def count_categories(self) -> int:
        """Tell how many categories there are."""
        await self._asked()
        return len(DEFAULT_CATEGORIES)

    async def block_time(self, block: int) -> UnixSeconds:
        """Tell the time of a block [Unix s]."""
        await self._asked()
        return UnixSeconds(_START + block)

    async def deal(self, deal_id: DealId) -> Deal:
        """Read a deal."""
        await self._asked()
        return self._deals[deal_id]

    async def task(self, task_id: TaskId) -> Task:
        """Read a task."""
        await self._asked()
        return self._tasks[task_id]

    async def ranges(self, start_block: int, parent_hash: Hash32 | None) -> AsyncIterator[EventRange]:
        """Follow the events from a block on, for ever, in ranges without gap or overlap."""
        while True:
            await self._asked()
            if parent_hash is not None and (start_block > len(self._blocks) or parent_hash != self._hash(start_block - 1)):
                raise StateError(f"block {start_block - 1} is another one than was seen", hint="the chain went back: use new records")
            last = min(len(self._blocks) - 1, start_block + self.span - 1)
            if last < start_block:
                await self._news.wait()
                continue
            events = tuple(logged for block in self._blocks[start_block : last + 1] for logged in block)
            parent_hash = self._hash(last)
            yield EventRange(start_block, last, events, parent_hash)
            start_block = last + 1

    # what happens on it

    def register(self, kind: OrderKind, entry: Address, owner: Address) -> None:
        """Put an app, dataset or workerpool into its registry."""
        self._owners[entry] = (kind, owner)
        self._mine(EntryTransferred(ZERO_ADDRESS, owner, entry))

    def transfer_entry(self, entry: Address, recipient: Address) -> None:
        """Give an entry to somebody else."""
        kind, owner = self._owners[entry]
        self._owners[entry] = (kind, recipient)
        self._mine(EntryTransferred(owner, recipient, entry))

    def deposit(self, owner: Address, amount: int) -> None:
        """Bring money in [nRLC]."""
        self._stakes[owner] = self._stakes.get(owner, 0) + amount
        self._mine(Transferred(ZERO_ADDRESS, owner, NRLC(amount)))

    def withdraw(self, owner: Address, amount: int) -> None:
        """Take free money out [nRLC]."""
        self._take(owner, amount)
        self._mine(Transferred(owner, ZERO_ADDRESS, NRLC(amount)))

    def approve(self, contract: Address, digest: Hash32) -> None:
        """Let a contract hold a digest for signed (ERC-1271)."""
        self._approved.add((contract, digest))

    def presign(self, order: Order) -> None:
        """Sign an order on the chain, as its resource's owner."""
        name = order_hash(order, self.domain)
        self._presigned[name] = self._signer(order)
        self._mine(OrderSigned(order_kind(order), name))

    def close(self, order: Order) -> None:
        """Cancel an order for good."""
        name = order_hash(order, self.domain)
        self._consumed[name] = order.volume
        self._mine(OrderClosed(order_kind(order), name))

    def match(self, app: AppOrder, dataset: DatasetOrder | None, workerpool: WorkerpoolOrder, request: RequestOrder) -> DealId:
        """
        Make a deal of orders that fit.

        Raises:
            StateError: They do not fit, or one has no volume left.
            FundsError: Requester or scheduler cannot pay.
        """
        unfit = mismatches(app, dataset, workerpool, request)
        if unfit:
            raise StateError(unfit[0].message)
        orders: tuple[Order, ...] = (app, dataset, workerpool, request) if dataset is not None else (app, workerpool, request)
        names = {order_kind(order): order_hash(order, self.domain) for order in orders}
        used = {name: self._consumed.get(name, 0) for name in names.values()}
        volume = min(order.volume - used[names[order_kind(order)]] for order in orders)
        if volume <= 0:
            raise StateError("an order has no volume left")
        resources = [self._resource(order) for order in (app, dataset, workerpool)]
        locks = self._lock(request.requester, sum(part.price for part in resources) * volume)
        try:
            locks += self._lock(resources[2].owner, workerpool_stake(workerpool.workerpoolprice, volume))
        except FundsError:
            self._give(request.requester, locks[0].amount)
            raise
        first = used[names[OrderKind.REQUEST]]
        made = deal_id(names[OrderKind.REQUEST], first)
        self._consumed |= {name: before + volume for name, before in used.items()}
        tag = deal_tag(app.tag, dataset.tag if dataset is not None else NO_TAG, request.tag)
        self._deals[made] = _new_deal(resources, request, tag, start=self._now(), indexes=range(first, first + volume))
        dataset_hash = names.get(OrderKind.DATASET, OrderHash(ZERO_HASH))
        matched = OrdersMatched(made, names[OrderKind.APP], dataset_hash, names[OrderKind.WORKERPOOL], names[OrderKind.REQUEST], volume)
        self._mine(*locks, SchedulerNotice(workerpool.workerpool, made), matched)
        return made

    def initialize(self, deal: DealId, index: int) -> TaskId:
        """Start a task of a deal."""
        made = task_id(deal, index)
        self._tasks[made] = new_task(deal, index, self._deals[deal], DEFAULT_CATEGORIES[self._deals[deal].category].time_ref_s)
        self._mine(TaskInitialized(made, self._deals[deal].workerpool.pointer))
        return made

    def agree(self, task: TaskId, result: Hash32) -> None:
        """Let a task's workers agree on a result."""
        self._change_task(task, TaskStatus.REVEALING)
        self._mine(ConsensusReached(task, result))

    def reopen(self, task: TaskId) -> None:
        """Let a task take contributions again."""
        self._change_task(task, TaskStatus.ACTIVE)
        self._mine(TaskReopened(task))

    def finalize(self, task: TaskId, results: bytes) -> None:
        """Complete a task: the scheduler gets its stake back, and the price of the task."""
        deal = self._change_task(task, TaskStatus.COMPLETED)
        scheduler = deal.workerpool.owner
        stake, price = workerpool_stake(deal.workerpool.price, 1), _task_price(deal)
        self._give(scheduler, stake + price)
        moves = (Transferred(self.domain.hub, scheduler, stake), Unlocked(scheduler, stake))
        self._mine(*moves, Transferred(self.domain.hub, scheduler, price), TaskFinalized(task, results))

    def claim(self, task: TaskId) -> None:
        """Fail a task at its deadline: the requester gets the price back, the scheduler loses its stake."""
        deal = self._change_task(task, TaskStatus.FAILED)
        price = _task_price(deal)
        self._give(deal.requester, price)
        self._mine(Transferred(self.domain.hub, deal.requester, price), Unlocked(deal.requester, price), TaskClaimed(task))

    def mine(self) -> None:
        """Add an empty block."""
        self._mine()

    def rewind(self, block: int) -> None:
        """Forget what was logged after a block and go on from there as another chain would."""
        del self._blocks[block + 1 :]
        self._fork += 1
        self._mine()

    # inside

    async def _asked(self) -> None:
        if self.interrupt is not None:
            await self.interrupt()

    def _mine(self, *events: Event) -> None:
        number = len(self._blocks)
        tx_hash = Hash32(to_hex(keccak(f"transaction {self._fork} {number}".encode())))
        sources = [_REGISTRY if isinstance(event, EntryTransferred) else self.domain.hub for event in events]
        logged = (Logged(event, source, number, place, tx_hash) for place, (event, source) in enumerate(zip(events, sources, strict=True)))
        self._blocks.append(tuple(logged))
        news, self._news = self._news, anyio.Event()
        news.set()

    def _hash(self, block: int) -> Hash32:
        return Hash32(to_hex(keccak(f"block {self._fork} {block}".encode())))

    def _owner(self, entry: Address) -> Address:
        return self._owners[entry][1]

    def _signer(self, order: Order) -> Address:
        return order.requester if isinstance(order, RequestOrder) else self._owner(resource_of(order))

    def _give(self, owner: Address, amount: int) -> None:
        self._stakes[owner] = self._stakes.get(owner, 0) + amount

    def _take(self, owner: Address, amount: int) -> None:
        if self._stakes.get(owner, 0) < amount:
            raise FundsError(f"{owner} has too little")
        self._stakes[owner] -= amount

    def _lock(self, owner: Address, amount: int) -> list[Transferred | Locked]:
        self._take(owner, amount)
        return [Transferred(owner, self.domain.hub, NRLC(amount)), Locked(owner, NRLC(amount))]

    def _resource(self, order: AppOrder | DatasetOrder | WorkerpoolOrder | None) -> Resource:
        if order is None:
            return Resource(ZERO_ADDRESS, ZERO_ADDRESS, NRLC(0))
        return Resource(resource_of(order), self._owner(resource_of(order)), price_of(order))

    def _change_task(self, task: TaskId, status: TaskStatus) -> Deal:
        self._tasks[task] = msgspec.structs.replace(self._tasks[task], status=status)
        return self._deals[self._tasks[task].deal_id]

    def _now(self) -> UnixSeconds:
        return UnixSeconds(_START + len(self._blocks))


def _task_price(deal: Deal) -> NRLC:
    return NRLC(deal.app.price + deal.dataset.price + deal.workerpool.price)


def _new_deal(resources: Sequence[Resource], request: RequestOrder, tag: Tag, *, start: UnixSeconds, indexes: range) -> Deal:
    app, dataset, workerpool = resources
    return Deal(
        app=app,
        dataset=dataset,
        workerpool=workerpool,
        trust=max(request.trust, 1),
        category=request.category,
        tag=tag,
        requester=request.requester,
        beneficiary=request.beneficiary,
        callback=request.callback,
        params=request.params,
        start_time=start,
        bot_first=indexes.start,
        bot_size=len(indexes),
        worker_stake=worker_stake(workerpool.price, DEFAULT_WORKER_STAKE_RATIO),
        scheduler_reward_ratio=DEFAULT_SCHEDULER_REWARD_RATIO,
        sponsor=request.requester,
    )
