"""The pool's offers stand in the market, say what it can keep, and are taken back when they promise more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import msgspec
import pytest

from tests.unit.pool.conftest import START, Scene, foreign_task, wallet
from voisin.errors import UnavailableError, VoisinError
from voisin.policy import trust_for
from voisin.pool.chain.twin import TWIN_DOMAIN, TwinLedger
from voisin.pool.selling.keeper import OfferKeeper
from voisin.pool.selling.offers import Changes, Terms, affordable_volume, decide, new_offer, offered_trust
from voisin.pool.settings import PoolSettings
from voisin.protocol.api import OrderStatus, PublishedWorkerpoolOrder
from voisin.protocol.eip712 import order_hash
from voisin.protocol.ids import Address, Hash32, OrderHash, as_address, from_hex
from voisin.protocol.orders import WorkerpoolOrder
from voisin.protocol.signatures import KeySigner, recover_signer
from voisin.protocol.tags import NO_TAG, as_tag
from voisin.units import NRLC, UnixSeconds

pytestmark = pytest.mark.anyio

POOL = as_address("0x" + "a1" * 20)
SCHEDULER = KeySigner(b"\x51" * 32)
RLC = 10**9


@dataclass
class TwinMarket:
    """A market in memory."""

    book: dict[OrderHash, PublishedWorkerpoolOrder] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    is_away: bool = False
    refusal: VoisinError | None = None

    async def open_orders(self, workerpool: Address) -> list[PublishedWorkerpoolOrder]:
        self._require()
        return [offer for offer in self.book.values() if offer.order.workerpool == workerpool and offer.status is OrderStatus.OPEN]

    async def publish(self, order: WorkerpoolOrder) -> PublishedWorkerpoolOrder:
        self._require()
        name = order_hash(order, TWIN_DOMAIN)
        signer = recover_signer(from_hex(name), order.sign)
        self.log.append("publish")
        return self.book.setdefault(name, published(order, signer=signer))

    async def unpublish(self, name: OrderHash, at: UnixSeconds) -> None:
        self._require()
        self.log.append("unpublish")
        self.change(name, status=OrderStatus.REMOVED)

    def change(self, name: OrderHash, **changes: object) -> None:
        self.book[name] = msgspec.structs.replace(self.book[name], **changes)

    def standing(self) -> list[WorkerpoolOrder]:
        return [offer.order for offer in self.book.values() if offer.status is OrderStatus.OPEN]

    def _require(self) -> None:
        if self.is_away:
            raise UnavailableError("the market does not answer")
        if self.refusal is not None:
            raise self.refusal


def published(order: WorkerpoolOrder, *, signer: Address = SCHEDULER.address, remaining: int | None = None) -> PublishedWorkerpoolOrder:
    return PublishedWorkerpoolOrder(
        hash=order_hash(order, TWIN_DOMAIN),
        signer=signer,
        remaining=order.volume if remaining is None else remaining,
        status=OrderStatus.OPEN,
        published_at=UnixSeconds(START),
        order=order,
    )


@dataclass
class Shop:
    """A keeper with its market, chain and workers."""

    settings: PoolSettings

    def __post_init__(self) -> None:
        self.scene = Scene(**self.settings.model_dump())
        self.market, self.ledger = TwinMarket(), TwinLedger(lambda: START)
        self.keeper = self.new_keeper()

    def new_keeper(self) -> OfferKeeper:
        return OfferKeeper(self.settings, self.scene.machine.book, self.ledger, self.market, SCHEDULER)

    async def look(self) -> list[str]:
        """Let the keeper look; answers what it did in the market."""
        self.market.log.clear()
        await self.keeper.look(self.scene.wall)
        return self.market.log

    def trusts(self) -> list[int]:
        return [order.trust for order in self.market.standing()]


def open_shop(**settings: object) -> Shop:
    return Shop(PoolSettings(workerpool=POOL, price=NRLC(RLC), **settings))


async def test_each_category_has_one_offer_that_says_what_it_should() -> None:
    shop = open_shop(categories=(0, 2), volume=50, tag="gpu")
    shop.scene.join("alice")
    shop.scene.join("bob")
    assert await shop.look() == ["publish", "publish"]
    first, second = shop.market.standing()
    assert (first.category, second.category) == (0, 2)
    assert (first.workerpoolprice, first.volume, first.trust, first.tag) == (RLC, 50, 4, as_tag("gpu"))
    assert first.salt != second.salt
    assert next(iter(shop.market.book.values())).signer == SCHEDULER.address
    assert await shop.look() == []


async def test_an_offer_is_renewed_when_little_of_it_is_left() -> None:
    shop = open_shop(volume=50)
    await shop.look()
    (name,) = shop.market.book
    shop.market.change(name, remaining=10)
    assert await shop.look() == []
    shop.market.change(name, remaining=9)
    assert await shop.look() == ["publish", "publish"], "the old one again is not enough, so a new one"
    assert [order.volume for order in shop.market.standing()] == [50, 50], "what is left of the old one stays"
    shop.market.change(name, remaining=0, status=OrderStatus.FILLED)
    assert await shop.look() == []


async def test_a_market_that_forgot_gets_the_same_offer_again() -> None:
    shop = open_shop()
    await shop.look()
    before = shop.market.standing()
    shop.market.book.clear()
    assert await shop.look() == ["publish"]
    assert shop.market.standing() == before


async def test_after_a_restart_of_the_pool_the_standing_offer_is_kept() -> None:
    shop = open_shop()
    await shop.look()
    shop.keeper = shop.new_keeper()
    assert await shop.look() == []


async def test_more_workers_promise_more_trust_and_the_old_offer_is_only_withdrawn() -> None:
    shop = open_shop()
    await shop.look()
    assert shop.trusts() == [1]
    shop.scene.join("alice")
    shop.scene.join("bob")
    assert await shop.look() == ["publish", "unpublish"]
    assert shop.trusts() == [4]
    assert shop.ledger.closed == [], "an offer of less is harmless, and closing it costs gas"


async def test_fewer_workers_promise_less_and_the_old_offer_is_closed_on_the_chain() -> None:
    shop = open_shop(known_s=600)
    shop.scene.join("alice")
    shop.scene.join("bob")
    await shop.look()
    (old,) = shop.market.standing()
    shop.scene.leave("bob")
    assert await shop.look() == [], "it may come back"
    shop.scene.after(601)
    assert await shop.look() == ["publish", "unpublish"]
    assert shop.trusts() == [2]
    assert shop.ledger.closed == [old]


@pytest.mark.parametrize(("price", "is_closed"), [(2 * RLC, True), (RLC // 2, False)])
async def test_another_price_replaces_the_offer(price: int, is_closed: bool) -> None:
    shop = open_shop()
    await shop.look()
    shop.settings = PoolSettings(workerpool=POOL, price=NRLC(price))
    shop.keeper = shop.new_keeper()
    assert await shop.look() == ["publish", "unpublish"]
    assert [order.workerpoolprice for order in shop.market.standing()] == [price]
    assert bool(shop.ledger.closed) == is_closed


async def test_a_category_that_is_offered_no_more_is_closed() -> None:
    shop = open_shop(categories=(0, 1))
    await shop.look()
    shop.settings = PoolSettings(workerpool=POOL, price=NRLC(RLC), categories=(1,))
    shop.keeper = shop.new_keeper()
    assert await shop.look() == ["unpublish"]
    assert [order.category for order in shop.ledger.closed] == [0]


async def test_orders_made_by_hand_are_left_alone() -> None:
    shop = open_shop()
    by_hand = WorkerpoolOrder(workerpool=POOL, workerpoolprice=NRLC(7), volume=3, category=0, trust=1, salt=Hash32("0x" + "11" * 32))
    kept = new_offer(shop.settings, Terms(category=0, price=NRLC(9), trust=1, tag=NO_TAG, volume=3))
    special = msgspec.structs.replace(kept, requesterrestrict=wallet("alice"))
    for order, signer in ((by_hand, SCHEDULER.address), (special, SCHEDULER.address), (kept, wallet("mallory"))):
        shop.market.book[order_hash(order, TWIN_DOMAIN)] = published(order, signer=signer)
    assert await shop.look() == ["publish"]
    assert len(shop.market.standing()) == 4


async def test_a_scheduler_without_stake_offers_nothing_and_says_what_is_missing() -> None:
    shop = open_shop()
    shop.ledger.stakes[SCHEDULER.address] = NRLC(RLC // 10)
    assert await shop.look() == []
    assert shop.keeper.trouble == {0: "the scheduler has 0.1 RLC free in the hub, and locks 0.3 RLC for a task: deposit 0.2 RLC"}
    shop.ledger.stakes[SCHEDULER.address] = NRLC(RLC)
    assert await shop.look() == ["publish"]
    assert [order.volume for order in shop.market.standing()] == [3], "1 RLC is the stake of three tasks at 0.3 RLC"
    assert shop.keeper.trouble == {}


@pytest.mark.parametrize(("price", "stake", "volume"), [(RLC, 10**18, 1000), (RLC, 0, 0), (0, 0, 1000), (3, 0, 1000), (RLC, 3 * 10**8, 1)])
def test_the_volume_is_what_the_stake_allows(price: int, stake: int, volume: int) -> None:
    assert affordable_volume(PoolSettings(price=NRLC(price)), NRLC(stake)) == volume


async def test_a_market_that_is_away_is_trouble_and_no_end() -> None:
    shop = open_shop()
    shop.market.is_away = True
    assert await shop.look() == []
    assert "does not answer" in shop.keeper.trouble[0]
    shop.market.is_away = False
    assert await shop.look() == ["publish"]
    assert shop.keeper.trouble == {}
    shop.market.book.clear()
    shop.market.refusal = UnavailableError("the market is full")
    await shop.look()
    assert "the market is full" in shop.keeper.trouble[0]


async def test_it_looks_when_it_is_nudged_and_waits_until_workers_have_settled() -> None:
    shop = open_shop(offer_settle_s=0.01, offer_check_s=1000)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shop.keeper.run, lambda: shop.scene.wall)
        await _until(lambda: shop.trusts() == [1])
        shop.scene.join("alice")
        shop.keeper.nudge()
        await _until(lambda: shop.trusts() == [2])
        tasks.cancel_scope.cancel()


def test_trust_counts_known_workers_once_for_each_owner(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(same_owner=((wallet("carol"), wallet("dave")),), known_s=100, trust_max=30, faulty_max=1)
    settings, book = scene.settings, scene.machine.book
    assert offered_trust(book, settings, scene.wall) == 1
    for name in ("alice", "bob", "carol", "dave"):
        scene.join(name)
    assert offered_trust(book, settings, scene.wall) == 8
    scene.leave("alice")
    assert offered_trust(book, settings, scene.wall + 100) == 8
    assert offered_trust(book, settings, scene.wall + 101) == 4
    scene.fined("erin", foreign_task())
    assert offered_trust(book, settings, scene.wall) == 8, "a worker of other pools does not count"
    (task,) = scene.deal()
    scene.fined("bob", task)
    assert offered_trust(book, settings, scene.wall) == 4, "nor does one that gets no more tasks"
    scene.join("alice", score=300)
    assert offered_trust(book, settings, scene.wall) == 30


@pytest.mark.parametrize("score", [0, 150, 700, 3_000, 1_000_000])
def test_two_replicas_are_offered_however_much_the_workers_have_earned(score: int) -> None:
    scene = Scene()
    for name in ("alice", "bob"):
        scene.join(name, score=score)
    assert offered_trust(scene.machine.book, scene.settings, scene.wall) >= trust_for(2, [score, score], 1)


def test_decisions() -> None:
    terms = Terms(category=0, price=NRLC(5), trust=4, tag=NO_TAG, volume=100)
    settings = PoolSettings(workerpool=POOL)
    same = published(new_offer(settings, terms))
    assert decide(terms, []) == Changes(True)
    assert decide(terms, [same]) == Changes(False)
    dearer = published(new_offer(settings, Terms(category=0, price=NRLC(6), trust=4, tag=NO_TAG, volume=100)))
    cheaper = published(new_offer(settings, Terms(category=0, price=NRLC(4), trust=4, tag=NO_TAG, volume=100)))
    bolder = published(new_offer(settings, Terms(category=0, price=NRLC(5), trust=5, tag=NO_TAG, volume=100)))
    tagged = published(new_offer(settings, Terms(category=0, price=NRLC(5), trust=4, tag=as_tag("gpu"), volume=100)))
    assert decide(terms, [same, dearer]) == Changes(False, (dearer,), ())
    assert decide(terms, [cheaper, bolder, tagged]) == Changes(True, (cheaper, bolder, tagged), (cheaper, bolder, tagged))


async def _until(is_so: Callable[[], bool]) -> None:
    with anyio.fail_after(120):
        while not is_so():
            await anyio.lowlevel.checkpoint()
