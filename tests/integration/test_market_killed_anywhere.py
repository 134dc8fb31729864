"""A market that is killed at any step, and started again, ends with the same records as one that never was."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.order_book import DEADLINE_S, NOW, RLC, Trade, market_settings
from voisin.market.book import BookEntering, BookWrite
from voisin.market.database import open_database
from voisin.market.lines import Lines
from voisin.market.schema import metadata
from voisin.market.service import MarketService
from voisin.market.store import SqlStore, lines_of
from voisin.market.twin import TWIN_DOMAIN
from voisin.protocol.ids import Hash32
from voisin.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder

pytestmark = pytest.mark.anyio


class Killed(BaseException):
    """The process is gone."""


class Fate:
    """Counts steps, and kills at one of them."""

    def __init__(self, fatal: int = 0) -> None:
        self.fatal = fatal
        self.steps = 0

    async def step(self) -> None:
        """Take a step, perhaps the last one."""
        self.steps += 1
        if self.steps == self.fatal:
            raise Killed


class MortalStore(SqlStore):
    """A database whose process may die before and after each commit."""

    def __init__(self, engine: AsyncEngine, lines: Lines, fate: Fate) -> None:
        super().__init__(engine, lines)
        self.fate = fate

    @asynccontextmanager
    async def write(self) -> AsyncIterator[BookWrite]:  # type: ignore[override]
        """Begin a transaction."""
        await self.fate.step()
        async with super().write() as write:
            yield write
            await self.fate.step()
        await self.fate.step()

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[BookEntering]:  # type: ignore[override]
        """Begin a transaction that enters orders."""
        await self.fate.step()
        async with super().enter() as write:
            yield write
            await self.fate.step()
        await self.fate.step()


class Story:
    """What happens while the market lives and dies: orders are published, then traded."""

    def __init__(self) -> None:
        self.trade = trade = Trade()
        self.app: AppOrder = trade.app_order()
        self.data: DatasetOrder = trade.dataset_order()
        self.pool: WorkerpoolOrder = trade.pool_order(volume=5)
        self.request: RequestOrder = trade.request_order(volume=2)
        self.poor: RequestOrder = trade.request_order(volume=2)
        self.orders: list[Order] = [self.app, self.data, self.pool, self.request, self.poor]

    def go_on(self) -> None:
        """Trade: most things that a market must notice, in ten blocks."""
        ledger = self.trade.ledger
        ledger.span = 4
        deal = ledger.match(self.app, None, self.pool, self.request)
        first, second = ledger.initialize(deal, 0), ledger.initialize(deal, 1)
        ledger.agree(first, Hash32("0x" + "77" * 32))
        ledger.close(self.data)
        ledger.finalize(first, b"done")
        ledger.claim(second)
        ledger.withdraw(self.trade.requester.address, 980 * RLC)
        ledger.transfer_entry(self.trade.app, self.trade.stranger.address)
        ledger.transfer_entry(self.trade.app, self.trade.developer.address)


@asynccontextmanager
async def alive(story: Story, database_url: str, fate: Fate) -> AsyncIterator[MarketService]:
    """Start a market's process."""
    async with open_database(database_url, story.trade.ledger.domain, 0) as engine:
        lines = lines_of(engine)
        story.trade.ledger.interrupt = fate.step
        try:
            yield MarketService(story.trade.ledger, MortalStore(engine, lines, fate), market_settings(), clock=lambda: NOW)
        finally:
            await lines.close()
    story.trade.ledger.interrupt = None


async def publish_all(service: MarketService, story: Story) -> None:
    """Publish every order; one that is there already is welcome."""
    for order in story.orders:
        await service.publish(order)


async def follow_to_the_end(service: MarketService, head: int) -> None:
    """Follow the chain until everything is recorded."""
    with anyio.fail_after(DEADLINE_S):
        async with anyio.create_task_group() as running:
            running.start_soon(service.follower.run)
            while (await service.store.position()).next_block <= head:
                await anyio.lowlevel.checkpoint()
            running.cancel_scope.cancel()


async def live(database_url: str, fate: Fate) -> dict[str, list[tuple[object, ...]]]:
    """Let the story happen to a market; answers all its records. Each phase is begun again after a death."""
    story = Story()
    for phase in (0, 1):
        if phase:
            story.go_on()
        story.trade.ledger.interrupt = None
        head = await story.trade.ledger.head()
        while True:
            try:
                async with alive(story, database_url, fate) as service:
                    await (follow_to_the_end(service, head) if phase else publish_all(service, story))
                break
            except Killed:
                continue
            except BaseExceptionGroup as deaths:
                if deaths.split(Killed)[1] is not None:
                    raise
    return await everything(database_url)


async def everything(database_url: str) -> dict[str, list[tuple[object, ...]]]:
    """Read all records."""
    async with open_database(database_url, TWIN_DOMAIN, 0) as engine, engine.connect() as connection:
        return {table.name: sorted(tuple(row) for row in await connection.execute(select(table))) for table in metadata.sorted_tables}


async def test_every_death_ends_in_the_same_records(new_database: Callable[[], str]) -> None:
    undisturbed = Fate()
    expected = await live(new_database(), undisturbed)
    assert [len(expected[table]) for table in ("follower", "orders", "deals", "tasks")] == [1, 5, 1, 2]
    assert undisturbed.steps > 60
    for fatal in range(random.randint(1, 3), undisturbed.steps + 1, 3):  # a third of all steps, another one each time
        assert await live(new_database(), Fate(fatal)) == expected, f"killed at step {fatal} of {undisturbed.steps}"


async def test_two_markets_on_one_database_record_everything_once(new_database: Callable[[], str]) -> None:
    expected = await live(new_database(), Fate())
    story, database_url = Story(), new_database()
    async with AsyncExitStack() as opened:
        left, right = [await opened.enter_async_context(alive(story, database_url, Fate())) for _ in range(2)]
        await publish_all(left, story)
        await publish_all(right, story)
        story.go_on()
        head = await story.trade.ledger.head()
        async with anyio.create_task_group() as running:
            for service in (left, right):
                running.start_soon(follow_to_the_end, service, head)
    assert await everything(database_url) == expected
