"""With which orders of its app and its dataset a bid takes part in an auction of workerpools."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from voisin.policy.matching.compatibility import WorkerpoolSets, fits_app, fits_dataset, has_enclave_right
from voisin.policy.matching.conditions import Membership
from voisin.policy.matching.values import Bid, Offer, OrderT
from voisin.protocol.ids import ZERO_ADDRESS, Address
from voisin.protocol.orders import AppOrder, DatasetOrder

MOST = 16
"""The most orders of its app, orders of its dataset, and pairs of them with which one bid takes part."""

Pair = tuple[int, Offer[AppOrder], int | None, Offer[DatasetOrder] | None]
"""An app's offer and a dataset's, each after the number of its stock."""


@dataclass(frozen=True, slots=True)
class Variant:
    """
    A bid with an order of its app and of its dataset.

    Attributes:
        bid: Number of the bid.
        app: The app's offer.
        dataset: The dataset's offer; None without dataset.
        usable: Places of the workerpools that fit.
        draws: Stocks that every task is taken from: what is left of the bid, the app order and the dataset order.
        is_plenty: The orders of app and dataset suffice for everybody who wants that app and that dataset.
    """

    bid: int
    app: Offer[AppOrder]
    dataset: Offer[DatasetOrder] | None
    usable: int
    draws: tuple[int, ...]
    is_plenty: bool

    @property
    def base(self) -> int:
        """What app and dataset cost [nRLC per task]."""
        return self.app.order.appprice + (self.dataset.order.datasetprice if self.dataset is not None else 0)


class Resources:
    """
    The orders of apps and datasets, as stocks that bids share.

    Attributes:
        stocks: What is left at first: of every bid, then of every app order, then of every dataset order [tasks].
    """

    def __init__(self, bids: Sequence[Bid], apps: Sequence[Offer[AppOrder]], datasets: Sequence[Offer[DatasetOrder]]) -> None:
        """
        Args:
            bids: The bids.
            apps: The apps' offers, cheapest first.
            datasets: The datasets' offers, cheapest first.
        """
        self.stocks = [bid.remaining for bid in bids] + [app.remaining for app in apps] + [data.remaining for data in datasets]
        self._bids = bids
        self._apps = _by_entry(apps, len(bids), lambda order: order.app)
        self._datasets = _by_entry(datasets, len(bids) + len(apps), lambda order: order.dataset)

    def wanted(self, stocks: Sequence[int]) -> dict[Address, int]:
        """Add up how many tasks are wanted of each app and dataset."""
        found: dict[Address, int] = {}
        for number, bid in enumerate(self._bids):
            for entry in {bid.request.app, bid.request.dataset}:
                found[entry] = found.get(entry, 0) + stocks[number]
        return found

    def variants(
        self, number: int, stocks: Sequence[int], wanted: dict[Address, int], *, sets: WorkerpoolSets, is_member: Membership
    ) -> Iterator[Variant]:
        """
        Combine a bid with the orders of its app and its dataset, the cheapest first, as far as a further one may be of use.

        Args:
            number: The bid.
            stocks: What is left of everything [tasks].
            wanted: How many tasks are wanted of each app and dataset.
            sets: Knows which workerpools fit.
            is_member: Knows the members of group contracts.
        """
        bid, served = self._bids[number], 0
        for app_stock, app, data_stock, dataset in self.pairs(bid, stocks, is_member):
            usable = sets.usable(app.order, dataset.order if dataset is not None else None, bid) & ~served
            if not usable:
                continue
            draws = (number, app_stock) if data_stock is None else (number, app_stock, data_stock)
            is_plenty = stocks[app_stock] >= wanted.get(bid.request.app, 0)
            is_plenty = is_plenty and (data_stock is None or stocks[data_stock] >= wanted.get(bid.request.dataset, 0))
            yield Variant(number, app, dataset, usable, draws, is_plenty)
            if is_plenty:
                served |= usable

    def pairs(self, bid: Bid, stocks: Sequence[int], is_member: Membership) -> Iterator[Pair]:
        """Pair the orders that fit a bid, the cheapest pairs first; without dataset, the app orders stay alone."""
        apps = ((stock, app) for stock, app in self._apps.get(bid.request.app, ()) if stocks[stock] > 0)
        fitting = list(islice(((stock, app) for stock, app in apps if fits_app(app.order, bid, is_member)), MOST))
        if bid.request.dataset == ZERO_ADDRESS:
            yield from ((stock, app, None, None) for stock, app in fitting if has_enclave_right(app.order, None, bid))
            return
        datasets = ((stock, data) for stock, data in self._datasets.get(bid.request.dataset, ()) if stocks[stock] > 0)
        data_fitting = list(islice(((stock, data) for stock, data in datasets if fits_dataset(data.order, bid, is_member)), MOST))
        pairs = [(*app, *data) for app in fitting for data in data_fitting if has_enclave_right(app[1].order, data[1].order, bid)]
        pairs.sort(key=lambda pair: (pair[1].order.appprice + pair[3].order.datasetprice, pair[0], pair[2]))
        yield from pairs[:MOST]


def _by_entry(
    offers: Sequence[Offer[OrderT]], first: int, entry: Callable[[OrderT], Address]
) -> dict[Address, list[tuple[int, Offer[OrderT]]]]:
    """For each app or dataset its offers, each with the number of its stock."""
    found: dict[Address, list[tuple[int, Offer[OrderT]]]] = {}
    for stock, offer in enumerate(offers, first):
        found.setdefault(entry(offer.order), []).append((stock, offer))
    return found
