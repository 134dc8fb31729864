"""
Which orders fit together, and if not, which condition stands between them and by how much.

These are the hub's conditions for a match, in its order, as far as they can be judged from the orders alone; what only
the chain knows (signatures, consumed volumes, registrations) the chain client asks.

Source: poco-protocol.md 8.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from voisin.protocol.ids import ZERO_ADDRESS, Address
from voisin.protocol.orders import AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder, no_dataset_order
from voisin.protocol.tags import deal_tag, missing_bits, needs_enclave
from voisin.units import NRLC, format_amount

Membership = Callable[[Address, Address], bool]
"""Tells whether a group contract (first) has a member (second)."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """
    One condition that excludes a match.

    Attributes:
        code: The hub's code of the condition, for example `0x05`.
        message: The condition in words, with wanted and offered.
        gap: How far apart the two are, for comparing offers: nRLC for a price, levels for trust, 1 for what has no distance.
    """

    code: str
    message: str
    gap: int


def no_groups(_group: Address, _member: Address) -> bool:
    """Know of no group: only the address itself satisfies a restriction."""
    return False


def is_allowed(restriction: Address, who: Address, is_member: Membership) -> bool:
    """
    Tell whether a restriction lets somebody in: nobody is shut out by the zero address, and a group lets its members in.

    Source: poco-protocol.md 4.4.
    """
    return restriction in (ZERO_ADDRESS, who) or is_member(restriction, who)


def price_of(app: AppOrder, dataset: DatasetOrder | None, workerpool: WorkerpoolOrder) -> NRLC:
    """Tell what one task costs when these orders match [nRLC]."""
    data_price = dataset.datasetprice if dataset is not None and dataset.dataset != ZERO_ADDRESS else 0
    return NRLC(app.appprice + data_price + workerpool.workerpoolprice)


def mismatches(
    app: AppOrder,
    dataset: DatasetOrder | None,
    workerpool: WorkerpoolOrder,
    request: RequestOrder,
    *,
    is_member: Membership = no_groups,
) -> list[Mismatch]:
    """
    List every condition that excludes a match of four orders, in the hub's order; empty when they fit.

    Args:
        app: The app's order.
        dataset: The dataset's order, or None without dataset.
        workerpool: The workerpool's order.
        request: The request.
        is_member: Knows the members of group contracts.
    """
    data = dataset if dataset is not None else no_dataset_order()
    return [
        *_terms(app, data, workerpool, request),
        *_tags(app, data, workerpool, request),
        *_restrictions(app, data, workerpool, request, is_member),
    ]


def _terms(app: AppOrder, data: DatasetOrder, pool: WorkerpoolOrder, request: RequestOrder) -> list[Mismatch]:
    found = []
    if request.category != pool.category:
        found.append(Mismatch("0x00", f"the workerpool offers category {pool.category}, the request wants {request.category}", 1))
    if request.trust > pool.trust:
        words = f"the workerpool offers trust up to {pool.trust}, the request wants {request.trust}"
        found.append(Mismatch("0x02", words, request.trust - pool.trust))
    found += _too_dear("0x03", "app", app.appprice, request.appmaxprice)
    found += _too_dear("0x04", "dataset", data.datasetprice, request.datasetmaxprice)
    found += _too_dear("0x05", "workerpool", pool.workerpoolprice, request.workerpoolmaxprice)
    return found


def _too_dear(code: str, what: str, price: NRLC, limit: NRLC) -> list[Mismatch]:
    if price <= limit:
        return []
    gap = NRLC(price - limit)
    words = f"the {what} costs {format_amount(price)}, the request pays at most {format_amount(limit)}: {format_amount(gap)} too little"
    return [Mismatch(code, words, gap)]


def _tags(app: AppOrder, data: DatasetOrder, pool: WorkerpoolOrder, request: RequestOrder) -> list[Mismatch]:
    wanted = deal_tag(app.tag, data.tag, request.tag)
    missing = missing_bits(wanted, pool.tag)
    found = [Mismatch("0x06", f"the workerpool lacks {', '.join(missing)}", len(missing))] if missing else []
    if needs_enclave(wanted) != needs_enclave(app.tag):
        found.append(Mismatch("0x07", "an enclave is asked for, and the app is not made for one", 1))
    return found


def _restrictions(app: AppOrder, data: DatasetOrder, pool: WorkerpoolOrder, request: RequestOrder, is_member: Membership) -> list[Mismatch]:
    found = []
    if request.app != app.app:
        found.append(Mismatch("0x10", f"the request is for app {request.app}, the order for {app.app}", 1))
    if request.dataset != data.dataset:
        found.append(Mismatch("0x11", f"the request is for dataset {request.dataset}, the order for {data.dataset}", 1))
    for code, whose, allowed, what, actual in (
        ("0x12", "request", request.workerpool, "workerpool", pool.workerpool),
        ("0x13", "app order", app.datasetrestrict, "dataset", data.dataset),
        ("0x14", "app order", app.workerpoolrestrict, "workerpool", pool.workerpool),
        ("0x15", "app order", app.requesterrestrict, "requester", request.requester),
        ("0x16", "dataset order", data.apprestrict, "app", app.app),
        ("0x17", "dataset order", data.workerpoolrestrict, "workerpool", pool.workerpool),
        ("0x18", "dataset order", data.requesterrestrict, "requester", request.requester),
        ("0x19", "workerpool order", pool.apprestrict, "app", app.app),
        ("0x1a", "workerpool order", pool.datasetrestrict, "dataset", data.dataset),
        ("0x1b", "workerpool order", pool.requesterrestrict, "requester", request.requester),
    ):
        if not is_allowed(allowed, actual, is_member):
            found.append(Mismatch(code, f"the {whose} is only for {what} {allowed}, not {actual}", 1))
    return found
