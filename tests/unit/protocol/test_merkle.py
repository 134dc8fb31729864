"""The tree of leaves, against one written down by hand and one written a second time."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bags import proof_of, root_of
from voisin.errors import InputError
from voisin.protocol.merkle import MerkleTree, is_under

A, B, C = (keccak(letter) for letter in (b"a", b"b", b"c"))


def test_a_tree_of_three_by_hand() -> None:
    tree = MerkleTree([A, B, C])
    assert tree.root == keccak(keccak(A + B) + keccak(C + bytes(32)))
    assert tree.proof(1) == (A, keccak(C + bytes(32)))
    assert tree.proof(2) == (bytes(32), keccak(A + B))


def test_one_leaf_is_its_own_root() -> None:
    tree = MerkleTree([A])
    assert (tree.root, tree.proof(0)) == (A, ())
    assert is_under(A, A, 0, 1, ())


def test_no_leaf_no_tree() -> None:
    with pytest.raises(InputError, match="at least one leaf"):
        MerkleTree([])
    with pytest.raises(InputError, match="none at place 1"):
        MerkleTree([A]).proof(1)


@given(st.integers(1, 70), st.data())
def test_any_leaf_of_any_tree(count: int, data: st.DataObject) -> None:
    leaves = [keccak(number.to_bytes(2, "big")) for number in range(count)]
    tree = MerkleTree(leaves)
    assert tree.root == root_of(leaves)
    place = data.draw(st.integers(0, count - 1))
    proof = tree.proof(place)
    assert list(proof) == proof_of(leaves, place)
    assert is_under(tree.root, leaves[place], place, count, proof)
    assert not is_under(tree.root, leaves[place], place, count, (*proof, bytes(32)))
    assert not is_under(tree.root, leaves[place], count + place, count, proof)
    other = data.draw(st.integers(0, count - 1))
    assert is_under(tree.root, leaves[other], place, count, proof) is (other == place)
    assert not is_under(tree.root, leaves[place], place, 2 * count + 2, proof)
