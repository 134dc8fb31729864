"""Bags as a scheduler posts them: leaves, their tree, signed words; written a second time, from SPEC 18."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.support.accounts import Signer
from tests.support.evm import Receipt
from tests.support.market import DIGEST, Market, Terms
from tests.support.orders import result_hash, task_id, typed_digest

WINDOW_S = 600
PARAMS = '{"voisin_window":"000600"}'
STAKE_PERCENT = 30
LEAVES = keccak(b"the file of all leaves")
NOTHING_THERE = (0, bytes(32), bytes(32), 2**256 - 1, b"", b"")
NO_LEAF = (0, bytes(32), bytes(32), 0, b"", b"")
NO_RESULT = bytes(32)

Vote = tuple[bytes, str]
"""What a worker said that does not agree, and who it is."""


@dataclass(frozen=True)
class Leaf:
    """How one task ended."""

    index: int
    digest: bytes
    done: int
    agreed: tuple[str, ...] = ()
    others: tuple[Vote, ...] = ()
    location: bytes = keccak(b"where the result lies")

    @property
    def packed(self) -> tuple[Any, ...]:
        """The leaf as a call takes it."""
        others = b"".join(said + _raw(worker) for said, worker in self.others)
        return (self.index, self.digest, self.location, self.done, b"".join(map(_raw, self.agreed)), others)

    @property
    def hash(self) -> bytes:
        """What lies in the tree."""
        index, digest, location, done, agreed, others = self.packed
        kinds = ["uint256", "bytes32", "bytes32", "uint256", "bytes32", "bytes32"]
        return keccak(encode(kinds, [index, digest, location, done, keccak(agreed), keccak(others)]))


@dataclass(frozen=True)
class Bag:
    """A posted bag, with what only who has the file of leaves knows."""

    deal: bytes
    leaves: tuple[Leaf, ...]
    payouts: bytes
    done: int
    posted: int
    window: int = WINDOW_S
    nodes: tuple[bytes, ...] = ()

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """What lies at the bottom of the tree."""
        return self.nodes or tuple(leaf.hash for leaf in self.leaves)

    @property
    def root(self) -> bytes:
        """Root of the tree; zero for a deal that was given back."""
        return root_of(self.hashes) if self.hashes else bytes(32)

    @property
    def packed(self) -> tuple[Any, ...]:
        """The bag as a call takes it."""
        file = LEAVES if self.hashes else bytes(32)
        return (self.deal, self.root, file, keccak(self.payouts), self.done, self.posted, self.posted + self.window)

    def proof(self, place: int) -> list[bytes]:
        """The way from a place of the tree to its root."""
        return proof_of(self.hashes, place)


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Root of a tree; places that are left over are zero."""
    level = _padded(hashes)
    while len(level) > 1:
        level = [keccak(level[place] + level[place + 1]) for place in range(0, len(level), 2)]
    return level[0]


def proof_of(hashes: Sequence[bytes], place: int) -> list[bytes]:
    """Siblings on the way up."""
    level, found = _padded(hashes), []
    while len(level) > 1:
        found.append(level[place ^ 1])
        level = [keccak(level[at] + level[at + 1]) for at in range(0, len(level), 2)]
        place //= 2
    return found


def payouts_of(amounts: dict[str, int]) -> bytes:
    """A list of payouts: by worker, 20 bytes and 16 bytes each."""
    return b"".join(_raw(worker) + amount.to_bytes(16, "big") for worker, amount in sorted(amounts.items(), key=lambda item: _raw(item[0])))


def in_order(*workers: Signer) -> tuple[str, ...]:
    """Addresses in the order in which lists name them."""
    return tuple(sorted((worker.address for worker in workers), key=_raw))


def matched(market: Market, terms: Terms, *, params: str = PARAMS) -> bytes:
    """A deal that is settled as a bag."""
    return market.match(replace(terms, params=params))[0]


def honest_leaves(market: Market, volume: int, *, agreed: int = 1, first: int = 0, missing: Sequence[int] = ()) -> tuple[Leaf, ...]:
    """Leaves of tasks on whose result some workers agree; the tasks `missing` have none."""
    done, leaves = 0, []
    for index in range(first, first + volume):
        if index in missing:
            leaves.append(Leaf(index, NO_RESULT, done))
            continue
        done += 1
        leaves.append(Leaf(index, DIGEST, done, in_order(*market.roles.workers[:agreed])))
    return tuple(leaves)


def post(market: Market, deal: bytes, leaves: Sequence[Leaf], amounts: dict[str, int], **changes: Any) -> tuple[Bag, Receipt]:
    """Post a bag as the scheduler, true to its leaves unless told otherwise."""
    given = {"done": sum(leaf.digest != NO_RESULT for leaf in leaves), "nodes": (), **changes}
    payouts = payouts_of(amounts)
    bag = Bag(deal, tuple(leaves), payouts, given["done"], market.evm.time, nodes=tuple(given["nodes"]))
    receipt = market.hub.send("postBag", deal, bag.root, LEAVES, bag.done, payouts, by=market.roles.scheduler.address)
    return bag, receipt


def settle(market: Market, bag: Bag, *, by: str = "") -> Receipt:
    """Settle a bag, as a stranger unless told otherwise."""
    return market.hub.send("settleBag", bag.packed, bag.payouts, by=by or market.roles.stranger.address)


@dataclass(frozen=True)
class Words:
    """What scheduler and workers sign."""

    market: Market
    deal: bytes

    def receipt(self, index: int, worker: str, said: bytes, *, by: Signer | None = None) -> bytes:
        """The scheduler's receipt for what a worker said of a task."""
        fields = "bytes32 dealid,uint256 index,address worker,bytes32 resultHash"
        return self._sign(by, "Receipt", fields, {"index": index, "worker": worker, "resultHash": said})

    def earned(self, worker: str, amount: int, *, by: Signer | None = None) -> bytes:
        """The scheduler's word for what a worker has earned so far."""
        return self._sign(by, "Earned", "bytes32 dealid,address worker,uint256 amount", {"worker": worker, "amount": amount})

    def contribution(self, index: int, worker: Signer, said: bytes) -> bytes:
        """A worker's contribution."""
        return self._sign(worker, "Contribution", "bytes32 dealid,uint256 index,bytes32 resultHash", {"index": index, "resultHash": said})

    def contributions(self, leaf: Leaf, signers: dict[str, Signer]) -> bytes:
        """The contributions of all who agree, as an answer shows them."""
        said = self.said(leaf.index, leaf.digest)
        return b"".join(self.contribution(leaf.index, signers[worker], said) for worker in leaf.agreed)

    def said(self, index: int, digest: bytes = DIGEST) -> bytes:
        """What a worker commits to."""
        return result_hash(task_id(self.deal, index), digest)

    def _sign(self, signer: Signer | None, kind: str, fields: str, message: dict[str, Any]) -> bytes:
        digest = typed_digest(kind, fields, {"dealid": self.deal, **message}, self.market.hub.address)
        return (signer or self.market.roles.scheduler).sign(digest)


def by_address(market: Market) -> dict[str, Signer]:
    """The workers by their addresses."""
    return {worker.address: worker for worker in market.roles.workers}


def _padded(hashes: Sequence[bytes]) -> list[bytes]:
    size = 1
    while size < len(hashes):
        size *= 2
    return [*hashes, *[bytes(32)] * (size - len(hashes))]


def _raw(address: str) -> bytes:
    return bytes.fromhex(address[2:])
