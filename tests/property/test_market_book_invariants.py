"""A book under random trade keeps its promises, whatever happens in which order, and never differs from a naive account of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.nights import examples
from tests.support.order_book import NOW, RLC, Desk, Trade, open_desk
from voisin.errors import FundsError, StateError, TrustError
from voisin.market.proof import Wish, read_proof, sign_wish
from voisin.market.query import OrderQuery
from voisin.protocol.api import OrderStatus, PublishedOrder
from voisin.protocol.eip712 import order_hash
from voisin.protocol.feed import FeedEvent, OrderNews
from voisin.protocol.ids import OrderHash
from voisin.protocol.orders import AppOrder, Order, OrderKind, RequestOrder, WorkerpoolOrder, order_kind
from voisin.units import UnixSeconds

ResultT = TypeVar("ResultT")

EVERYBODY = dict.fromkeys(("app", "dataset", "workerpool", "requester"), ("any",))
PRICES = st.integers(0, 4).map(lambda rlc: rlc * RLC)
VOLUMES = st.integers(1, 5)


class Book(RuleBasedStateMachine):
    """Publishes, matches, closes, takes out, moves money and entries; keeps count by hand beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.trade = Trade()
        self.desk: Desk = open_desk(self.trade)
        self.names: dict[str, OrderHash] = {}
        self.published: dict[OrderHash, Order] = {}
        self.matched: dict[OrderHash, int] = {}
        self.closed: set[OrderHash] = set()
        self.removed: set[OrderHash] = set()
        self.money = {self.trade.scheduler.address: 1_000 * RLC, self.trade.requester.address: 1_000 * RLC}
        self.app_owner = self.trade.developer.address
        self.stamp = NOW
        self.copy: dict[OrderHash, PublishedOrder] = {}
        self.heard = 0

    def run(self, function: Callable[..., Awaitable[ResultT]], *arguments: object) -> ResultT:
        """Run a coroutine in the machine's own loop."""

        async def call() -> ResultT:
            return await function(*arguments)

        return self.loop.run(call())

    def name(self, order: Order) -> OrderHash:
        """Hash an order, once."""
        if order.salt not in self.names:
            self.names[order.salt] = order_hash(order, self.trade.ledger.domain)
        return self.names[order.salt]

    def orders(self, kind: type[Order]) -> list[Order]:
        """List the published orders of a kind."""
        return [order for order in self.published.values() if isinstance(order, kind)]

    @initialize()
    def poor(self) -> None:
        """Begin with little money, so that it runs out."""
        for owner in self.money:
            self.move(owner, -985)

    def move(self, owner: str, rlc: int) -> None:
        """Move money in or out, as far as there is any."""
        amount = max(rlc * RLC, -self.money[owner])
        self.money[owner] += amount
        account = self.trade.requester.address if owner == self.trade.requester.address else self.trade.scheduler.address
        if amount >= 0:
            self.trade.ledger.deposit(account, amount)
        else:
            self.trade.ledger.withdraw(account, -amount)

    @rule(kind=st.sampled_from(OrderKind), price=PRICES, volume=VOLUMES)
    def publish(self, kind: OrderKind, price: int, volume: int) -> None:
        make = {
            OrderKind.APP: self.trade.app_order,
            OrderKind.DATASET: self.trade.dataset_order,
            OrderKind.WORKERPOOL: self.trade.pool_order,
            OrderKind.REQUEST: self.trade.request_order,
        }[kind]
        order = make(price=price, volume=volume)
        if kind is OrderKind.APP and self.app_owner != self.trade.developer.address:
            return  # its signature would be refused; another test does that
        try:
            published, is_new = self.run(self.desk.service.publish, order)
        except FundsError:
            assert not self.can_pay(order)
            return
        assert is_new
        assert self.can_pay(order)
        assert published.remaining == volume
        self.published[self.name(order)] = order

    @rule(data=st.data())
    @precondition(lambda self: self.published)
    def publish_again(self, data: st.DataObject) -> None:
        self.follow()
        order = data.draw(st.sampled_from(list(self.published.values())))
        before = self.expected_status(order)
        try:
            published, is_new = self.run(self.desk.service.publish, order)
        except StateError:
            assert before in (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REMOVED)
            return
        except (FundsError, TrustError):
            assert before in (OrderStatus.DEAD, OrderStatus.REMOVED)
            return
        assert (before, is_new, published.status) == (OrderStatus.OPEN, False, OrderStatus.OPEN)

    @rule(data=st.data())
    @precondition(lambda self: self.orders(AppOrder) and self.orders(WorkerpoolOrder) and self.orders(RequestOrder))
    def match(self, data: st.DataObject) -> None:
        app, pool, request = (data.draw(st.sampled_from(self.orders(kind))) for kind in (AppOrder, WorkerpoolOrder, RequestOrder))
        assert isinstance(app, AppOrder)
        assert isinstance(pool, WorkerpoolOrder)
        assert isinstance(request, RequestOrder)
        volume = min(self.left(order) for order in (app, pool, request))
        cost, stake = (app.appprice + pool.workerpoolprice) * volume, pool.workerpoolprice * 30 // 100 * volume
        try:
            self.trade.ledger.match(app, None, pool, request)
        except (StateError, FundsError):
            return
        self.money[request.requester] -= cost
        self.money[self.trade.scheduler.address] -= stake
        for order in (app, pool, request):
            self.matched[self.name(order)] = self.matched.get(self.name(order), 0) + volume

    @rule(data=st.data())
    @precondition(lambda self: self.published)
    def close(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(list(self.published.values())))
        self.trade.ledger.close(order)
        self.closed.add(self.name(order))

    @rule(data=st.data())
    @precondition(lambda self: self.published)
    def take_out(self, data: st.DataObject) -> None:
        self.follow()
        order = data.draw(st.sampled_from(list(self.published.values())))
        signer = {
            OrderKind.APP: self.trade.developer,
            OrderKind.DATASET: self.trade.data_owner,
            OrderKind.WORKERPOOL: self.trade.scheduler,
            OrderKind.REQUEST: self.trade.requester,
        }[order_kind(order)]
        self.stamp = UnixSeconds(self.stamp + 1)
        self.desk.clock.now = self.stamp
        proof = read_proof(sign_wish(signer, Wish.UNPUBLISH, self.name(order), self.stamp))
        try:
            self.run(self.desk.service.unpublish, self.name(order), proof)
        except StateError:
            assert self.expected_status(order) in (OrderStatus.FILLED, OrderStatus.CANCELLED)
            return
        self.removed.add(self.name(order))

    @rule(rlc=st.integers(-8, 8), is_requester=st.booleans())
    def money_moves(self, rlc: int, is_requester: bool) -> None:
        self.move(self.trade.requester.address if is_requester else self.trade.scheduler.address, rlc)

    @rule()
    def app_changes_hands(self) -> None:
        stranger, developer = self.trade.stranger.address, self.trade.developer.address
        self.app_owner = stranger if self.app_owner == developer else developer
        self.trade.ledger.transfer_entry(self.trade.app, self.app_owner)

    @rule(span=st.integers(1, 4))
    def follow(self, span: int = 3) -> None:
        self.trade.ledger.span = span
        self.run(self.desk.catch_up)

    # by hand

    def left(self, order: Order) -> int:
        """Count what is left of an order."""
        return 0 if self.name(order) in self.closed else order.volume - self.matched.get(self.name(order), 0)

    def can_pay(self, order: Order) -> bool:
        """Tell whether an order's signer has the money for one task."""
        if isinstance(order, RequestOrder):
            return self.money[order.requester] >= order.appmaxprice + order.datasetmaxprice + order.workerpoolmaxprice
        if isinstance(order, WorkerpoolOrder):
            return self.money[self.trade.scheduler.address] >= order.workerpoolprice * 30 // 100
        return True

    def expected_status(self, order: Order) -> OrderStatus:
        """Judge an order by hand, as if the book had seen everything."""
        if self.name(order) in self.closed:
            return OrderStatus.CANCELLED
        if self.left(order) == 0:
            return OrderStatus.FILLED
        if self.name(order) in self.removed:
            return OrderStatus.REMOVED
        owns = not isinstance(order, AppOrder) or self.app_owner == self.trade.developer.address
        return OrderStatus.OPEN if owns and self.can_pay(order) else OrderStatus.DEAD

    @invariant()
    def copy_kept_by_the_feed_is_the_book(self) -> None:
        """Keep a copy of the book by what the live feed tells, with the three rules that it promises."""
        for told in self.run(self.desk.service.store.events, self.heard, 10_000):
            assert told.id == self.heard + 1
            self.heard = told.id
            event: FeedEvent = msgspec.json.decode(told.content, type=FeedEvent)  # type: ignore[arg-type]  (a union)
            if isinstance(event, OrderNews) and event.order.status is OrderStatus.OPEN:
                self.copy[event.order.hash] = event.order
            elif isinstance(event, OrderNews):
                assert event.why
                self.copy.pop(event.order.hash, None)
        page = self.run(self.desk.service.store.orders, OrderQuery(**EVERYBODY, limit=1000))  # type: ignore[arg-type]
        assert {found.hash: found for found in page.orders} == self.copy

    @invariant()
    def remaining_is_never_negative_nor_more_than_volume(self) -> None:
        async def look() -> None:
            for name, order in self.published.items():
                entry = await self.desk.service.store.entry(name)
                assert entry is not None
                assert 0 <= entry.remaining <= order.volume
                assert entry.remaining >= self.left(order), "the book must not take away what the chain did not"

        self.run(look)

    @invariant()
    def list_is_sorted_and_holds_what_is_open(self) -> None:
        page = self.run(self.desk.service.store.orders, OrderQuery(**EVERYBODY))
        for kind in OrderKind:
            prices = [price(found) for found in page.orders if order_kind(found.order) is kind]
            assert prices == sorted(prices, reverse=kind is OrderKind.REQUEST)
        assert all(found.status is OrderStatus.OPEN and found.remaining > 0 for found in page.orders)
        assert page.count == len(page.orders)

    @rule()
    def once_caught_up_the_book_tells_the_truth(self) -> None:
        self.follow()
        page = self.run(self.desk.service.store.orders, OrderQuery(status="any", **EVERYBODY))
        told = {found.hash: (found.status, found.remaining) for found in page.orders}
        assert told == {name: (self.expected_status(order), self.left(order)) for name, order in self.published.items()}

    def teardown(self) -> None:
        self.once_caught_up_the_book_tells_the_truth()
        self.loop.close()


def price(found: PublishedOrder) -> int:
    """Name the price by which an order is listed."""
    order = found.order
    if isinstance(order, RequestOrder):
        return order.workerpoolmaxprice
    return order.appprice if isinstance(order, AppOrder) else getattr(order, f"{order_kind(order)}price")


Book.TestCase.settings = settings(
    max_examples=examples(6),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestBookUnderRandomTrade = Book.TestCase
