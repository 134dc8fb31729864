"""Texts on the chain are anybody's: what a database cannot keep is replaced, and stops nobody from following."""

from __future__ import annotations

from voisin.chain.logs import Logged
from voisin.market.following import new_categories, new_deals
from voisin.protocol.events import CategoryCreated, OrdersMatched
from voisin.protocol.ids import ZERO_ADDRESS, ZERO_HASH, Address, DealId, Hash32, OrderHash
from voisin.protocol.records import Deal, Resource
from voisin.units import NRLC, UnixSeconds

HUB = Address("0x" + "99" * 20)
NAME = DealId(Hash32("0x" + "11" * 32))
NOBODY = Resource(ZERO_ADDRESS, ZERO_ADDRESS, NRLC(0))


def test_parameters_with_a_nul() -> None:
    order = OrderHash(ZERO_HASH)
    deal = Deal(
        app=NOBODY, dataset=NOBODY, workerpool=NOBODY, trust=1, category=0, tag=ZERO_HASH, requester=HUB, beneficiary=HUB,
        callback=ZERO_ADDRESS, params="a\0b", start_time=UnixSeconds(0), bot_first=0, bot_size=1, worker_stake=NRLC(0),
        scheduler_reward_ratio=0, sponsor=HUB,
    )  # type: ignore[arg-type]  # fmt: skip
    told = [Logged(OrdersMatched(NAME, order, order, order, order, 1), HUB, 7, 0, ZERO_HASH)]
    ((entry, _),) = new_deals(told, {NAME: deal})
    assert entry.params == "a\ufffdb"


def test_the_name_of_a_category() -> None:
    told = [Logged(CategoryCreated(3, "X\0L", "\0", 300), HUB, 7, 0, ZERO_HASH)]
    (entry,) = new_categories(told, {7: UnixSeconds(9)})
    assert (entry.name, entry.description) == ("X\ufffdL", "\ufffd")
