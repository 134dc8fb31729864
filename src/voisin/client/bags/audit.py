"""
Holding a posted bag against its leaves: what of it can be proven wrong on the chain, and what is doubtful and can only be asked for.

Pure. Source: contracts/SPEC.md 18.3, 18.7, 18.8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from voisin.chain import Call, bags
from voisin.chain.bags import Fraud, ShownLeaf
from voisin.protocol.bag_settlement import MAX_VOTES, NO_RESULT, Leaf, PostedBag, is_trusted, leaf_hash
from voisin.protocol.ids import Address, Hash32, to_hex
from voisin.protocol.merkle import ZERO_NODE, MerkleTree
from voisin.protocol.records import Deal

_LEAST_TRUST: Final = 1


@dataclass(frozen=True, slots=True)
class Challenge:
    """A fraud that can be proven: which, why in words, and the transaction that proves it."""

    fraud: Fraud
    why: str
    call: Call


@dataclass(frozen=True, slots=True)
class Doubt:
    """A leaf that looks wrong, and that only an answer with the workers' signatures can clear: index and why."""

    index: int
    why: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What came of looking at all leaves: the first fraud that can be proven, and all doubts."""

    challenge: Challenge | None = None
    doubts: tuple[Doubt, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return self.challenge is None and not self.doubts


def audit(hub: Address, deal: Deal, bag: PostedBag, leaves: Sequence[Leaf], received: Mapping[int, Hash32]) -> Audit:
    """
    Look at all leaves of a bag.

    Args:
        hub: The hub.
        deal: The deal.
        bag: The bag.
        leaves: Its leaves, whose root is the bag's.
        received: Digests of the results that the pool handed out, by index.
    """
    hashes = [leaf_hash(leaf) for leaf in leaves]
    tree = MerkleTree([*hashes, *[ZERO_NODE] * (deal.bot_size - len(hashes))])
    if to_hex(tree.root) != bag.root or len(tree.proof(0)) != (deal.bot_size - 1).bit_length():
        words = f"the tree is made of {len(leaves)} leaves, and the deal has {deal.bot_size} tasks: none of them can be shown"
        return Audit(doubts=(Doubt(deal.bot_first, words),))
    auditor = _Auditor(hub, deal, bag, leaves, tree)
    doubts: list[Doubt] = []
    for place in range(deal.bot_size):
        doubt = auditor.doubt(place, received)
        if doubt is not None:
            doubts.append(doubt)
        elif (challenge := auditor.challenge(place)) is not None:
            return Audit(challenge, tuple(doubts))
    return Audit(None, tuple(doubts))


@dataclass(frozen=True, slots=True)
class _Auditor:
    hub: Address
    deal: Deal
    bag: PostedBag
    leaves: Sequence[Leaf]
    tree: MerkleTree

    def doubt(self, place: int, received: Mapping[int, Hash32]) -> Doubt | None:
        """Say what is wrong with a leaf that nothing can be proven of."""
        if place >= len(self.leaves):
            return None
        leaf, index = self.leaves[place], self.deal.bot_first + place
        if len(leaf.agreed) > MAX_VOTES or len(leaf.others) > MAX_VOTES:
            return Doubt(index, f"the leaf of task {index} names more workers than can be shown")
        told = received.get(index, NO_RESULT)
        if leaf.index == index and NO_RESULT not in (told, leaf.digest) and told != leaf.digest:
            return Doubt(index, f"the pool handed out another result of task {index} than it settles")
        return None

    def challenge(self, place: int) -> Challenge | None:
        """Find what can be proven at a place."""
        index = self.deal.bot_first + place
        there = self.leaves[place] if place < len(self.leaves) else None
        if there is None or there.index != index:
            call = bags.prove_omission(self.hub, self.bag, place, there=there, proof=self._proof(place))
            return Challenge(Fraud.OMISSION, f"task {index} has no leaf", call)
        if not is_trusted(there, max(self.deal.trust, _LEAST_TRUST)):
            words = f"task {index} has less trust than {self.deal.trust}, or its lists are out of order"
            return Challenge(Fraud.LITTLE_TRUST, words, bags.prove_little_trust(self.hub, self.bag, self._shown(place)))
        return self._miscounted(place, there)

    def _miscounted(self, place: int, leaf: Leaf) -> Challenge | None:
        before = self.leaves[place - 1].done if place else 0
        count = before + (leaf.digest != NO_RESULT)
        is_last = place == self.deal.bot_size - 1
        if leaf.done == count and not (is_last and self.bag.done != count):
            return None
        call = bags.prove_wrong_count(self.hub, self.bag, self._shown(place - 1) if place else None, self._shown(place))
        said = self.bag.done if leaf.done == count else leaf.done
        return Challenge(Fraud.WRONG_COUNT, f"up to task {leaf.index} there are {count} results, and the scheduler says {said}", call)

    def _shown(self, place: int) -> ShownLeaf:
        return ShownLeaf(self.leaves[place], self._proof(place))

    def _proof(self, place: int) -> tuple[bytes, ...]:
        return self.tree.proof(place)
