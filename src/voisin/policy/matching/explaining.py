"""Why a bid finds no match: the offer that comes closest, what excludes it, by how much, and the smallest change that would mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

from voisin.policy.matching.conditions import Membership, Mismatch, mismatches, no_groups, price_of
from voisin.policy.matching.values import Bid, Book
from voisin.protocol.ids import ZERO_ADDRESS
from voisin.protocol.orders import AppOrder, DatasetOrder, WorkerpoolOrder
from voisin.units import format_amount

T = TypeVar("T")

MOST_JUDGED = 20_000
"""The most combinations of offers that are looked at, the cheapest apps and datasets first."""


@dataclass(frozen=True, slots=True)
class Reason:
    """
    Why a bid finds no match.

    Attributes:
        words: The reason.
        hint: What would mend it; empty when nothing simple would.
        mismatches: What excludes the nearest offers; empty when there are none, or nothing does.
    """

    words: str
    hint: str
    mismatches: tuple[Mismatch, ...] = ()


def nearest(offers: Iterable[T], excluded_by: Callable[[T], Sequence[Mismatch]]) -> tuple[T, Sequence[Mismatch]] | None:
    """
    Find the offer that comes closest: fewest conditions against it, then the smallest gaps; None without offers.

    An offer without any mismatch is as near as can be.
    """
    judged = [(offer, excluded_by(offer)) for offer in offers]
    return min(judged, key=lambda pair: (len(pair[1]), sum(m.gap for m in pair[1])), default=None)


def explain(bid: Bid, book: Book, *, is_member: Membership = no_groups) -> Reason:
    """
    Say why a bid has no match among some offers.

    Args:
        bid: The bid.
        book: The offers; other bids are not looked at.
        is_member: Knows the members of group contracts.

    Returns:
        The reason; without any mismatch when there are offers that fit.
    """
    request = bid.request
    apps = sorted((offer for offer in book.apps if offer.order.app == request.app and offer.remaining > 0), key=lambda o: o.order.appprice)
    if not apps:
        return Reason(f"nobody offers app {request.app}", "its owner offers it with `voisin order sign app` and `voisin order publish`")
    datasets: list[DatasetOrder | None] = [None]
    if request.dataset != ZERO_ADDRESS:
        named = (offer for offer in book.datasets if offer.order.dataset == request.dataset and offer.remaining > 0)
        datasets = [offer.order for offer in sorted(named, key=lambda offer: offer.order.datasetprice)]
    if not datasets:
        words = f"nobody offers dataset {request.dataset}"
        return Reason(words, "its owner offers it with `voisin order sign dataset` and `voisin order publish`")
    pools = [offer for offer in book.workerpools if offer.remaining > 0]
    if not pools:
        return Reason("no workerpool offers anything", "start one with `voisin up` or `voisin pool run`")
    combined = [each for each, _ in zip(product(apps, datasets, pools), range(MOST_JUDGED), strict=False)]
    found = nearest(combined, lambda each: _excluded(bid, each[0].order, each[1], each[2].order, is_member))
    assert found is not None, "there are offers of every kind"
    (app, dataset, pool), reasons = found
    if not reasons:
        return Reason(f"workerpool order {pool.hash} fits", "")
    nearest_one = f"the nearest offer is workerpool order {pool.hash}"
    words = f"no offer fits: {nearest_one}, but {'; '.join(reason.message for reason in reasons)}"
    return Reason(words, ", ".join(_remedies(reasons, app.order, dataset, pool.order)), tuple(reasons))


def _excluded(bid: Bid, app: AppOrder, dataset: DatasetOrder | None, pool: WorkerpoolOrder, is_member: Membership) -> list[Mismatch]:
    return mismatches(app, dataset, pool, bid.spelled(app, dataset), is_member=is_member)


def _remedies(reasons: Sequence[Mismatch], app: AppOrder, dataset: DatasetOrder | None, pool: WorkerpoolOrder) -> Iterator[str]:
    """Name the smallest change of the request for each condition that has one."""
    codes = {reason.code for reason in reasons}
    if "0x00" in codes:
        yield f"ask for category {pool.category}"
    if "0x02" in codes:
        yield f"ask for trust {pool.trust} or less"
    if codes & {"0x03", "0x04", "0x05"}:
        yield f"allow a price of {format_amount(price_of(app, dataset, pool))} a task"
    if "0x06" in codes:
        yield "ask for a tag that the workerpool has"
