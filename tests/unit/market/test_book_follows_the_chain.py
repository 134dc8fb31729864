"""What happens on the chain happens in the book: matches, closings, transfers of entries and of money, tasks."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from tests.support.order_book import DEADLINE_S, RLC, Desk, Trade, somewhere
from voisin.errors import UnavailableError
from voisin.market.query import DealQuery, OrderQuery, TaskQuery
from voisin.protocol.api import OrderStatus, PublishedOrder
from voisin.protocol.eip712 import order_hash
from voisin.protocol.ids import ZERO_ADDRESS, ZERO_HASH, Hash32
from voisin.protocol.orders import Order
from voisin.protocol.records import TaskStatus

pytestmark = pytest.mark.anyio

OPEN, FILLED, CANCELLED, DEAD = OrderStatus.OPEN, OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.DEAD
RESULT = Hash32("0x" + "77" * 32)


async def stands(desk: Desk, order: Order) -> tuple[OrderStatus, int]:
    """Tell an order's status and what is left of it, after catching up with the chain."""
    await desk.catch_up()
    entry = await desk.service.store.entry(order_hash(order, desk.trade.ledger.domain))
    assert entry is not None
    return entry.status, entry.remaining


async def publish(desk: Desk, *orders: Order) -> None:
    """Publish orders."""
    for order in orders:
        await desk.service.publish(order)


async def listed(desk: Desk) -> list[PublishedOrder]:
    """List what is open."""
    return list((await desk.service.store.orders(OrderQuery())).orders)


async def test_match_uses_volume_of_all_four(desk: Desk, trade: Trade) -> None:
    app, data, pool, request = trade.app_order(volume=10), trade.dataset_order(volume=6), trade.pool_order(volume=9), None
    request = trade.request_order(volume=4, dataset=trade.dataset)
    await publish(desk, app, data, pool, request)
    trade.ledger.match(app, data, pool, request)
    assert await stands(desk, app) == (OPEN, 6)
    assert await stands(desk, data) == (OPEN, 2)
    assert await stands(desk, pool) == (OPEN, 5)
    assert await stands(desk, request) == (FILLED, 0)
    trade.ledger.match(app, data, pool, trade.request_order(volume=4, dataset=trade.dataset))
    assert await stands(desk, data) == (FILLED, 0)
    assert await stands(desk, app) == (OPEN, 4)


async def test_closing_cancels(desk: Desk, trade: Trade) -> None:
    orders = trade.one_of_each()
    await publish(desk, *orders)
    for order in orders:
        trade.ledger.close(order)
        assert await stands(desk, order) == (CANCELLED, 0)
    assert await listed(desk) == []


async def test_sold_entry_kills_its_orders_and_bought_back_revives_them(desk: Desk, trade: Trade) -> None:
    app, pool = trade.app_order(), trade.pool_order()
    await publish(desk, app, pool)
    trade.ledger.transfer_entry(trade.app, trade.stranger.address)
    assert await stands(desk, app) == (DEAD, 10)
    assert await stands(desk, pool) == (OPEN, 10)
    trade.ledger.transfer_entry(trade.app, trade.developer.address)
    assert await stands(desk, app) == (OPEN, 10)
    story = await desk.service.store.story(order_hash(app, trade.ledger.domain))
    assert [moment.what for moment in story] == ["open", "dead", "open"]
    assert trade.stranger.address in story[1].detail


async def test_request_for_a_sold_app_stays(desk: Desk, trade: Trade) -> None:
    request = trade.request_order()
    await publish(desk, request)
    trade.ledger.transfer_entry(trade.app, trade.stranger.address)
    assert await stands(desk, request) == (OPEN, 4)


async def test_withdrawn_money_kills_and_deposited_money_revives(desk: Desk, trade: Trade) -> None:
    pool, request, app = trade.pool_order(), trade.request_order(), trade.app_order()
    await publish(desk, pool, request, app)
    trade.ledger.withdraw(trade.requester.address, 987 * RLC + 1)  # 13 RLC less 1 nRLC is left
    assert await stands(desk, request) == (DEAD, 4)
    assert await stands(desk, pool) == (OPEN, 10)
    trade.ledger.withdraw(trade.scheduler.address, 1_000 * RLC)
    assert await stands(desk, pool) == (DEAD, 10)
    assert await stands(desk, app) == (OPEN, 10)
    trade.ledger.deposit(trade.requester.address, 1)
    trade.ledger.deposit(trade.scheduler.address, 3 * RLC)
    assert await stands(desk, request) == (OPEN, 4)
    assert await stands(desk, pool) == (OPEN, 10)


async def test_money_locked_by_one_deal_hides_other_orders_until_it_is_free(desk: Desk, trade: Trade) -> None:
    app, pool = trade.app_order(), trade.pool_order(volume=10)
    first, second = trade.request_order(volume=1), trade.request_order(volume=1)
    trade.ledger.withdraw(trade.requester.address, 980 * RLC)  # 20 RLC are enough for one of two
    trade.ledger.withdraw(trade.scheduler.address, 996 * RLC)  # 4 RLC are enough for one stake of 3
    await publish(desk, app, pool, first, second)
    deal = trade.ledger.match(app, None, pool, first)
    assert await stands(desk, first) == (FILLED, 0)
    assert await stands(desk, second) == (DEAD, 1)
    assert await stands(desk, pool) == (DEAD, 9)
    trade.ledger.claim(trade.ledger.initialize(deal, 0))
    assert await stands(desk, second) == (OPEN, 1)
    assert await stands(desk, pool) == (DEAD, 9)  # its stake was seized


async def test_deals_are_told_as_event_and_record_say(desk: Desk, trade: Trade) -> None:
    app, pool, request = trade.app_order(), trade.pool_order(), trade.request_order(volume=4)
    deal_id = trade.ledger.match(app, None, pool, request)
    await desk.catch_up()
    deal = await desk.service.store.deal(deal_id)
    assert deal is not None
    domain = trade.ledger.domain
    assert (deal.app, deal.dataset, deal.workerpool) == (trade.app, ZERO_ADDRESS, trade.workerpool)
    assert (deal.requester, deal.beneficiary) == (trade.requester.address, trade.requester.address)
    assert (deal.app_price, deal.dataset_price, deal.workerpool_price) == (3 * RLC, 0, 10 * RLC)
    assert (deal.app_order, deal.dataset_order) == (order_hash(app, domain), ZERO_HASH)
    assert (deal.workerpool_order, deal.request_order) == (order_hash(pool, domain), order_hash(request, domain))
    assert (deal.category, deal.trust, deal.first_index, deal.volume) == (2, 3, 0, 4)
    assert deal.block == await trade.ledger.head()


async def test_deals_newest_first_and_filtered(desk: Desk, trade: Trade) -> None:
    app, pool = trade.app_order(), trade.pool_order()
    deals = [trade.ledger.match(app, None, pool, trade.request_order(volume=2)) for _ in range(3)]
    await desk.catch_up()
    store = desk.service.store
    first = await store.deals(DealQuery(limit=2))
    assert ([deal.deal_id for deal in first.deals], first.count) == (deals[:0:-1], 3)
    last = await store.deals(DealQuery(limit=2, cursor=first.next))
    assert ([deal.deal_id for deal in last.deals], last.next) == (deals[:1], None)
    assert (await store.deals(DealQuery(requester=(trade.requester.address,), app=(trade.app,)))).count == 3
    assert (await store.deals(DealQuery(requester=(trade.stranger.address,)))).deals == ()
    assert (await store.deals(DealQuery(workerpool=(somewhere(1),)))).count == 0


async def test_life_of_a_task(desk: Desk, trade: Trade) -> None:
    deal = trade.ledger.match(trade.app_order(), None, trade.pool_order(), trade.request_order(volume=4))
    store = desk.service.store

    async def shown(task: str) -> tuple[TaskStatus, Hash32 | None, str]:
        await desk.catch_up()
        (found,) = [each for each in (await store.tasks(deal, TaskQuery())).tasks if each.task_id == task]
        assert found == await store.task(found.task_id)
        return found.status, found.consensus, found.results

    good, bad = trade.ledger.initialize(deal, 0), trade.ledger.initialize(deal, 3)
    assert await shown(good) == (TaskStatus.ACTIVE, None, "0x")
    trade.ledger.agree(good, RESULT)
    assert await shown(good) == (TaskStatus.REVEALING, RESULT, "0x")
    trade.ledger.reopen(good)
    assert await shown(good) == (TaskStatus.ACTIVE, None, "0x")
    trade.ledger.agree(good, RESULT)
    trade.ledger.finalize(good, b"\x01\xff")
    trade.ledger.claim(bad)
    assert await shown(good) == (TaskStatus.COMPLETED, RESULT, "0x01ff")
    assert await shown(bad) == (TaskStatus.FAILED, None, "0x")
    assert [task.index for task in (await store.tasks(deal, TaskQuery())).tasks] == [0, 3]
    assert [task.index for task in (await store.tasks(deal, TaskQuery(first=1))).tasks] == [3]
    assert [task.index for task in (await store.tasks(deal, TaskQuery(limit=1))).tasks] == [0]


async def test_whole_history_in_one_range_or_block_by_block(desk: Desk, trade: Trade) -> None:
    deal = trade.ledger.match(trade.app_order(), None, trade.pool_order(), trade.request_order(volume=4))
    task = trade.ledger.initialize(deal, 1)
    trade.ledger.agree(task, RESULT)
    trade.ledger.finalize(task, b"x")
    trade.ledger.span = 1
    await desk.catch_up()
    found = await desk.service.store.task(task)
    assert found is not None
    assert (found.status, found.consensus, found.results) == (TaskStatus.COMPLETED, RESULT, "0x78")


async def test_node_that_fails_is_tried_again(desk: Desk, trade: Trade) -> None:
    order = trade.app_order()
    await publish(desk, order)
    trade.ledger.close(order)
    failures = iter([UnavailableError("the node is away"), ValueError("something nobody thought of"), UnavailableError("away")])

    async def fail_thrice() -> None:
        error = next(failures, None)
        if error is not None:
            raise error

    trade.ledger.interrupt = fail_thrice
    with anyio.fail_after(DEADLINE_S):
        async with desk.following():
            while (await desk.service.store.position()).next_block < 7:
                await anyio.lowlevel.checkpoint()
    assert await stands(desk, order) == (CANCELLED, 0)
    assert desk.service.follower.failure == ""


async def test_chain_that_went_back_is_not_followed_and_health_says_so(desk: Desk, trade: Trade) -> None:
    await desk.catch_up()
    assert (await desk.service.health()).lag_blocks == 0
    trade.ledger.rewind(2)
    async with desk.following():
        with anyio.fail_after(DEADLINE_S):
            while not desk.service.follower.failure:
                await anyio.lowlevel.checkpoint()
    with pytest.raises(UnavailableError, match="is another one than was seen"):
        await desk.service.health()


async def test_health_without_a_node_says_how_far_the_records_go(desk: Desk, trade: Trade) -> None:
    await desk.catch_up()

    async def away() -> None:
        raise UnavailableError("away")

    trade.ledger.interrupt = away
    with pytest.raises(UnavailableError, match="the chain does not answer; its blocks before 6 are recorded"):
        await desk.service.health()
