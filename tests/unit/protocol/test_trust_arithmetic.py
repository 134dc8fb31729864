"""Weights, groups and consensus, against the tables and worked examples of the specification, written a second time by hand."""

from __future__ import annotations

import pytest

from voisin.protocol.ids import as_hash32
from voisin.protocol.trust import accurate_score, agreed_result, faulty_score, group_weight, is_agreed, log_weight, worker_weight

GOOD, BAD = as_hash32("0x" + "11" * 32), as_hash32("0x" + "22" * 32)


@pytest.mark.parametrize(
    ("score", "weight"), [(0, 2), (9, 2), (10, 2), (11, 2), (12, 3), (14, 3), (15, 4), (17, 4), (18, 5), (30, 9), (300, 99)]
)
def test_weight_of_a_score(score: int, weight: int) -> None:
    assert worker_weight(score) == weight


@pytest.mark.parametrize(("weight", "log"), [(2, 1), (3, 1), (4, 2), (7, 2), (8, 3), (9, 3), (16, 4)])
def test_log_weight(weight: int, log: int) -> None:
    assert log_weight(weight) == log


def test_scores_move() -> None:
    assert accurate_score(30) == 31
    assert faulty_score(10) == 6
    assert faulty_score(0) == 0
    assert faulty_score(20) == 13


@pytest.mark.parametrize(
    ("trust", "workers"), [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4), (16, 4), (17, 5), (33, 6), (64, 6), (100, 7)]
)
def test_fresh_workers_needed(trust: int, workers: int) -> None:
    assert is_agreed(group_weight([2] * workers), 0, trust)
    assert workers == 1 or not is_agreed(group_weight([2] * (workers - 1)), 0, trust)


def test_worked_example() -> None:
    """Section 12.4: a wrong answer of weight 2 first, then 9, 2 and 4 agree, at trust 10."""
    assert agreed_result({BAD: [2]}, 10) is None
    assert agreed_result({BAD: [2], GOOD: [9]}, 10) is None
    assert agreed_result({BAD: [2], GOOD: [9, 2]}, 10) is None
    assert agreed_result({BAD: [2], GOOD: [9, 2, 4]}, 10) == GOOD


def test_a_dissenter_raises_the_bar() -> None:
    """At trust 4 one dissenter forces four fresh workers to agree instead of two: P > (1 + 2) * 3."""
    assert agreed_result({GOOD: [2, 2]}, 4) == GOOD
    assert agreed_result({BAD: [2], GOOD: [2, 2, 2]}, 4) is None
    assert agreed_result({BAD: [2], GOOD: [2, 2, 2, 2]}, 4) == GOOD


def test_nobody_agrees_with_nobody() -> None:
    assert group_weight([]) == 0
    assert agreed_result({}, 1) is None
