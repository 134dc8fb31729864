"""An order published while the chain goes on, and many at once: nothing is missed between the question and the writing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import anyio.lowlevel
import pytest

from tests.support.order_book import DEADLINE_S, RLC, Trade, market_settings
from voisin.errors import FundsError, StateError, TrustError, UnavailableError, VoisinError
from voisin.market.book import BookEntering, Position
from voisin.market.query import OrderQuery
from voisin.market.service import MarketService
from voisin.market.store import SqlStore, open_store
from voisin.market.twin import TWIN_DOMAIN
from voisin.protocol.api import OrderStatus
from voisin.protocol.eip712 import order_hash
from voisin.protocol.orders import Order

pytestmark = pytest.mark.anyio

Happening = Callable[[], Awaitable[None]]


@dataclass
class RacyStore(SqlStore):
    """A database to which something happens just before a publication's transaction begins."""

    inner: SqlStore
    happening: Happening | None = None

    def __post_init__(self) -> None:
        super().__init__(self.inner._engine, self.inner._lines)

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[BookEntering]:  # type: ignore[override]
        """Let it happen, then begin."""
        happening, self.happening = self.happening, None
        if happening is not None:
            await happening()
        async with self.inner.enter() as write:
            yield write


@dataclass
class Race:
    """A market on a database, and a trade to race with."""

    trade: Trade
    store: RacyStore
    service: MarketService

    async def catch_up(self) -> None:
        """Record everything that is on the chain."""
        with anyio.fail_after(DEADLINE_S):
            async with anyio.create_task_group() as running:
                running.start_soon(self.service.follower.run)
                while (await self.store.position()).next_block <= await self.trade.ledger.head():
                    await anyio.lowlevel.checkpoint()
                running.cancel_scope.cancel()

    async def status(self, order: Order) -> OrderStatus | None:
        """Tell where an order stands."""
        entry = await self.store.entry(order_hash(order, self.trade.ledger.domain))
        return None if entry is None else entry.status


@pytest.fixture
async def race(database_url: str) -> AsyncIterator[Race]:
    """A market with its records in a database."""
    trade, settings = Trade(), market_settings(database_url=database_url)
    async with open_store(settings.database_url, trade.ledger.domain, 0) as opened:
        store = RacyStore(opened)
        yield Race(trade, store, MarketService(trade.ledger, store, settings))


async def lose(race: Race, order: Order, change: Callable[[], None], *, is_recorded: bool) -> VoisinError | None:
    """Publish an order while something happens to it, recorded by the follower before the order is written or after."""

    async def happen() -> None:
        change()
        if is_recorded:
            await race.catch_up()

    race.store.happening = happen
    refused: VoisinError | None = None
    try:
        await race.service.publish(order)
    except VoisinError as error:
        refused = error
    await race.catch_up()
    return refused


@pytest.mark.parametrize("is_recorded", [True, False])
async def test_closed_meanwhile(race: Race, is_recorded: bool) -> None:
    order = race.trade.app_order()
    refused = await lose(race, order, lambda: race.trade.ledger.close(order), is_recorded=is_recorded)
    assert isinstance(refused, StateError) is is_recorded
    assert await race.status(order) is (None if is_recorded else OrderStatus.CANCELLED)


@pytest.mark.parametrize("is_recorded", [True, False])
async def test_sold_meanwhile(race: Race, is_recorded: bool) -> None:
    order = race.trade.pool_order()
    change = lambda: race.trade.ledger.transfer_entry(race.trade.workerpool, race.trade.stranger.address)  # noqa: E731
    refused = await lose(race, order, change, is_recorded=is_recorded)
    assert isinstance(refused, TrustError) is is_recorded
    assert await race.status(order) is (None if is_recorded else OrderStatus.DEAD)


@pytest.mark.parametrize("is_recorded", [True, False])
async def test_money_gone_meanwhile(race: Race, is_recorded: bool) -> None:
    order = race.trade.request_order()
    change = lambda: race.trade.ledger.withdraw(race.trade.requester.address, 990 * RLC)  # noqa: E731
    refused = await lose(race, order, change, is_recorded=is_recorded)
    assert isinstance(refused, FundsError) is is_recorded
    assert await race.status(order) is (None if is_recorded else OrderStatus.DEAD)


@pytest.mark.parametrize("is_recorded", [True, False])
async def test_matched_meanwhile(race: Race, is_recorded: bool) -> None:
    trade = race.trade
    order, pool, request = trade.app_order(volume=10), trade.pool_order(), trade.request_order(volume=4)

    def match() -> None:
        trade.ledger.match(order, None, pool, request)

    assert await lose(race, order, match, is_recorded=is_recorded) is None
    entry = await race.store.entry(order_hash(order, trade.ledger.domain))
    assert entry is not None
    assert (entry.status, entry.remaining) == (OrderStatus.OPEN, 6)


async def test_chain_silent_while_the_book_is_locked(race: Race) -> None:
    order = race.trade.app_order()

    async def happen() -> None:
        race.trade.ledger.mine()
        await race.catch_up()

        async def silence() -> None:
            raise UnavailableError("the node does not answer")

        race.trade.ledger.interrupt = silence

    race.store.happening = happen
    with pytest.raises(UnavailableError):
        await race.service.publish(order)
    race.trade.ledger.interrupt = None
    assert await race.status(order) is None
    assert (await race.service.publish(order))[1]  # the lock is free again


async def test_same_order_by_many_at_once(race: Race) -> None:
    order = race.trade.app_order()
    fresh: list[bool] = []

    async def publish() -> None:
        fresh.append((await race.service.publish(order))[1])

    async with anyio.create_task_group() as crowd:
        for _ in range(10):
            crowd.start_soon(publish)
    assert sorted(fresh) == [False] * 9 + [True]
    assert len(await race.store.story(order_hash(order, race.trade.ledger.domain))) == 1


async def test_limit_of_open_orders_holds_for_many_at_once(database_url: str) -> None:
    trade, settings = Trade(), market_settings(database_url=database_url, max_open_orders=3)
    async with open_store(settings.database_url, trade.ledger.domain, 0) as store:
        service = MarketService(trade.ledger, store, settings)
        orders = [trade.app_order() for _ in range(8)]
        refused: list[VoisinError] = []

        async def publish(order: Order) -> None:
            try:
                await service.publish(order)
            except StateError as error:
                refused.append(error)

        async with anyio.create_task_group() as crowd:
            for order in orders:
                crowd.start_soon(publish, order)
        assert len(refused) == 5
        assert (await store.orders(OrderQuery())).count == 3


async def test_readers_do_not_wait_for_a_writer(race: Race) -> None:
    await race.service.publish(race.trade.app_order())
    with anyio.fail_after(DEADLINE_S):
        async with race.store.write() as write:
            entry = await write.entry(order_hash(race.trade.app_order(), race.trade.ledger.domain))
            assert entry is None
            assert (await race.store.orders(OrderQuery())).count == 1
            await write.advance(await write.position())


async def test_writers_wait_for_each_other(database_url: str) -> None:
    """Transactions of two markets on one database that each read and add one: none is lost, though each lets go of the loop in between."""

    async def add_one(store: SqlStore) -> None:
        async with store.write() as write:
            before = await write.position()
            await anyio.lowlevel.checkpoint()
            await write.advance(Position(before.next_block + 1, before.last_hash))

    async with open_store(database_url, TWIN_DOMAIN, 0) as left, open_store(database_url, TWIN_DOMAIN, 0) as right:
        async with anyio.create_task_group() as crowd:
            for store in (left, right) * 10:
                crowd.start_soon(add_one, store)
        assert (await left.position()).next_block == 20


async def test_error_inside_a_transaction_undoes_all_of_it(race: Race) -> None:
    before = await race.store.position()

    async def fail_half_way() -> None:
        async with race.store.write() as write:
            await write.advance(Position(77))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_half_way()
    assert await race.store.position() == before
