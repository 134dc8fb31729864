"""Whether a task is one that a worker's owner wants: asked by the pool before it gives it, and by the worker before it takes it."""

from __future__ import annotations

from dataclasses import dataclass

from voisin.protocol.ids import Address, Hash32
from voisin.protocol.records import Deal
from voisin.protocol.wire import Takes
from voisin.units import NRLC, format_amount

HOUR_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """
    A task as a worker's owner sees it.

    Attributes:
        app: The app's entry.
        code: Hash of the app's module; None where it is not known.
        requester: Who pays.
        price: What the pool is paid for it [nRLC].
        time_ref_s: What its category allows [s].
    """

    app: Address
    code: Hash32 | None
    requester: Address
    price: NRLC
    time_ref_s: int


def offer_of(deal: Deal, time_ref_s: int, code: Hash32 | None = None) -> Offer:
    """
    Describe the tasks of a deal.

    Args:
        deal: The deal.
        time_ref_s: What its category allows [s].
        code: Hash of the app's module, if it is known.
    """
    return Offer(app=deal.app.pointer, code=code, requester=deal.requester, price=deal.workerpool.price, time_ref_s=time_ref_s)


def objection(takes: Takes, offer: Offer) -> str:
    """
    Say why a worker does not want a task; empty when it does.

    What is not known here is not held against a task: the worker itself looks again. How busy the worker is does not count.
    """
    if offer.requester in takes.denied_requesters:
        return f"requester {offer.requester} is denied by this worker's rules"
    names = {offer.app, *([offer.code] if offer.code else [])}
    if denied := sorted(names & set(takes.denied_apps)):
        return f"app {denied[0]} is denied by this worker's rules"
    if takes.allowed_apps and not names & set(takes.allowed_apps) and (offer.code or not _has_hashes(takes.allowed_apps)):
        return f"app {offer.app} is not among those that this worker's rules allow"
    if offer.price < takes.min_price:
        return f"the task pays {format_amount(offer.price)}, and this worker wants {format_amount(takes.min_price)} at least"
    wanted = takes.min_price_per_hour
    if offer.price * HOUR_S < wanted * offer.time_ref_s:
        pays = f"{format_amount(offer.price)} for up to {offer.time_ref_s} s"
        return f"the task pays {pays}, and this worker wants {format_amount(wanted)} for an hour at least"
    return ""


def _has_hashes(names: tuple[str, ...]) -> bool:
    return any(len(name) == len("0x") + 64 for name in names)
