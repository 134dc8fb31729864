"""
Requests that are in the book only while it has offers that they can be matched with.

So the ecosystem's clients expect it of what they publish; requests that come by our own routes wait for offers.

Source: client-surface.md 3.3, 3.4.
"""

from __future__ import annotations

from voisin.market.machine import price_of
from voisin.market.query import OrderQuery
from voisin.protocol.ids import ZERO_ADDRESS, Address
from voisin.protocol.orders import AppOrder, DatasetOrder, Order, OrderKind, RequestOrder
from voisin.protocol.tags import needs_enclave, tag_of
from voisin.units import NRLC


def wanted_of(request: RequestOrder) -> dict[OrderKind, tuple[Address, NRLC]]:
    """Name the app and the dataset of a request, with the most that each may cost [nRLC]."""
    app = {OrderKind.APP: (request.app, request.appmaxprice)}
    return app if request.dataset == ZERO_ADDRESS else {**app, OrderKind.DATASET: (request.dataset, request.datasetmaxprice)}


def offer_query(request: RequestOrder, kind: OrderKind) -> OrderQuery:
    """Ask for the offers of a request's app or dataset that it can be matched with, whatever they cost."""
    return OrderQuery(
        kind=kind,
        app=(request.app,),
        dataset=(request.dataset,),
        workerpool=(request.workerpool,),
        requester=(request.requester,),
        min_tag=tag_of(["tee"]) if kind is OrderKind.APP and needs_enclave(request.tag) else None,
        limit=1,
    )


def no_offer(request: RequestOrder, kind: OrderKind) -> str:
    """Say that nobody offers a request's app or dataset."""
    enabled = "tee enabled " if kind is OrderKind.APP and needs_enclave(request.tag) else ""
    return f"No {enabled}{kind}order published for {kind} {wanted_of(request)[kind][0]}"


def what_lacks(request: RequestOrder, kind: OrderKind, best: Order | None) -> str:
    """
    Say why a request cannot be matched with the best offer of its app or dataset.

    Args:
        request: The request.
        kind: Which of the two.
        best: The best offer, None when there is none.

    Returns:
        The reason; empty when it can.
    """
    resource, most = wanted_of(request)[kind]
    if not isinstance(best, AppOrder | DatasetOrder):
        return no_offer(request, kind)
    if price_of(best) > most:
        return f"{kind}maxprice for {kind} {resource} is too low, actual best price is {price_of(best)} nRLC"
    return ""
