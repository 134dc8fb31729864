"""Steps with deals that keep no record of their replication (Boost), but for the two defects of the original (SPEC 15)."""

from __future__ import annotations

from typing import NamedTuple

from eth_hash.auto import keccak
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.support.evm import Receipt
from tests.support.orders import ZERO, as_tuple, task_id
from tests.support.pair_orders import NUMBERS, SEEDS, forge, plan_of, sign_orders, write_orders
from tests.support.pair_steps_tasks import FLAWS, RESULTS, TaskSteps
from tests.support.pair_world import DIGESTS_OF, Party


class BoostDeal(NamedTuple):
    """What a step has to know of a deal."""

    identity: bytes
    scheduler: Party
    deadline: int


class BoostSteps(TaskSteps):
    """Match, push, claim."""

    def __init__(self) -> None:
        super().__init__()
        self.boosts: list[BoostDeal] = []

    @rule(seed=SEEDS, who=NUMBERS, flaws=st.sampled_from([0, 0, 1, 2]), is_sponsored=st.booleans())
    def match_boost(self, seed: int, who: int, flaws: int, is_sponsored: bool) -> None:
        """Orders of any terms; a sponsor pays for its own requests alone, and no dataset has no price."""
        plan = plan_of(self.dice(seed), flaws=flaws)
        orders = write_orders(self.world, plan._replace(terms={**plan.terms, "trust": plan.terms["trust"] % 3}))
        if orders["DatasetOrder"]["dataset"] == ZERO:
            orders["DatasetOrder"]["datasetprice"] = 0
        arguments = [as_tuple(values) for values in sign_orders(self.world, orders, plan.signs).values()]
        by = orders["RequestOrder"]["requester"] if is_sponsored else self.person(who).address
        outcome = self.do("sponsorMatchOrdersBoost" if is_sponsored else "matchOrdersBoost", *arguments, by=by)
        if isinstance(outcome, Receipt):
            found = self.pair.ask("viewDealBoost", outcome.output)
            scheduler = next(party for party in self.world.people if party.address == found[4])
            self.boosts.append(BoostDeal(outcome.output, scheduler, found[9]))

    @rule(which=NUMBERS, index=st.sampled_from([0, 0, 0, 1, 2]), who=st.integers(0, 4), flaw=FLAWS, enclave=st.sampled_from([0, 0, 1, 2]))
    def push_boost(self, which: int, index: int, who: int, flaw: str, enclave: int) -> None:
        """A worker gives its result, rightly or not, once or again."""
        if not self.boosts:
            return
        deal, worker = self.boosts[which % len(self.boosts)], self.world.workers[who]
        task = task_id(deal.identity, index)
        results, value = RESULTS[which % len(RESULTS)], DIGESTS_OF[which % 3]
        has_callback = int(self.pair.ask("viewDealBoost", deal.identity)[8], 16) != 0
        party = (None, Party(self.roles.enclave.address, self.roles.enclave), self.world.wallet)[enclave]
        challenge = party.address if party else ZERO
        sealed = (
            party.key.sign_message(bytes.fromhex(worker.address[2:]), task, keccak(value if has_callback else results)) if party else b""
        )
        key = self.broker if self.broker and party else deal.scheduler.key
        packed = keccak(bytes.fromhex(worker.address[2:]) + task + bytes.fromhex(challenge[2:]))
        digest = keccak(b"\x19Ethereum Signed Message:\n32" + packed)
        word = forge(flaw if flaw in ("stranger", "empty", "compact", "zeros") else "right", digest, key)
        self.do("pushResultBoost", deal.identity, index, results, value, word, challenge, sealed, by=worker.address)
        self.pair.ask("viewTask", task)

    @rule(which=NUMBERS, index=st.integers(0, 3), who=NUMBERS, beside=st.sampled_from([-1, 0, 1]))
    def claim_boost(self, which: int, index: int, who: int, beside: int) -> None:
        """A task ends that nobody has settled: before, at and after its deadline."""
        if not self.boosts:
            return
        deal = self.boosts[which % len(self.boosts)]
        self._go_to(deal.deadline + beside)
        self.do("claimBoost", deal.identity, index, by=self.person(who).address)
        self.pair.ask("viewTask", task_id(deal.identity, index))
