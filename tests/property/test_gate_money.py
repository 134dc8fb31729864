"""
A gate against a naive model: who passes at every moment, who has paid whom, that nothing ever stays in the gate, and that nobody pays for
less time than they get, nor more than a nRLC per revocation for what they do not (SPEC 20.7). The dataset changes hands meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.contracts import Contract
from tests.support.evm import RevertedError
from tests.support.gates import GateTerms, deploy_gate
from tests.support.market import RLC, Market, open_market
from tests.support.nights import examples
from tests.support.quick_evm import QuickEvm
from voisin.protocol.ids import MAX_UINT256

PURSE = 50
PEOPLE = 3
WHO = st.integers(0, PEOPLE - 1)
OWNER, FORMER = PEOPLE, PEOPLE + 1
BY = st.just(OWNER) | st.integers(0, FORMER)
TIMES = st.integers(0, 40)

furnished = cache(lambda: open_market(QuickEvm()))


@dataclass
class Person:
    """
    What the model knows of somebody; times since the beginning [s]. What was bought is less what was given back [nRLC]; what was used is
    time that was paid and is over [s].
    """

    purse: int = PURSE
    grant: tuple[int, int] = (0, 0)
    paid: tuple[int, int] = (0, 0)
    periods: int = 0
    is_revoked: bool = False
    bought: int = 0
    used: int = 0
    revocations: int = 0


class Gates(RuleBasedStateMachine):
    """One gate, its owner and three people with little money."""

    market: Market
    gate: Contract

    @initialize(
        window=st.sampled_from([(0, 0), (10, 0), (0, 60), (10, 60)]),
        is_public=st.booleans(),
        price=st.integers(0, 7),
        period=st.integers(0, 12),
        renewals=st.integers(0, 2),
    )
    def deploy(self, window: tuple[int, int], is_public: bool, price: int, period: int, renewals: int) -> None:
        """Deploy a gate, and give everybody money that the gate may take."""
        self.market = furnished()
        self.mark = self.market.evm.mark()
        self.start = self.market.evm.time
        begins, ends = (at + self.start if at else 0 for at in window)
        self.window = window[0], window[1] or MAX_UINT256
        self.terms = GateTerms(begins, ends, is_public, price, 0 if is_public else period, renewals)
        self.gate = deploy_gate(self.market, self.terms)
        self.people = [Person() for _ in range(PEOPLE + 2)]
        roles, self.is_selling, self.seen = self.market.roles, self.terms.period != 0, self.now
        self.names = [*(worker.address for worker in roles.workers[:PEOPLE]), roles.dataset_owner.address, roles.stranger.address]
        for name in self.names:
            self.market.token.send("burn", self.market.token.read("balanceOf", name), by=name)
            self.market.token.send("transfer", name, PURSE, by=self.market.roles.owner.address)
            self.market.token.send("approve", self.gate.address, 1_000 * RLC, by=name)

    def teardown(self) -> None:
        """Put the market back."""
        if hasattr(self, "mark"):
            self.market.evm.rewind(self.mark)

    @property
    def now(self) -> int:
        """Time since the beginning [s]."""
        return self.market.evm.time - self.start

    def try_send(self, is_allowed: bool, *call: object, by: int, is_paid_along: bool = False, amount: int = 0, data: bytes = b"") -> None:
        """Send, or have the token call with an approval, and see that what should fail fails."""
        try:
            if is_paid_along:
                self.market.token.send("approveAndCall", self.gate.address, amount, data, by=self.names[by])
            else:
                self.gate.send(*call, by=self.names[by])  # type: ignore[arg-type]
        except RevertedError:
            assert not is_allowed, call
        else:
            assert is_allowed, call
        if is_paid_along:
            self.market.token.send("approve", self.gate.address, 1_000 * RLC, by=self.names[by])
        self.settle()

    def settle(self) -> None:
        """Count the time that is over."""
        for person in self.people:
            begins, ends = person.paid
            person.used += max(0, min(self.now, ends) - max(self.seen, begins))
        self.seen = self.now

    @rule(seconds=st.integers(1, 15))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.market.evm.warp(seconds)
        self.settle()

    @rule()
    def transfer(self) -> None:
        """The dataset changes hands, and the gate with it: who owned it is anybody, and who owns it owes what is not used."""
        owner, heir = self.names[OWNER], self.names[FORMER]
        self.market.dataset_registry.send("transferFrom", owner, heir, int(self.market.dataset, 16), by=owner)
        self.settle()
        self.names[OWNER], self.names[FORMER] = heir, owner
        self.people[OWNER], self.people[FORMER] = self.people[FORMER], self.people[OWNER]

    @rule(who=WHO, begins=TIMES, ends=TIMES, by=BY)
    def grant(self, who: int, begins: int, ends: int, by: int) -> None:
        """The owner, or somebody else, grants."""
        until = self.start + ends if ends else 0
        is_allowed = by == OWNER and (not ends or begins < ends)
        self.try_send(is_allowed, "grant", self.names[who], self.start + begins, until, by=by)
        if is_allowed:
            self.people[who].grant, self.people[who].is_revoked = (begins, ends or MAX_UINT256), False

    @rule(who=WHO, by=BY, is_paid_along=st.booleans(), less=st.integers(0, 1))
    def revoke(self, who: int, by: int, is_paid_along: bool, less: int) -> None:
        """The owner, or somebody else, revokes, with an allowance or one along with it; the refund is counted second by second."""
        person, payer = self.people[who], self.people[by]
        unused = sum(1 for second in range(*person.paid) if second >= self.now)
        refund = self.terms.price * unused // self.terms.period if unused else 0
        assert self.gate.read("refundOf", self.names[who]) == refund
        amount = max(0, refund - less)
        is_allowed = by == OWNER and refund <= payer.purse and not (is_paid_along and amount < refund)
        account = bytes.fromhex(self.names[who][2:]).rjust(32, b"\0")
        self.try_send(is_allowed, "revoke", self.names[who], by=by, is_paid_along=is_paid_along, amount=amount, data=account)
        if is_allowed:
            payer.purse, person.purse = payer.purse - refund, person.purse + refund
            person.grant, person.paid, person.periods, person.is_revoked = (0, 0), (0, 0), 0, True
            person.bought, person.revocations = person.bought - refund, person.revocations + 1

    @rule(by=BY)
    def revoke_all(self, by: int) -> None:
        """The owner, or somebody else, voids all grants."""
        self.try_send(by == OWNER, "revokeAll", by=by)
        if by == OWNER:
            self.is_selling = False
            for person in self.people:
                person.grant = (0, 0)

    @rule(is_selling=st.booleans(), by=BY)
    def sell(self, is_selling: bool, by: int) -> None:
        """The owner, or somebody else, opens or closes the sale."""
        is_allowed = by == OWNER and self.terms.period != 0
        self.try_send(is_allowed, "setSelling", is_selling, by=by)
        if is_allowed:
            self.is_selling = is_selling

    @rule(who=WHO, periods=st.integers(0, 3), is_paid_along=st.booleans(), more=st.sampled_from([0, 0, 0, 1]))
    def subscribe(self, who: int, periods: int, is_paid_along: bool, more: int) -> None:
        """Somebody buys time, with an allowance or one along with it, which has to be a number of prices."""
        person, terms, owner = self.people[who], self.terms, self.people[OWNER]
        amount = periods * terms.price + more
        is_even = terms.price != 0 and amount % terms.price == 0
        if is_paid_along and is_even:
            periods = amount // terms.price
        fresh = max(self.now, self.window[0])
        begins, ends = person.paid if person.paid[1] > self.now else (fresh, fresh)
        ends += periods * terms.period
        cost = periods * terms.price
        may_renew = not terms.renewals or person.periods + periods <= terms.renewals + 1
        is_sold = terms.period != 0 and self.is_selling and not person.is_revoked and periods > 0 and (is_even or not is_paid_along)
        is_allowed = is_sold and may_renew and ends <= self.window[1] and cost <= person.purse
        self.try_send(is_allowed, "subscribe", periods, by=who, is_paid_along=is_paid_along, amount=amount)
        if is_allowed:
            person.paid, person.periods, person.bought = (begins, ends), person.periods + periods, person.bought + cost
            person.purse, owner.purse = person.purse - cost, owner.purse + cost

    @invariant()
    def who_passes(self) -> None:
        """Everybody passes exactly when the model says so."""
        if not hasattr(self, "people"):
            return
        is_open = self.window[0] <= self.now < self.window[1]
        for name, person in zip(self.names, self.people, strict=True):
            lets_in = self.terms.is_public or any(begins <= self.now < ends for begins, ends in (person.grant, person.paid))
            assert self.gate.read("isMember", name) == (is_open and lets_in and not person.is_revoked)

    @invariant()
    def who_has_the_money(self) -> None:
        """Nothing is in the gate, and all is where the model has it."""
        if not hasattr(self, "people"):
            return
        held = [self.market.token.read("balanceOf", name) for name in (self.gate.address, *self.names)]
        assert held == [0, *(person.purse for person in self.people)]
        assert sum(held) == (PEOPLE + 2) * PURSE

    @invariant()
    def everybody_paid_for_what_they_used(self) -> None:
        """At least for that, and at most for that and what is left, but for what rounding keeps at a revocation."""
        if not hasattr(self, "people") or not self.terms.period:
            return
        for person in self.people:
            left = max(0, person.paid[1] - max(self.now, person.paid[0]))
            price, period = self.terms.price, self.terms.period
            assert price * person.used <= period * person.bought
            assert period * person.bought <= price * (person.used + left) + period * person.revocations


TestGates = Gates.TestCase
TestGates.settings = settings(max_examples=examples(15), stateful_step_count=25, deadline=None)
