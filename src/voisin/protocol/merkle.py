"""
A binary tree of hashes over a list: its root commits to all leaves, a short proof shows one of them under the root.

A node is keccak256 of its two children; places left over at the bottom are zero. The tree is as deep as the list needs.

Source: contracts/SPEC.md 18.3.
"""

from __future__ import annotations

from collections.abc import Sequence

from voisin.errors import InputError
from voisin.protocol.hashing import keccak

ZERO_NODE = bytes(32)


class MerkleTree:
    """A tree over leaves that are hashed already."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        """
        Args:
            leaves: 32 bytes each, at least one.

        Raises:
            InputError: There is none.
        """
        if not leaves:
            raise InputError("a tree needs at least one leaf")
        self._count = len(leaves)
        self._levels = [list(leaves)]
        while len(self._levels[-1]) > 1:
            level = self._levels[-1]
            if len(level) % 2:
                level.append(_empty(len(self._levels) - 1))
            self._levels.append([keccak(level[place] + level[place + 1]) for place in range(0, len(level), 2)])

    @property
    def root(self) -> bytes:
        """The 32 bytes that stand for all leaves."""
        return self._levels[-1][0]

    def proof(self, place: int) -> tuple[bytes, ...]:
        """
        Show a leaf: its siblings on the way to the root, lowest first.

        Args:
            place: Place of the leaf, from 0.

        Raises:
            InputError: There is no such leaf.
        """
        if not 0 <= place < self._count:
            raise InputError(f"the tree has {self._count} leaves, and none at place {place}, counted from 0")
        return tuple(level[(place >> depth) ^ 1] for depth, level in enumerate(self._levels[:-1]))


def is_under(root: bytes, node: bytes, place: int, count: int, proof: Sequence[bytes]) -> bool:
    """
    Tell whether a node lies at a place under a root, as the hub tells it.

    Args:
        root: Root of a tree.
        node: A leaf's hash.
        place: Its place, from 0.
        count: Number of leaves of the tree.
        proof: Siblings, lowest first.
    """
    if not 0 <= place < count or len(proof) != (count - 1).bit_length():
        return False
    for depth, sibling in enumerate(proof):
        node = keccak(sibling + node) if place >> depth & 1 else keccak(node + sibling)
    return node == root


def _empty(depth: int) -> bytes:
    """The node over nothing but places that are left over."""
    node = ZERO_NODE
    for _ in range(depth):
        node = keccak(node + node)
    return node
