"""Neither too few workers on a task, which would leave it undecided, nor one too many, who would work for nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voisin.policy import more_replicas, reachable_trust, trust_for
from voisin.protocol.ids import as_hash32
from voisin.protocol.trust import agreed_result

A, B = as_hash32("0x" + "aa" * 32), as_hash32("0x" + "bb" * 32)
weights = st.lists(st.integers(2, 9), max_size=6)


@pytest.mark.parametrize(
    ("trust", "contributed", "pending", "candidates", "wanted"),
    [
        (1, {}, [], [2, 2, 2], 1),
        (1, {}, [2], [2, 2], 0),
        (4, {}, [], [2, 2, 2], 2),
        (4, {}, [2], [2, 2], 1),
        (4, {A: [2]}, [2], [2], 0),
        (4, {A: [2]}, [], [2], 1),
        (8, {}, [], [2, 2, 2], 3),
        (4, {A: [2], B: [2]}, [], [2, 2, 2, 2], 3),
        (3, {A: [2], B: [2]}, [], [2, 2, 2, 2], 2),
        (4, {}, [], [4, 2], 1),
        (9, {}, [], [2, 2, 2], 3),
        (4, {}, [], [], 0),
    ],
)
def test_table(trust: int, contributed: dict, pending: list[int], candidates: list[int], wanted: int) -> None:
    assert more_replicas(trust, contributed, pending, candidates) == wanted


@given(st.integers(0, 40), weights, weights)
def test_if_all_agree_the_task_is_decided_and_one_fewer_would_not_do(trust: int, pending: list[int], candidates: list[int]) -> None:
    count = more_replicas(trust, {}, pending, candidates)
    working = pending + candidates[:count]
    if count < len(candidates):
        assert agreed_result({A: working}, trust) == A
    if count > 0:
        assert agreed_result({A: working[:-1]}, trust) is None


@pytest.mark.parametrize(("scores", "trust"), [([0, 0, 0], 8), ([0], 2), ([], 0), ([15, 0], 8)])
def test_reachable(scores: list[int], trust: int) -> None:
    held = {0: 2, 15: 4}
    assert reachable_trust([held[score] for score in scores]) == trust


@pytest.mark.parametrize(
    ("replicas", "scores", "volume", "trust"),
    [(1, [0, 0], 10, 1), (2, [0, 0, 0], 1, 3), (2, [0, 0, 0], 24, 7), (3, [0, 0, 0], 1, 5), (2, [15, 0, 0], 1, 5), (2, [], 5, 2)],
)
def test_trust_for_replicas(replicas: int, scores: list[int], volume: int, trust: int) -> None:
    assert trust_for(replicas, scores, volume) == trust


@given(st.integers(2, 4), st.lists(st.integers(0, 60), min_size=4, max_size=6), st.integers(1, 50))
def test_no_smaller_group_ever_decides(replicas: int, scores: list[int], volume: int) -> None:
    trust = trust_for(replicas, scores, volume)
    grown = sorted((max((score + volume - 1) // 3, 3) - 1 for score in scores), reverse=True)
    assert agreed_result({A: grown[: replicas - 1]}, trust) is None
