"""The file of leaves: what is read is what the root commits to, and nothing else is read."""

import pytest
from msgspec.structs import replace

from voisin.errors import InputError, TrustError
from voisin.protocol.bag_api import decode_leaves, encode_leaves
from voisin.protocol.bag_settlement import Dissent, Leaf, tree_of
from voisin.protocol.ids import Address, DealId, Hash32, as_address, to_hex

DEAL = DealId("0x" + "01" * 32)
ALICE, BOB = as_address("0x" + "0a" * 20), as_address("0x" + "0b" * 20)
LEAVES = tuple(
    Leaf(
        index=index,
        digest=Hash32(f"0x{index + 1:064x}"),
        location=Hash32(f"0x{index + 9:064x}"),
        done=index + 1,
        agreed=(ALICE,),
        others=(Dissent(Hash32("0x" + "07" * 32), BOB),),
    )
    for index in range(3)
)
ROOT = Hash32(to_hex(tree_of(LEAVES).root))


def test_leaves_come_back_as_they_were() -> None:
    assert decode_leaves(encode_leaves(DEAL, LEAVES), DEAL, ROOT) == LEAVES


def test_ids_come_back_in_their_one_spelling() -> None:
    loud = Address("0x" + "0A" * 20)
    shouted = tuple(replace(leaf, agreed=(loud,), digest=Hash32(leaf.digest.upper().replace("X", "x"))) for leaf in LEAVES)
    assert decode_leaves(encode_leaves(DEAL, shouted), DEAL, ROOT) == LEAVES


def test_fields_that_are_split_elsewhere_are_refused_though_the_root_is_the_same() -> None:
    first = LEAVES[0]
    moved = replace(first, digest=Hash32(first.digest[:-2]), location=Hash32("0x" + first.digest[-2:] + first.location[2:]))
    assert to_hex(tree_of((moved, *LEAVES[1:])).root) == ROOT
    with pytest.raises(InputError):
        decode_leaves(encode_leaves(DEAL, (moved, *LEAVES[1:])), DEAL, ROOT)


@pytest.mark.parametrize("field", ["index", "done"])
def test_numbers_out_of_range_are_refused(field: str) -> None:
    file = encode_leaves(DEAL, LEAVES[1:2]).replace(f'"{field}":'.encode(), f'"{field}":-'.encode())
    assert b"-" in file
    with pytest.raises(InputError):
        decode_leaves(file, DEAL, ROOT)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (encode_leaves(DEAL, LEAVES[:2]), TrustError),
        (encode_leaves(DEAL, (*LEAVES[:2], replace(LEAVES[2], done=2))), TrustError),
        (encode_leaves(DealId("0x" + "02" * 32), LEAVES), TrustError),
        (encode_leaves(DEAL, ()), InputError),
        (b"{}", InputError),
        (b"\xff", InputError),
    ],
)
def test_others_are_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        decode_leaves(data, DEAL, ROOT)
