"""When leaves are asked for and bags settled by others than their scheduler: figures written down by hand."""

from __future__ import annotations

import pytest

from voisin.policy.guarding import Window
from voisin.units import UnixSeconds


def window(length_s: int) -> Window:
    return Window(UnixSeconds(1_000), UnixSeconds(1_000 + length_s))


@pytest.mark.parametrize(
    ("length_s", "demand_from", "settle_from"), [(1, 1_000, 1_004), (20, 1_010, 1_023), (300, 1_150, 1_330), (86_400, 44_200, 87_520)]
)
def test_half_of_the_window_and_a_tenth_after_it(length_s: int, demand_from: int, settle_from: int) -> None:
    assert window(length_s).demand_from == demand_from
    assert window(length_s).settle_from == settle_from


@pytest.mark.parametrize(
    ("now", "asked", "may"), [(1_009, 0, False), (1_010, 0, True), (1_019, 2, True), (1_019, 3, False), (1_020, 0, False)]
)
def test_leaves_are_asked_for_in_the_second_half_and_three_at_most(now: int, asked: int, may: bool) -> None:
    assert window(20).may_demand(UnixSeconds(now), asked) is may
