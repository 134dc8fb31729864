"""Steps with orders: match them in every way, sign, close and broadcast them, ask whether they would do."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.support.evm import Receipt
from tests.support.orders import CLOSE, SIGN, ZERO, as_tuple, operation_hash, order_hash
from tests.support.pair_machine import PairMachine
from tests.support.pair_orders import ANY_SIGN, KINDS, NUMBERS, SEEDS, SUBJECT, Plan, forge, plan_of, sign_orders, write_orders

OPERATIONS = st.sampled_from([SIGN, SIGN, CLOSE, 2])


class OrderSteps(PairMachine):
    """What requesters, owners and brokers do."""

    @rule(seed=SEEDS, who=NUMBERS, is_sponsored=st.booleans())
    def match(self, seed: int, who: int, is_sponsored: bool) -> None:
        """Orders of any terms, faults and signatures."""
        for flaws in (1, 1, 3):
            self._match_plan(plan_of(self.dice(seed), flaws=flaws), who, is_sponsored)

    @rule(seed=SEEDS, who=NUMBERS, is_sponsored=st.booleans())
    def match_well(self, seed: int, who: int, is_sponsored: bool) -> None:
        """Orders that fit each other, several times, so that sequences have something to go on with."""
        for _ in range(3):
            self._match_plan(plan_of(self.dice(seed)), who, is_sponsored)

    @rule(seed=SEEDS, who=NUMBERS)
    def match_in_parts(self, seed: int, who: int) -> None:
        """One request for more than the others offer: it becomes several deals, each with the next tasks."""
        orders = write_orders(self.world, plan_of(self.dice(seed)))
        orders["RequestOrder"]["volume"] += 2
        for _ in range(2):
            for kind in KINDS[:3]:
                orders[kind] = {**orders[kind], "salt": self.world.fresh_salt()}
            if orders["DatasetOrder"]["dataset"] == ZERO:
                orders["DatasetOrder"]["salt"] = bytes(32)
            self._match(sign_orders(self.world, orders, ("right",) * 4), self.person(who).address, is_sponsored=False)

    def _match_plan(self, plan: Plan, who: int, is_sponsored: bool) -> None:
        orders = sign_orders(self.world, write_orders(self.world, plan), plan.signs)
        self.seen_orders.append(orders)
        self._match(orders, self.person(who).address, is_sponsored)

    @rule(first=NUMBERS, second=NUMBERS, kind=st.sampled_from(KINDS), is_sponsored=st.booleans())
    def match_again(self, first: int, second: int, kind: str, is_sponsored: bool) -> None:
        """Orders that were there before: partly used up, closed, or one of another set."""
        if not self.seen_orders:
            return
        orders = dict(self.seen_orders[first % len(self.seen_orders)])
        orders[kind] = self.seen_orders[second % len(self.seen_orders)][kind]
        self._match(orders, self.person(first).address, is_sponsored)

    def _match(self, orders: dict[str, dict[str, Any]], by: str, is_sponsored: bool) -> None:
        hub, arguments = self.market.hub.address, [as_tuple(values) for values in orders.values()]
        self.pair.ask("computeDealVolume", *arguments)
        outcome = self.do("sponsorMatchOrders" if is_sponsored else "matchOrders", *arguments, by=by)
        self.hashes |= {order_hash(kind, values, hub) for kind, values in orders.items()}
        if isinstance(outcome, Receipt):
            self.world.note_deal(outcome.output)

    @rule(seed=SEEDS, which=NUMBERS, kind=st.sampled_from(KINDS), operation=OPERATIONS, sign=ANY_SIGN, who=NUMBERS)
    def manage(self, seed: int, which: int, kind: str, operation: int, sign: str, who: int) -> None:
        """Sign or close an order, as its owner, with its owner's word, or without any right."""
        orders = write_orders(self.world, plan_of(self.dice(seed), flaws=1))
        if self.seen_orders and which % 2:
            orders = self.seen_orders[which % len(self.seen_orders)]
        values = orders[kind]
        owner = self.world.owner_of(values[SUBJECT[kind]])
        by = owner.address if who % 3 == 0 else self.person(who).address
        word = forge("right" if sign == "presigned" else sign, operation_hash(kind, values, operation, self.market.hub.address), owner.key)
        self.do(f"manage{kind}", (as_tuple(values), operation, word), by=by)
        digest = order_hash(kind, values, self.market.hub.address)
        self.hashes.add(digest)
        for view in ("verifyPresignature", "viewPresigned", "viewConsumed"):
            self.pair.ask(view, *((owner.address, digest) if view == "verifyPresignature" else (digest,)))
        if all(values is not seen[kind] for seen in self.seen_orders):
            self.seen_orders.append({name: {**found, "sign": b""} for name, found in orders.items()})

    @rule(seed=SEEDS, kind=st.sampled_from(KINDS), who=NUMBERS)
    def broadcast(self, seed: int, kind: str, who: int) -> None:
        """Show an order, whatever it says."""
        values = write_orders(self.world, plan_of(self.dice(seed), flaws=1))[kind]
        self.do(f"broadcast{kind}", as_tuple({**values, "sign": bytes(who % 66)}), by=self.person(who).address)

    @rule(sign=ANY_SIGN, who=NUMBERS, whom=NUMBERS, digest=st.binary(min_size=32, max_size=32))
    def verify(self, sign: str, who: int, whom: int, digest: bytes) -> None:
        """Ask whose signature it is."""
        word = forge("right" if sign == "presigned" else sign, digest, self.person(who).key)
        addresses = [self.person(who).address, *self.world.odd]
        for view in ("verifySignature", "verifyPresignatureOrSignature"):
            self.pair.ask(view, addresses[whom % len(addresses)], digest, word)

    @rule(seed=SEEDS, which=NUMBERS, sign=ANY_SIGN)
    def check_dataset(self, seed: int, which: int, sign: str) -> None:
        """Ask whether a dataset may be opened by a deal that was made without."""
        plan = plan_of(self.dice(seed))
        terms = {"dataset": 0, **plan.terms}
        orders = sign_orders(self.world, write_orders(self.world, plan._replace(terms=terms)), ("right", sign, "right", "right"))
        deal = self.world.deals[which % len(self.world.deals)].identity if which % 9 else bytes(32)
        self.pair.ask("assertDatasetDealCompatibility", as_tuple(orders["DatasetOrder"]), deal)
