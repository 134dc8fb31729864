"""
The invoice of a deal: who was paid what, who lost what, what came back, and who burnt how much gas.

Pure: built from the deal, the chain's events and the mined transactions; all sums are checked to the nRLC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain as joined
from typing import get_args

import msgspec

from voisin.client.settlement import Outcome, Role, Settlement, Transfer, Verdict, settle, task_price, total_by_owner
from voisin.errors import TrustError
from voisin.protocol.events import (
    BagClaimed,
    BagEvent,
    BagPosted,
    BagSettled,
    BagSlashed,
    DealGivenBack,
    Event,
    LeafAnswered,
    LeafDemanded,
    Logged,
    OrdersMatched,
    ResultProven,
    Rewarded,
    Seized,
    TaskClaimed,
    TaskContributed,
    TaskFinalized,
    TaskInitialized,
    TaskReopened,
    TaskRevealed,
)
from voisin.protocol.ids import Address, DealId, Hash32, TaskId, task_id
from voisin.protocol.records import Deal
from voisin.protocol.tags import needs_enclave
from voisin.units import NRLC, Wei

UNKNOWN_ENCLAVE = "unknown"
"""What an invoice says of enclaves when the chain alone is asked: a deal's tag says that one was wanted, and not which kind it was."""


class MinedTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction in a block: who sent it, its gas [gas], and the price of a unit of it [wei]."""

    tx_hash: Hash32
    sender: Address
    gas_used: int
    gas_price: Wei


class PaymentLine(msgspec.Struct, frozen=True, kw_only=True):
    """Money that an owner got, or lost, in one role over all tasks [nRLC]."""

    role: Role
    owner: Address
    amount: NRLC


class GasLine(msgspec.Struct, frozen=True, kw_only=True):
    """Gas that one kind of transaction cost one role: number of transactions, gas [gas] and its cost [wei]."""

    role: str
    kind: str
    transactions: int
    gas: int
    cost: Wei


class VoteLine(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's part in a task: verdict, pay and fine [nRLC]."""

    worker: Address
    verdict: Verdict
    reward: NRLC
    fine: NRLC


class TaskLine(msgspec.Struct, frozen=True, kw_only=True):
    """One task: its outcome, and every worker that took part."""

    task_id: TaskId
    index: int
    outcome: Outcome
    votes: tuple[VoteLine, ...]


class BagLine(msgspec.Struct, frozen=True, kw_only=True):
    """How a deal stands that is settled as a bag: stage, number of results, window [s], from when it may be settled [Unix s; 0 before]."""

    stage: str
    done: int
    window_s: int
    deadline: int


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """
    The account of one deal. Amounts are in nRLC.

    Attributes:
        deal_id: The deal.
        app: The app that ran.
        workerpool: The pool that ran it.
        payer: Who paid: the requester, or a sponsor.
        enclave: `simulated` when the tasks ran in enclaves that hide nothing from who runs the worker, `hardware` when the workerpool
            promised real ones (a task's receipt proves it), `unknown` when they asked for an enclave and nobody says which kind the
            workerpool has, `none` otherwise.
        volume: Number of tasks.
        price: Price of one task.
        total: What the deal locked: price times volume.
        spent: What completed tasks cost.
        refunded: What failed tasks gave back.
        pending: What is still locked for open tasks.
        payments: Who got how much, by role.
        fines: Who lost how much stake, by role.
        gas: What was burnt, by role and kind of transaction.
        tasks: Every task, by index; of a settled bag none if its leaves cannot be had.
        bag: How the bag stands, for a deal whose tasks are settled together; workers are then paid for all their tasks at once.
    """

    deal_id: DealId
    app: Address
    workerpool: Address
    payer: Address
    volume: int
    price: NRLC
    total: NRLC
    spent: NRLC
    refunded: NRLC
    pending: NRLC
    payments: tuple[PaymentLine, ...]
    fines: tuple[PaymentLine, ...]
    gas: tuple[GasLine, ...]
    tasks: tuple[TaskLine, ...]
    enclave: str = "none"
    bag: BagLine | None = None

    def check(self) -> None:
        """
        Check that nothing was lost and nothing came from nowhere.

        Raises:
            TrustError: What was taken is not what was paid.
        """
        if self.spent + self.refunded + self.pending != self.total:
            raise TrustError(f"of {self.total} nRLC, {self.spent} were spent, {self.refunded} refunded and {self.pending} are pending")
        taken, paid = self.spent + _sum(self.fines), _sum(self.payments)
        if taken != paid:
            raise TrustError(f"{taken} nRLC were taken and {paid} paid")

    def parties(self) -> set[Address]:
        """Name everybody whose balance the deal may have changed."""
        owners = {line.owner for line in (*self.payments, *self.fines)}
        return owners | {self.payer} | {vote.worker for task in self.tasks for vote in task.votes}


def build_invoice(deal_id: DealId, deal: Deal, logs: Sequence[Logged], mined: Mapping[Hash32, MinedTransaction]) -> Invoice:
    """
    Write a deal's invoice.

    Args:
        deal_id: The deal's id.
        deal: The deal.
        logs: The hub's events since the deal was matched, of this deal and of others.
        mined: The transactions that logged something about this deal, by hash.

    Raises:
        TrustError: The sums do not add up.
    """
    ids = {task_id(deal_id, index): index for index in range(deal.bot_first, deal.bot_first + deal.bot_size)}
    story: dict[TaskId, list[Event]] = {task: [] for task in ids}
    for logged in sorted(logs, key=lambda logged: (logged.block, logged.log_index)):
        if (task := subject(logged.event)) in story and task is not None:
            story[task].append(logged.event)
    settlements = {task: settle(deal, events) for task, events in story.items()}
    price = task_price(deal)
    pending = sum(price for settlement in settlements.values() if settlement.outcome is Outcome.OPEN)
    invoice = Invoice(
        deal_id=deal_id,
        app=deal.app.pointer,
        workerpool=deal.workerpool.pointer,
        payer=deal.sponsor,
        volume=deal.bot_size,
        price=price,
        total=NRLC(price * deal.bot_size),
        spent=NRLC(sum(settlement.charged for settlement in settlements.values())),
        refunded=NRLC(sum(settlement.refunded for settlement in settlements.values())),
        pending=NRLC(pending),
        payments=_lines(settlements, fines=False),
        fines=_lines(settlements, fines=True),
        gas=tuple(gas_lines(deal_id, deal, logs, mined)),
        tasks=tuple(_task_line(task, ids[task], settlement) for task, settlement in settlements.items()),
        enclave=UNKNOWN_ENCLAVE if needs_enclave(deal.tag) else "none",
    )
    invoice.check()
    return invoice


def subject(event: Event) -> TaskId | None:
    """Name the task that an event is about; None when it is about none. Money of a bag moves in the name of its deal."""
    return getattr(event, "task_id", None)


def is_money_of(event: Event, deal_id: DealId) -> bool:
    """Tell whether an event moves money of a bag."""
    return isinstance(event, Rewarded | Seized) and event.task_id == TaskId(deal_id)


def concerns(event: Event, deal_id: DealId, tasks: Mapping[TaskId, int]) -> bool:
    """Tell whether an event belongs to a deal or one of its tasks; money of a bag moves in the name of the deal."""
    return subject(event) in tasks or is_money_of(event, deal_id) or (isinstance(event, _OF_DEALS) and event.deal_id == deal_id)


_OF_DEALS = (OrdersMatched, *get_args(BagEvent))


_KINDS: tuple[tuple[type[Event], str, Role], ...] = (
    (OrdersMatched, "match", Role.REQUESTER),
    (TaskClaimed, "claim", Role.REQUESTER),
    (TaskInitialized, "initialize", Role.SCHEDULER),
    (TaskReopened, "reopen", Role.SCHEDULER),
    (TaskRevealed, "reveal", Role.WORKER),
    (TaskContributed, "contribute", Role.WORKER),
    (TaskFinalized, "finalize", Role.SCHEDULER),
    (BagClaimed, "claim bag", Role.REQUESTER),
    (DealGivenBack, "give back", Role.SCHEDULER),
    (BagPosted, "post bag", Role.SCHEDULER),
    (BagSettled, "settle bag", Role.REQUESTER),
    (BagSlashed, "prove fraud", Role.REQUESTER),
    (LeafDemanded, "demand leaf", Role.REQUESTER),
    (LeafAnswered, "show leaf", Role.REQUESTER),
    (ResultProven, "prove result", Role.REQUESTER),
)
"""What a transaction is called by the event it logs, and who usually sends it; the first that applies counts."""


def gas_lines(deal_id: DealId, deal: Deal, logs: Sequence[Logged], mined: Mapping[Hash32, MinedTransaction]) -> Iterator[GasLine]:
    """
    Add up the gas of a deal by role and kind; a transaction that served several deals counts in proportion.

    Args:
        deal_id: The deal's id.
        deal: The deal.
        logs: The hub's events since the deal was matched.
        mined: The transactions to count, by hash.
    """
    ids = {task_id(deal_id, index): index for index in range(deal.bot_first, deal.bot_first + deal.bot_size)}
    by_transaction: dict[Hash32, list[Event]] = {}
    for logged in logs:
        if logged.tx_hash in mined and (subject(logged.event) is not None or isinstance(logged.event, _OF_DEALS)):
            by_transaction.setdefault(logged.tx_hash, []).append(logged.event)
    count: Counter[tuple[str, str]] = Counter()
    gas: Counter[tuple[str, str]] = Counter()
    cost: Counter[tuple[str, str]] = Counter()
    for tx_hash, events in by_transaction.items():
        ours = sum(concerns(event, deal_id, ids) for event in events)
        if not ours:
            continue
        transaction = mined[tx_hash]
        line = _line_of(events, transaction.sender, deal)
        share = transaction.gas_used * ours // len(events)
        count[line] += 1
        gas[line] += share
        cost[line] += share * transaction.gas_price
    for role, kind in sorted(count, key=lambda line: (_ROLE_ORDER.index(line[0]), line[1])):
        line = (role, kind)
        yield GasLine(role=role, kind=kind, transactions=count[line], gas=gas[line], cost=Wei(cost[line]))


_ROLE_ORDER = (Role.REQUESTER.value, Role.SCHEDULER.value, Role.WORKER.value, "other")


def _line_of(events: Sequence[Event], sender: Address, deal: Deal) -> tuple[str, str]:
    kinds = {type(event) for event in events}
    if {TaskContributed, TaskFinalized} <= kinds:
        return Role.WORKER.value, "contribute and finalize"
    _, kind, role = next(found for found in _KINDS if found[0] in kinds)
    if role is Role.REQUESTER and sender not in (deal.requester, deal.sponsor):
        return (Role.SCHEDULER.value if sender == deal.workerpool.owner else "other"), kind
    return role.value, kind


def _lines(settlements: Mapping[TaskId, Settlement], *, fines: bool) -> tuple[PaymentLine, ...]:
    return payment_lines(list(joined.from_iterable(found.fines if fines else found.payments for found in settlements.values())))


def payment_lines(transfers: Sequence[Transfer]) -> tuple[PaymentLine, ...]:
    """Add transfers up, in the order of the roles."""
    totals = total_by_owner(transfers)
    places = list(Role)
    ordered = sorted(totals, key=lambda key: (places.index(key[0]), key[1]))
    return tuple(PaymentLine(role=role, owner=owner, amount=NRLC(totals[role, owner])) for role, owner in ordered)


def _task_line(task: TaskId, index: int, settlement: Settlement) -> TaskLine:
    votes = (VoteLine(worker=v.worker, verdict=v.verdict, reward=v.reward, fine=v.fine) for v in settlement.votes)
    return TaskLine(task_id=task, index=index, outcome=settlement.outcome, votes=tuple(votes))


def _sum(lines: Sequence[PaymentLine]) -> int:
    return sum(line.amount for line in lines)
