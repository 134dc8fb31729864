"""
Trust arithmetic: scores, weights, and when a task's contributions agree enough.

A worker's score s grows with accurate contributions; its weight is w = max(s // 3, 3) - 1. Workers with the same result
form a group whose weight is the product of its members' weights. With P the group's weight and O the sum of all other
groups, a result is agreed when P > (1 + O)(trust - 1).

Source: poco-protocol.md 11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voisin.protocol.ids import Hash32

LOWEST_WEIGHT = 2


def worker_weight(score: int) -> int:
    """Turn a score into a weight, at least 2."""
    return max(score // 3, 3) - 1


def log_weight(weight: int) -> int:
    """Give the share of the reward that a weight earns: its base-2 logarithm, rounded down."""
    return weight.bit_length() - 1


def accurate_score(score: int) -> int:
    """Give a worker's score after an accurate contribution to a task that others contributed to as well."""
    return score + 1


def faulty_score(score: int) -> int:
    """Give a worker's score after a contribution that was wrong or never revealed."""
    return score * 2 // 3


def group_weight(weights: Sequence[int]) -> int:
    """Multiply the weights of one group's members; 0 for an empty group."""
    product = 1 if weights else 0
    for weight in weights:
        product *= weight
    return product


def is_agreed(group: int, others: int, trust: int) -> bool:
    """
    Tell whether a group decides a task.

    Args:
        group: Weight of the group, P.
        others: Sum of the weights of all other groups, O.
        trust: The deal's trust; 0 counts as 1.
    """
    wanted = max(trust, 1)
    total = 1 + group + others
    return group * wanted > total * (wanted - 1)


def agreed_result(groups: Mapping[Hash32, Sequence[int]], trust: int) -> Hash32 | None:
    """
    Find the result that is agreed.

    Args:
        groups: For each result hash, the weights of the workers that gave it.
        trust: The deal's trust.
    """
    totals = {result: group_weight(weights) for result, weights in groups.items()}
    everything = sum(totals.values())
    return next((result for result, total in totals.items() if is_agreed(total, everything - total, trust)), None)
