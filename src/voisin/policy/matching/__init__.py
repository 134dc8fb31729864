"""
Matching: which orders fit together, who trades with whom, and why somebody finds nothing.

One pure engine for client, broker and simulator: `conditions` judges four orders, `clear` matches many at once, `explain` says why not.
"""

from voisin.policy.matching.clearing import clear
from voisin.policy.matching.conditions import Membership, Mismatch, is_allowed, mismatches, no_groups, price_of
from voisin.policy.matching.explaining import Reason, explain, nearest
from voisin.policy.matching.values import Bid, Book, Clearing, Lot, Offer, Unfilled

__all__ = [
    "Bid",
    "Book",
    "Clearing",
    "Lot",
    "Membership",
    "Mismatch",
    "Offer",
    "Reason",
    "Unfilled",
    "clear",
    "explain",
    "is_allowed",
    "mismatches",
    "nearest",
    "no_groups",
    "price_of",
]
