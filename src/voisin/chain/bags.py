"""
The hub's functions for deals that are settled as a bag: transactions as values, as in `calls`, and how far bags are.

Hubs of the original have none of them: ask `settles_bags` first.

Source: contracts/SPEC.md 18.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from voisin.chain.abi_codec import AbiArgument
from voisin.chain.calls import Call
from voisin.chain.connection import Chain
from voisin.chain.functions import events_by_topic, function
from voisin.chain.logs import decode_logs
from voisin.chain.node_values import RawLog
from voisin.chain.reading import Read, read, read_many
from voisin.chain.rpc import Rpc
from voisin.errors import InputError
from voisin.protocol.bag_settlement import NO_RESULT, Leaf, PostedBag, bag_hash, pack_agreed, pack_others
from voisin.protocol.events import BagPosted
from voisin.protocol.hashing import keccak
from voisin.protocol.ids import MAX_UINT256, ZERO_HASH, Address, DealId, Hash32, from_hex, to_hex
from voisin.protocol.merkle import MerkleTree
from voisin.units import NRLC, UnixSeconds

_BLOCKS_AT_A_TIME: Final = 2_000
_HASH_BYTES: Final = 30
"""How much of a bag's hash the hub keeps."""
_NO_LEAF: Final = Leaf(index=0, digest=NO_RESULT, location=ZERO_HASH, done=0)
_NOTHING_THERE: Final = Leaf(index=0, digest=NO_RESULT, location=ZERO_HASH, done=MAX_UINT256)


class BagStatus(IntEnum):
    """Where a bag stands on the chain."""

    NONE = 0
    POSTED = 1
    SETTLED = 2
    ENDED = 3
    """Given back, claimed, or proven wrong: there are no results, and the requester has the money back."""


class Fraud(IntEnum):
    """What a bag was proven to be, as `BagSlashed` says it."""

    CONTRADICTION = 1
    LITTLE_TRUST = 2
    WRONG_COUNT = 3
    OMISSION = 4
    UNDERPAYMENT = 5
    SILENCE = 6


@dataclass(frozen=True, slots=True)
class BagState:
    """
    A deal's bag on the chain.

    Attributes:
        status: Where it stands.
        demands: How many leaves are asked for and not shown.
        hash: The first 30 bytes of the posted bag's hash, and two of zero; all zero for a deal without bag.
    """

    status: BagStatus
    demands: int
    hash: Hash32

    def is_of(self, bag: PostedBag) -> bool:
        """Tell whether this is the bag that was posted."""
        return from_hex(self.hash)[:_HASH_BYTES] == bag_hash(bag)[:_HASH_BYTES]


@dataclass(frozen=True, slots=True)
class ShownLeaf:
    """
    A leaf and its way to the root.

    Attributes:
        leaf: The leaf.
        proof: Its siblings, lowest first.
    """

    leaf: Leaf
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """A scheduler's word that a worker said something of a task: worker, result hash, signature as hex."""

    worker: Address
    said: Hash32
    signature: str


_NO_RECEIPT: Final = SignedReceipt(Address("0x" + "00" * 20), ZERO_HASH, "0x")


def posted_bag(event: BagPosted, window_s: int) -> PostedBag:
    """
    Make a bag of what the hub said when it was posted.

    Args:
        event: What it said.
        window_s: The deal's window [s].
    """
    return PostedBag(
        deal_id=event.deal_id,
        root=event.root,
        leaves=event.leaves,
        payouts=event.payouts,
        done=event.done,
        posted=UnixSeconds(event.deadline - window_s),
        deadline=event.deadline,
    )


def show(leaves: Sequence[Leaf], tree: MerkleTree, place: int) -> ShownLeaf:
    """Take a leaf and its proof out of its tree; `place` counts from 0."""
    return ShownLeaf(leaves[place], tree.proof(place))


# --- the scheduler ---------------------------------------------------------------------------------------------------


def post_bag(hub: Address, deal: DealId, *, root: Hash32, leaves: Hash32, done: int, payouts: bytes) -> Call:
    """
    Say how all tasks of a deal ended, as its scheduler.

    Args:
        hub: The hub.
        deal: The deal.
        root: Root of the tree of leaves.
        leaves: SHA-256 of the file of leaves.
        done: Number of tasks that have a result.
        payouts: The list of payouts (`bag_settlement.pack_payouts`).
    """
    return Call(hub, function("Hub", "postBag").encode(deal, root, leaves, done, payouts), f"post the bag of deal {deal}")


def give_back_bag(hub: Address, deal: DealId) -> Call:
    """Give a whole deal back, as its scheduler: the payer is refunded at once."""
    return Call(hub, function("Hub", "giveBackBag").encode(deal), f"give back deal {deal}")


# --- anybody ---------------------------------------------------------------------------------------------------------


def settle_bag(hub: Address, bag: PostedBag) -> Call:
    """Pay everybody of a bag whose window has closed; for a deal that was given back, free its scheduler's stake."""
    return Call(hub, function("Hub", "settleBag").encode(_bag(bag), bag.payouts), f"settle the bag of deal {bag.deal_id}")


def claim_bag(hub: Address, deal: DealId) -> Call:
    """End a deal whose scheduler posted nothing before the final deadline: the payer has the money back."""
    return Call(hub, function("Hub", "claimBag").encode(deal), f"claim deal {deal}")


def prove_result(hub: Address, bag: PostedBag, shown: ShownLeaf, callback: bytes = b"", gas: int | None = None) -> Call:
    """
    Put one result of a settled bag on the chain.

    Args:
        hub: The hub.
        bag: The bag.
        shown: The task's leaf.
        callback: Data for the deal's callback, whose hash is the leaf's digest; empty without one.
        gas: As in `Call`; an estimate is right, because the hub insists on a callback's full share.
    """
    data = function("Hub", "proveResult").encode(_bag(bag), _leaf(shown.leaf), shown.proof, callback)
    return Call(hub, data, f"prove the result of {_task(bag, shown.leaf.index)}", gas=gas)


# --- frauds ----------------------------------------------------------------------------------------------------------


def prove_contradiction(hub: Address, bag: PostedBag, shown: ShownLeaf, receipt: SignedReceipt) -> Call:
    """Prove that a leaf says of a worker something else than the scheduler's receipt; the worker has the reward."""
    said = (receipt.worker, receipt.said, receipt.signature)
    data = function("Hub", "proveContradiction").encode(_bag(bag), _leaf(shown.leaf), shown.proof, *said)
    return Call(hub, data, f"prove that the leaf of {_task(bag, shown.leaf.index)} contradicts a receipt")


def prove_little_trust(hub: Address, bag: PostedBag, shown: ShownLeaf) -> Call:
    """Prove that fewer workers agree on a result than the deal asks, or that its leaf is out of order."""
    data = function("Hub", "proveLittleTrust").encode(_bag(bag), _leaf(shown.leaf), shown.proof)
    return Call(hub, data, f"prove that {_task(bag, shown.leaf.index)} has too little trust")


def prove_wrong_count(hub: Address, bag: PostedBag, before: ShownLeaf | None, shown: ShownLeaf) -> Call:
    """Prove that a leaf counts the results wrongly after the one `before` (None for the deal's first), or the bag after the last."""
    earlier = before or ShownLeaf(_NO_LEAF, ())
    leaves = (_leaf(earlier.leaf), earlier.proof, _leaf(shown.leaf), shown.proof)
    data = function("Hub", "proveWrongCount").encode(_bag(bag), *leaves)
    return Call(hub, data, f"prove that the results up to {_task(bag, shown.leaf.index)} are counted wrongly")


def prove_omission(hub: Address, bag: PostedBag, place: int, *, there: Leaf | None, proof: Sequence[bytes]) -> Call:
    """
    Prove that a task has no leaf.

    Args:
        hub: The hub.
        bag: The bag.
        place: Place of the task in its deal, from 0.
        there: The leaf of another task that lies in its place; None if nothing does.
        proof: Siblings of the place, lowest first.
    """
    data = function("Hub", "proveOmission").encode(_bag(bag), place, _leaf(there or _NOTHING_THERE), proof)
    return Call(hub, data, f"prove that deal {bag.deal_id} has no leaf in place {place}")


def prove_underpayment(hub: Address, bag: PostedBag, *, worker: Address, amount: NRLC, signature: str) -> Call:
    """Prove that a worker is paid less than the scheduler's last statement [nRLC], whose signature is given as hex."""
    data = function("Hub", "proveUnderpayment").encode(_bag(bag), bag.payouts, worker, amount, signature)
    return Call(hub, data, f"prove that the bag of deal {bag.deal_id} underpays {worker}")


# --- leaves that are withheld ----------------------------------------------------------------------------------------


def demand_leaf(hub: Address, bag: PostedBag, index: int, receipt: SignedReceipt | None = None) -> Call:
    """Ask for a task's leaf, under a bond of its price: as requester or payer, others with a receipt for the task."""
    given = receipt or _NO_RECEIPT
    data = function("Hub", "demandLeaf").encode(_bag(bag), index, given.worker, given.said, given.signature)
    return Call(hub, data, f"demand the leaf of {_task(bag, index)}")


def answer_leaf(hub: Address, bag: PostedBag, shown: ShownLeaf, signatures: Sequence[str]) -> Call:
    """Show a leaf that was asked for, with the contribution signed by each worker that it says agreed, in its order."""
    signed = b"".join(from_hex(signature) for signature in signatures)
    data = function("Hub", "answerLeaf").encode(_bag(bag), _leaf(shown.leaf), shown.proof, signed)
    return Call(hub, data, f"show the leaf of {_task(bag, shown.leaf.index)}")


def expire_demand(hub: Address, bag: PostedBag, index: int) -> Call:
    """End a bag whose scheduler did not show a leaf in time; who asked has the reward and the bond back."""
    return Call(hub, function("Hub", "expireDemand").encode(_bag(bag), index), f"end the bag that withholds {_task(bag, index)}")


def release_demand(hub: Address, deal: DealId, index: int) -> Call:
    """Give a bond back whose bag was ended by something else."""
    return Call(hub, function("Hub", "releaseDemand").encode(deal, index), f"release the bond for task {index} of deal {deal}")


# --- reading ---------------------------------------------------------------------------------------------------------


async def view_bag(rpc: Rpc, hub: Address, deal: DealId) -> BagState:
    """Tell how far one bag is."""
    return (await view_bags(rpc, hub, [deal]))[0]


async def view_bags(rpc: Rpc, hub: Address, deals: Sequence[DealId]) -> list[BagState]:
    """
    Tell how far several bags are, in one go.

    Args:
        rpc: The node.
        hub: A hub that settles bags.
        deals: Deals; one that is unknown, or is not settled as a bag, has the status `NONE`.
    """
    return await read_many(rpc, [Read(hub, function("Hub", "viewBag"), (deal,), _state) for deal in deals])


async def settles_bags(rpc: Rpc, hub: Address) -> bool:
    """Tell whether a hub settles bags at all: an original, or ours of an earlier day, does not."""
    question = Read(hub, function("Hub", "viewBag"), (ZERO_HASH,), lambda *_: True, lambda: False)
    try:
        return await read(rpc, question)
    except InputError:
        return False  # the original for native coin takes any call for a deposit, and answers nothing


async def find_posted(chain: Chain, deal: DealId, *, window_s: int, since_block: int) -> PostedBag | None:
    """
    Find the bag that was posted for a deal.

    Args:
        chain: The chain.
        deal: The deal.
        window_s: How long its bag may be challenged [s].
        since_block: A block before it can have been posted.

    Returns:
        The bag; None if none was posted since then.
    """
    topic = next(topic for topic, entries in events_by_topic("Hub").items() if entries[0].name == "BagPosted")
    height = await chain.block_number()
    for first in range(since_block, height + 1, _BLOCKS_AT_A_TIME):
        last = min(height, first + _BLOCKS_AT_A_TIME - 1)
        filter_ = {"fromBlock": hex(first), "toBlock": hex(last), "address": chain.hub_address, "topics": [to_hex(topic), deal]}
        (logs,) = await chain.rpc.ask([("eth_getLogs", (filter_,))])
        for logged in decode_logs(logs.read(tuple[RawLog, ...]), sources=(chain.hub_address,)):
            if isinstance(logged.event, BagPosted) and logged.event.deal_id == deal:
                return posted_bag(logged.event, window_s)
    return None


def _state(status: int, demands: int, hashed: str) -> BagState:
    return BagState(BagStatus(status), demands, Hash32(hashed))


def _bag(bag: PostedBag) -> tuple[AbiArgument, ...]:
    return (bag.deal_id, bag.root, bag.leaves, to_hex(keccak(bag.payouts)), bag.done, bag.posted, bag.deadline)


def _leaf(leaf: Leaf) -> tuple[AbiArgument, ...]:
    return (leaf.index, leaf.digest, leaf.location, leaf.done, pack_agreed(leaf.agreed), pack_others(leaf.others))


def _task(bag: PostedBag, index: int) -> str:
    return f"task {index} of deal {bag.deal_id}"
