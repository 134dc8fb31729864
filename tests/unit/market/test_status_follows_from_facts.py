"""Where an order stands: the specification's table, written by hand, and the reasons it gives."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from tests.support.order_book import NOW, POOL_NEEDS, RLC, Trade, somebody, somewhere
from voisin.market.machine import Closed, Consumed, Entry, Fact, OwnerSeen, StakeSeen, Unpublished, learn, readmit
from voisin.protocol.api import OrderStatus
from voisin.protocol.ids import Hash32, OrderHash
from voisin.units import NRLC, UnixSeconds

OPEN, FILLED, CANCELLED, REMOVED, DEAD = (
    OrderStatus.OPEN,
    OrderStatus.FILLED,
    OrderStatus.CANCELLED,
    OrderStatus.REMOVED,
    OrderStatus.DEAD,
)
STRANGER = somebody("stranger").address


@pytest.fixture
def entry(trade: Trade) -> Entry:
    """A workerpool order of 10 tasks at 10 RLC, whose signer holds just the stake of one."""
    signer = trade.scheduler.address
    name = OrderHash(Hash32("0x" + "11" * 32))
    return Entry(hash=name, order=trade.pool_order(), signer=signer, remaining=10, published_at=NOW, owner=signer, stake=NRLC(POOL_NEEDS))


@pytest.mark.parametrize(
    ("facts", "status", "remaining", "why"),
    [
        ([], OPEN, 10, ""),
        ([Consumed(0)], OPEN, 10, ""),
        ([Consumed(9)], OPEN, 1, ""),
        ([Consumed(10)], FILLED, 0, "its whole volume is matched"),
        ([Consumed(7), Consumed(3)], OPEN, 3, ""),  # an older answer brings nothing back
        ([Closed()], CANCELLED, 0, "its signer closed it on the chain"),
        ([Consumed(10), Closed()], CANCELLED, 0, "its signer closed it on the chain"),
        ([Unpublished(NOW)], REMOVED, 10, "its signer took it out of the book"),
        ([Unpublished(NOW), Consumed(10)], FILLED, 0, "its whole volume is matched"),
        ([Unpublished(NOW), OwnerSeen(STRANGER)], REMOVED, 10, "its signer took it out of the book"),
        ([OwnerSeen(STRANGER)], DEAD, 10, f"gave the resource to {STRANGER}"),
        ([OwnerSeen(STRANGER), OwnerSeen(somebody("scheduler").address)], OPEN, 10, ""),
        ([StakeSeen(NRLC(3 * RLC))], OPEN, 10, ""),
        ([StakeSeen(NRLC(3 * RLC - 1))], DEAD, 10, "holds 2.999999999 RLC free in the hub, one task needs 3 RLC"),
        ([StakeSeen(NRLC(0)), StakeSeen(NRLC(4 * RLC))], OPEN, 10, ""),
        ([StakeSeen(NRLC(0)), Consumed(10)], FILLED, 0, "its whole volume is matched"),
    ],
)
def test_facts_decide_status_and_reason(entry: Entry, facts: list[Fact], status: OrderStatus, remaining: int, why: str) -> None:
    after = learn(entry, *facts)
    assert (after.status, after.remaining) == (status, remaining)
    assert why in after.why
    assert bool(why) == bool(after.why)


def test_facts_may_arrive_in_any_order_and_twice(entry: Entry) -> None:
    facts: list[Fact] = [Consumed(4), Closed(), OwnerSeen(STRANGER), StakeSeen(NRLC(1)), Unpublished(NOW)]
    ends = {learn(entry, *order, *order) for order in permutations(facts)}
    assert len(ends) == 1
    assert ends.pop().status is CANCELLED


def test_more_consumed_than_volume_leaves_nothing_not_less(entry: Entry) -> None:
    assert learn(entry, Consumed(10**30)).remaining == 0


def test_app_and_dataset_orders_need_no_money(trade: Trade, entry: Entry) -> None:
    for order in (trade.app_order(), trade.dataset_order()):
        assert learn(replace(entry, order=order), StakeSeen(NRLC(0))).status is OPEN


def test_request_needs_all_three_prices(trade: Trade, entry: Entry) -> None:
    order = trade.request_order(dataset=somewhere(0xD1), datasetmaxprice=RLC)  # 3 + 1 + 10 RLC
    assert learn(replace(entry, order=order, remaining=4), StakeSeen(NRLC(14 * RLC))).status is OPEN
    dead = learn(replace(entry, order=order, remaining=4), StakeSeen(NRLC(14 * RLC - 1)))
    assert dead.status is DEAD
    assert "one task needs 14 RLC" in dead.why


def test_scheduler_stake_is_rounded_down_per_task(trade: Trade, entry: Entry) -> None:
    # 30 % of 9 nRLC is 2.7 nRLC: the hub locks 2
    tiny = replace(entry, order=trade.pool_order(price=9))
    assert learn(tiny, StakeSeen(NRLC(2))).status is OPEN
    assert learn(tiny, StakeSeen(NRLC(1))).status is DEAD


def test_coming_back_keeps_what_was_consumed_and_proven(entry: Entry) -> None:
    before = learn(entry, Consumed(6), Unpublished(UnixSeconds(NOW + 5)))
    back = readmit(before, replace(entry, published_at=UnixSeconds(NOW + 9)), proven_at=UnixSeconds(NOW + 7), number=1)
    assert (back.status, back.remaining, back.proven_at, back.published_at) == (OPEN, 4, NOW + 7, NOW + 9)
    unproven = readmit(before, entry, proven_at=UnixSeconds(0), number=1)
    assert unproven.proven_at == NOW + 5
