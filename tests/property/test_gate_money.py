"""A gate against a naive model: who passes at every moment, who has paid whom, and that nothing ever stays in the gate (SPEC 20.7)."""

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
TIMES = st.integers(0, 40)

furnished = cache(lambda: open_market(QuickEvm()))


@dataclass
class Person:
    """What the model knows of somebody; times since the beginning [s]."""

    purse: int = PURSE
    grant: tuple[int, int] = (0, 0)
    paid: tuple[int, int] = (0, 0)
    periods: int = 0
    is_revoked: bool = False


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
        self.people = [Person() for _ in range(PEOPLE)]
        self.owner, self.purse, self.is_selling = self.market.roles.dataset_owner.address, PURSE, self.terms.period != 0
        self.names = [worker.address for worker in self.market.roles.workers[:PEOPLE]]
        for name in (self.owner, *self.names):
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

    def try_send(self, is_allowed: bool, *call: object, by: str) -> None:
        """Send, and see that what should fail fails."""
        try:
            self.gate.send(*call, by=by)  # type: ignore[arg-type]
        except RevertedError:
            assert not is_allowed, call
        else:
            assert is_allowed, call

    @rule(seconds=st.integers(1, 15))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.market.evm.warp(seconds)

    @rule(who=WHO, begins=TIMES, ends=TIMES, by=st.none() | WHO)
    def grant(self, who: int, begins: int, ends: int, by: int | None) -> None:
        """The owner, or somebody else, grants."""
        until = self.start + ends if ends else 0
        is_allowed = by is None and (not ends or begins < ends)
        self.try_send(is_allowed, "grant", self.names[who], self.start + begins, until, by=self._name(by))
        if is_allowed:
            self.people[who].grant, self.people[who].is_revoked = (begins, ends or MAX_UINT256), False

    @rule(who=WHO, by=st.none() | WHO)
    def revoke(self, who: int, by: int | None) -> None:
        """The owner, or somebody else, revokes; the refund is counted second by second."""
        person = self.people[who]
        unused = sum(1 for second in range(*person.paid) if second >= self.now)
        refund = self.terms.price * unused // self.terms.period if unused else 0
        is_allowed = by is None and refund <= self.purse
        self.try_send(is_allowed, "revoke", self.names[who], by=self._name(by))
        if is_allowed:
            self.purse, person.purse = self.purse - refund, person.purse + refund
            person.grant, person.paid, person.periods, person.is_revoked = (0, 0), (0, 0), 0, True

    @rule(by=st.none() | WHO)
    def revoke_all(self, by: int | None) -> None:
        """The owner, or somebody else, voids all grants."""
        self.try_send(by is None, "revokeAll", by=self._name(by))
        if by is None:
            self.is_selling = False
            for person in self.people:
                person.grant = (0, 0)

    @rule(is_selling=st.booleans(), by=st.none() | WHO)
    def sell(self, is_selling: bool, by: int | None) -> None:
        """The owner, or somebody else, opens or closes the sale."""
        is_allowed = by is None and self.terms.period != 0
        self.try_send(is_allowed, "setSelling", is_selling, by=self._name(by))
        if is_allowed:
            self.is_selling = is_selling

    @rule(who=WHO, periods=st.integers(0, 3))
    def subscribe(self, who: int, periods: int) -> None:
        """Somebody buys time."""
        person, terms = self.people[who], self.terms
        fresh = max(self.now, self.window[0])
        begins, ends = person.paid if person.paid[1] > self.now else (fresh, fresh)
        ends += periods * terms.period
        cost = periods * terms.price
        may_renew = not terms.renewals or person.periods + periods <= terms.renewals + 1
        is_sold = terms.period != 0 and self.is_selling and not person.is_revoked and periods > 0
        is_allowed = is_sold and may_renew and ends <= self.window[1] and cost <= person.purse
        self.try_send(is_allowed, "subscribe", periods, by=self.names[who])
        if is_allowed:
            person.paid, person.periods = (begins, ends), person.periods + periods
            person.purse, self.purse = person.purse - cost, self.purse + cost

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
        held = [self.market.token.read("balanceOf", name) for name in (self.gate.address, self.owner, *self.names)]
        assert held == [0, self.purse, *(person.purse for person in self.people)]

    def _name(self, who: int | None) -> str:
        return self.owner if who is None else self.names[who]


TestGates = Gates.TestCase
TestGates.settings = settings(max_examples=examples(30), stateful_step_count=25, deadline=None)
