"""Which machine a task fits, and which of those should have it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voisin.policy.placement import (
    Machine,
    Needs,
    eagerness,
    is_steady,
    misfit,
    speed_after,
    straggles_after,
    survival,
)
from voisin.protocol.tags import as_tag

GB = 10**9
HOUR_S = 3600.0
MACHINE = Machine(memory_bytes=GB, disk_bytes=10 * GB, tag=as_tag("gpu"), region="eu-fr")


@pytest.mark.parametrize(
    ("needs", "lack"),
    [
        (Needs(memory_bytes=GB, disk_bytes=10 * GB, tag=as_tag("gpu"), region="eu"), ""),
        (Needs(memory_bytes=GB + 1), "the task may use 1,000 MB of memory, and the machine offers 1,000 MB"),
        (Needs(memory_bytes=2 * GB), "the task may use 2,000 MB of memory, and the machine offers 1,000 MB"),
        (Needs(disk_bytes=11 * GB), "the task may write 11,000 MB, and the machine offers 10,000 MB of disk"),
        (Needs(tag=as_tag("gpu,tdx")), "the task needs tdx, which the machine does not have"),
        (Needs(region="eu-fr"), ""),
        (Needs(region="eu-f"), "the task must be done in eu-f, and the machine is in eu-fr"),
        (Needs(region="us"), "the task must be done in us, and the machine is in eu-fr"),
    ],
)
def test_what_a_machine_lacks(needs: Needs, lack: str) -> None:
    assert misfit(needs, MACHINE) == lack


def test_a_machine_that_does_not_say_where_it_is() -> None:
    assert "a place that it does not name" in misfit(Needs(region="eu"), replace(MACHINE, region=""))
    assert misfit(Needs(), replace(MACHINE, region="")) == ""


def test_lifetimes_follow_the_law() -> None:
    """The scale is where 1/e are left; by the shape half of them are gone after 1.17 hours."""
    assert survival(0, 2.964 * HOUR_S) == pytest.approx(0.36788, abs=1e-5)
    assert survival(0, 1.1664 * HOUR_S) == pytest.approx(0.5, abs=1e-3)
    assert survival(0, 0) == 1


def test_the_longer_a_machine_was_there_the_longer_it_stays() -> None:
    chances = [survival(online_s, 5 * HOUR_S) for online_s in (0, HOUR_S, 10 * HOUR_S, 100 * HOUR_S)]
    assert chances == sorted(chances)
    assert chances[0] < 0.3 < 0.9 < chances[-1]


def test_a_new_machine_begins_with_short_tasks() -> None:
    new, old = replace(MACHINE, online_s=0), replace(MACHINE, online_s=100 * HOUR_S)
    short, long = Needs(time_s=300), Needs(time_s=10 * HOUR_S)
    best = survival(old.online_s, long.time_s)
    assert is_steady(new, short, best)
    assert is_steady(old, long, best)
    assert not is_steady(new, long, best)
    assert is_steady(new, long, survival(0, long.time_s)), "among new machines one is as good as another"


def test_what_is_there_already_comes_first_then_speed() -> None:
    needs = Needs(content=frozenset({"app", "data"}))
    both = replace(MACHINE, content=frozenset({"app", "data", "other"}))
    one, fast = replace(MACHINE, content=frozenset({"app"})), replace(MACHINE, speed=4)
    assert sorted([MACHINE, fast, one, both], key=lambda machine: eagerness(needs, machine)) == [both, one, fast, MACHINE]


def test_speed_is_learnt_a_quarter_at_a_time_and_within_bounds() -> None:
    assert speed_after(1, 10, 5) == 1.25
    assert speed_after(1, 10, 20) == 0.875
    assert speed_after(8, 1000, 1) == 8
    assert speed_after(0.125, 1, 1000) == 0.125
    assert speed_after(1, 10, 0) == 1


def test_what_takes_twice_as_long_as_half_of_the_others_straggles() -> None:
    assert straggles_after([1, 2]) is None
    assert straggles_after([1, 100, 3]) == 6
