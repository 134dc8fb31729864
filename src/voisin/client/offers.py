"""
Choosing what to buy: which app orders and workerpool orders cover the tasks most cheaply, and if none do, why.

Pure: it judges offers that somebody fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from voisin.errors import NoMatchError
from voisin.policy.matching import Mismatch, mismatches, nearest, price_of
from voisin.protocol.ids import MAX_UINT256, ZERO_ADDRESS, ZERO_HASH, Address, OrderHash
from voisin.protocol.orders import AppOrder, RequestOrder, WorkerpoolOrder
from voisin.protocol.tags import NO_TAG, Tag
from voisin.units import NRLC, format_amount

OrderT = TypeVar("OrderT", AppOrder, WorkerpoolOrder)


@dataclass(frozen=True, slots=True)
class Offer(Generic[OrderT]):
    """An order somebody offers, its hash, and how many tasks are left in it."""

    order: OrderT
    hash: OrderHash
    remaining: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """
    What a requester wants to buy.

    Attributes:
        app: The app to run.
        requester: Who pays.
        volume: Number of tasks.
        category: Class of duration.
        trust: How sure each result must be.
        tag: What the machines must have.
        max_price: The most that one task may cost in all [nRLC]; None for no limit.
        workerpool: The only workerpool allowed; the zero address for any.
    """

    app: Address
    requester: Address
    volume: int
    category: int = 0
    trust: int = 1
    tag: Tag = NO_TAG
    max_price: NRLC | None = None
    workerpool: Address = ZERO_ADDRESS


@dataclass(frozen=True, slots=True)
class Lot:
    """A number of tasks bought from one app order and one workerpool order: one deal."""

    app: AppOrder
    workerpool: WorkerpoolOrder
    volume: int

    @property
    def price(self) -> NRLC:
        """Price of one task [nRLC]."""
        return price_of(self.app, None, self.workerpool)

    @property
    def total(self) -> NRLC:
        """Price of the lot [nRLC]."""
        return NRLC(self.price * self.volume)


def choose_lots(wish: Wish, apps: Sequence[Offer[AppOrder]], pools: Sequence[Offer[WorkerpoolOrder]]) -> tuple[Lot, ...]:
    """
    Cover the tasks with the cheapest offers that fit; of two equally cheap ones, the one with more left.

    Raises:
        NoMatchError: The offers that fit do not cover all tasks; the message names the nearest offer, what excludes it and
            by how much, the hint the smallest change that would mend it.
    """
    left = wish.volume
    stock = {pool.hash: pool.remaining for pool in pools}
    lots = []
    for app in sorted(apps, key=lambda offer: (offer.order.appprice, -offer.remaining)):
        usable = app.remaining
        for pool in sorted(pools, key=lambda offer: (offer.order.workerpoolprice, -offer.remaining)):
            volume = min(left, usable, stock[pool.hash])
            if volume <= 0 or excluded_by(wish, app.order, pool.order):
                continue
            lots.append(Lot(app.order, pool.order, volume))
            left, usable = left - volume, usable - volume
            stock[pool.hash] -= volume
    if left > 0:
        raise _no_match(wish, apps, pools, covered=wish.volume - left)
    return tuple(lots)


def excluded_by(wish: Wish, app: AppOrder, pool: WorkerpoolOrder) -> list[Mismatch]:
    """List what stands between a wish and a pair of offers."""
    return mismatches(app, None, pool, draft_request(wish, app))


def draft_request(wish: Wish, app: AppOrder) -> RequestOrder:
    """Spell a wish as an unsigned request that pays the app's price and leaves the rest of the limit to the workerpool."""
    limit = wish.max_price if wish.max_price is not None else NRLC(MAX_UINT256)
    app_share = min(app.appprice, limit)
    return RequestOrder(
        app=wish.app,
        appmaxprice=NRLC(app_share),
        dataset=ZERO_ADDRESS,
        datasetmaxprice=NRLC(0),
        workerpool=wish.workerpool,
        workerpoolmaxprice=NRLC(limit - app_share),
        requester=wish.requester,
        volume=wish.volume,
        tag=wish.tag,
        category=wish.category,
        trust=wish.trust,
        beneficiary=wish.requester,
        params="",
        salt=ZERO_HASH,
    )


def _no_match(wish: Wish, apps: Sequence[Offer[AppOrder]], pools: Sequence[Offer[WorkerpoolOrder]], *, covered: int) -> NoMatchError:
    if covered:
        words = f"the offers that fit cover {covered} of {wish.volume} tasks"
        return NoMatchError(words, hint=f"run {covered} tasks now, or try again when more is offered")
    if not apps:
        words = f"nobody offers app {wish.app}"
        return NoMatchError(words, hint="its owner offers it with `voisin order sign app` and `voisin order publish`")
    pairs = [(app, pool) for app in apps for pool in pools if min(app.remaining, pool.remaining) > 0]
    found = nearest(pairs, lambda pair: excluded_by(wish, pair[0].order, pair[1].order))
    if found is None:
        return NoMatchError("no workerpool offers anything", hint="start one with `voisin up` or `voisin pool run`")
    (app, pool), reasons = found
    nearest_one = f"the nearest offer is workerpool order {pool.hash}"
    words = f"no offer fits: {nearest_one}, but {'; '.join(reason.message for reason in reasons)}"
    return NoMatchError(words, hint=", ".join(_remedies(reasons, app.order, pool.order)))


def _remedies(reasons: Sequence[Mismatch], app: AppOrder, pool: WorkerpoolOrder) -> Iterator[str]:
    """Name the smallest change of the wish for each condition that has one."""
    codes = {reason.code for reason in reasons}
    if "0x00" in codes:
        yield f"ask for category {pool.category}"
    if "0x02" in codes:
        yield f"ask for trust {pool.trust} or less"
    if codes & {"0x03", "0x05"}:
        yield f"allow a price of {format_amount(price_of(app, None, pool))} a task"
    if "0x06" in codes:
        yield "ask for a tag that the workerpool has"
