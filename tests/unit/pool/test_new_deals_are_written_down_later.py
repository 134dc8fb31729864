"""A scheduler that can have no others works on new deals at once, and writes them down before anything else about them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from tests.unit.pool.conftest import START, make_deal
from voisin.errors import UnavailableError
from voisin.pool.database.memory import MemoryStore, SoleClaims
from voisin.pool.heart.facts import DealFound
from voisin.pool.heart.records import DealRecord
from voisin.pool.running.tenure import UNWRITTEN, Tenure
from voisin.protocol.ids import DealId

pytestmark = pytest.mark.anyio


DEAL = DealFound(DealId("0x" + "d1" * 32), make_deal(1, 1, START), 60, 7, 0).record


class Claims(SoleClaims):
    """Claims that count how often they were asked, and can be away."""

    def __init__(self, *, is_sole: bool = True) -> None:
        super().__init__(MemoryStore())
        self.is_sole = is_sole
        self.written: list[DealId] = []
        self.is_away = False

    async def find(self, session: int, deals: Sequence[DealRecord], wanted: Collection[DealId]) -> dict[DealId, int]:
        if self.is_away:
            raise UnavailableError("the database is away")
        self.written += [deal.deal_id for deal in deals]
        return await super().find(session, deals, wanted)


async def test_news_is_worked_on_before_it_is_written_down() -> None:
    claims, deal = Claims(), DEAL
    tenure = Tenure(claims, "main", 60)
    await tenure.join()
    assert await tenure.find([deal], is_news=True) == {deal.deal_id}
    assert (claims.written, tenure.owes_records) == ([], True)
    assert await tenure.find([deal], is_news=True) == set(), "it is held already"
    claims.is_away = True
    with pytest.raises(UnavailableError):
        await tenure.write_down()
    assert tenure.owes_records
    claims.is_away = False
    await tenure.write_down()
    assert (set(claims.written), tenure.owes_records) == ({deal.deal_id}, False)
    assert tenure.lease.epochs[deal.deal_id] != UNWRITTEN


@pytest.mark.parametrize(("is_sole", "is_news"), [(False, True), (True, False)])
async def test_what_another_may_know_of_is_written_down_first(*, is_sole: bool, is_news: bool) -> None:
    claims, deal = Claims(is_sole=is_sole), DEAL
    tenure = Tenure(claims, "main", 60)
    await tenure.join()
    assert await tenure.find([deal], is_news=is_news) == {deal.deal_id}
    assert (claims.written, tenure.owes_records) == ([deal.deal_id], False)
