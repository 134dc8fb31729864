"""
Whatever happens on a chain, the records are what a plain model says; made anew they are the same, and they follow where a chain goes
back.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio import from_thread, to_thread
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.support.nights import examples
from voisin.chain import EventRange
from voisin.index.facts import Places, TransactionFacts
from voisin.index.follower import IndexFollower
from voisin.index.metrics import IndexMetrics
from voisin.index.schema import NOW, TABLES
from voisin.index.settings import IndexSettings
from voisin.index.store import Position, SqlStore, open_store
from voisin.index.twin import TwinBlock, TwinLedger
from voisin.protocol.eip712 import Domain
from voisin.protocol.events import (
    AccurateContribution,
    CategoryCreated,
    ConsensusReached,
    Event,
    FaultyContribution,
    Locked,
    Logged,
    OrdersMatched,
    Rewarded,
    SchedulerNotice,
    Seized,
    TaskClaimed,
    TaskContributed,
    TaskFinalized,
    TaskInitialized,
    TaskReopened,
    TaskRevealed,
    Transferred,
    Unlocked,
)
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, OrderHash, TaskId, as_address, hash32_of, task_id
from voisin.protocol.records import Contribution, ContributionStatus, Deal, Resource
from voisin.protocol.rules import new_task
from voisin.protocol.tags import NO_TAG
from voisin.units import NRLC, UnixSeconds

HUB, TOKEN, APPS, DATASETS, POOLS = (as_address(f"0x{number:040x}") for number in range(1, 6))
ALICE, BOB, CAROL = (as_address(f"0x{number:040x}") for number in (0xA11CE, 0xB0B, 0xCA701))
DOMAIN = Domain(chain_id=31337, hub=HUB)
PLACES = Places(HUB, TOKEN, APPS, DATASETS, POOLS)
TIME_REF = 60
PEOPLE = st.sampled_from([ALICE, BOB, CAROL])
MONEY = ("deposit", "deposit", "withdraw", "transfer", "lock", "unlock", "seize", "reward")
WORK = ("deal", "begin", "contribute", "agree", "reveal", "reopen", "finalize", "claim", "judge")
STEPS = st.sampled_from((*MONEY, *WORK, "next", "next"))
Choice = tuple[str, Address, Address, int]
CHOICES = st.lists(st.tuples(STEPS, PEOPLE, PEOPLE, st.integers(0, 9)), max_size=60)


@dataclass
class Model:
    """The protocol in a few lines: money, scores, and where each task stands."""

    free: Counter[str] = field(default_factory=Counter)
    locked: Counter[str] = field(default_factory=Counter)
    scores: Counter[str] = field(default_factory=Counter)
    status: dict[str, str] = field(default_factory=dict)
    contributions: dict[tuple[str, str], str] = field(default_factory=dict)
    totals: Counter[str] = field(default_factory=Counter)


class Teller:
    """Makes a chain of random choices, and tells the model what happened."""

    def __init__(self, ledger: TwinLedger) -> None:
        self.ledger, self.model = ledger, Model()
        self.events: list[Event] = [CategoryCreated(0, "XS", "", TIME_REF)]
        self.deals: list[DealId] = []
        self.hashes: dict[TaskId, list[tuple[Address, Hash32]]] = {}
        self.agreed: dict[TaskId, Hash32] = {}
        self.model.totals["categoriesCount"] += 1

    def close(self) -> None:
        """End a block; its hash is of its events and of the block before."""
        number, chain = len(self.ledger.blocks), self.ledger
        parent = chain.blocks[-1].hash if chain.blocks else ""
        name = hash32_of(parent.encode(), repr(self.events).encode())
        chain.known.transactions[name] = TransactionFacts(sender=ALICE, recipient=HUB, value=0, gas_limit=9, gas_used=8, gas_price=7)
        logged = tuple(Logged(event, HUB, number, place, name) for place, event in enumerate(self.events))
        chain.blocks.append(TwinBlock(name, UnixSeconds(1000 + number), logged))
        self.events = []

    def tell(self, choice: Choice) -> None:
        """Let something happen, if it can."""
        step, who, other, amount = choice
        getattr(self, step)(who, other, amount)

    def _move(self, sender: Address, recipient: Address, amount: int) -> None:
        self.events.append(Transferred(sender, recipient, NRLC(amount)))
        self.model.free[sender] -= amount
        self.model.free[recipient] += amount

    def next(self, *_: object) -> None:
        self.close()

    def deposit(self, who: Address, _other: Address, amount: int) -> None:
        self._move(ZERO_ADDRESS, who, amount)
        self.model.totals["tvl"] += amount

    def withdraw(self, who: Address, _other: Address, amount: int) -> None:
        amount = min(amount, self.model.free[who])
        self._move(who, ZERO_ADDRESS, amount)
        self.model.totals["tvl"] -= amount

    def transfer(self, who: Address, other: Address, amount: int) -> None:
        self._move(who, other, min(amount, self.model.free[who]))

    def lock(self, who: Address, _other: Address, amount: int) -> None:
        amount = min(amount, self.model.free[who])
        self._move(who, HUB, amount)
        self.events.append(Locked(who, NRLC(amount)))
        self.model.locked[who] += amount

    def unlock(self, who: Address, _other: Address, amount: int) -> None:
        amount = min(amount, self.model.locked[who])
        self._move(HUB, who, amount)
        self.events.append(Unlocked(who, NRLC(amount)))
        self.model.locked[who] -= amount

    def seize(self, who: Address, _other: Address, amount: int) -> None:
        amount = min(amount, self.model.locked[who])
        self.events.append(Seized(who, NRLC(amount), TaskId(Hash32("0x" + "00" * 32))))
        self.model.locked[who] -= amount

    def reward(self, who: Address, _other: Address, amount: int) -> None:
        amount = min(amount, self.model.free[HUB] - sum(self.model.locked.values()))
        self._move(HUB, who, amount)
        self.events.append(Rewarded(who, NRLC(amount), TaskId(Hash32("0x" + "00" * 32))))

    def deal(self, who: Address, other: Address, amount: int) -> None:
        name = DealId(Hash32(hash32_of(b"deal", bytes([len(self.deals)]))))
        self.ledger.known.deals[name] = Deal(
            app=Resource(APPS, who, NRLC(1)), dataset=Resource(ZERO_ADDRESS, ZERO_ADDRESS, NRLC(0)),
            workerpool=Resource(POOLS, other, NRLC(2)), trust=1, category=0, tag=NO_TAG, requester=who, beneficiary=other,
            callback=ZERO_ADDRESS, params="a\0b", start_time=UnixSeconds(5), bot_first=0, bot_size=amount + 1, worker_stake=NRLC(0),
            scheduler_reward_ratio=1, sponsor=who,
        )  # fmt: skip
        orders = [OrderHash(Hash32(hash32_of(name.encode(), bytes([number])))) for number in range(4)]
        self.events += [SchedulerNotice(POOLS, name), OrdersMatched(name, *orders, amount + 1)]
        self.deals.append(name)
        self.model.totals.update(dealsCount=1, tasksCount=amount + 1)

    def begin(self, _who: Address, _other: Address, _amount: int) -> None:
        for deal in self.deals:
            known = self.ledger.known.deals[deal]
            for name, index in ((task_id(deal, index), index) for index in range(known.bot_size)):
                if name not in self.model.status:
                    self.events.append(TaskInitialized(name, POOLS))
                    self.ledger.known.tasks[name] = new_task(deal, index, known, TIME_REF)
                    self.model.status[name] = "ACTIVE"
                    return

    def _task(self, amount: int, status: str) -> TaskId | None:
        found = [name for name, stands in self.model.status.items() if stands == status]
        return TaskId(Hash32(found[amount % len(found)])) if found else None

    def judge(self, who: Address, _other: Address, amount: int) -> None:
        is_right = amount % 2 == 0
        name = TaskId(Hash32("0x" + "00" * 32))
        self.events.append(AccurateContribution(who, name) if is_right else FaultyContribution(who, name))
        self.model.scores[who] = self.model.scores[who] + 1 if is_right else self.model.scores[who] * 2 // 3

    def claim(self, _who: Address, _other: Address, amount: int) -> None:
        self._end(self._task(amount, "ACTIVE"), "FAILLED", "claimedTasksCount")

    def finalize(self, _who: Address, _other: Address, amount: int) -> None:
        self._end(self._task(amount, "REVEALING"), "COMPLETED", "completedTasksCount")

    def _end(self, task: TaskId | None, status: str, total: str) -> None:
        if task is None:
            return
        self.events.append(TaskClaimed(task) if status == "FAILLED" else TaskFinalized(task, b"there"))
        self.model.status[task] = status
        self.model.totals[total] += 1

    def contribute(self, who: Address, _other: Address, amount: int) -> None:
        task = self._task(amount, "ACTIVE")
        if task is None or (task, who) in self.model.contributions:
            return
        result = Hash32("0x" + ("aa" if amount % 2 else "bb") * 32)
        self.events.append(TaskContributed(task, who, result))
        self.ledger.known.contributions[task, who] = Contribution(
            status=ContributionStatus.CONTRIBUTED, result_hash=result, result_seal=result, enclave_challenge=ZERO_ADDRESS, weight=0
        )
        self.model.contributions[task, who] = "CONTRIBUTED"
        self.hashes.setdefault(task, []).append((who, result))

    def agree(self, _who: Address, _other: Address, amount: int) -> None:
        task = self._task(amount, "ACTIVE")
        live = [result for who, result in self.hashes.get(task, []) if self.model.contributions[task, who] == "CONTRIBUTED"] if task else []
        if task is None or not live:
            return
        self.events.append(ConsensusReached(task, live[amount % len(live)]))
        self.model.status[task] = "REVEALING"
        self.agreed[task] = live[amount % len(live)]

    def reveal(self, _who: Address, _other: Address, amount: int) -> None:
        task = self._task(amount, "REVEALING")
        for who, result in self.hashes.get(task, []) if task else []:
            if task and result == self.agreed[task] and self.model.contributions[task, who] == "CONTRIBUTED":
                self.events.append(TaskRevealed(task, who, Hash32("0x" + "dd" * 32)))
                self.model.contributions[task, who] = "PROVED"
                return

    def reopen(self, _who: Address, _other: Address, amount: int) -> None:
        task = self._task(amount, "REVEALING")
        winners = [who for who, result in self.hashes.get(task, []) if result == self.agreed[task]] if task else []
        if task is None or any(self.model.contributions[task, who] == "PROVED" for who in winners):
            return
        self.events.append(TaskReopened(task))
        self.model.status[task] = "ACTIVE"
        self.model.contributions |= {(task, who): "REJECTED" for who in winners}


def make_chain(ledger: TwinLedger, choices: list[Choice]) -> Model:
    """Replace the chain by one on which these things happen; answers what they come to."""
    ledger.blocks = []
    teller = Teller(ledger)
    for choice in choices:
        teller.tell(choice)
    teller.close()
    return teller.model


async def absorb(follower: IndexFollower, ledger: TwinLedger, first: int, steps: list[int]) -> None:
    """Record the chain in stretches of these lengths."""
    number = 0
    while first < len(ledger.blocks):
        last = min(first + steps[number % len(steps)], len(ledger.blocks)) - 1
        events = tuple(event for block in ledger.blocks[first : last + 1] for event in block.events)
        assert await follower.absorb(EventRange(first, last, events, ledger.blocks[last].hash))
        first, number = last + 1, number + 1


async def dump(store: SqlStore) -> dict[str, list[tuple[Any, ...]]]:
    """All versions of everything."""
    async with store.read() as connection:
        return {name: sorted(map(tuple, await connection.execute(select(table))), key=repr) for name, table in TABLES.items()}


async def present(store: SqlStore, name: str, *columns: str) -> dict[str, Any]:
    """What holds now, by id."""
    table = TABLES[name]
    async with store.read() as connection:
        found = await connection.execute(select(table).where(table.c.to_block == NOW))
        return {row["id"]: tuple(row[column] for column in columns) for row in found.mappings()}


async def check_model(store: SqlStore, model: Model) -> None:
    """Compare with the model."""
    accounts = await present(store, "account", "balance", "frozen", "score")
    for who in (ALICE, BOB, CAROL, HUB):
        wanted = (model.free[who], model.locked[who], model.scores[who])
        assert accounts.get(who.lower(), (0, 0, 0)) == wanted, who
    assert {name: status for name, (status,) in (await present(store, "task", "status")).items()} == model.status
    contributions = {f"{task}-{who.lower()}": status for (task, who), status in model.contributions.items()}
    assert {name: status for name, (status,) in (await present(store, "contribution", "status")).items()} == contributions
    totals = ("categoriesCount", "dealsCount", "tasksCount", "completedTasksCount", "claimedTasksCount", "tvl")
    assert (await present(store, "protocol", *totals))["iExec"] == tuple(model.totals[total] for total in totals)


async def empty(store: SqlStore) -> None:
    """Forget everything."""
    async with store.write() as write:
        await write.go_back(Position(0))


async def live(store: SqlStore, shared: list[Choice], old: list[Choice], new: list[Choice], steps: list[int]) -> None:
    """One life: the chain is followed, recorded anew, goes back to where its future is open, is followed again, and recorded anew."""
    ledger = TwinLedger(DOMAIN, PLACES)
    follower = IndexFollower(ledger, store, IndexMetrics(), IndexSettings(keep_anchors=4 * steps[0]))
    for number, future in enumerate((old, new)):
        before = ledger.blocks
        model = make_chain(ledger, [*shared, ("next", ALICE, ALICE, 0), *future])
        position = Position(0) if number == 0 else await follower.return_to_the_chain()
        common = next((place for place, (a, b) in enumerate(zip(before, ledger.blocks, strict=False)) if a != b), len(before))
        assert position.next_block <= common
        await absorb(follower, ledger, position.next_block, steps)
        await check_model(store, model)
        followed = await dump(store)
        await empty(store)
        await absorb(follower, ledger, 0, [10**6])
        assert await dump(store) == followed, "what was recorded bit by bit is what is recorded at once"
        await empty(store)
        await absorb(follower, ledger, 0, steps)
    await empty(store)


def test_the_records_follow_any_chain(database_url: str) -> None:
    async def all_examples() -> None:
        async with open_store(database_url, DOMAIN, 0) as store:

            @settings(max_examples=examples(3))
            @given(CHOICES, CHOICES, CHOICES, st.lists(st.integers(1, 5), min_size=1, max_size=4))
            def one_example(shared: list[Choice], old: list[Choice], new: list[Choice], steps: list[int]) -> None:
                from_thread.run(live, store, shared, old, new, steps)

            await to_thread.run_sync(one_example)

    anyio.run(all_examples)
