"""Pure decisions: how many replicas a task needs, which orders fit together, and what they cost."""

from voisin.policy.matching import Mismatch, clear, explain, mismatches, nearest, price_of
from voisin.policy.replication import more_replicas, reachable_trust, trust_for

__all__ = ["Mismatch", "clear", "explain", "mismatches", "more_replicas", "nearest", "price_of", "reachable_trust", "trust_for"]
