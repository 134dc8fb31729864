"""Orders that are judged and written in one pass fare as those that are judged, and then written, each alone."""

from __future__ import annotations

import anyio
import msgspec
import pytest

from tests.support.order_book import RLC, Trade, open_desk, somewhere
from voisin.errors import VoisinError
from voisin.market.publishing import Entered, Publisher
from voisin.market.service import MarketService
from voisin.protocol.eip712 import order_hash, sign_order
from voisin.protocol.orders import Order

pytestmark = pytest.mark.anyio


def some_of_all(trade: Trade) -> list[Order]:
    """Sign orders that are right, and others that are wrong in every way or need to be looked at closely."""
    right = trade.one_of_each()
    forged = [sign_order(order, trade.ledger.domain, trade.stranger) for order in trade.one_of_each()]
    unsigned = [msgspec.structs.replace(trade.app_order(), sign=sign) for sign in ("0x", "0x" + "00" * 65)]
    presigned = msgspec.structs.replace(trade.request_order(), sign="0x")
    trade.ledger.presign(presigned)
    by_contract = msgspec.structs.replace(trade.request_order(requester=somewhere(0xC0)), sign="0xc0ffee")
    trade.ledger.deposit(somewhere(0xC0), 13 * RLC)
    trade.ledger.approve(somewhere(0xC0), order_hash(by_contract, trade.ledger.domain))
    unknown = [trade.app_order(app=somewhere(0x99)), trade.request_order(dataset=somewhere(0x98)), trade.pool_order(category=77)]
    dear = trade.request_order(price=5_000 * RLC)
    closed = trade.dataset_order()
    trade.ledger.close(closed)
    used = trade.app_order(volume=10)
    trade.ledger.match(used, None, trade.pool_order(volume=10), trade.request_order(volume=4))
    return [*right, *forged, *unsigned, presigned, by_contract, *unknown, dear, closed, used, *right]


async def what_became_of(orders: list[Order], trade: Trade, *, is_short: bool, together: bool) -> list[Entered | str]:
    """Publish orders at a new desk; answers the entry, and whether it was new, or the error, of each."""
    service = open_desk(trade, max_open_orders=3).service
    publisher: Publisher = service._publisher
    outcomes: dict[int, Entered | str] = {}

    async def publish(place: int, order: Order) -> None:
        name = order_hash(order, trade.ledger.domain)
        try:
            if is_short:
                outcomes[place] = await publisher.publish(name, order)
            else:
                outcomes[place] = await publisher.enter(await publisher.judge(name, order), None)
        except VoisinError as error:
            outcomes[place] = f"{type(error).__name__}: {error}"

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for place, order in enumerate(orders):
                if together:
                    tasks.start_soon(publish, place, order)
                else:
                    await publish(place, order)
    return [outcomes[place] for place in range(len(orders))]


async def test_one_after_another(trade: Trade) -> None:
    orders = some_of_all(trade)
    short = await what_became_of(orders, trade, is_short=True, together=False)
    assert short == await what_became_of(orders, trade, is_short=False, together=False)
    assert sum(isinstance(outcome, str) for outcome in short) == 11
    assert [outcome[1] for outcome in short[-4:] if not isinstance(outcome, str)] == [False] * 4


async def test_at_the_same_time(trade: Trade) -> None:
    orders = some_of_all(trade)
    short = await what_became_of(orders, trade, is_short=True, together=True)
    alone = await what_became_of(orders, trade, is_short=False, together=False)
    assert [bare(outcome) for outcome in short] == [bare(outcome) for outcome in alone]


def bare(outcome: Entered | str) -> object:
    """Leave out the order in which entries were numbered, and who of two that publish the same was first."""
    return outcome if isinstance(outcome, str) else (outcome[0].hash, outcome[0].status, outcome[0].remaining, outcome[0].signer)


async def test_an_order_that_is_filled_does_not_come_back(trade: Trade) -> None:
    desk = open_desk(trade)
    order, name = (found := trade.app_order()), order_hash(found, trade.ledger.domain)
    service: MarketService = desk.service
    async with desk.following():
        await service.publish(order)
        trade.ledger.close(order)
        await desk.caught_up()
    for way in (service._publisher.publish(name, order), service._publisher.judge(name, order)):
        with pytest.raises(VoisinError, match="cancelled"):
            await way
