"""Making deals of orders by hand, and cancelling orders."""

from __future__ import annotations

import time

from voisin.chain import calls
from voisin.cli.orders import find_order, hash_in, require_signer
from voisin.client import AsyncCloud
from voisin.errors import FundsError, NoMatchError, StateError
from voisin.policy.matching import mismatches
from voisin.protocol.eip712 import Operation
from voisin.protocol.events import OrdersMatched
from voisin.protocol.ids import DealId, OrderHash
from voisin.protocol.orders import AppOrder, Order, OrderKind, RequestOrder, WorkerpoolOrder
from voisin.units import NRLC, UnixSeconds, format_amount


async def fill_orders(cloud: AsyncCloud, *, app: str, workerpool: str, request: str) -> tuple[DealId, int]:
    """
    Make a deal of three orders, each given by file or hash.

    Returns:
        The deal's id, and its number of tasks.

    Raises:
        NoMatchError: The orders do not fit; the message names every condition that stands between them.
        FundsError: The requester's account does not cover the deal; the message says by how much.
    """
    app_order = await find_order(cloud, app, OrderKind.APP)
    pool_order = await find_order(cloud, workerpool, OrderKind.WORKERPOOL)
    request_order = await find_order(cloud, request, OrderKind.REQUEST)
    assert isinstance(app_order, AppOrder)
    assert isinstance(pool_order, WorkerpoolOrder)
    assert isinstance(request_order, RequestOrder)
    await _require_match(cloud, app_order, pool_order, request_order)
    hub = cloud.links.chain.hub_address
    receipt = await (await cloud.requester()).sender.send(calls.match_orders(hub, app_order, None, pool_order, request_order))
    name = hash_in(cloud, request_order)
    for logged in receipt.events:
        if isinstance(logged.event, OrdersMatched) and logged.event.request_hash == name:
            return logged.event.deal_id, logged.event.volume
    raise StateError(f"the transaction {receipt.tx_hash} made no deal", hint="look at it on the chain")


async def _require_match(cloud: AsyncCloud, app: AppOrder, pool: WorkerpoolOrder, request: RequestOrder) -> None:
    reasons = mismatches(app, None, pool, request)
    if reasons:
        raise NoMatchError(
            f"the orders do not fit: {'; '.join(reason.message for reason in reasons)}", hint="change one of them and sign it again"
        )
    left = []
    for what, order in (("app", app), ("workerpool", pool), ("request", request)):
        remaining = order.volume - await cloud.links.chain.hub.consumed(hash_in(cloud, order))
        if remaining <= 0:
            raise NoMatchError(f"the {what} order is filled or cancelled", hint="take another one")
        left.append(remaining)
    cost = NRLC((app.appprice + pool.workerpoolprice) * min(left))
    free = (await cloud.links.chain.hub.account(request.requester)).stake
    if free < cost:
        lacking = format_amount(NRLC(cost - free))
        has = f"the account of {request.requester} has {format_amount(free)} free"
        words = f"{lacking} is missing: the deal costs {format_amount(cost)}, and {has}"
        raise FundsError(words, hint=f"deposit {lacking} with `voisin wallet deposit`")


async def cancel_order(cloud: AsyncCloud, reference: str, *, only_unpublish: bool) -> OrderHash:
    """
    Cancel an order.

    Args:
        cloud: The market.
        reference: An order file, or the hash of a published order.
        only_unpublish: Whether only to take it out of the book.

    Returns:
        The order's hash.

    Raises:
        StateError: The wallet did not sign the order, or it is cancelled already.
    """
    order: Order = await find_order(cloud, reference)
    name = hash_in(cloud, order)
    requester = await cloud.requester()
    if only_unpublish:
        await cloud.links.book.unpublish(name, requester.signer, now=UnixSeconds(int(time.time())))
        return name
    await require_signer(cloud, order)
    if await cloud.links.chain.hub.consumed(name) >= order.volume:
        raise StateError(f"the order {name} is filled or cancelled already", hint="there is nothing left to cancel")
    await requester.sender.send(calls.manage_order(cloud.links.chain.hub_address, order, Operation.CLOSE))
    return name
