"""Readers of the live feed that come before it has looked into the records."""

import anyio
import pytest

from tests.support.order_book import DEADLINE_S, Trade, open_desk
from voisin.market.feed import Reader
from voisin.protocol.feed import Topic

pytestmark = pytest.mark.anyio


async def test_who_began_before_the_feed_hears_what_happened_before_its_first_look() -> None:
    desk = open_desk(Trade())
    reader = Reader(desk.service.feed, Topic, None, now=desk.clock.now)
    assert (await reader.begin()).id == 0
    await desk.service.publish(desk.trade.app_order())
    heard: list[int] = []

    async def listen() -> None:
        heard.extend(told.id for told in await reader.next(within_s=DEADLINE_S))
        following.cancel_scope.cancel()

    async with anyio.create_task_group() as following:
        following.start_soon(listen)
        await anyio.wait_all_tasks_blocked()
        following.start_soon(desk.service.feed.run)
    assert heard == [1]
