"""
When the workers of a bag's task agree enough, and how many more of them it needs.

Every worker weighs 2. Who said the agreed result and never showed it counts as one who said something else: the leaf has it there.

Source: contracts/SPEC.md 18.3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from functools import lru_cache

from voisin.policy import more_replicas
from voisin.protocol.bag_settlement import MAX_VOTES
from voisin.protocol.ids import Address, Hash32
from voisin.protocol.trust import LOWEST_WEIGHT, is_agreed

NOBODY: frozenset[Address] = frozenset()


def agreed_on(trust: int, votes: Mapping[Address, Hash32], silent: Collection[Address] = NOBODY) -> Hash32 | None:
    """
    Find the result that a task's workers agree on.

    Args:
        trust: What the deal asks.
        votes: What each worker said.
        silent: Those that were asked to show their result, and did not.
    """
    if not votes:
        return None
    first = next(iter(votes.values()))
    if not silent and all(said == first for said in votes.values()):
        return first if is_agreed(1 << len(votes), 0, trust) else None
    groups, _ = _groups(votes, silent)
    return next((said for said in groups if is_still_agreed(trust, votes, silent, said)), None)


def is_still_agreed(trust: int, votes: Mapping[Address, Hash32], silent: Collection[Address], said: Hash32) -> bool:
    """Tell whether a result has the trust that the deal asks, now that some of its workers may be silent."""
    groups, quiet = _groups(votes, silent)
    others = {**{each: groups[each] + quiet[each] for each in groups.keys() | quiet.keys()}, said: quiet[said]}
    return groups[said] > 0 and is_agreed(1 << groups[said], sum(1 << each for each in others.values() if each), trust)


def wanted(trust: int, votes: Mapping[Address, Hash32], silent: Collection[Address], pending: int) -> int:
    """
    Count the further workers that an undecided task should get now.

    Args:
        trust: What the deal asks.
        votes: What each worker said.
        silent: Those of them that did not show their result.
        pending: Number of workers that are computing it.
    """
    if not votes:
        return _wanted_at_first(trust, pending)
    room = MAX_VOTES - len(votes) - pending
    groups, quiet = _groups(votes, silent)
    weights = {said: [LOWEST_WEIGHT] * count for said, count in groups.items()}
    against = sum(1 << count for count in quiet.values())
    count = more_replicas(trust, weights, [LOWEST_WEIGHT] * pending, [LOWEST_WEIGHT] * max(room, 0), against=against)
    return max(count, 0 if pending or room <= 0 else 1)


@lru_cache(maxsize=1024)
def _wanted_at_first(trust: int, pending: int) -> int:
    return more_replicas(trust, {}, [LOWEST_WEIGHT] * pending, [LOWEST_WEIGHT] * max(MAX_VOTES - pending, 0))


def _groups(votes: Mapping[Address, Hash32], silent: Collection[Address]) -> tuple[Counter[Hash32], Counter[Hash32]]:
    groups = Counter(said for worker, said in votes.items() if worker not in silent)
    return groups, Counter(votes[worker] for worker in silent if worker in votes)
