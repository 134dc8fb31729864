"""
How orders get into the book: judged by what the chain says, then written, many at a time.

What is remembered of the chain admits orders, but refuses none: before that it is asked.

A publication asks the chain and then writes; in between the chain may go on, and the follower with it. Therefore the
writing transaction looks whether the records have passed the block that was the latest when the chain was asked, and asks
again, inside the transaction, if so. What the follower records later, it records for the new order too.

Orders that come at the same time share their questions to the chain, and their transaction; the refusal of one is no matter of
the others. While a batch is written, the next one is judged. Most orders need nothing but that, and go the short way, `publish`. Whoever
brings a proof, or is not admitted by what is known of all at once, is looked at alone: `judge`, then `enter`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import anyio

from voisin.errors import StateError, TrustError, UnavailableError, VoisinError
from voisin.market.admission import OrderFacts, admit, check_return
from voisin.market.batches import Batches
from voisin.market.book import BookEntering, BookStore, Shelf, Standing
from voisin.market.inquiry import Named, facts_of, facts_of_all, with_any_signature
from voisin.market.ledger import Ledger
from voisin.market.machine import FINAL, NEVER, Entry, readmit
from voisin.market.proof import Consent, Proof, Wish, check_time, wish_digest
from voisin.market.recall import Known, Recall
from voisin.market.recording import Change, note
from voisin.protocol.api import OrderStatus
from voisin.protocol.ids import Address, Hash32, OrderHash, to_hex
from voisin.protocol.orders import Order
from voisin.units import UnixSeconds

CHAIN_WAIT_S = 10
"""How long the chain may take to answer while others wait [s]."""
MOST_TOGETHER = 64
"""Most orders that are judged, or written, together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishingTerms:
    """Most open orders that one signer may have, and how far the time of a proof may be from now [s]."""

    max_open_orders: int
    proof_ttl_s: int


HEAD_AGE_S = 0.25
"""
How old the knowledge of the chain's latest block may be by which what is remembered is held to be true [s]. It counts only for who does not
hear of blocks: whoever has looked at a later one knows better.
"""


@dataclass(frozen=True, slots=True)
class Findings:
    """
    What is known of an order before it is judged.

    Attributes:
        known: What the book knows of it.
        facts: What the chain says of it; None where nothing need be asked.
        as_of: The block that was the latest when the chain was asked.
    """

    known: Entry | None
    facts: OrderFacts | None
    as_of: int


@dataclass(frozen=True, slots=True)
class _Head:
    """The chain's latest block, and when it was asked for [loop's s]."""

    number: int
    at_s: float


@dataclass(frozen=True, slots=True)
class Judged:
    """
    An order that may be published.

    Attributes:
        order: The order.
        entry: Its entry; the one in the book when it is open there already.
        as_of: The block as of which the chain was asked; None for an order that is open already.
    """

    order: Order
    entry: Entry
    as_of: int | None


Candidate = tuple[Judged, Proof | Consent | None]
Entered = tuple[Entry, bool]
"""An order in the book, and whether it is new there."""


class Publisher:
    """
    Judges orders, and writes them into the book.

    Args:
        ledger: The chain.
        store: The records.
        recall: What is known of the chain already.
        terms: What is asked of publications.
        clock: Tells the time.
    """

    def __init__(
        self, ledger: Ledger, store: BookStore, recall: Recall, terms: PublishingTerms, *, clock: Callable[[], UnixSeconds]
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._recall = recall
        self._terms = terms
        self._clock = clock
        self._head: _Head | None = None
        self._is_whole: bool | None = None
        self._judging = anyio.Lock()
        self._publishing = Batches(self._publish, most=MOST_TOGETHER, at_once=2)  # one is judged, one written
        self._inquiring = Batches(self._inquire, most=MOST_TOGETHER)
        self._entering = Batches(self._enter, most=MOST_TOGETHER)

    async def publish(self, order_hash: OrderHash, order: Order) -> Entered:
        """
        Judge an order, and write it into the book.

        Raises:
            VoisinError: It may not be published, or not come back; what `judge` and `enter` raise.
        """
        entered = await self._publishing.submit((order_hash, order))
        return entered or await self.enter(await self.judge(order_hash, order), None)

    async def judge(self, order_hash: OrderHash, order: Order) -> Judged:
        """
        Judge an order by what the book and the chain say of it.

        Raises:
            VoisinError: It may not be published, as `voisin.market.admission` has it.
        """
        findings = await self._inquiring.submit((order_hash, order))
        return _judge(order_hash, order, findings, at=self._clock()) or await self._judge_afresh(order_hash, order)

    async def enter(self, judged: Judged, proof: Proof | Consent | None) -> Entered:
        """
        Write an admitted order into the book.

        Raises:
            VoisinError: It may not come back, its signer has too many, or the chain went on and it may not be published any more.
        """
        if judged.as_of is None:
            return judged.entry, False
        if proof is not None:
            await self.check_proof(Wish.PUBLISH, judged.entry, proof)
        return await self._entering.submit((judged, proof))

    async def check_proof(self, wish: Wish, entry: Entry, proof: Proof | Consent) -> None:
        """
        See that a wish is that of an order's signer.

        Raises:
            TrustError: It is not, or too old.
        """
        if isinstance(proof, Consent):
            if proof.account != entry.signer:
                raise TrustError(f"{proof.account} did not sign the order", hint=f"only {entry.signer} may publish it or take it out")
            return
        check_time(proof, now=self._clock(), ttl_s=self._terms.proof_ttl_s)
        digest = Hash32(to_hex(wish_digest(wish, entry.hash, proof.at)))
        if not await self._ledger.is_signed_by(entry.signer, digest, proof.signature):
            raise TrustError(
                f"the proof is not signed by {entry.signer}, who signed the order", hint=f"sign 'Voisin {wish} {entry.hash} {proof.at}'"
            )

    async def _judge_afresh(self, order_hash: OrderHash, order: Order) -> Judged:
        """Judge an order by what the chain says now, and by any kind of signature."""
        with _deadline():
            head = await self._ledger.head()
            facts = await facts_of(self._ledger, order_hash, order)
        return Judged(order, admit(order_hash, order, facts, at=self._clock()), head)

    async def _publish(self, orders: Sequence[Named]) -> list[Entered | VoisinError | None]:
        """Judge orders and write them into the book; None stands for one that must be judged alone."""
        async with self._judging:
            findings = await self._inquire(orders)
        outcomes: list[Entered | VoisinError | None] = [None] * len(orders)
        admitted: dict[int, Judged] = {}
        for place, ((order_hash, order), found) in enumerate(zip(orders, findings, strict=True)):
            try:
                judged = _judge(order_hash, order, found, at=self._clock())
            except VoisinError as error:
                outcomes[place] = error
                continue
            if judged is not None and judged.as_of is None:
                outcomes[place] = judged.entry, False
            elif judged is not None:
                admitted[place] = judged
        if admitted:
            entered = await self._enter([(judged, None) for judged in admitted.values()])
            for place, outcome in zip(admitted, entered, strict=True):
                outcomes[place] = outcome
        return outcomes

    async def _inquire(self, orders: Sequence[Named]) -> list[Findings]:
        with _deadline():
            head = await self._latest()  # first: the records must know all up to it
            standing = await self._store.standing([name for name, _ in orders])
            known = standing.entries
            asked = [(name, order) for name, order in orders if name not in known or not _is_settled(known[name])]
            if not asked:
                return [Findings(known[name], None, 0) for name, _ in orders]
            mark, unused = self._recall.mark, await self._unused([name for name, _ in asked], standing, head)
            found, learned = await facts_of_all(self._ledger, asked, self._recall.known(head), unused)
        self._recall.learn(mark, learned)
        facts = {name: each for (name, _), each in zip(asked, found, strict=True)}
        return [Findings(known.get(name), facts.get(name), head) for name, _ in orders]

    async def _latest(self) -> int:
        """Tell the chain's latest block, as of a moment ago: as the node said, or later, as the blocks that were looked at tell."""
        now_s = anyio.current_time()
        if self._head is None or now_s - self._head.at_s > HEAD_AGE_S:
            self._head = _Head(await self._ledger.head(), now_s)
        return max(self._head.number, self._recall.seen)

    async def _unused(self, hashes: Sequence[OrderHash], standing: Standing, head: int) -> list[OrderHash]:
        """List the orders of which nothing is used: records that hold all of the hub's history up to a block know it as of that block."""
        if self._is_whole is None:
            self._is_whole = await self._ledger.is_whole_from(await self._store.first_block())
        if not self._is_whole or standing.next_block <= head:
            return []
        return [name for name in hashes if name not in standing.used]

    async def _enter(self, candidates: Sequence[Candidate]) -> list[Entered | VoisinError]:
        async with self._store.enter() as write:
            known = await _read_shelf(write, [judged.entry for judged, _ in candidates])
            fresh = await self._judge_late(candidates, known.next_block)
            if any(isinstance(entry, Entry) and entry.signer not in known.counts for entry in fresh):
                known = await _read_shelf(write, [entry for entry in fresh if isinstance(entry, Entry)])
            shelf = _Filling(known.entries, known.counts, known.number, [])
            outcomes: list[Entered | VoisinError] = []
            for entry, (_, proof) in zip(fresh, candidates, strict=True):
                try:
                    outcomes.append(entry if isinstance(entry, VoisinError) else shelf.enter(entry, proof, self._terms.max_open_orders))
                except VoisinError as error:
                    outcomes.append(error)
            await note(write, *shelf.changes)
        return outcomes

    async def _judge_late(self, candidates: Sequence[Candidate], next_block: int) -> list[Entry | VoisinError]:
        """Judge again, while the book is locked, those about whom the chain was asked before the last recorded block was made."""
        late = {judged.entry.hash: judged.order for judged, _ in candidates if judged.as_of is not None and next_block > judged.as_of + 1}
        if not late:
            return [judged.entry for judged, _ in candidates]
        try:
            with _deadline():
                facts, _ = await facts_of_all(self._ledger, list(late.items()), Known())
                found = dict(zip(late, facts, strict=True))
                return [await self._again(candidate, found.get(candidate[0].entry.hash)) for candidate in candidates]
        except UnavailableError as error:
            return [error if judged.entry.hash in late else judged.entry for judged, _ in candidates]

    async def _again(self, candidate: Candidate, facts: OrderFacts | None) -> Entry | VoisinError:
        judged, proof = candidate
        if facts is None:
            return judged.entry
        try:
            facts = await with_any_signature(self._ledger, judged.entry.hash, judged.order, facts)
            entry = admit(judged.entry.hash, judged.order, facts, at=self._clock())
            if proof is not None:
                await self.check_proof(Wish.PUBLISH, entry, proof)
        except UnavailableError:
            raise
        except VoisinError as error:
            return error
        return entry


@dataclass(slots=True)
class _Filling:
    """The part of the book that a batch of new orders changes, as it fills."""

    known: dict[OrderHash, Entry]
    counts: dict[Address, int]
    number: int
    changes: list[Change]

    def enter(self, fresh: Entry, proof: Proof | Consent | None, most: int) -> Entered:
        """Enter an admitted order; somebody may have done so since it was judged."""
        known = self.known.get(fresh.hash)
        if known is not None and known.status is OrderStatus.OPEN:
            return known, False
        if known is not None:
            check_return(known, fresh, proof)
        if self.counts[fresh.signer] >= most:
            raise StateError(
                f"{fresh.signer} has {most} open orders, more are not accepted",
                hint="offer more volume in one order, or take out orders that are not needed",
            )
        entry = readmit(known, fresh, proven_at=proof.at if proof is not None else NEVER, number=self.number)
        self.known[entry.hash] = entry
        self.counts[entry.signer] += 1
        self.number += 1
        self.changes.append(Change(known, entry, fresh.published_at))
        return entry, True


def _judge(order_hash: OrderHash, order: Order, findings: Findings, *, at: UnixSeconds) -> Judged | None:
    """Judge an order by what was found; None where it is not admitted by that. Raises why it can never come back."""
    known, facts = findings.known, findings.facts
    if facts is not None:
        try:
            return Judged(order, admit(order_hash, order, facts, at=at), findings.as_of)
        except VoisinError:
            return None
    assert known is not None, "all others were asked about"
    if known.status is not OrderStatus.OPEN:
        check_return(known, known, None)
    return Judged(order, known, None)


async def _read_shelf(write: BookEntering, fresh: Sequence[Entry]) -> Shelf:
    return await write.shelf([entry.hash for entry in fresh], sorted({entry.signer for entry in fresh}))


def _is_settled(known: Entry) -> bool:
    """Tell whether nothing need be asked about an order that is in the book."""
    return known.status is OrderStatus.OPEN or known.status in FINAL


@contextmanager
def _deadline() -> Iterator[None]:
    """Wait for the chain, but not for ever: others wait too."""
    try:
        with anyio.fail_after(CHAIN_WAIT_S):
            yield
    except TimeoutError:
        raise UnavailableError(f"the chain did not answer within {CHAIN_WAIT_S} s", hint="try again") from None
