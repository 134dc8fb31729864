# pragma version 0.4.3
# How a bag is kept and what its root says (SPEC 18.2, 18.3). A bag takes one word of its deal:
#   status: 2 | open demands: 14 | the high 240 bits of the bag's hash
# Everything else is in the call that needs it, and is compared with that hash.
import hub_state as S

uses: S

ABSENT: constant(uint256) = 0
POSTED: constant(uint256) = 1
SETTLED: constant(uint256) = 2
ENDED: constant(uint256) = 3  # given back, claimed or slashed: there are no results

ONE_DEMAND: constant(uint256) = 4
DEMANDS: constant(uint256) = (2**14 - 1) << 2
HASH: constant(uint256) = ~(2**16 - 1)

MAX_DEPTH: constant(uint256) = 40
WORKER: constant(uint256) = 20  # bytes of a worker that agreed
VOTE: constant(uint256) = 52  # bytes of one that did not: what it said, and who it is
PAYOUT: constant(uint256) = 36  # bytes of a payout: a worker and an amount


struct Bag:
    dealid: bytes32
    root: bytes32
    leaves: bytes32
    payouts: bytes32
    done: uint256
    posted: uint256
    deadline: uint256


struct Leaf:
    index: uint256
    digest: bytes32
    location: bytes32
    done: uint256
    agreed: Bytes[640]
    others: Bytes[1_664]


@internal
@pure
def _status(word: uint256) -> uint256:
    return word & 3


@internal
@pure
def _posted(bag: Bag) -> uint256:
    """
    @notice The word of a bag that was just posted.
    """
    digest: bytes32 = keccak256(
        abi_encode(bag.dealid, bag.root, bag.leaves, bag.payouts, bag.done, bag.posted, bag.deadline)
    )
    return (convert(digest, uint256) & HASH) | POSTED


@internal
@view
def _known(bag: Bag, status: uint256) -> uint256:
    """
    @notice The word of a bag, which must be that of its deal, and have this status.
    """
    word: uint256 = S.bags[bag.dealid]
    assert (word ^ self._posted(bag)) & HASH == 0 and self._status(word) == status, "unknown-bag"
    return word


@internal
@pure
def _paid(payouts: Bytes[4_608], place: uint256) -> (address, uint256):
    """
    @notice Who is paid at a place of the list, and how much [nRLC].
    """
    at: uint256 = place * PAYOUT
    worker: address = convert(convert(extract32(payouts, at), uint256) >> 96, address)
    return worker, convert(extract32(payouts, at + 4), uint256) & (2**128 - 1)


@internal
@pure
def _leaf(leaf: Leaf) -> bytes32:
    return keccak256(
        abi_encode(leaf.index, leaf.digest, leaf.location, leaf.done, keccak256(leaf.agreed), keccak256(leaf.others))
    )


@internal
@pure
def _check_under(root: bytes32, node: bytes32, position: uint256, count: uint256, proof: DynArray[bytes32, MAX_DEPTH]):
    """
    @notice A node lies at a position under a root of `count` leaves; the tree is as deep as they need, no deeper.
    """
    assert position < count and 1 << len(proof) >= count, "proof"
    assert len(proof) == 0 or 1 << (len(proof) - 1) < count, "proof"
    above: bytes32 = node
    rest: uint256 = position
    for sibling: bytes32 in proof:
        if rest & 1 == 0:
            above = keccak256(concat(above, sibling))
        else:
            above = keccak256(concat(sibling, above))
        rest >>= 1
    assert above == root, "proof"
