"""Each condition of use, kept, broken and judged without its fact; written by hand, row by row."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voisin.protocol.data_terms import DataTerms, EnclaveLevel, Privacy, Subscription
from voisin.protocol.data_use import BEFORE_BUYING, BEFORE_RELEASE, INSIDE, Condition, Use, broken_conditions, level_of, memberships
from voisin.protocol.evidence import IntelQuote, SimulatedEvidence
from voisin.protocol.ids import Address, Hash32
from voisin.units import NRLC, UnixSeconds

DATASET, RENTER, POOL, GROUP, GATE, OTHER = (Address("0x" + f"{number}" * 40) for number in (1, 2, 3, 4, 5, 6))
CODE, ALIEN = Hash32("0x" + "aa" * 32), Hash32("0x" + "bb" * 32)
TERMS = DataTerms(
    dataset=DATASET,
    not_before=UnixSeconds(1_000),
    until=UnixSeconds(2_000),
    uses=10,
    uses_per_renter=3,
    apps=(CODE,),
    pools=(POOL,),
    requesters=(RENTER, GROUP),
    gate=GATE,
    purposes=("research",),
    max_output_bytes=100,
    privacy=Privacy(query_micro=400_000, renter_micro=1_000_000),
)
ALLOWED = Use(
    dataset=DATASET,
    at=UnixSeconds(1_000),
    app=CODE,
    pool=POOL,
    requester=RENTER,
    members=frozenset({(GATE, RENTER)}),
    purpose="research",
    enclave=EnclaveLevel.HARDWARE,
    has_network=False,
    number=9,
    number_of_renter=2,
    privacy_spent_micro=600_000,
    output_bytes=100,
)
BROKEN: dict[Condition, list[dict[str, object]]] = {
    Condition.DATASET: [{"dataset": OTHER}, {"dataset": None}],
    Condition.NOT_BEFORE: [{"at": 999}],
    Condition.UNTIL: [{"at": 2_000}, {"at": 3_000}],
    Condition.APPS: [{"app": ALIEN}, {"app": None}],
    Condition.POOLS: [{"pool": OTHER}, {"pool": None}],
    Condition.REQUESTERS: [{"requester": OTHER, "members": frozenset({(GATE, OTHER)})}],
    Condition.GATE: [{"members": frozenset()}, {"members": frozenset({(GATE, OTHER), (GROUP, RENTER)})}],
    Condition.PURPOSES: [{"purpose": ""}, {"purpose": "Research"}, {"purpose": None}],
    Condition.ENCLAVE: [{"enclave": EnclaveLevel.SIMULATED}, {"enclave": None}],
    Condition.NETWORK: [{"has_network": True}, {"has_network": None}],
    Condition.USES: [{"number": 10}, {"number": 11}, {"number": None}],
    Condition.USES_PER_RENTER: [{"number_of_renter": 3}, {"number_of_renter": None}],
    Condition.PRIVACY: [{"privacy_spent_micro": 600_001}, {"privacy_spent_micro": None}],
    Condition.OUTPUT: [{"output_bytes": 101}, {"output_bytes": None}],
}


def test_a_use_that_keeps_all_conditions_breaks_none() -> None:
    assert broken_conditions(TERMS, ALLOWED) == ()
    assert broken_conditions(TERMS, replace(ALLOWED, at=UnixSeconds(1_999), number=0)) == ()


def test_every_condition_has_rows() -> None:
    assert set(BROKEN) == set(Condition)


@pytest.mark.parametrize(("condition", "change"), [(name, change) for name, rows in BROKEN.items() for change in rows])
def test_each_condition_is_broken_alone(condition: Condition, change: dict[str, object]) -> None:
    found = broken_conditions(TERMS, replace(ALLOWED, **change))  # type: ignore[arg-type]
    assert [broken.condition for broken in found] == [condition]
    assert found[0].reason
    assert broken_conditions(TERMS, replace(ALLOWED, **change), judged=set(Condition) - {condition}) == ()  # type: ignore[arg-type]


def test_terms_without_conditions_let_pass_what_is_about_their_dataset_in_a_good_enclave() -> None:
    open_use = Use(dataset=DATASET, enclave=EnclaveLevel.HARDWARE, has_network=False)
    assert broken_conditions(DataTerms(dataset=DATASET), open_use) == ()
    relaxed = DataTerms(dataset=DATASET, min_enclave=EnclaveLevel.SIMULATED, allow_network=True)
    assert broken_conditions(relaxed, Use(dataset=DATASET, enclave=EnclaveLevel.SIMULATED)) == ()


def test_what_is_not_known_is_broken() -> None:
    names = [broken.condition for broken in broken_conditions(TERMS, Use())]
    assert names == list(Condition)


def test_members_of_a_group_are_let_in() -> None:
    by_group = replace(ALLOWED, requester=OTHER, members=frozenset({(GATE, OTHER), (GROUP, OTHER)}))
    assert broken_conditions(TERMS, by_group) == ()
    pooled = replace(ALLOWED, pool=OTHER, members=frozenset({(GATE, RENTER), (POOL, OTHER)}))
    assert broken_conditions(TERMS, pooled) == ()


def test_the_chain_is_asked_about_every_group_that_could_let_in() -> None:
    assert set(memberships(TERMS, pool=OTHER, requester=RENTER)) == {(POOL, OTHER), (GROUP, RENTER), (GATE, RENTER)}
    assert memberships(DataTerms(dataset=DATASET), pool=POOL, requester=RENTER) == ()


def test_a_gate_that_sells_says_so() -> None:
    terms = DataTerms(dataset=DATASET, gate=GATE, subscription=Subscription(price=NRLC(1), period_s=60))
    (broken,) = broken_conditions(terms, replace(ALLOWED, members=frozenset()))
    assert "paid period" in broken.reason


def test_what_evidence_is_worth() -> None:
    assert level_of(SimulatedEvidence()) is EnclaveLevel.SIMULATED
    assert level_of(IntelQuote(b"")) is EnclaveLevel.HARDWARE


def test_each_condition_is_somebodys_to_judge() -> None:
    assert BEFORE_RELEASE | INSIDE | {Condition.OUTPUT} == set(Condition)
    assert BEFORE_BUYING < BEFORE_RELEASE
