"""
Whether a posted bag wrongs a worker, judged by what only that worker holds: its receipts and its last statement. Pure.

Source: contracts/SPEC.md 18.7, 18.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voisin.chain.bags import ShownLeaf, SignedReceipt, show
from voisin.protocol.bag_settlement import Leaf, PostedBag, said_of, tree_of, unpack_payouts
from voisin.protocol.bag_wire import Statement
from voisin.protocol.ids import ZERO_HASH, Address
from voisin.units import NRLC
from voisin.worker.bags.words import BagTerms, Kept


@dataclass(frozen=True)
class Underpaid:
    """The bag pays less than the scheduler's last word."""

    statement: Statement


@dataclass(frozen=True)
class Contradicted:
    """A leaf says something else than the scheduler's receipt."""

    shown: ShownLeaf
    receipt: SignedReceipt


Wrong = Underpaid | Contradicted


def paid_to(bag: PostedBag, worker: Address) -> NRLC:
    """Tell what a bag pays a worker [nRLC]."""
    return unpack_payouts(bag.payouts).get(worker, NRLC(0))


def find_underpayment(bag: PostedBag, statement: Statement | None, worker: Address) -> Underpaid | None:
    """See whether a bag, or the giving back of a deal, leaves a worker with less than it was told."""
    return Underpaid(statement) if statement is not None and paid_to(bag, worker) < statement.amount else None


def has_leaves(bag: PostedBag) -> bool:
    """Tell whether a bag has leaves; a deal that was given back has none."""
    return bag.root != ZERO_HASH


def find_contradiction(leaves: Sequence[Leaf], results: Sequence[Kept], terms: BagTerms, worker: Address) -> Contradicted | None:
    """
    See whether a leaf says something else of a worker than its receipt.

    Args:
        leaves: The leaves, whose root is the posted one.
        results: The worker's results.
        terms: The deal.
        worker: The worker.

    Returns:
        The first that does; None when all say what they should, or what lies in their place is no leaf of theirs.
    """
    for kept in results:
        place = kept.index - terms.first_index
        if not kept.receipt or place >= len(leaves) or leaves[place].index != kept.index:
            continue
        if said_of(leaves[place], terms.deal_id, worker) != kept.said:
            return Contradicted(show(leaves, tree_of(leaves), place), SignedReceipt(worker, kept.said, kept.receipt))
    return None


def covers(leaves: Sequence[Leaf], terms: BagTerms) -> bool:
    """Tell whether leaves are those of the deal's tasks, each in its place; a file that is not might as well not be there."""
    return [leaf.index for leaf in leaves] == list(range(terms.first_index, terms.first_index + terms.volume))
