"""
What a pool answers about a bag: how far it is, its results as they come, and the file of leaves that it settles by.

    GET /v1/bags/{deal_id}?after=120&wait=20    `BagView`, with the results after the 120th; waits up to 20 s for a new one

The file of leaves lies in storage under the SHA-256 that the pool posts on the hub; whoever has it can check every figure of the bag.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from voisin.errors import InputError, TrustError
from voisin.protocol.bag_settlement import Dissent, Leaf, tree_of
from voisin.protocol.codec import decode, encode
from voisin.protocol.ids import MAX_UINT256, Address, DealId, Hash32, as_address, as_hash32, to_hex
from voisin.units import NRLC, UnixSeconds


class BagStage(StrEnum):
    """Where a bag stands."""

    RUNNING = "running"
    POSTED = "posted"
    """Its root is on the hub; it may be challenged until the deadline."""
    SETTLED = "settled"
    GIVEN_BACK = "given-back"
    """Nothing was done; the requester has the money back."""
    PUNISHED = "punished"
    """A fraud was proven; the requester has the money back."""
    CLAIMED = "claimed"
    """The scheduler did not settle in time; the requester has the money back."""


class BagResult(msgspec.Struct, frozen=True, kw_only=True):
    """
    How one task of a bag ended, before it is settled.

    Attributes:
        index: The task's index.
        digest: The agreed digest; zero for a task that is given back.
        location: SHA-256 of the result's archive in storage; zero likewise.
        agreed: Workers that agree.
        others: Number of workers that said something else.
        exit_code: What the app exited with.
        reason: Why there is no result; empty when there is one.
    """

    index: int
    digest: Hash32
    location: Hash32
    agreed: tuple[Address, ...] = ()
    others: int = 0
    exit_code: int | None = None
    reason: str = ""


class BagView(msgspec.Struct, frozen=True, kw_only=True):
    """
    A bag as its pool sees it.

    Attributes:
        deal_id: The deal.
        stage: Where it stands.
        first_index: Index of its first task.
        volume: Its number of tasks.
        done: Tasks that have a result.
        given_back: Tasks that will have none.
        why: What it waits for, in words.
        results: Those asked for, in the order in which they came.
        next: What to ask after to go on.
        leaves: SHA-256 of the file of leaves, once it is posted.
        deadline: From when it may be settled; 0 before it is posted.
        payouts: What each worker gets [nRLC], once it is posted.
    """

    deal_id: DealId
    stage: BagStage
    first_index: int
    volume: int
    done: int
    given_back: int
    why: str
    results: tuple[BagResult, ...] = ()
    next: int = 0
    leaves: Hash32 | None = None
    deadline: UnixSeconds = UnixSeconds(0)
    payouts: dict[Address, NRLC] = {}


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    deal_id: DealId
    leaves: tuple[Leaf, ...]


def encode_leaves(deal_id: DealId, leaves: Sequence[Leaf]) -> bytes:
    """Write the file of leaves, in the order of their indexes."""
    return encode(_File(deal_id, tuple(leaves)))


def decode_leaves(data: bytes, deal_id: DealId, root: Hash32) -> tuple[Leaf, ...]:
    """
    Read a file of leaves.

    Args:
        data: The file.
        deal_id: The deal that it must be about.
        root: The root that its leaves must have.

    Raises:
        InputError: It, or one of its leaves, is malformed.
        TrustError: It is another deal's, or its leaves have another root.
    """
    file = decode(data, _File, "the file of leaves")
    if file.deal_id != deal_id:
        raise TrustError(f"the file of leaves is about deal {file.deal_id}, not {deal_id}")
    if not file.leaves:
        raise InputError("the file of leaves has none")
    leaves = tuple(_canonical(leaf) for leaf in file.leaves)
    found = to_hex(tree_of(leaves).root)
    if found != root:
        raise TrustError(f"the leaves have the root {found}, and the scheduler posted {root}")
    return leaves


def _canonical(leaf: Leaf) -> Leaf:
    """Spell a leaf's ids canonically; refuse one that no call could show, whose fields are split elsewhere than the hub splits them."""
    if not 0 <= leaf.index <= MAX_UINT256 or not 0 <= leaf.done <= MAX_UINT256:
        raise InputError("the file of leaves holds a number that is out of range")
    return Leaf(
        index=leaf.index,
        digest=as_hash32(leaf.digest),
        location=as_hash32(leaf.location),
        done=leaf.done,
        agreed=tuple(as_address(worker) for worker in leaf.agreed),
        others=tuple(Dissent(as_hash32(vote.result_hash), as_address(vote.worker)) for vote in leaf.others),
    )
