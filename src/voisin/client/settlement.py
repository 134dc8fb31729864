"""
Who got what for one task, read out of the events of its settlement.

The events carry an owner and an amount but no role; the role follows from the order in which the hub settles, which holds
even when one owner plays several roles.

Source: poco-protocol.md 12.1 to 12.4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from voisin.errors import TrustError
from voisin.protocol.events import Event, Rewarded, Seized, TaskClaimed, TaskContributed, TaskFinalized
from voisin.protocol.ids import ZERO_ADDRESS, Address
from voisin.protocol.records import Deal
from voisin.protocol.rules import KITTY_ADDRESS
from voisin.units import NRLC


class Role(StrEnum):
    """In which capacity somebody pays or is paid."""

    REQUESTER = "requester"
    APP = "app owner"
    DATASET = "dataset owner"
    SCHEDULER = "scheduler"
    WORKER = "worker"
    KITTY = "kitty"
    CHALLENGER = "challenger"
    """Who proved a bag wrong."""


class Verdict(StrEnum):
    """What became of a worker's contribution."""

    PROVED = "proved"
    FAULTY = "faulty"
    RETURNED = "returned"
    """The task failed as a whole: no pay, stake back."""
    OPEN = "open"


class Outcome(StrEnum):
    """What became of a task."""

    COMPLETED = "completed"
    FAILED = "failed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money that a task moved to or from an owner in a role [nRLC]."""

    role: Role
    owner: Address
    amount: NRLC


@dataclass(frozen=True, slots=True)
class Vote:
    """One worker's part in a task: verdict, pay and fine [nRLC]."""

    worker: Address
    verdict: Verdict
    reward: NRLC
    fine: NRLC


@dataclass(frozen=True, slots=True)
class Settlement:
    """
    The money of one task.

    Attributes:
        outcome: What became of the task.
        charged: What the payer was charged [nRLC].
        refunded: What the payer got back [nRLC].
        payments: Who was paid.
        fines: Who lost stake; the kitty's share is listed here when it pays out.
        votes: Every worker's part.
    """

    outcome: Outcome
    charged: NRLC
    refunded: NRLC
    payments: tuple[Transfer, ...]
    fines: tuple[Transfer, ...]
    votes: tuple[Vote, ...]


def task_price(deal: Deal) -> NRLC:
    """Tell what one task of a deal costs [nRLC]."""
    return NRLC(deal.app.price + deal.dataset.price + deal.workerpool.price)


def settle(deal: Deal, events: Sequence[Event]) -> Settlement:
    """
    Read the settlement of one task.

    Args:
        deal: The task's deal.
        events: The events that name the task, in the chain's order.

    Returns:
        Its payments and fines; all zero while the task is open.

    Raises:
        TrustError: The events do not add up: more or less was paid than was taken.
    """
    if any(isinstance(event, TaskFinalized) for event in events):
        settlement = _completed(deal, events)
    elif any(isinstance(event, TaskClaimed) for event in events):
        settlement = _failed(deal, events)
    else:
        zero = NRLC(0)
        return Settlement(Outcome.OPEN, zero, zero, (), (), _votes(events, {}, {}, Verdict.OPEN))
    taken = settlement.charged + sum(fine.amount for fine in settlement.fines)
    paid = sum(payment.amount for payment in settlement.payments)
    if taken != paid:
        raise TrustError(f"the hub took {taken} nRLC for a task and paid {paid}")
    return settlement


def _completed(deal: Deal, events: Sequence[Event]) -> Settlement:
    seized = [event for event in events if isinstance(event, Seized)]
    rewards = [event for event in events if isinstance(event, Rewarded)]
    if not seized or not rewards:
        raise TrustError("a completed task has no record of its payment")
    fines = [_fine(event) for event in seized[1:]]
    payments = []
    if deal.app.price > 0:
        payments.append(_pay(Role.APP, rewards.pop(0)))
    if deal.dataset.price > 0 and deal.dataset.pointer != ZERO_ADDRESS:
        payments.append(_pay(Role.DATASET, rewards.pop(0)))
    if any(fine.role is Role.KITTY for fine in fines):
        payments.append(_pay(Role.SCHEDULER, rewards.pop(0)))
    scheduler = rewards.pop()
    workers = [_pay(Role.WORKER, event) for event in rewards]
    pay = {payment.owner: payment.amount for payment in workers}
    lost = {fine.owner: fine.amount for fine in fines if fine.role is Role.WORKER}
    votes = _votes(events, pay, lost, Verdict.FAULTY)
    everyone = (*payments, *workers, _pay(Role.SCHEDULER, scheduler))
    return Settlement(Outcome.COMPLETED, seized[0].amount, NRLC(0), everyone, tuple(fines), votes)


def _failed(deal: Deal, events: Sequence[Event]) -> Settlement:
    fines = tuple(Transfer(Role.SCHEDULER, event.owner, event.amount) for event in events if isinstance(event, Seized))
    payments = tuple(_pay(Role.KITTY, event) for event in events if isinstance(event, Rewarded))
    votes = _votes(events, {}, {}, Verdict.RETURNED)
    return Settlement(Outcome.FAILED, NRLC(0), task_price(deal), payments, fines, votes)


def _pay(role: Role, event: Rewarded) -> Transfer:
    return Transfer(role, event.owner, event.amount)


def _fine(event: Seized) -> Transfer:
    return Transfer(Role.KITTY if event.owner == KITTY_ADDRESS else Role.WORKER, event.owner, event.amount)


def _votes(events: Sequence[Event], pay: dict[Address, NRLC], fines: dict[Address, NRLC], otherwise: Verdict) -> tuple[Vote, ...]:
    """List the workers in order of contribution; whoever was paid proved right, whoever was not has the verdict `otherwise`."""
    contributors = dict.fromkeys(event.worker for event in events if isinstance(event, TaskContributed))
    return tuple(
        Vote(worker, Verdict.PROVED if worker in pay else otherwise, pay.get(worker, NRLC(0)), fines.get(worker, NRLC(0)))
        for worker in contributors
    )


def total_by_owner(transfers: Sequence[Transfer]) -> Counter[tuple[Role, Address]]:
    """Add transfers up by role and owner [nRLC]."""
    totals: Counter[tuple[Role, Address]] = Counter()
    for transfer in transfers:
        totals[transfer.role, transfer.owner] += transfer.amount
    return totals
