"""
What is posted of a bag, made from its records: a leaf for each task, their file and root, the list of payouts.

The same records give the same bytes, so a pool that was killed on the way posts what it would have posted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from voisin.errors import StateError
from voisin.pool.bags.records import BagRecord, EndedTask
from voisin.protocol.bag_api import encode_leaves
from voisin.protocol.bag_settlement import Leaf, pack_payouts, tree_of
from voisin.protocol.ids import Address, Hash32, to_hex
from voisin.protocol.merkle import MerkleTree
from voisin.units import NRLC


@dataclass(frozen=True, slots=True)
class Closing:
    """
    A bag, ready to be posted.

    Attributes:
        leaves: Its leaves, in the order of their indexes.
        tree: Their tree.
        file: The file of leaves.
        payouts: The list of payouts.
    """

    leaves: tuple[Leaf, ...]
    tree: MerkleTree
    file: bytes
    payouts: bytes

    @property
    def root(self) -> Hash32:
        """The tree's root."""
        return Hash32(to_hex(self.tree.root))

    @property
    def location(self) -> Hash32:
        """SHA-256 of the file."""
        return Hash32(to_hex(hashlib.sha256(self.file).digest()))

    @property
    def done(self) -> int:
        """Number of tasks that have a result."""
        return self.leaves[-1].done


def closing_of(record: BagRecord, ended: Iterable[EndedTask], earned: Mapping[Address, NRLC]) -> Closing:
    """
    Make what is posted.

    Args:
        record: The bag.
        ended: Its tasks, in the order of their indexes.
        earned: What each worker was told that it has earned [nRLC].

    Raises:
        StateError: A task has not ended: the records are broken.
    """
    done, leaves = 0, []
    for task in ended:
        done += task.has_result
        leaf = Leaf(index=task.index, digest=task.digest, location=task.location, done=done, agreed=task.agreed, others=task.others)
        leaves.append(leaf)
    if [leaf.index for leaf in leaves] != list(range(record.first, record.first + record.volume)):
        raise StateError(f"the records of deal {record.deal_id} have {len(leaves)} tasks at an end, and the deal has {record.volume}")
    payouts = pack_payouts({worker: amount for worker, amount in earned.items() if amount})
    return Closing(tuple(leaves), tree_of(leaves), encode_leaves(record.deal_id, leaves), payouts)
