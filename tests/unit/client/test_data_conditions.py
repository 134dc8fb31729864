"""Conditions of use: what owners may write, and where each ends up: in the order, at a gate, in the terms."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from voisin.chain.gates import GateTerms
from voisin.client.data.conditions import Conditions, DataConditions, read_conditions, read_size, read_time
from voisin.client.data.offering import AllowedApp, GatePlan, Gates, make_order, make_terms, plan_gate, plan_roster, require_gate
from voisin.errors import InputError, StateError
from voisin.protocol.data_terms import DataTerms, EnclaveLevel, Privacy, Review, Subscription, require_commitment
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32
from voisin.protocol.release_rules import FileRule, ReleaseRule
from voisin.protocol.tags import tag_names
from voisin.units import NRLC, UnixSeconds

NOW = UnixSeconds(1_800_000_000)
DATASET, TOKEN, GATE, ROSTER, ONE, TWO = (Address("0x" + f"{number}" * 40) for number in range(1, 7))
APPS = (AllowedApp(Hash32("0x" + "aa" * 32), ONE), AllowedApp(Hash32("0x" + "bb" * 32), TWO))
CODE = AllowedApp(Hash32("0x" + "cc" * 32), None)
RULE = ReleaseRule(files=(FileRule(path="count.txt", max_bytes=10),))
NONCE = Hash32("0x" + "09" * 32)


def read(**given: object) -> Conditions:
    return read_conditions(cast(DataConditions, given), now=NOW)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (5, 5),
        ("2026-12-31", 1_798_675_200),
        ("2026-12-31T12:00", 1_798_718_400),
        ("2026-12-31T12:00+02:00", 1_798_711_200),
        ("30d", NOW + 2_592_000),
        ("12 h", NOW + 43_200),
        ("1min", NOW + 60),
        (datetime(2026, 12, 31, tzinfo=UTC), 1_798_675_200),
    ],
    ids=str,
)
def test_times(given: int | str | datetime, expected: int) -> None:
    assert read_time(given, NOW) == expected


@pytest.mark.parametrize("given", ["", "soon", "30", "2026-13-01", 0, -1, datetime(2026, 12, 31)], ids=str)  # noqa: DTZ001  without zone on purpose
def test_what_is_no_time(given: int | str | datetime) -> None:
    with pytest.raises(InputError):
        read_time(given, NOW)


def test_vaults_that_keep_the_key_together() -> None:
    asked = read(vaults=["http://one.example/", "https://two.example"])
    assert asked.vaults == ("http://one.example", "https://two.example")
    assert [asked.threshold(count) for count in (0, 2, 3, 4, 5)] == [0, 2, 2, 3, 3], "more than half unless told"
    assert read(vaults=["http://one.example"], needed=2).threshold(2) == 2
    with pytest.raises(InputError, match="3 of 2 vaults"):
        read(vaults=["http://one.example"], needed=3).threshold(2)


@pytest.mark.parametrize(
    "given",
    [{"vaults": ["one.example"]}, {"vaults": "http://one.example"}, {"needed": 2}, {"vaults": ["http://one.example"], "needed": 1},
     {"vaults": ["http://one.example"], "bulk": True}],
    ids=str,
)  # fmt: skip
def test_vaults_that_cannot_keep_a_key(given: dict[str, object]) -> None:
    with pytest.raises(InputError):
        read(**given)


@pytest.mark.parametrize(("given", "expected"), [(7, 7), ("7", 7), ("1MB", 10**6), ("2 KiB", 2_048), ("1GiB", 1 << 30), ("3kB", 3_000)])
def test_sizes(given: int | str, expected: int) -> None:
    assert read_size(given) == expected


@pytest.mark.parametrize("given", ["", "MB", "-1", "1.5MB", "1mb", -1])
def test_what_is_no_size(given: int | str) -> None:
    with pytest.raises(InputError):
        read_size(given)


def test_all_conditions_are_read() -> None:
    found = read(
        price="0.5 RLC", uses=10, uses_per_renter=2, not_before=1, until="1d", apps=["app.wasm", Path("b.wasm")], pools=[ONE],
        requesters=[TWO], purposes=["research"], max_output="1MB", allow_network=True, enclave="simulated", epsilon=0.5,
        epsilon_per_renter=5, release_rule=RULE, revocable=True,
    )  # fmt: skip
    assert found == Conditions(
        price=NRLC(500_000_000), uses=10, uses_per_renter=2, not_before=UnixSeconds(1), until=UnixSeconds(NOW + 86_400),
        apps=("app.wasm", Path("b.wasm")), pools=(ONE,), requesters=(TWO,), purposes=("research",), max_output_bytes=10**6,
        allow_network=True, min_enclave=EnclaveLevel.SIMULATED, privacy=Privacy(query_micro=500_000, renter_micro=5_000_000),
        subscription=None, review=Review.RULE, release_rule=RULE, is_revocable=True,
    )  # fmt: skip
    assert read(subscription=7, period="30d", renewals=1).subscription == Subscription(price=NRLC(7), period_s=2_592_000, renewals=1)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"usage": 1}, "did you mean|known are"),
        ({"use": 1}, "no condition 'use'"),
        ({"uses": 0}, "uses"),
        ({"uses": True}, "uses"),
        ({"price": -1}, "price"),
        ({"until": NOW}, "past"),
        ({"apps": "app.wasm"}, "a list"),
        ({"requesters": ["0x12"]}, "not an address"),
        ({"enclave": "good"}, "not a value of enclave"),
        ({"epsilon": 1}, "two sides"),
        ({"epsilon": 0, "epsilon_per_renter": 1}, "not an epsilon"),
        ({"epsilon": 2, "epsilon_per_renter": 1}, "no smaller"),
        ({"review": "rule"}, "needs a rule"),
        ({"review": "owner", "release_rule": RULE}, "the review is 'owner'"),
        ({"release_rule": {"files": []}}, "each once"),
        ({"release_rule": {"file": []}}, "cannot be used"),
        ({"release_rule": "nowhere.toml"}, "cannot be read"),
        ({"period": "1d"}, "belong to a subscription"),
        ({"subscription": 1}, "has a period"),
        ({"subscription": 1, "period": "soon"}, "length of time"),
        ({"subscription": 1, "period": "1d", "requesters": [ONE]}, "open to whoever pays"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(given: dict[str, object], why: str) -> None:
    with pytest.raises(InputError, match=why):
        read(**given)


# what needs a gate, and which one
GATED = [
    ({}, None),
    ({"requesters": [ONE]}, None),
    ({"requesters": [ONE, TWO]}, GatePlan(GateTerms(entry=DATASET, token=TOKEN), (ONE, TWO))),
    ({"revocable": True}, GatePlan(GateTerms(entry=DATASET, token=TOKEN, is_public=True), ())),
    ({"requesters": [ONE], "revocable": True}, GatePlan(GateTerms(entry=DATASET, token=TOKEN), (ONE,))),
    ({"until": NOW + 5}, GatePlan(GateTerms(entry=DATASET, token=TOKEN, ends=UnixSeconds(NOW + 5), is_public=True), ())),
    (
        {"not_before": 3, "requesters": [ONE]},
        GatePlan(GateTerms(entry=DATASET, token=TOKEN, begins=UnixSeconds(3)), (ONE,)),
    ),
    (
        {"subscription": 7, "period": "1h", "renewals": 2},
        GatePlan(GateTerms(entry=DATASET, token=TOKEN, price=NRLC(7), period_s=3_600, renewals=2), ()),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("given", "plan"), GATED, ids=str)
def test_time_lists_and_subscriptions_need_a_gate(given: dict[str, object], plan: GatePlan | None) -> None:
    assert plan_gate(read(**given), DATASET, TOKEN) == plan


def test_several_apps_or_pools_need_a_roster() -> None:
    assert plan_roster(read(pools=[ONE]), APPS[:1], DATASET, TOKEN) is None
    assert plan_roster(read(), (*APPS, CODE), DATASET, TOKEN) is None, "one of them may have any entry"
    assert plan_roster(read(), APPS, DATASET, TOKEN) == GatePlan(GateTerms(entry=DATASET, token=TOKEN), (ONE, TWO))
    assert plan_roster(read(pools=[TWO, GATE]), APPS, DATASET, TOKEN) == GatePlan(GateTerms(entry=DATASET, token=TOKEN), (ONE, TWO, GATE))


def offer(apps: tuple[AllowedApp, ...], gates: Gates, **given: object) -> tuple[DataTerms, tuple[Address, Address, Address]]:
    conditions = read(**given)
    terms = make_terms(conditions, DATASET, apps=apps, gates=gates, schema=None, nonce=NONCE)
    order = make_order(conditions, terms, apps=apps, gates=gates)
    require_commitment(terms, order)
    assert (order.datasetprice, order.volume, tag_names(order.tag)) == (conditions.price, conditions.uses, ["tee"])
    return terms, (order.apprestrict, order.workerpoolrestrict, order.requesterrestrict)


def test_the_order_restricts_what_it_can() -> None:
    assert offer((), Gates())[1] == (ZERO_ADDRESS, ZERO_ADDRESS, ZERO_ADDRESS)
    assert offer(APPS[:1], Gates(), pools=[TWO], requesters=[ONE])[1] == (ONE, TWO, ONE)
    assert offer((CODE,), Gates())[1] == (ZERO_ADDRESS, ZERO_ADDRESS, ZERO_ADDRESS)
    assert offer(APPS, Gates(roster=ROSTER), pools=[ONE, TWO])[1] == (ROSTER, ROSTER, ZERO_ADDRESS)
    assert offer((), Gates(requesters=GATE), requesters=[ONE, TWO])[1] == (ZERO_ADDRESS, ZERO_ADDRESS, GATE)


def test_the_terms_say_the_same_to_vault_and_enclave() -> None:
    terms, _ = offer(APPS, Gates(requesters=GATE, roster=ROSTER), requesters=[ONE, TWO], pools=[ONE], max_output="1kB", uses=4)
    assert (terms.gate, terms.requesters, terms.pools) == (GATE, (), (ONE,))
    assert (terms.apps, terms.max_output_bytes, terms.uses) == (tuple(app.checksum for app in APPS), 1_000, 4)
    assert offer((), Gates(), requesters=[ONE])[0].requesters == (ONE,)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rule.toml", '[[files]]\npath = "count.txt"\nmaxBytes = 10\n'),
        ("rule.json", '{"files": [{"path": "count.txt", "maxBytes": 10}]}'),
    ],
)
def test_a_rule_is_read_from_a_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = read(release_rule=tmp_path / name)
    assert (found.review, found.release_rule) == (Review.RULE, RULE)


@pytest.mark.parametrize(
    ("name", "data"), [("rule.toml", b"= 3"), ("rule.json", b"{"), ("rule.toml", b"\xff"), ("rule.toml", b"#" * (2 << 20))]
)
def test_what_is_no_file_of_rules(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=r"cannot be read|longer than"):
        read(release_rule=tmp_path / name)


def test_the_rule_of_the_how_to_is_one(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "howto" / "rent-out-data.md").read_text()
    (tmp_path / "rule.toml").write_text("#" + text.partition("```toml\n# rule.toml")[2].partition("```")[0])
    rule = read(release_rule=tmp_path / "rule.toml").release_rule
    assert rule is not None
    assert [file.path for file in rule.files] == ["answer.json", "groups.csv", "scores.txt"]


@pytest.mark.parametrize(
    "bent",
    [
        {"entry": ONE},
        {"token": TWO},
        {"begins": NOW + 9},
        {"ends": NOW + 9},
        {"price": NRLC(2_000_000_001)},
        {"period_s": 1},
        {"renewals": 1},
    ],
    ids=lambda bent: next(iter(bent)),
)
def test_nothing_is_paid_at_a_gate_that_sells_something_else(bent: dict[str, object]) -> None:
    """The terms say a month, and the gate that they name sells seconds: what is paid there is the gate's to say."""
    conditions = read(subscription="2 RLC", period="30d", renewals=3)
    plan = plan_gate(conditions, DATASET, TOKEN)
    assert plan is not None
    terms = make_terms(conditions, DATASET, apps=(), gates=Gates(requesters=GATE), schema=None, nonce=NONCE)
    require_gate(terms, plan.terms, TOKEN)
    with pytest.raises(StateError, match="something else than the terms"):
        require_gate(terms, replace(plan.terms, **bent), TOKEN)  # type: ignore[arg-type]
