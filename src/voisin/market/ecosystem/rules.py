"""
What an order must satisfy to be published by the ecosystem's routes, in the order in which it is judged, with its words.

These come before the book's own rules (`voisin.market.admission`) and are stricter in two: the signer must be able to pay for
everything that is left of the order, and a request must find offers of the app and the dataset that it names.

Source: client-surface.md 3.3.
"""

from __future__ import annotations

from voisin.errors import FundsError, StateError, TrustError
from voisin.market.admission import OrderFacts
from voisin.market.machine import FINAL, Entry
from voisin.market.wanting import no_offer
from voisin.protocol.api import OrderStatus
from voisin.protocol.ids import Address
from voisin.protocol.orders import Order, OrderKind, RequestOrder, WorkerpoolOrder, order_kind
from voisin.protocol.rules import workerpool_stake
from voisin.units import NRLC


def order_word(kind: OrderKind) -> str:
    """Name a kind of order."""
    return f"{kind}order"


def check_new(known: Entry | None) -> None:
    """
    See that an order is not in the book, or is there dead, or was taken out.

    Raises:
        StateError: It is.
    """
    if known is not None and (known.status is OrderStatus.OPEN or known.status in FINAL):
        raise StateError("order already published")


def check_authority(order: Order, facts: OrderFacts, account: Address) -> None:
    """
    See that the order's resource exists, and that who publishes it is its owner and signed it.

    Raises:
        StateError: The resource is not registered, or the category does not exist.
        TrustError: Somebody else publishes it, or it is not signed by its owner.
    """
    is_request = isinstance(order, RequestOrder)
    if facts.missing and not is_request:
        raise StateError("Resource not deployed")
    if facts.owner != account:
        raise TrustError(f"only order signer {facts.owner} can publish an order")
    if isinstance(order, RequestOrder) and facts.missing:
        kind = OrderKind.DATASET if facts.missing.startswith(OrderKind.DATASET) else OrderKind.APP
        raise StateError(no_offer(order, kind))
    if not facts.is_signed:
        raise TrustError("invalid sign")
    if not facts.has_category:
        assert isinstance(order, RequestOrder | WorkerpoolOrder)
        raise StateError(f"category {order.category} does not exist")


def check_count(order: Order, signer: Address, *, count: int, most: int) -> None:
    """
    See that a signer has not too many open orders of the kind.

    Raises:
        StateError: It has.
    """
    if count >= most:
        word = order_word(order_kind(order))
        raise StateError(f"maximum of {most} published open {word} has been reached for wallet {signer}")


def check_money(order: Order, facts: OrderFacts) -> None:
    """
    See that something is left of the order, and that its signer can pay for all of it.

    Raises:
        StateError: Nothing is left.
        FundsError: The signer holds too little.
    """
    remaining = order.volume - facts.consumed
    if remaining <= 0:
        raise StateError("order already consumed")
    if isinstance(order, WorkerpoolOrder) and facts.stake < workerpool_stake(order.workerpoolprice, remaining):
        raise FundsError("workerpool owner's stake is too low to cover required workerpool lock")
    if isinstance(order, RequestOrder):
        needed = NRLC((order.appmaxprice + order.datasetmaxprice + order.workerpoolmaxprice) * remaining)
        if facts.stake < needed:
            raise FundsError(f"requester stake is too low to cover requestorder payment, minimum stake required is {needed} nRLC")


def check_published(known: Entry | None, kind: OrderKind, order_hash: str, account: Address) -> None:
    """
    See that an order may be taken out by an account.

    Raises:
        StateError: It is not in the book.
        TrustError: Somebody else signed it.
    """
    is_there = known is not None and order_kind(known.order) is kind and known.status in (OrderStatus.OPEN, OrderStatus.DEAD)
    if known is None or not is_there:
        raise StateError(f"{order_word(kind)} with orderHash {order_hash} is not published")
    if known.signer != account:
        raise TrustError(f"only order signer {known.signer} can unpublish an order")
