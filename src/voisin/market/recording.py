"""Writing down what happened: changes of an order with their story, and a stretch of the chain with all its effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voisin.chain import EventRange
from voisin.market.book import BookNotes, BookWrite, Position
from voisin.market.following import Answers, TaskChange, new_categories, new_deals, order_facts, task_steps
from voisin.market.machine import Entry, Fact, OfferGone, OwnerSeen, StakeSeen, learn, published_form
from voisin.market.wanting import offer_query, wanted_of, what_lacks
from voisin.protocol.api import Moment, OrderStatus
from voisin.protocol.feed import DealNews, OrderNews, TradeNews, trade_of
from voisin.protocol.ids import OrderHash
from voisin.protocol.orders import AppOrder, DatasetOrder, OrderKind, RequestOrder, order_kind, resource_of
from voisin.units import UnixSeconds

_TOLD = ("status", "remaining", "published_at")
"""What the feed's readers are told of when it changes."""


@dataclass(frozen=True, slots=True)
class Change:
    """What was known of an order (None for a new one), what is known now, and since when."""

    before: Entry | None
    after: Entry
    at: UnixSeconds

    @property
    def is_telling(self) -> bool:
        """Whether it belongs into the order's story: its status changed, or it was published again."""
        before, after = self.before, self.after
        return before is None or before.status != after.status or before.published_at != after.published_at

    @property
    def is_end(self) -> bool:
        """Whether the order was open, and is not any more."""
        return self.before is not None and self.before.status is OrderStatus.OPEN and self.after.status is not OrderStatus.OPEN

    @property
    def is_news(self) -> bool:
        """Whether others can see it."""
        return self.before is None or any(getattr(self.before, name) != getattr(self.after, name) for name in _TOLD)


async def keep(write: BookWrite, *changes: Change) -> None:
    """
    Save what is known of orders, and tell whom it concerns.

    Their stories hear of a new status, the live feed of what others can see; requests that wanted an order retire when it goes.

    Args:
        write: The transaction.
        changes: The changes, of each order at most one.
    """
    changed = await note(write, *changes)
    for change in changed:
        if change.is_end and isinstance(change.after.order, AppOrder | DatasetOrder):
            await _retire_requests(write, change.after, change.at)


async def note(write: BookNotes, *changes: Change) -> list[Change]:
    """Save what is known of orders, and tell their stories and the feed; answers those changes that change something."""
    changed = [change for change in changes if change.before != change.after]
    await write.save(*(change.after for change in changed))
    told = [change for change in changed if change.is_telling]
    await write.tell(*((each.after.hash, Moment(each.at, each.after.status.value, each.after.why)) for each in told))
    for change in changed:
        if change.is_news:
            await write.announce(OrderNews(at=change.at, order=published_form(change.after), why=change.after.why))
    return changed


async def want_offers(write: BookWrite, order_hash: OrderHash, *, at: UnixSeconds) -> None:
    """
    Keep a request in the book only as long as there are offers of its app and dataset.

    Args:
        write: The transaction.
        order_hash: The request; nothing is done where it is not open.
        at: Now.
    """
    entry = await write.entry(order_hash)
    if entry is None or entry.status is not OrderStatus.OPEN or not isinstance(entry.order, RequestOrder):
        return
    wanted = wanted_of(entry.order)
    await write.want(order_hash, {resource for resource, _ in wanted.values()})
    for kind in wanted:
        await _retire_if_lacking(write, entry, kind, at)  # an offer may have gone since it was looked for


async def _retire_if_lacking(write: BookWrite, entry: Entry, kind: OrderKind, at: UnixSeconds) -> None:
    assert isinstance(entry.order, RequestOrder)
    best = await write.best(offer_query(entry.order, kind))
    words = what_lacks(entry.order, kind, None if best is None else best.order)
    if words:
        await keep(write, Change(entry, learn(entry, OfferGone(words)), at))


async def _retire_requests(write: BookWrite, gone: Entry, at: UnixSeconds) -> None:
    """Retire the requests that wanted an offer which has just gone, and find no other."""
    kind = order_kind(gone.order)
    for entry in await write.wanting(resource_of(gone.order)):
        await _retire_if_lacking(write, entry, kind, at)


async def record(write: BookWrite, stretch: EventRange, answers: Answers, *, at: UnixSeconds) -> bool:
    """
    Write down a stretch of the chain: its effects on orders, its deals and tasks, and that it is done.

    Args:
        write: The transaction; all of this is kept, or none.
        stretch: The stretch.
        answers: What the chain answered to its questions.
        at: Now.

    Returns:
        False if the records do not end where the stretch begins: somebody else recorded it; nothing was written.
    """
    if (await write.position()).next_block != stretch.first:
        return False
    await _record_orders(write, stretch, answers, at)
    for deal, log_index in new_deals(stretch.events, answers.deals):
        if await write.add_deal(deal, log_index):
            await write.announce(TradeNews(at=deal.start, trade=trade_of(deal)))
            await write.announce(DealNews(at=deal.start, deal=deal))
    for category in new_categories(stretch.events, answers.times):
        await write.add_category(category)
    for step in task_steps(stretch.events, answers.tasks):
        if isinstance(step, TaskChange):
            await write.change_task(step)
        else:
            await write.add_task(step)
    await write.advance(Position(stretch.last + 1, stretch.last_hash))
    return True


async def _record_orders(write: BookWrite, stretch: EventRange, answers: Answers, at: UnixSeconds) -> None:
    await write.note_used(answers.consumed)
    for order_hash, facts in order_facts(stretch.events, answers).items():
        await _learn_all(write, [await write.entry(order_hash)], facts, at)
    for resource, owner in answers.owners.items():
        await _learn_all(write, await write.entries_of_resource(resource), [OwnerSeen(owner)], at)
    for signer, stake in answers.stakes.items():
        await _learn_all(write, await write.entries_of_signer(signer), [StakeSeen(stake)], at)


async def _learn_all(write: BookWrite, entries: Sequence[Entry | None], facts: Sequence[Fact], at: UnixSeconds) -> None:
    await keep(write, *(Change(entry, learn(entry, *facts), at) for entry in entries if entry is not None))
