"""
Random sequences of valid and invalid calls: our hub does, says, keeps and pays what the original does.

Where it does not on purpose, `contracts/differences.json` says so. `make test` tries 200 sequences of calls of the hubs and 15 of the
registries, `make night` 4,000 and 300.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, run_state_machine_as_test

from tests.support.nights import examples
from tests.support.npm import requires_npm
from tests.support.original import PACKAGES
from tests.support.pair_entries import EntriesMachine
from tests.support.pair_machine import the_world
from tests.support.pair_orders import NUMBERS, SEEDS
from tests.support.pair_steps_boost import BoostSteps
from tests.support.pair_steps_money import MoneySteps
from tests.support.pair_steps_orders import OrderSteps
from tests.support.pair_steps_owner import OwnerSteps
from tests.support.pair_steps_tasks import TaskSteps

STEPS = 12
LIFE = {
    "which": NUMBERS,
    "count": st.integers(1, 4),
    "wrong": st.integers(0, 15),
    "missing": st.integers(0, 15),
    "ending": st.integers(0, 5),
}


class Trade(OrderSteps, MoneySteps):
    """Orders and money."""


class Work(TaskSteps):
    """The lives of tasks, of which every sequence has at least one."""

    @initialize(**LIFE)
    def first_life(self, which: int, count: int, wrong: int, missing: int, ending: int) -> None:
        """Single steps seldom meet on one task."""
        self.live(which=which, count=count, wrong=wrong, missing=missing, ending=ending)


class Everything(OrderSteps, BoostSteps, MoneySteps, OwnerSteps):
    """All calls there are."""


class Boost(BoostSteps):
    """Deals without a record of their replication; each sequence has one at least, and now and then a task that nobody settles."""

    @initialize(seed=SEEDS, is_late=st.integers(0, 3))
    def first_match(self, seed: int, is_late: int) -> None:
        """Something to push results to, or to claim."""
        self.match_boost(seed=seed, who=0, flaws=0, is_sponsored=False)
        if is_late == 0:
            self.claim_boost(which=0, index=0, who=0, beside=1)


MACHINES = [
    pytest.param(Trade, 56, ("matchOrders", "sponsorMatchOrders"), id="trade"),
    pytest.param(Work, 56, ("initialize", "contribute", "reveal", "finalize", "claim"), id="work"),
    pytest.param(Boost, 32, ("matchOrdersBoost", "pushResultBoost", "claimBoost"), id="boost"),
    pytest.param(Everything, 56, (), id="everything"),
]


def _run(machine: type[RuleBasedStateMachine], sequences: int) -> None:
    requires_npm(*PACKAGES)
    chosen = settings(max_examples=examples(sequences), stateful_step_count=STEPS, deadline=None)
    run_state_machine_as_test(machine, settings=chosen)  # type: ignore[no-untyped-call]


@pytest.mark.timeout(0)
@pytest.mark.parametrize(("machine", "sequences", "done"), MACHINES)
def test_hubs(machine: type[RuleBasedStateMachine], sequences: int, done: tuple[str, ...]) -> None:
    """Both hubs in step; what the machine is about must have been done, else little was compared."""
    requires_npm(*PACKAGES)
    outcomes = the_world().pair.outcomes
    outcomes.clear()
    _run(machine, sequences)
    assert all(outcomes[function, True] for function in done), outcomes


@pytest.mark.timeout(0)
def test_registries() -> None:
    """Entries, their tokens, their owners."""
    _run(EntriesMachine, 15)


def test_names_and_numbers_of_the_protocol() -> None:
    """What never changes."""
    requires_npm(*PACKAGES)
    for view in (
        *("name", "symbol", "decimals", "domain", "owner", "kitty_address", "kitty_min", "kitty_ratio", "groupmember_purpose"),
        *("contribution_deadline_ratio", "reveal_deadline_ratio", "final_deadline_ratio", "workerpool_stake_ratio", "datasetregistry"),
    ):
        the_world().pair.ask(view)
