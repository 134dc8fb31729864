"""
Deals that are settled as a bag: what workers and scheduler sign, the leaf of each task, the list of payouts, the posted bag.

Source: contracts/SPEC.md 18.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from voisin.errors import InputError
from voisin.protocol.eip712 import Domain, domain_separator
from voisin.protocol.hashing import keccak
from voisin.protocol.ids import ZERO_HASH, Address, DealId, Hash32, as_address, from_hex, task_id, to_hex, uint_bytes
from voisin.protocol.merkle import MerkleTree
from voisin.protocol.results import result_hash
from voisin.protocol.tags import Tag, needs_enclave
from voisin.units import NRLC, UnixSeconds

MAX_WORKERS: Final = 128
"""Most workers that one bag can pay."""
MAX_VOTES: Final = 32
"""Most workers of a task that agree, and most that do not."""
MAX_WINDOW_S: Final = 999_999
NO_RESULT: Final = ZERO_HASH

_PREFIX = b'{"voisin_window":"'
_DIGITS = 6
_NOBODY = bytes(20)
_WORKER_BYTES, _PAYOUT_BYTES = 20, 36
_CONTRIBUTION = keccak(b"Contribution(bytes32 dealid,uint256 index,bytes32 resultHash)")
_RECEIPT = keccak(b"Receipt(bytes32 dealid,uint256 index,address worker,bytes32 resultHash)")
_EARNED = keccak(b"Earned(bytes32 dealid,address worker,uint256 amount)")


class Dissent(msgspec.Struct, frozen=True, order=True):
    """What a worker said that is not what the others agreed on."""

    result_hash: Hash32
    worker: Address


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """
    How one task ended.

    Attributes:
        index: The task's index.
        digest: The agreed digest; `NO_RESULT` for a task that is given back.
        location: SHA-256 of the result's archive.
        done: Number of results up to and with this task.
        agreed: Workers that agree, in the order of their bytes.
        others: What others said, in the order of its bytes.
    """

    index: int
    digest: Hash32
    location: Hash32
    done: int
    agreed: tuple[Address, ...] = ()
    others: tuple[Dissent, ...] = ()


@dataclass(frozen=True, slots=True)
class PostedBag:
    """
    A bag as the hub knows it.

    Attributes:
        deal_id: The deal.
        root: Root of the tree of leaves; zero for a deal that was given back.
        leaves: SHA-256 of the file of leaves.
        payouts: The list of payouts.
        done: Number of tasks that have a result.
        posted: When it was posted.
        deadline: From when it may be settled.
    """

    deal_id: DealId
    root: Hash32
    leaves: Hash32
    payouts: bytes
    done: int
    posted: UnixSeconds
    deadline: UnixSeconds


def window_of(params: str, tag: Tag) -> int | None:
    """
    Tell how long a bag of this deal may be challenged [s]; None for a deal whose tasks are settled one by one.

    Args:
        params: The deal's parameters, as they were signed.
        tag: The deal's tag.

    Raises:
        InputError: The deal is to be settled as a bag, and its window is no number: it never can be.
    """
    written = params.encode()
    if not written.startswith(_PREFIX) or len(written) <= len(_PREFIX) + _DIGITS or needs_enclave(tag):
        return None
    digits = written[len(_PREFIX) :][:_DIGITS]
    if not digits.isdigit():
        found = digits.decode(errors="replace")
        raise InputError(f"the deal's window {found!r} is no number of six digits", hint="nobody can settle it; claim it at its deadline")
    return int(digits)


def spell_window(window_s: int) -> str:
    """
    Write a window as `voisin_window` has it.

    Raises:
        InputError: It is negative or too long.
    """
    if not 0 <= window_s <= MAX_WINDOW_S:
        raise InputError(f"a window of {window_s} s is not possible", hint=f"choose 0 to {MAX_WINDOW_S} s")
    return f"{window_s:06d}"


def contribution_digest(domain: Domain, deal_id: DealId, index: int, said: Hash32) -> bytes:
    """What a worker signs to contribute; 32 bytes."""
    return _typed(domain, _CONTRIBUTION, from_hex(deal_id), uint_bytes(index), from_hex(said))


def receipt_digest(domain: Domain, deal_id: DealId, index: int, *, worker: Address, said: Hash32) -> bytes:
    """What a scheduler signs when it has a contribution; 32 bytes."""
    return _typed(domain, _RECEIPT, from_hex(deal_id), uint_bytes(index), _word(worker), from_hex(said))


def earned_digest(domain: Domain, deal_id: DealId, worker: Address, amount: NRLC) -> bytes:
    """What a scheduler signs to tell a worker what it has earned in a deal so far; 32 bytes."""
    return _typed(domain, _EARNED, from_hex(deal_id), _word(worker), uint_bytes(amount))


def leaf_hash(leaf: Leaf) -> bytes:
    """Hash a leaf; 32 bytes."""
    agreed, others = pack_agreed(leaf.agreed), pack_others(leaf.others)
    words = (uint_bytes(leaf.index), from_hex(leaf.digest), from_hex(leaf.location), uint_bytes(leaf.done), keccak(agreed), keccak(others))
    return keccak(b"".join(words))


def pack_agreed(workers: Iterable[Address]) -> bytes:
    """Write the workers that agree, 20 bytes each."""
    return b"".join(from_hex(worker) for worker in workers)


def pack_others(others: Iterable[Dissent]) -> bytes:
    """Write what others said, 52 bytes each."""
    return b"".join(from_hex(vote.result_hash) + from_hex(vote.worker) for vote in others)


def in_order(workers: Iterable[Address]) -> tuple[Address, ...]:
    """Put workers into the order of their bytes, in which every list has them."""
    found = tuple(workers)
    return found if len(found) < 2 else tuple(sorted(found, key=from_hex))


def dissents_in_order(others: Iterable[Dissent]) -> tuple[Dissent, ...]:
    """Put what others said into the order in which a leaf has it."""
    found = tuple(others)
    return found if len(found) < 2 else tuple(sorted(found, key=lambda vote: (from_hex(vote.result_hash), from_hex(vote.worker))))


def tree_of(leaves: Sequence[Leaf]) -> MerkleTree:
    """Grow the tree of a deal's leaves, which are in the order of their indexes."""
    return MerkleTree([leaf_hash(leaf) for leaf in leaves])


def pack_payouts(amounts: dict[Address, NRLC]) -> bytes:
    """
    Write the list of payouts [nRLC], 36 bytes a worker.

    Raises:
        InputError: There are more workers than a bag can pay.
    """
    if len(amounts) > MAX_WORKERS:
        raise InputError(f"a bag pays at most {MAX_WORKERS} workers, not {len(amounts)}", hint="let fewer workers share a deal")
    return b"".join(from_hex(worker) + amounts[worker].to_bytes(16, "big") for worker in in_order(amounts))


def unpack_payouts(payouts: bytes) -> dict[Address, NRLC]:
    """
    Read a list of payouts [nRLC].

    Raises:
        InputError: Its length is no multiple of a worker's 36 bytes.
    """
    if len(payouts) % _PAYOUT_BYTES:
        raise InputError(f"a list of payouts has {_PAYOUT_BYTES} bytes for each worker, and this one {len(payouts)} in all")
    rows = [payouts[at : at + _PAYOUT_BYTES] for at in range(0, len(payouts), _PAYOUT_BYTES)]
    return {as_address(to_hex(row[:_WORKER_BYTES])): NRLC(int.from_bytes(row[_WORKER_BYTES:], "big")) for row in rows}


def bag_hash(bag: PostedBag) -> bytes:
    """Hash a bag as the hub does; the hub keeps the first 30 bytes."""
    words = (from_hex(bag.deal_id), from_hex(bag.root), from_hex(bag.leaves), keccak(bag.payouts))
    return keccak(b"".join(words) + uint_bytes(bag.done) + uint_bytes(bag.posted) + uint_bytes(bag.deadline))


def said_of(leaf: Leaf, deal_id: DealId, worker: Address) -> Hash32 | None:
    """Tell what a leaf says that a worker said; None if it does not name it."""
    if worker in leaf.agreed:
        return result_hash(task_id(deal_id, leaf.index), leaf.digest)
    return next((vote.result_hash for vote in leaf.others if vote.worker == worker), None)


def is_trusted(leaf: Leaf, trust: int) -> bool:
    """
    Tell whether a leaf is in order, and if it has a result, enough workers agree on it.

    Args:
        leaf: The leaf.
        trust: What the deal asks, at least 1.

    Source: contracts/SPEC.md 18.3.
    """
    workers, votes = [from_hex(worker) for worker in leaf.agreed], [from_hex(vote.result_hash) for vote in leaf.others]
    if sorted(set(workers)) != workers or _NOBODY in workers or sorted(votes) != votes:
        return False
    if leaf.digest == NO_RESULT:
        return True
    rivals = sum(1 << votes.count(said) for said in set(votes))
    product = 1 << len(workers)
    return bool(workers) and product * trust > (1 + rivals + product) * (trust - 1)


def _typed(domain: Domain, kind: bytes, *words: bytes) -> bytes:
    return keccak(b"\x19\x01" + domain_separator(domain) + keccak(kind + b"".join(words)))


def _word(address: Address) -> bytes:
    return from_hex(address).rjust(32, b"\0")
