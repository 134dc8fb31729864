"""Pauses double up to the longest, are spread by the random number, and start anew only after a success that lasted."""

from __future__ import annotations

from voisin.worker.pauses import Pauses


def test_pauses_double_up_to_the_longest() -> None:
    pauses = Pauses(1.0, 5.0, lambda: 1.0)
    assert [pauses.next_s() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_pauses_are_spread_over_their_upper_half() -> None:
    assert Pauses(8.0, 8.0, lambda: 0.0).next_s() == 4.0
    assert Pauses(8.0, 8.0, lambda: 0.5).next_s() == 6.0


def test_only_a_lasting_success_counts() -> None:
    """A pool that lets a worker in and drops it at once is not asked again and again at full speed."""
    pauses = Pauses(1.0, 60.0, lambda: 1.0)
    for expected in (1.0, 2.0, 4.0):
        assert pauses.next_s() == expected
        pauses.note_success(0.1)
    pauses.note_success(8.0)
    assert pauses.next_s() == 1.0
