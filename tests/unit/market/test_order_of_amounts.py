"""How amounts and tags are kept: text that sorts as numbers do, and patterns that match bits."""

from __future__ import annotations

import re

import pytest
from sqlalchemy.dialects import postgresql, sqlite

from tests.support.order_book import somewhere
from voisin.market.filters import after_deal, after_order, deal_conditions, order_conditions
from voisin.market.query import DealPlace, DealQuery, OrderPlace, OrderQuery
from voisin.market.schema import needs_pattern, tag_text, within_pattern
from voisin.protocol.ids import Hash32, OrderHash
from voisin.protocol.orders import OrderKind
from voisin.protocol.tags import tag_from_bits
from voisin.service.columns import Uint256
from voisin.units import UnixSeconds

MOST = 2**256 - 1
AMOUNTS = [0, 1, 9, 10, 99, 100, 10**9, 2**63 - 1, 2**63, 2**64, 10**77, MOST - 1, MOST]
DIALECTS = [sqlite.dialect(), postgresql.dialect()]  # type: ignore[no-untyped-call]


def test_text_sorts_as_numbers_do() -> None:
    column = Uint256()
    kept = [column.process_bind_param(amount, DIALECTS[0]) for amount in AMOUNTS]
    assert kept == sorted(str(text) for text in kept)
    assert {len(str(text)) for text in kept} == {78}
    assert [column.process_result_value(text, DIALECTS[0]) for text in kept] == AMOUNTS
    assert column.process_bind_param(None, DIALECTS[0]) is None
    assert column.process_result_value(None, DIALECTS[0]) is None


@pytest.mark.parametrize("amount", [-1, MOST + 1])
def test_what_is_no_uint256_is_not_kept(amount: int) -> None:
    with pytest.raises(AssertionError):
        Uint256().process_bind_param(amount, DIALECTS[0])


def test_tag_is_kept_highest_bit_first() -> None:
    assert tag_text(tag_from_bits(0b1001)) == "0" * 252 + "1001"
    assert tag_text(tag_from_bits(1 << 255)) == "1" + "0" * 255


def test_patterns_match_bits() -> None:
    tags = [0, 0b1, 0b11, 0b1001, 1 << 8, 1 << 255, MOST]
    for bits in tags:
        for tag in tags:
            text = tag_text(tag_from_bits(tag))
            has_all = all(tag >> n & 1 for n in range(256) if bits >> n & 1)
            has_no_other = all(bits >> n & 1 for n in range(256) if tag >> n & 1)
            assert bool(re.fullmatch(needs_pattern(bits).replace("_", "."), text)) == has_all
            assert bool(re.fullmatch(within_pattern(bits).replace("_", "."), text)) == has_no_other


def test_questions_can_be_put_to_both_databases() -> None:
    limits = {"min_trust": 1, "max_trust": 9, "min_price": 0, "max_price": MOST, "min_volume": 1}
    everything = OrderQuery(app=(somewhere(1),), owner=(somewhere(2),), category=1, tag="tee", **limits)
    place = OrderPlace(OrderKind.REQUEST, "12", UnixSeconds(3), OrderHash(Hash32("0x" + "ab" * 32)))
    for condition in (
        order_conditions(everything),
        *after_order(place),
        deal_conditions(DealQuery(app=(somewhere(1),), requester=("any",))),
        *after_deal(DealPlace(7, 2)),
    ):
        spelled = [str(condition.compile(dialect=dialect)) for dialect in DIALECTS]
        assert all(spelled)
