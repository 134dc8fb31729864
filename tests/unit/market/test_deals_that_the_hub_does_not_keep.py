"""Orders matched into deals without a record of their replication: their use counts, and nobody asks for a deal that is not there."""

from __future__ import annotations

from voisin.chain.logs import Logged
from voisin.market.following import new_deals, questions
from voisin.protocol.events import OrdersMatched, SchedulerNotice
from voisin.protocol.ids import Address, DealId, Hash32, OrderHash

HUB = Address("0x" + "99" * 20)
DEAL = DealId("0x" + "11" * 32)
ORDERS = tuple(OrderHash("0x" + f"{number:02x}" * 32) for number in range(2, 6))


def _logged(*events: OrdersMatched | SchedulerNotice) -> list[Logged]:
    return [Logged(event, HUB, 7, place, Hash32("0x" + "77" * 32)) for place, event in enumerate(events)]


def test_a_match_without_the_schedulers_notice() -> None:
    told = _logged(OrdersMatched(DEAL, *ORDERS, 2))
    asked = questions(told, HUB)
    assert asked.orders == frozenset(ORDERS)
    assert asked.deals == frozenset()
    assert new_deals(told, {}) == []


def test_a_match_with_it() -> None:
    told = _logged(SchedulerNotice(Address("0x" + "aa" * 20), DEAL), OrdersMatched(DEAL, *ORDERS, 2))
    assert questions(told, HUB).deals == frozenset({DEAL})
