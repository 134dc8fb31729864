"""
The invoice of a deal that is settled as a bag: workers are paid by the list of payouts, everybody else by the hub's own arithmetic.

The events carry no roles; they follow from the order in which the hub settles. Source: contracts/SPEC.md 18.5 to 18.8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from voisin.client.bags.story import BagStory
from voisin.client.invoice import BagLine, Invoice, MinedTransaction, TaskLine, VoteLine, gas_lines, is_money_of, payment_lines
from voisin.client.settlement import Outcome, Role, Transfer, Verdict, task_price
from voisin.errors import TrustError
from voisin.protocol.bag_api import BagStage
from voisin.protocol.bag_settlement import NO_RESULT, Leaf, unpack_payouts
from voisin.protocol.events import BagClaimed, BagEvent, BagSettled, BagSlashed, LeafAnswered, Logged, Rewarded, Seized
from voisin.protocol.ids import ZERO_ADDRESS, ZERO_HASH, Hash32, task_id
from voisin.protocol.records import Deal
from voisin.units import NRLC

T = TypeVar("T")


def build_bag_invoice(
    story: BagStory, deal: Deal, logs: Sequence[Logged], mined: Mapping[Hash32, MinedTransaction], leaves: Sequence[Leaf] | None
) -> Invoice:
    """
    Write the invoice of a bag.

    Args:
        story: The bag, of which nothing is known but its deal; the events tell the rest.
        deal: The deal.
        logs: The hub's events since the deal was matched, of this deal and of others.
        mined: The transactions that logged something about this deal, by hash.
        leaves: The bag's leaves; None if they cannot be had.

    Raises:
        TrustError: The sums do not add up.
    """
    account = _Account(story, deal)
    for logged in sorted(logs, key=lambda logged: (logged.block, logged.log_index)):
        account.take(logged)
    price = task_price(deal)
    total = NRLC(price * deal.bot_size)
    is_ended = story.is_over
    invoice = Invoice(
        deal_id=story.deal_id,
        app=deal.app.pointer,
        workerpool=deal.workerpool.pointer,
        payer=deal.sponsor,
        volume=deal.bot_size,
        price=price,
        total=total,
        spent=account.charged,
        refunded=NRLC(total - account.charged if is_ended else 0),
        pending=NRLC(0 if is_ended else total),
        payments=payment_lines(account.payments),
        fines=payment_lines(account.fines),
        gas=tuple(gas_lines(story.deal_id, deal, logs, mined)),
        tasks=_task_lines(story, deal, leaves),
        bag=BagLine(
            stage=story.stage.value,
            done=story.posted.done if story.posted is not None else 0,
            window_s=story.window_s,
            deadline=story.posted.deadline if story.posted is not None else 0,
        ),
    )
    invoice.check()
    return invoice


@dataclass(slots=True)
class _Account:
    """What a bag has moved so far; a movement is read when the event comes that ends it."""

    story: BagStory
    deal: Deal
    charged: NRLC = NRLC(0)
    payments: list[Transfer] = field(default_factory=list)
    fines: list[Transfer] = field(default_factory=list)
    seized: list[Seized] = field(default_factory=list)
    rewarded: list[Rewarded] = field(default_factory=list)

    def take(self, logged: Logged) -> None:
        """Take the next event into account."""
        event = logged.event
        if isinstance(event, Seized) and is_money_of(event, self.story.deal_id):
            self.seized.append(event)
        elif isinstance(event, Rewarded) and is_money_of(event, self.story.deal_id):
            self.rewarded.append(event)
        elif isinstance(event, BagEvent) and event.deal_id == self.story.deal_id:
            self.story.apply(event)
            self._close(event)
            self.seized, self.rewarded = [], []

    def _close(self, event: BagEvent) -> None:
        match event:
            case BagSettled():
                self._settled()
            case BagSlashed():
                self._lose_stake(Role.CHALLENGER)
            case BagClaimed():
                self._lose_stake(Role.KITTY)
            case LeafAnswered():
                self.fines += [Transfer(Role.REQUESTER, each.owner, each.amount) for each in self.seized]
                self.payments += [Transfer(Role.SCHEDULER, each.owner, each.amount) for each in self.rewarded]

    def _settled(self) -> None:
        """Charge who pays, then app, dataset, workers, scheduler, and the kitty with what giving back has cost."""
        bag, deal, rewarded = self.story.posted, self.deal, self.rewarded
        if bag is None:
            raise TrustError("a bag was settled that nobody posted")
        if bag.root != ZERO_HASH and bag.done > 0:
            self.charged = _next(self.seized).amount
            if deal.app.price > 0:
                self._pay(Role.APP, _next(rewarded))
            if deal.dataset.price > 0 and deal.dataset.pointer != ZERO_ADDRESS:
                self._pay(Role.DATASET, _next(rewarded))
            payouts = unpack_payouts(bag.payouts)
            self.payments += [Transfer(Role.WORKER, worker, amount) for worker, amount in payouts.items()]
            if deal.workerpool.price * bag.done > sum(payouts.values()):
                self._pay(Role.SCHEDULER, _next(rewarded))
        for lost in self.seized:
            self.fines.append(Transfer(Role.SCHEDULER, lost.owner, lost.amount))
        for kept in rewarded:
            self._pay(Role.KITTY, kept)

    def _lose_stake(self, first: Role) -> None:
        """The scheduler's stake: to who proved the fraud, and the last part to the kitty."""
        self.fines += [Transfer(Role.SCHEDULER, each.owner, each.amount) for each in self.seized]
        for place, each in enumerate(self.rewarded):
            self._pay(Role.KITTY if place == len(self.rewarded) - 1 else first, each)

    def _pay(self, role: Role, event: Rewarded) -> None:
        self.payments.append(Transfer(role, event.owner, event.amount))


def _next(events: list[T]) -> T:
    if not events:
        raise TrustError("a settled bag has no record of its payment")
    return events.pop(0)


def _task_lines(story: BagStory, deal: Deal, leaves: Sequence[Leaf] | None) -> tuple[TaskLine, ...]:
    """List the tasks as the leaves tell of them; without leaves, as far as the bag's stage tells it of all."""
    indexes = range(deal.bot_first, deal.bot_first + deal.bot_size)
    if leaves is not None and story.stage in (BagStage.POSTED, BagStage.SETTLED):
        return tuple(_line(story, leaf) for leaf in leaves if leaf.index in indexes)
    if story.stage is BagStage.SETTLED and story.posted is not None and story.posted.done < deal.bot_size:
        return ()
    outcome = Outcome.COMPLETED if story.stage is BagStage.SETTLED else Outcome.FAILED if story.is_over else Outcome.OPEN
    return tuple(TaskLine(task_id=task_id(story.deal_id, index), index=index, outcome=outcome, votes=()) for index in indexes)


def _line(story: BagStory, leaf: Leaf) -> TaskLine:
    zero = NRLC(0)
    done = Outcome.COMPLETED if leaf.digest != NO_RESULT else Outcome.FAILED
    agreed = (VoteLine(worker=worker, verdict=Verdict.PROVED, reward=zero, fine=zero) for worker in leaf.agreed)
    others = (VoteLine(worker=vote.worker, verdict=Verdict.FAULTY, reward=zero, fine=zero) for vote in leaf.others)
    outcome = done if story.stage is BagStage.SETTLED else Outcome.OPEN
    return TaskLine(task_id=task_id(story.deal_id, leaf.index), index=leaf.index, outcome=outcome, votes=(*agreed, *others))
