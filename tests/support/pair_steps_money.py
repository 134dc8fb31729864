"""Steps with money: in, out and between accounts, through every function, with amounts that are there and that are not."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.support.compiled import deploy_double, encode_call
from tests.support.market import RLC
from tests.support.pair_machine import PairMachine
from tests.support.pair_orders import NUMBERS

AMOUNTS: Final = st.one_of(
    st.sampled_from([0, 1, RLC, 7 * RLC, 40 * RLC, 2000 * RLC, 87_000_000 * RLC, 2**128 - 1, 2**128, 2**255, 2**256 - 1]),
    st.just("all"),
    st.just("more than all"),
)
Amount = int | str
MAX: Final = 2**256 - 1


class MoneySteps(PairMachine):
    """What everybody does with money."""

    @rule(step=st.sampled_from(["deposit", "withdraw"]), who=NUMBERS, amount=AMOUNTS)
    def own(self, step: str, who: int, amount: Amount) -> None:
        """Money comes into one's own account, or goes out of it."""
        person = self.person(who).address
        self.do(step, self._amount(amount, person), by=person)

    @rule(step=st.sampled_from(["depositFor", "withdrawTo"]), who=NUMBERS, to=NUMBERS, amount=AMOUNTS)
    def to_another(self, step: str, who: int, to: int, amount: Amount) -> None:
        """The same for somebody else."""
        person = self.person(who).address
        self.do(step, self._amount(amount, person), self._target(to), by=person)

    @rule(who=NUMBERS, parts=st.lists(st.tuples(st.sampled_from([0, 1, RLC, 30 * RLC]), NUMBERS), max_size=4), more=st.booleans())
    def deposit_for_many(self, who: int, parts: list[tuple[int, int]], more: bool) -> None:
        """Several at once, all or none; lists of unequal length are refused."""
        targets = [self._target(to) for _, to in parts]
        amounts = [amount for amount, _ in parts] + [0] * (more and who % 3 == 0)
        self.do("depositForArray", amounts, targets, by=self.person(who).address)

    @rule(who=NUMBERS, to=NUMBERS, amount=AMOUNTS)
    def transfer(self, who: int, to: int, amount: Amount) -> None:
        """Stake changes hands; now and then it is given to the hub itself, or to nobody."""
        person = self.person(who).address
        self.do("transfer", self._target(to), self._amount(amount, person), by=person)

    @rule(step=st.sampled_from(["approve", "increaseAllowance", "decreaseAllowance"]), who=NUMBERS, whom=NUMBERS, amount=AMOUNTS)
    def allow(self, step: str, who: int, whom: int, amount: Amount) -> None:
        """Somebody may take another's stake, or no longer."""
        person, spender = self.person(who).address, self._target(whom)
        self.do(step, spender, self._amount(amount, person), by=person)
        self.allowances.add((person, spender))
        self.pair.ask("allowance", person, spender)

    @rule(who=NUMBERS, whose=NUMBERS, to=NUMBERS, amount=AMOUNTS)
    def take(self, who: int, whose: int, to: int, amount: Amount) -> None:
        """Somebody takes what it was allowed, or more."""
        spender, owner = self.person(who).address, self.person(whose).address
        if self.allowances and who % 4:
            owner, spender = sorted(self.allowances)[whose % len(self.allowances)]
        self.do("transferFrom", owner, self._target(to), self._amount(amount, owner), by=spender)
        self.allowances.add((owner, spender))

    @rule(who=NUMBERS, what=st.sampled_from(["yes", "no", "Mute", "person"]), amount=AMOUNTS, data=st.binary(max_size=40))
    def approve_and_call(self, who: int, what: str, amount: Amount, data: bytes) -> None:
        """A contract is told of what it may take; it likes that or not, or is no contract."""
        person = self.person(who).address
        spender = self._target(who)
        if what in ("yes", "no"):
            spender = deploy_double(self.market.evm, "Spender", person)
            self.pair.send(person, spender, encode_call("setAnswer(bool)", what == "yes"), name="setAnswer")
        elif what == "Mute":
            spender = self.world.odd[-4]
        self.do("approveAndCall", spender, self._amount(amount, person), data, by=person)
        self.allowances.add((person, spender))

    @rule(who=NUMBERS, amount=AMOUNTS, is_hub=st.sampled_from([True, True, False]))
    def deposit_in_one_step(self, who: int, amount: Amount, is_hub: bool) -> None:
        """The token's own `approveAndCall`."""
        person = self.person(who).address
        target = self.market.hub.address if is_hub else self._target(who)
        self.pair.do("approveAndCall", target, self._amount(amount, person), b"", by=person, contract=self.market.token)

    @rule(who=NUMBERS, whose=NUMBERS, amount=AMOUNTS, is_token=st.sampled_from([True, True, False]))
    def receive_approval(self, who: int, whose: int, amount: Amount, is_token: bool) -> None:
        """Anybody may turn what somebody has allowed the hub into a deposit of that somebody."""
        owner = self.person(whose).address
        token = self.market.token.address if is_token else self._target(who)
        self.do("receiveApproval", owner, self._amount(amount, owner), token, b"", by=self.person(who).address)

    @rule(who=NUMBERS, to=NUMBERS, amount=AMOUNTS, step=st.sampled_from(["transfer", "transfer", "approve", "burn"]))
    def token(self, who: int, to: int, amount: Amount, step: str) -> None:
        """RLC moves outside of the hub, also to the hub without a deposit."""
        person = self.person(who).address
        target = self.market.hub.address if to % 3 == 0 and step == "transfer" else self._target(to)
        number = self._amount(amount, person, is_outside=True)
        arguments = (number,) if step == "burn" else (target, number)
        self.pair.do(step, *arguments, by=person, contract=self.market.token)
        if step == "transfer":  # what came without a deposit is booked by the owner, and by nobody else
            self.do("recover", by=self.roles.owner.address if who % 4 else person)

    def _target(self, number: int) -> str:
        targets = [*(party.address for party in self.world.people), *self.world.odd, *self.world.pools, self.market.hub.address]
        return targets[number % len(targets)]

    def _amount(self, amount: Amount, owner: str, *, is_outside: bool = False) -> int:
        if isinstance(amount, int):
            return amount
        holding = self.pair.ledgers[0].holding(owner)
        return min((holding.outside if is_outside else holding.stake) + (amount != "all"), MAX)
