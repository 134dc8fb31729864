"""The time of blocks follows the wall clock, shifted as asked, and never before the block before."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from voisin.chain.devnet.block_clock import MAX_TIMESTAMP, BlockClock
from voisin.chain.devnet.wire.errors import BadParamsError


@dataclass
class Wall:
    time: float = 1000.9

    def __call__(self) -> float:
        return self.time


def test_follows_the_wall_clock_in_whole_seconds() -> None:
    wall = Wall()
    clock = BlockClock(wall)
    assert clock.now(not_before=900) == 1000
    wall.time = 1001.0
    assert clock.now(not_before=1000) == 1001


def test_wall_clock_that_is_set_back_stops_the_chain_s_clock_only() -> None:
    clock = BlockClock(Wall(500))
    assert clock.now(not_before=900) == 900


def test_shift_adds_up_and_is_told() -> None:
    clock = BlockClock(Wall(1000), offset_s=5)
    clock.shift(10)
    assert (clock.offset_s, clock.now(not_before=0)) == (15, 1015)
    clock.reset(5)
    assert clock.now(not_before=0) == 1005


def test_time_of_the_next_block_holds_for_one_block_and_the_clock_goes_on_from_there() -> None:
    wall = Wall(1000)
    clock = BlockClock(wall)
    clock.set_next(5000, not_before=1000)
    assert clock.now(not_before=1000) == 5000
    assert clock.was_sealed(5000)
    wall.time = 1003
    assert clock.now(not_before=5000) == 5003
    assert not clock.was_sealed(5003)


def test_next_block_may_have_the_time_of_the_last() -> None:
    clock = BlockClock(Wall(1000))
    clock.set_next(1000, not_before=1000)
    assert clock.now(not_before=1000) == 1000


@pytest.mark.parametrize("timestamp", [999, MAX_TIMESTAMP + 1])
def test_impossible_time_of_the_next_block(timestamp: int) -> None:
    with pytest.raises(BadParamsError):
        BlockClock(Wall(1000)).set_next(timestamp, not_before=1000)


@pytest.mark.parametrize("seconds", [-1, MAX_TIMESTAMP])
def test_impossible_shift(seconds: int) -> None:
    with pytest.raises(BadParamsError):
        BlockClock(Wall(1000)).shift(seconds)
