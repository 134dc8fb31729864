"""A box says that it is ready when its pool offers what its workers reach together, not what the first of them reached alone."""

from __future__ import annotations

import pytest

from voisin.box.readiness import is_fully_offered, is_offered
from voisin.protocol.api import OrderStatus, PoolView, PublishedWorkerpoolOrder, WorkerView
from voisin.protocol.ids import OrderHash, as_address
from voisin.protocol.orders import WorkerpoolOrder
from voisin.protocol.tags import as_tag
from voisin.units import NRLC, UnixSeconds

SOMEBODY = as_address("0x" + "11" * 20)


def pool_of(*scores: int, away: int = 0) -> PoolView:
    states = [(score, True) for score in scores] + [(0, False)] * away
    workers = tuple(
        WorkerView(worker=SOMEBODY, name="w", online=online, slots=1, busy=0, score=score, last_seen=UnixSeconds(0))
        for score, online in states
    )
    return PoolView(workerpool=SOMEBODY, scheduler=SOMEBODY, hub=SOMEBODY, chain_id=1, storage_url="", version="", workers=workers)


def offer_of(trust: int, tags: str = "") -> PublishedWorkerpoolOrder:
    order = WorkerpoolOrder(
        workerpool=SOMEBODY,
        workerpoolprice=NRLC(1),
        volume=1,
        category=0,
        trust=trust,
        tag=as_tag(tags),
        salt=OrderHash("0x" + "00" * 32),
    )
    told = {"hash": OrderHash("0x" + "22" * 32), "signer": SOMEBODY, "published_at": UnixSeconds(0)}
    return PublishedWorkerpoolOrder(order=order, remaining=1, status=OrderStatus.OPEN, **told)


@pytest.mark.parametrize(
    ("view", "trusts", "ready"),
    [
        (pool_of(0), [2], True),
        (pool_of(0, 0), [2], False),  # the offer from when one worker was there
        (pool_of(0, 0), [2, 4], True),
        (pool_of(0, 0, away=1), [4], True),
        (pool_of(30, 30), [4], False),
        (pool_of(30, 30), [81], True),
        (pool_of(3000, 3000), [500], True),  # more is never offered
        (pool_of(0, 0), [], False),
    ],
)
def test_it_is_ready_when_all_is_offered(view: PoolView, trusts: list[int], ready: bool) -> None:
    assert is_fully_offered(view, [offer_of(trust) for trust in trusts], trust_max=500) is ready


@pytest.mark.parametrize(
    ("tags", "ready"),
    [([], False), ([""], False), (["tee,tdx,simulated"], False), (["", "tee,tdx,simulated"], True), (["", "gpu"], False)],
)
def test_both_kinds_of_offers_are_waited_for(tags: list[str], ready: bool) -> None:
    assert is_offered([offer_of(1, each) for each in tags]) is ready
