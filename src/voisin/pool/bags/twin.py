"""
A small hub for bags in memory, beside the twin of a chain: it keeps what was posted, asks and answers, and refuses what a hub refuses.

It checks leaves against the posted root, signatures of answers, payouts and trust, so that a pool that posts what could be
proven wrong fails its tests. It moves no money but counts it.

Source: contracts/SPEC.md 18.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from voisin.chain.bags import ShownLeaf, posted_bag
from voisin.errors import RevertError
from voisin.pool.bags.facts import BagChainFact
from voisin.pool.bags.leaves import Closing
from voisin.pool.bags.ledger import fact_of
from voisin.pool.chain.twin import TWIN_DOMAIN
from voisin.pool.heart.records import DealRecord
from voisin.protocol.bag_settlement import MAX_WORKERS, PostedBag, bag_hash, contribution_digest, leaf_hash, unpack_payouts, window_of
from voisin.protocol.events import BagClaimed, BagEvent, BagPosted, BagSettled, BagSlashed, LeafAnswered, LeafDemanded
from voisin.protocol.ids import ZERO_HASH, Address, DealId, Hash32, from_hex, task_id
from voisin.protocol.merkle import is_under
from voisin.protocol.results import result_hash
from voisin.protocol.rules import final_deadline
from voisin.protocol.signatures import signed_by
from voisin.units import NRLC, UnixSeconds

PAYOUT_BYTES = 36


@dataclass
class _Entry:
    terms: DealRecord
    bag: PostedBag
    events: list[BagEvent]
    demands: dict[int, UnixSeconds] = field(default_factory=dict)
    is_settled: bool = False
    is_ended: bool = False
    proven: dict[int, bytes] = field(default_factory=dict)


class TwinBagLedger:
    """
    A hub in memory; see `voisin.pool.bags.ledger.BagLedger`.

    Attributes:
        failures: Errors that the pool's next steps meet, one each, before the hub hears of them.
        lost_answers: How many of the pool's next steps are carried out without the pool hearing of it.
        sent: The steps that were carried out.
        paid: What workers were paid [nRLC].
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """
        Args:
            now: The chain's clock [Unix s].
        """
        self._now = now
        self._entries: dict[DealId, _Entry] = {}
        self.failures: list[Exception] = []
        self.lost_answers = 0
        self.sent: list[str] = []
        self.paid: dict[Address, NRLC] = {}

    async def is_able(self) -> bool:
        """Tell whether the hub settles bags at all."""
        return True

    async def history(self, terms: DealRecord) -> list[BagChainFact]:
        """Tell what has happened to a bag, in order."""
        entry = self._entries.get(terms.deal_id)
        return [] if entry is None else [fact for event in entry.events if (fact := fact_of(event, terms)) is not None]

    async def post(self, terms: DealRecord, closing: Closing) -> PostedBag:
        """Post a bag."""
        self._begin("post")
        self._require(len(closing.payouts) <= MAX_WORKERS * PAYOUT_BYTES, "bad-payouts")
        self._require(sum(unpack_payouts(closing.payouts).values()) <= terms.deal.workerpool.price * closing.done, "payouts-too-high")
        event = (closing.root, closing.location, closing.done)
        return self._post(terms, *event, closing.payouts)

    async def give_back(self, terms: DealRecord) -> PostedBag:
        """Give a whole deal back."""
        self._begin("give-back")
        return self._post(terms, ZERO_HASH, ZERO_HASH, 0, b"")

    async def answer(self, bag: PostedBag, shown: ShownLeaf, signatures: list[str]) -> None:
        """Show a leaf that was asked for."""
        self._begin("answer")
        entry = self._known(bag)
        self._require(shown.leaf.index in entry.demands, "not-demanded")
        self._check_leaf(entry, shown)
        said = result_hash(task_id(bag.deal_id, shown.leaf.index), shown.leaf.digest)
        digest = contribution_digest(TWIN_DOMAIN, bag.deal_id, shown.leaf.index, said)
        self._require(len(signatures) == len(shown.leaf.agreed), "not-signed")
        self._require(all(signed_by(*each) for each in zip(shown.leaf.agreed, [digest] * len(signatures), signatures, strict=True)), "")
        del entry.demands[shown.leaf.index]
        entry.events.append(LeafAnswered(bag.deal_id, shown.leaf.index))
        self._answered()

    async def settle(self, bag: PostedBag) -> None:
        """Pay everybody."""
        self._begin("settle")
        entry = self._known(bag)
        self._require(not entry.is_settled and not entry.demands and self._now() >= bag.deadline, "window-open")
        entry.is_settled = True
        for worker, amount in unpack_payouts(bag.payouts).items():
            self.paid[worker] = NRLC(self.paid.get(worker, 0) + amount)
        entry.events.append(BagSettled(bag.deal_id, bag.done))
        self._answered()

    async def is_proven(self, deal: DealId, index: int) -> bool:
        """Tell whether a result is on the chain."""
        return index in self._entries[deal].proven

    async def prove(self, bag: PostedBag, shown: ShownLeaf, callback: bytes) -> None:
        """Put a result on the chain."""
        self._begin("prove")
        entry = self._known(bag)
        self._require(entry.is_settled and shown.leaf.index not in entry.proven, "proven")
        self._check_leaf(entry, shown)
        entry.proven[shown.leaf.index] = callback
        self._answered()

    # --- what others do ---

    def posted(self, deal: DealId) -> PostedBag:
        """Give what was posted."""
        return self._entries[deal].bag

    def is_settled(self, deal: DealId) -> bool:
        """Tell whether a bag is settled."""
        return deal in self._entries and self._entries[deal].is_settled

    def is_posted(self, deal: DealId) -> bool:
        """Tell whether a bag is posted."""
        return deal in self._entries

    def is_asked(self, deal: DealId) -> bool:
        """Tell whether a leaf is asked for and not shown."""
        return bool(self._entries[deal].demands)

    def proven(self, deal: DealId) -> dict[int, bytes]:
        """Give what was handed to the deal's callback."""
        return self._entries[deal].proven

    def demand(self, deal: DealId, index: int) -> LeafDemanded:
        """Ask for a leaf."""
        entry = self._entries[deal]
        deadline = UnixSeconds(int(self._now()) + entry.bag.deadline - entry.bag.posted)
        entry.demands[index] = deadline
        event = LeafDemanded(deal, index, Address("0x" + "de" * 20), deadline)
        entry.events.append(event)
        return event

    def slash(self, deal: DealId) -> BagSlashed:
        """Prove a fraud."""
        event = BagSlashed(deal, Address("0x" + "de" * 20), 1, NRLC(1))
        self._entries[deal].events.append(event)
        self._entries[deal].is_ended = True
        return event

    def claim(self, terms: DealRecord) -> BagClaimed:
        """Claim a deal whose scheduler posted nothing."""
        event = BagClaimed(terms.deal_id)
        nothing = PostedBag(terms.deal_id, ZERO_HASH, ZERO_HASH, b"", 0, UnixSeconds(0), UnixSeconds(0))
        self._entries[terms.deal_id] = _Entry(terms, nothing, [event], is_ended=True)
        return event

    # --- rules ---

    def _post(self, terms: DealRecord, root: Hash32, leaves: Hash32, done: int, payouts: bytes) -> PostedBag:
        now, window_s = UnixSeconds(int(self._now())), window_of(terms.deal.params, terms.deal.tag)
        self._require(terms.deal_id not in self._entries, "bag-posted")
        self._require(now < final_deadline(terms.deal.start_time, terms.time_ref_s), "too-late")
        assert window_s is not None
        event = BagPosted(terms.deal_id, root, leaves, done, UnixSeconds(now + window_s), payouts)
        self._entries[terms.deal_id] = _Entry(terms, posted_bag(event, window_s), [event])
        self._answered()
        return self._entries[terms.deal_id].bag

    def _known(self, bag: PostedBag) -> _Entry:
        entry = self._entries.get(bag.deal_id)
        self._require(entry is not None and not entry.is_ended and bag_hash(entry.bag) == bag_hash(bag), "unknown-bag")
        assert entry is not None
        return entry

    def _check_leaf(self, entry: _Entry, shown: ShownLeaf) -> None:
        deal = entry.terms.deal
        place, root = shown.leaf.index - deal.bot_first, from_hex(entry.bag.root)
        self._require(is_under(root, leaf_hash(shown.leaf), place, deal.bot_size, shown.proof), "not-under-the-root")

    def _begin(self, step: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self._step = step

    def _answered(self) -> None:
        self.sent.append(self._step)
        if self.lost_answers:
            self.lost_answers -= 1
            raise RevertError("the answer was lost")

    def _require(self, is_met: bool, reason: str) -> None:
        if not is_met:
            raise RevertError("the hub refused", reason=reason)
