"""The file of leaves: what is read is what the root commits to, and nothing else is read."""

import pytest
from msgspec.structs import replace

from voisin.errors import InputError, TrustError
from voisin.protocol.bag_api import decode_leaves, encode_leaves
from voisin.protocol.bag_settlement import Dissent, Leaf, tree_of
from voisin.protocol.ids import Address, DealId, Hash32, to_hex

DEAL = DealId("0x" + "01" * 32)
ALICE, BOB = Address("0x" + "0a" * 20), Address("0x" + "0b" * 20)
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
