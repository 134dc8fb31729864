"""
Honest and fraudulent schedulers, requesters and workers, in any order: a bag makes and loses no money, leaves none locked, and every
fraud is punished by whoever proves it, while nothing can be proven against an honest bag (SPEC 18).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pytest
from eth_hash.auto import keccak
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.accounts import Signer
from tests.support.bags import NO_LEAF, NO_RESULT, PARAMS, WINDOW_S, Bag, Leaf, Words, by_address, in_order, post, settle
from tests.support.evm import RevertedError
from tests.support.ledgers import Ledger
from tests.support.market import DIGEST, KITTY, RLC, Market, Terms, open_market
from tests.support.nights import examples
from tests.support.orders import ZERO
from tests.support.quick_evm import QuickEvm

FINAL_S = 3_000
FRAUDS = ("none", "omits a vote", "too little trust", "too many results", "no leaf", "underpays")
"""What a scheduler may do with a bag; honest twice as often as anything else."""


@dataclass
class Deal:
    """What the test knows of a deal."""

    id: bytes
    terms: Terms
    start: int
    sponsor: str
    status: str = "open"
    fraud: str = "none"
    bag: Bag | None = None
    demands: dict[int, tuple[str, int]] = field(default_factory=dict)
    earned: dict[str, int] = field(default_factory=dict)

    @property
    def cost(self) -> int:
        """What the requester pays a task [nRLC]."""
        return self.terms.app_price + self.terms.price

    @property
    def stake(self) -> int:
        """What the scheduler stakes a task [nRLC]."""
        return self.terms.price * 30 // 100


class BagMachine(RuleBasedStateMachine):
    """A market with any number of bags."""

    open_market = staticmethod(cache(lambda: open_market(QuickEvm())))

    def __init__(self) -> None:
        """Start where everybody has 1,000 RLC."""
        super().__init__()
        self.market: Market = self.open_market()
        self.mark = self.market.evm.mark()
        self.ledger = Ledger(self.market.evm, self.market, is_original=False)
        roles = self.market.roles
        people = (roles.requester, roles.sponsor, roles.scheduler, roles.app_owner, roles.stranger, *roles.workers)
        self.people = [*(person.address for person in people), KITTY]
        self.model = {person: list(self.ledger.holding(person)[:2]) for person in self.people}
        self.supply = self.ledger.supply()
        self.deals: list[Deal] = []

    def teardown(self) -> None:
        """End everything: nothing but the kitty stays locked."""
        try:
            for deal in self.deals:
                self._end(deal)
            self.money_is_where_the_model_has_it()
            assert all(self.model[person][1] == 0 for person in self.people if person != KITTY)
        finally:
            self.market.evm.rewind(self.mark)

    @initialize(price=st.integers(4, 2 * RLC), volume=st.integers(2, 6), fraud=st.sampled_from(FRAUDS[1:]))
    def begin(self, price: int, volume: int, fraud: str) -> None:
        """There is one bag, and something is wrong with it."""
        self.match(price, volume, 4, sponsored=False)
        self.post(0, fraud, {1} if fraud == "too many results" else set())

    # --- what may happen
    @rule(price=st.integers(0, 2 * RLC), volume=st.integers(1, 6), trust=st.sampled_from([1, 2, 4]), sponsored=st.booleans())
    def match(self, price: int, volume: int, trust: int, sponsored: bool) -> None:
        """A deal is made, unless there are many already."""
        if len(self.deals) == 4:
            return
        roles = self.market.roles
        salt = len(self.deals).to_bytes(32, "big")
        terms = Terms(app_price=RLC // 7, price=price, volume=volume, trust=trust, params=PARAMS, salt=salt)
        payer = roles.sponsor.address if sponsored else roles.requester.address
        name = "sponsorMatchOrders" if sponsored else "matchOrders"
        id_, _ = self.market.match_orders(self.market.sign(self.market.orders(terms)), by=payer, function=name)
        deal = Deal(id_, terms, self.market.evm.time, payer)
        self.deals.append(deal)
        self._lock(payer, deal.cost * volume)
        self._lock(roles.scheduler.address, deal.stake * volume)

    @rule(which=st.integers(0, 3), fraud=st.sampled_from((*FRAUDS[:1] * 2, *FRAUDS)), missing=st.sets(st.integers(0, 5)))
    def post(self, which: int, fraud: str, missing: set[int]) -> None:
        """A scheduler posts a bag, true or not."""
        deal = self._deal(which)
        if deal is None or deal.status != "open":
            return
        if self.market.evm.time >= deal.start + FINAL_S:
            self._refused(lambda: post(self.market, deal.id, self._leaves(deal, set()), {}), "too-late")
            return
        leaves = self._leaves(deal, missing)
        done = leaves[-1].done
        workers = self.market.roles.workers[:2]
        share = deal.terms.price * done // 3
        deal.earned = {worker.address: share for worker in workers} if share else {}
        deal.fraud, changes, paid = fraud, {}, dict(deal.earned)
        if fraud == "omits a vote":
            leaves = (replace(leaves[0], digest=NO_RESULT, agreed=(), done=0), *(replace(leaf, done=leaf.done - 1) for leaf in leaves[1:]))
            if done == 0 or 0 in missing:
                deal.fraud, leaves = "none", self._leaves(deal, missing)
            else:
                paid, deal.earned = {}, {}
        elif fraud == "too little trust":
            leaves = (replace(leaves[0], agreed=()), *leaves[1:])
            deal.fraud = "none" if leaves[0].digest == NO_RESULT else fraud
        elif fraud == "too many results":
            deal.fraud = "none" if done == deal.terms.volume else fraud
            changes = {"done": done + (deal.fraud == fraud)}
        elif fraud == "no leaf":
            deal.fraud = fraud if len(leaves) > 1 else "none"  # a root of nothing is refused
            changes = {"nodes": [leaf.hash for leaf in leaves[:-1]] + [bytes(32)]} if len(leaves) > 1 else {}
        elif fraud == "underpays":
            deal.fraud = fraud if share else "none"
            paid = {worker: amount - (place == 0) for place, (worker, amount) in enumerate(paid.items())}
        deal.bag, _ = post(self.market, deal.id, leaves, {worker: amount for worker, amount in paid.items() if amount}, **changes)
        deal.status = "posted"

    @rule(which=st.integers(0, 3))
    def give_back(self, which: int) -> None:
        """A scheduler gives a whole deal back."""
        deal = self._deal(which)
        if deal is None or deal.status != "open" or self.market.evm.time >= deal.start + FINAL_S:
            return
        self.market.hub.send("giveBackBag", deal.id, by=self.market.roles.scheduler.address)
        deal.bag = Bag(deal.id, (), b"", 0, self.market.evm.time)
        deal.status = "posted"
        self._unlock(deal.sponsor, deal.cost * deal.terms.volume)

    @rule(which=st.integers(0, 3), index=st.integers(0, 5))
    def demand(self, which: int, index: int) -> None:
        """The requester asks for a leaf."""
        deal = self._deal(which)
        if deal is None or deal.status != "posted" or deal.bag is None or not deal.bag.leaves:
            return
        requester = self.market.roles.requester.address
        arguments = (deal.bag.packed, index, ZERO, bytes(32), b"")
        late = self.market.evm.time >= deal.bag.posted + WINDOW_S
        if late or index >= deal.terms.volume or index in deal.demands:
            self._refused(lambda: self.market.hub.send("demandLeaf", *arguments, by=requester))
            return
        self.market.hub.send("demandLeaf", *arguments, by=requester)
        deal.demands[index] = (requester, self.market.evm.time + WINDOW_S)
        self._lock(requester, deal.terms.price)

    @rule(which=st.integers(0, 3), index=st.integers(0, 5))
    def answer(self, which: int, index: int) -> None:
        """The scheduler shows a leaf that was asked for, if it can."""
        deal = self._deal(which)
        if deal is None or deal.status != "posted" or deal.bag is None or index >= len(deal.bag.leaves):
            return
        bag, scheduler = deal.bag, self.market.roles.scheduler.address
        signatures = Words(self.market, deal.id).contributions(bag.leaves[index], by_address(self.market))
        arguments = (bag.packed, bag.leaves[index].packed, bag.proof(index), signatures)
        asker, deadline = deal.demands.get(index, ("", 0))
        hidden = bag.nodes and bag.nodes[index] == bytes(32)
        if not asker or self.market.evm.time >= deadline or hidden:
            self._refused(lambda: self.market.hub.send("answerLeaf", *arguments, by=scheduler))
            return
        self.market.hub.send("answerLeaf", *arguments, by=scheduler)
        deal.demands[index] = ("", 0)
        self.model[asker][1] -= deal.terms.price
        self.model[scheduler][0] += deal.terms.price

    @rule(which=st.integers(0, 3), index=st.integers(0, 5))
    def expire(self, which: int, index: int) -> None:
        """A leaf was not shown in time."""
        deal = self._deal(which)
        if deal is None or deal.status != "posted" or deal.bag is None:
            return
        bag, stranger = deal.bag, self.market.roles.stranger.address
        asker, deadline = deal.demands.get(index, ("", 0))
        if not asker or self.market.evm.time < deadline:
            self._refused(lambda: self.market.hub.send("expireDemand", bag.packed, index, by=stranger))
            return
        self.market.hub.send("expireDemand", bag.packed, index, by=stranger)
        self._slashed(deal, asker, 0)
        event("punished: silence")
        deal.demands[index] = ("", 0)
        self._unlock(asker, deal.terms.price)

    @rule(which=st.integers(0, 3), guess=st.sampled_from(FRAUDS[1:]), knows=st.sampled_from([True, True, True, False]))
    def prove(self, which: int, guess: str, knows: bool) -> None:
        """Somebody proves a fraud, or tries to; it works exactly if the scheduler has committed it."""
        deal = self._deal(which)
        if deal is None or deal.status != "posted" or deal.bag is None or not deal.bag.leaves:
            return
        proof = deal.fraud if knows and deal.fraud != "none" else guess
        action, winner, owed = self._proof(deal, deal.bag, proof)
        if deal.fraud != proof:
            self._refused(action)
            return
        action()
        self._slashed(deal, winner, owed)
        event(f"punished: {proof}")

    @rule(which=st.integers(0, 3))
    def settle(self, which: int) -> None:
        """Anybody settles, if it is time."""
        deal = self._deal(which)
        if deal is None or deal.status != "posted" or deal.bag is None:
            return
        bag = deal.bag
        if self.market.evm.time < bag.posted + WINDOW_S or any(asker for asker, _ in deal.demands.values()):
            self._refused(lambda: settle(self.market, bag))
            return
        settle(self.market, bag)
        self._settled(deal, bag)
        event(f"settled: {deal.fraud}")

    @rule(which=st.integers(0, 3))
    def claim(self, which: int) -> None:
        """Anybody ends a deal of which nothing was heard."""
        deal = self._deal(which)
        if deal is None:
            return
        stranger = self.market.roles.stranger.address
        if deal.status != "open" or self.market.evm.time < deal.start + FINAL_S:
            self._refused(lambda: self.market.hub.send("claimBag", deal.id, by=stranger))
            return
        self._claim(deal)

    @rule(seconds=st.sampled_from([1, 300, 600, 1_500, 3_000]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.market.evm.warp(seconds)

    @invariant()
    def money_is_where_the_model_has_it(self) -> None:
        """Everybody has what the model says, and all stakes together are the supply."""
        found = {person: list(self.ledger.holding(person)[:2]) for person in self.people}
        assert found == self.model
        hub = self.ledger.holding(self.market.hub.address).stake
        assert self.ledger.supply() == self.supply
        assert sum(locked for _, locked in self.model.values()) == hub

    # --- how it is told
    def _leaves(self, deal: Deal, missing: set[int]) -> tuple[Leaf, ...]:
        done, leaves = 0, []
        for index in range(deal.terms.volume):
            done += index not in missing
            agreed = in_order(*self.market.roles.workers[:2])
            where = keccak(bytes([index]))
            leaves.append(Leaf(index, NO_RESULT, done, (), (), where) if index in missing else Leaf(index, DIGEST, done, agreed, (), where))
        return tuple(leaves)

    def _proof(self, deal: Deal, bag: Bag, proof: str) -> tuple[Callable[[], Any], str, int]:
        hub, words = self.market.hub, Words(self.market, deal.id)
        stranger, last = self.market.roles.stranger.address, len(bag.leaves) - 1
        worker: Signer = self.market.roles.workers[0]
        if proof == "omits a vote":
            said = words.said(0) if deal.fraud == proof or bag.leaves[0].agreed else keccak(b"never said")
            receipt = words.receipt(0, worker.address, said)
            if not bag.leaves[0].agreed and deal.fraud != proof:  # then there is no receipt of the scheduler's
                receipt = words.receipt(0, worker.address, said, by=worker)
            leaf = (bag.leaves[0].packed, bag.proof(0), worker.address, said, receipt)
            return lambda: hub.send("proveContradiction", bag.packed, *leaf, by=stranger), worker.address, 0
        if proof == "too little trust":
            return lambda: hub.send("proveLittleTrust", bag.packed, bag.leaves[0].packed, bag.proof(0), by=stranger), stranger, 0
        if proof == "too many results":
            before = (bag.leaves[last - 1].packed, bag.proof(last - 1)) if last else (NO_LEAF, [])
            leaf = (*before, bag.leaves[last].packed, bag.proof(last))
            return lambda: hub.send("proveWrongCount", bag.packed, *leaf, by=stranger), stranger, 0
        if proof == "no leaf":
            there = (0, bytes(32), bytes(32), 2**256 - 1, b"", b"")
            return lambda: hub.send("proveOmission", bag.packed, last, there, bag.proof(last), by=stranger), stranger, 0
        earned = dict(deal.earned)
        who = next(iter(earned), worker.address)
        amount = earned.get(who, 0)
        word = words.earned(who, amount)
        return lambda: hub.send("proveUnderpayment", bag.packed, bag.payouts, who, amount, word, by=stranger), who, 1

    def _deal(self, which: int) -> Deal | None:
        return self.deals[which % len(self.deals)] if self.deals else None

    def _refused(self, action: Callable[[], Any], reason: str = "") -> None:
        with pytest.raises(RevertedError) as caught:
            action()
        assert caught.value.reason
        assert reason in caught.value.reason

    def _lock(self, who: str, amount: int) -> None:
        self.model[who][0] -= amount
        self.model[who][1] += amount

    def _unlock(self, who: str, amount: int) -> None:
        self._lock(who, -amount)

    def _slashed(self, deal: Deal, winner: str, owed: int) -> None:
        assert deal.bag is not None
        scheduler, stake = self.market.roles.scheduler.address, deal.stake * deal.terms.volume
        if deal.bag.leaves:
            self._unlock(deal.sponsor, deal.cost * deal.terms.volume)
        reward = min(stake, max(stake // 10, owed))
        self.model[scheduler][1] -= stake
        self.model[winner][0] += reward
        self.model[KITTY][1] += stake - reward
        deal.status = "ended"

    def _settled(self, deal: Deal, bag: Bag) -> None:
        volume, roles = deal.terms.volume, self.market.roles
        if bag.leaves:
            self.model[deal.sponsor][1] -= deal.cost * volume
            self.model[deal.sponsor][0] += deal.cost * (volume - bag.done)
            self.model[roles.app_owner.address][0] += deal.terms.app_price * bag.done
            left = deal.terms.price * bag.done
            for place in range(0, len(bag.payouts), 36):
                worker = next(person for person in self.people if bytes.fromhex(person[2:]) == bag.payouts[place : place + 20])
                amount = int.from_bytes(bag.payouts[place + 20 : place + 36], "big")
                self.model[worker][0] += amount
                left -= amount
            self.model[roles.scheduler.address][0] += left
        cost = deal.stake * (volume - bag.done) * (bag.posted - deal.start) // FINAL_S
        self._unlock(roles.scheduler.address, deal.stake * volume)
        self.model[roles.scheduler.address][0] -= cost
        self.model[KITTY][1] += cost
        deal.status = "settled"

    def _claim(self, deal: Deal) -> None:
        self.market.hub.send("claimBag", deal.id, by=self.market.roles.stranger.address)
        self._unlock(deal.sponsor, deal.cost * deal.terms.volume)
        self.model[self.market.roles.scheduler.address][1] -= deal.stake * deal.terms.volume
        self.model[KITTY][1] += deal.stake * deal.terms.volume
        deal.status = "ended"

    def _end(self, deal: Deal) -> None:
        """Let everything run out, by strangers alone."""
        evm = self.market.evm
        if deal.status == "open":
            evm.warp(max(0, deal.start + FINAL_S - evm.time))
            self._claim(deal)
        elif deal.status == "posted" and deal.bag is not None:
            evm.warp(2 * WINDOW_S)
            open_demands = [index for index, (asker, _) in deal.demands.items() if asker]
            if open_demands:
                self.expire(self.deals.index(deal), open_demands[0])
            else:
                settle(self.market, deal.bag)
                self._settled(deal, deal.bag)
        for index, (asker, _) in deal.demands.items():
            if asker and deal.status == "ended":
                self.market.hub.send("releaseDemand", deal.id, index, by=self.market.roles.stranger.address)
                self._unlock(asker, deal.terms.price)


TestBags = pytest.mark.timeout(240)(BagMachine.TestCase)
TestBags.settings = settings(max_examples=examples(20), stateful_step_count=30, deadline=None)
