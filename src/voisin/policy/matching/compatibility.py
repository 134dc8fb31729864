"""
Which workerpool offers a bid can use, for all offers at once.

The conditions of `conditions.py` are judged for one workerpool at a time, with words. Here each is a set of workerpools, the bits of an
integer, computed once for each value that occurs (a category, a trust, a tag, an address), so that a bid costs a dozen operations
however many workerpools there are. Tests hold the two against each other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import reduce
from itertools import accumulate
from operator import or_
from typing import TypeVar

from voisin.policy.matching.conditions import Membership, is_allowed
from voisin.policy.matching.values import Bid, Offer
from voisin.protocol.ids import Address, OrderHash
from voisin.protocol.orders import AppOrder, DatasetOrder, WorkerpoolOrder
from voisin.protocol.tags import NO_TAG, Tag, deal_tag, needs_enclave, tag_bits

KeyT = TypeVar("KeyT", bound=Hashable)


class WorkerpoolSets:
    """Sets of workerpool offers by what they satisfy; bit n is the n-th offer."""

    def __init__(self, offers: Sequence[Offer[WorkerpoolOrder]], is_member: Membership) -> None:
        """
        Args:
            offers: The workerpools' offers, cheapest first.
            is_member: Knows the members of group contracts.
        """
        orders = [offer.order for offer in offers]
        self._is_member = is_member
        self._prices = [order.workerpoolprice for order in orders]
        self._by_category = _grouped(orders, lambda order: order.category)
        self._by_workerpool = _grouped(orders, lambda order: order.workerpool)
        self._by_tag = {tag_bits(tag): places for tag, places in _grouped(orders, lambda order: order.tag).items()}
        by_trust = _grouped(orders, lambda order: order.trust)
        self._trusts = sorted(by_trust)
        self._reaching = list(accumulate((by_trust[trust] for trust in reversed(self._trusts)), or_))[::-1]
        self._restricts: tuple[dict[Address, int], ...] = (
            _grouped(orders, lambda order: order.apprestrict),
            _grouped(orders, lambda order: order.datasetrestrict),
            _grouped(orders, lambda order: order.requesterrestrict),
        )
        self._fitting: dict[OrderHash, int] = {}
        self._known: dict[tuple[str, int, str], int] = {}

    def usable(self, app: AppOrder, dataset: DatasetOrder | None, bid: Bid) -> int:
        """Give the workerpools that fit a bid with these orders of app and dataset, whatever is left of them."""
        request = bid.request
        most = (
            request.workerpoolmaxprice
            if bid.limit is None
            else bid.worth(app.appprice + (dataset.datasetprice if dataset is not None else 0))
        )
        found = self._for_request(bid) & ((1 << bisect_right(self._prices, most)) - 1)
        found &= self._with_tag(deal_tag(app.tag, dataset.tag if dataset is not None else NO_TAG, request.tag))
        found &= self._in(app.workerpoolrestrict)
        return found & self._in(dataset.workerpoolrestrict) if dataset is not None else found

    def _for_request(self, bid: Bid) -> int:
        """The workerpools that fit a request, as far as prices, tags and other orders have no say."""
        found = self._fitting.get(bid.hash)
        if found is None:
            request = bid.request
            found = self._by_category.get(request.category, 0) & self._with_trust(request.trust) & self._in(request.workerpool)
            found &= self._allowing(0, request.app) & self._allowing(1, request.dataset) & self._allowing(2, request.requester)
            self._fitting[bid.hash] = found
        return found

    def _with_trust(self, trust: int) -> int:
        at = bisect_right(self._trusts, trust - 1)
        return self._reaching[at] if at < len(self._reaching) else 0

    def _with_tag(self, wanted: Tag) -> int:
        """The workerpools that have every bit of a tag."""
        bits = tag_bits(wanted)
        return self._remember("tag", 0, wanted, lambda: _union(places for have, places in self._by_tag.items() if not bits & ~have))

    def _in(self, restriction: Address) -> int:
        """The workerpools that a restriction allows."""

        def look() -> int:
            named = self._by_workerpool.items()
            return _union(places for pool, places in named if is_allowed(restriction, pool, self._is_member))

        return self._remember("in", 0, restriction, look)

    def _allowing(self, field: int, who: Address) -> int:
        """The workerpools whose restriction of app, dataset or requester allows somebody."""

        def look() -> int:
            named = self._restricts[field].items()
            return _union(places for restriction, places in named if is_allowed(restriction, who, self._is_member))

        return self._remember("allowing", field, who, look)

    def _remember(self, what: str, field: int, value: str, look: Callable[[], int]) -> int:
        key = (what, field, value)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = look()
        return found


def fits_app(app: AppOrder, bid: Bid, is_member: Membership) -> bool:
    """Tell whether a bid fits an app order, as far as orders of datasets and workerpools have no say in it."""
    request = bid.request
    return (
        app.app == request.app
        and (bid.limit is not None or app.appprice <= request.appmaxprice)
        and is_allowed(app.datasetrestrict, request.dataset, is_member)
        and is_allowed(app.requesterrestrict, request.requester, is_member)
    )


def fits_dataset(dataset: DatasetOrder, bid: Bid, is_member: Membership) -> bool:
    """Tell whether a bid fits a dataset order, as far as orders of apps and workerpools have no say in it."""
    request = bid.request
    return (
        dataset.dataset == request.dataset
        and (bid.limit is not None or dataset.datasetprice <= request.datasetmaxprice)
        and is_allowed(dataset.apprestrict, request.app, is_member)
        and is_allowed(dataset.requesterrestrict, request.requester, is_member)
    )


def has_enclave_right(app: AppOrder, dataset: DatasetOrder | None, bid: Bid) -> bool:
    """Tell whether an enclave is asked for exactly when the app is made for one."""
    wanted = deal_tag(app.tag, dataset.tag if dataset is not None else NO_TAG, bid.request.tag)
    return needs_enclave(wanted) == needs_enclave(app.tag)


def _grouped(orders: Sequence[WorkerpoolOrder], value: Callable[[WorkerpoolOrder], KeyT]) -> dict[KeyT, int]:
    """For each value that occurs, the orders that have it."""
    found: dict[KeyT, int] = {}
    for place, order in enumerate(orders):
        key = value(order)
        found[key] = found.get(key, 0) | 1 << place
    return found


def _union(sets: Iterable[int]) -> int:
    return reduce(or_, sets, 0)
