"""
How many workers a task needs so that their agreement is worth the trust that its requester asked for.

Source: poco-protocol.md 11; pool-semantics.md 1.6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from voisin.protocol.ids import Hash32
from voisin.protocol.trust import group_weight, is_agreed, worker_weight


def more_replicas(
    trust: int, contributed: Mapping[Hash32, Sequence[int]], pending: Sequence[int], candidates: Sequence[int], *, against: int = 0
) -> int:
    """
    Count the further workers that a task should get now.

    The hope is that everybody still working agrees with the heaviest group. If even all candidates together cannot bring
    an agreement, all of them are still worth assigning: more workers may come.

    Args:
        trust: The deal's trust.
        contributed: For each result hash, the weights of the workers that gave it.
        pending: Weights of the workers that are working on the task.
        candidates: Weights of the workers that could be assigned, in the order in which they would be.
        against: Weight of contributions that count against every result.

    Returns:
        How many of the candidates to assign, from the first.
    """
    groups = sorted((group_weight(weights) for weights in contributed.values()), reverse=True)
    best, others = (groups[0], sum(groups[1:])) if groups else (0, 0)
    for count in range(len(candidates)):
        if _would_agree(best, others + against, [*pending, *candidates[:count]], trust):
            return count
    return len(candidates)


def _would_agree(best: int, others: int, joining: Sequence[int], trust: int) -> bool:
    if not best and not joining:
        return False
    return is_agreed(max(best, 1) * prod(joining), others, trust)


def reachable_trust(weights: Sequence[int]) -> int:
    """
    Give the highest trust that workers of these weights reach when all of them agree; 0 without workers.

    Unopposed, a group decides a task when its weight is at least the trust.
    """
    return group_weight(weights)


def trust_for(replicas: int, scores: Sequence[int], volume: int) -> int:
    """
    Choose the lowest trust at which no task of a deal can be decided by fewer workers than wanted.

    Scores grow while the deal runs, by at most one for each task already done, so the bound is taken at the last task.

    Args:
        replicas: The fewest workers that must agree on each task, at least 1.
        scores: Scores of the pool's workers now.
        volume: Number of tasks in the deal.

    Returns:
        The trust to ask for. It may be more than the pool can reach: compare `reachable_trust`.
    """
    if replicas <= 1:
        return 1
    strongest = sorted((worker_weight(score + max(volume - 1, 0)) for score in scores), reverse=True)
    return prod(strongest[: replicas - 1]) + 1
