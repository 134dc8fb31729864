"""Every call about a bag spells the selector and the arguments of contracts/SPEC.md 18; its types are written here a second time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from tests.support.node_twin import HUB as NODE_HUB
from tests.support.node_twin import NodeTwin, reverted
from voisin.chain import Call, Rpc, bags
from voisin.chain.bags import BagState, BagStatus, ShownLeaf, SignedReceipt
from voisin.protocol.bag_settlement import Dissent, Leaf, PostedBag
from voisin.protocol.ids import Address, DealId, Hash32
from voisin.units import NRLC, UnixSeconds

HUB = Address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
WHO = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
OTHER = Address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")
ZERO = "0x" + "00" * 20
A, B, C, D = (Hash32("0x" + digit * 64) for digit in "abcd")
RAW_A, RAW_B, RAW_C, RAW_D = (bytes.fromhex(digit * 64) for digit in "abcd")
RAW_WHO, RAW_OTHER = bytes.fromhex(WHO[2:]), bytes.fromhex(OTHER[2:])
SIGN, RAW_SIGN = "0x" + "5e" * 65, b"\x5e" * 65
PAYOUTS = RAW_WHO + (7).to_bytes(16, "big")
DEAL = DealId(A)

BAG = PostedBag(DEAL, B, C, PAYOUTS, 3, UnixSeconds(40), UnixSeconds(50))
BAG_TYPE = "(bytes32,bytes32,bytes32,bytes32,uint256,uint256,uint256)"
BAG_TUPLE = (RAW_A, RAW_B, RAW_C, keccak(PAYOUTS), 3, 40, 50)
LEAF_TYPE = "(uint256,bytes32,bytes32,uint256,bytes,bytes)"
FIRST = ShownLeaf(Leaf(index=5, digest=D, location=B, done=1, agreed=(WHO,), others=(Dissent(C, OTHER),)), (RAW_A, RAW_C))
FIRST_TUPLE = (5, RAW_D, RAW_B, 1, RAW_WHO, RAW_C + RAW_OTHER)
SECOND = ShownLeaf(Leaf(index=6, digest=D, location=B, done=2), (RAW_B,))
SECOND_TUPLE = (6, RAW_D, RAW_B, 2, b"", b"")
NOTHING_TUPLE = (0, bytes(32), bytes(32), 2**256 - 1, b"", b"")
NO_LEAF_TUPLE = (0, bytes(32), bytes(32), 0, b"", b"")
RECEIPT = SignedReceipt(WHO, D, SIGN)

CASES: list[tuple[Call, str, list[str], tuple[Any, ...]]] = [
    (
        bags.post_bag(HUB, DEAL, root=B, leaves=C, done=3, payouts=PAYOUTS),
        "b6107596", ["bytes32", "bytes32", "bytes32", "uint256", "bytes"], (RAW_A, RAW_B, RAW_C, 3, PAYOUTS),
    ),
    (bags.give_back_bag(HUB, DEAL), "e536dea1", ["bytes32"], (RAW_A,)),
    (bags.settle_bag(HUB, BAG), "1af131f5", [BAG_TYPE, "bytes"], (BAG_TUPLE, PAYOUTS)),
    (bags.claim_bag(HUB, DEAL), "b8e95ac3", ["bytes32"], (RAW_A,)),
    (
        bags.prove_result(HUB, BAG, FIRST, b"data"),
        "93e2aeb8", [BAG_TYPE, LEAF_TYPE, "bytes32[]", "bytes"], (BAG_TUPLE, FIRST_TUPLE, (RAW_A, RAW_C), b"data"),
    ),
    (
        bags.prove_contradiction(HUB, BAG, FIRST, RECEIPT),
        "d7c4ac54", [BAG_TYPE, LEAF_TYPE, "bytes32[]", "address", "bytes32", "bytes"],
        (BAG_TUPLE, FIRST_TUPLE, (RAW_A, RAW_C), WHO.lower(), RAW_D, RAW_SIGN),
    ),
    (
        bags.prove_little_trust(HUB, BAG, FIRST),
        "eb04b57b", [BAG_TYPE, LEAF_TYPE, "bytes32[]"], (BAG_TUPLE, FIRST_TUPLE, (RAW_A, RAW_C)),
    ),
    (
        bags.prove_wrong_count(HUB, BAG, FIRST, SECOND),
        "cfd6c8e0", [BAG_TYPE, LEAF_TYPE, "bytes32[]", LEAF_TYPE, "bytes32[]"],
        (BAG_TUPLE, FIRST_TUPLE, (RAW_A, RAW_C), SECOND_TUPLE, (RAW_B,)),
    ),
    (
        bags.prove_wrong_count(HUB, BAG, None, FIRST),
        "cfd6c8e0", [BAG_TYPE, LEAF_TYPE, "bytes32[]", LEAF_TYPE, "bytes32[]"],
        (BAG_TUPLE, NO_LEAF_TUPLE, (), FIRST_TUPLE, (RAW_A, RAW_C)),
    ),
    (
        bags.prove_omission(HUB, BAG, 2, there=FIRST.leaf, proof=FIRST.proof),
        "7a90afed", [BAG_TYPE, "uint256", LEAF_TYPE, "bytes32[]"], (BAG_TUPLE, 2, FIRST_TUPLE, (RAW_A, RAW_C)),
    ),
    (
        bags.prove_omission(HUB, BAG, 2, there=None, proof=FIRST.proof),
        "7a90afed", [BAG_TYPE, "uint256", LEAF_TYPE, "bytes32[]"], (BAG_TUPLE, 2, NOTHING_TUPLE, (RAW_A, RAW_C)),
    ),
    (
        bags.prove_underpayment(HUB, BAG, worker=WHO, amount=NRLC(9), signature=SIGN),
        "fc9be989", [BAG_TYPE, "bytes", "address", "uint256", "bytes"], (BAG_TUPLE, PAYOUTS, WHO.lower(), 9, RAW_SIGN),
    ),
    (
        bags.demand_leaf(HUB, BAG, 5),
        "4a0bc583", [BAG_TYPE, "uint256", "address", "bytes32", "bytes"], (BAG_TUPLE, 5, ZERO, bytes(32), b""),
    ),
    (
        bags.demand_leaf(HUB, BAG, 5, RECEIPT),
        "4a0bc583", [BAG_TYPE, "uint256", "address", "bytes32", "bytes"], (BAG_TUPLE, 5, WHO.lower(), RAW_D, RAW_SIGN),
    ),
    (
        bags.answer_leaf(HUB, BAG, FIRST, [SIGN, SIGN]),
        "48a8ee7a", [BAG_TYPE, LEAF_TYPE, "bytes32[]", "bytes"], (BAG_TUPLE, FIRST_TUPLE, (RAW_A, RAW_C), RAW_SIGN * 2),
    ),
    (bags.expire_demand(HUB, BAG, 5), "f095ab70", [BAG_TYPE, "uint256"], (BAG_TUPLE, 5)),
    (bags.release_demand(HUB, DEAL, 5), "03a7ad2c", ["bytes32", "uint256"], (RAW_A, 5)),
]  # fmt: skip


@pytest.mark.parametrize(("call", "selector", "types", "values"), CASES, ids=[f"{n}-{case[0].label[:24]}" for n, case in enumerate(CASES)])
def test_calldata(call: Call, selector: str, types: list[str], values: tuple[Any, ...]) -> None:
    assert call.data[:4].hex() == selector
    assert decode(types, call.data[4:]) == values
    assert (call.to, call.value, call.gas) == (HUB, 0, None)
    assert DEAL in call.label


def _refuse(_: bytes) -> bytes:
    raise reverted(b"\x08\xc3\x79\xa0" + encode(["string"], ["fallback-disabled"]))


@pytest.mark.parametrize(
    ("answer", "is_able"),
    [(_refuse, False), (lambda _: b"", False), (lambda _: bytes(96), True)],
    ids=["an original", "an original for native coin, which takes any call for a deposit", "ours"],
)
@pytest.mark.anyio
async def test_which_hubs_settle_bags(node: NodeTwin, rpc: Rpc, answer: Callable[[bytes], bytes], is_able: bool) -> None:
    node.contracts[NODE_HUB] = answer
    assert await bags.settles_bags(rpc, Address(NODE_HUB)) is is_able


def test_a_state_knows_its_bag() -> None:
    words = RAW_A + RAW_B + RAW_C + keccak(PAYOUTS) + b"".join(number.to_bytes(32, "big") for number in (3, 40, 50))
    state = BagState(BagStatus.POSTED, 0, Hash32("0x" + keccak(words)[:30].hex() + "0000"))
    assert state.is_of(BAG)
    assert not state.is_of(PostedBag(DEAL, B, C, PAYOUTS, 2, UnixSeconds(40), UnixSeconds(50)))
