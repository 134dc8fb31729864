"""The pool's own caution: who is believed alone, how often is audited, and what is done again."""

from __future__ import annotations

import pytest

from voisin.policy.trust import CERTAIN_PPM, Standing, TrustTerms, audit_ppm, draw_of, fewest, is_new
from voisin.units import NRLC

TERMS = TrustTerms(probation=10, floor_ppm=10_000, margin_percent=150)
KNOWN = Standing(confirmed=10, free_stake=NRLC(10**9))
NEW = Standing(confirmed=9, free_stake=NRLC(10**9))
NEVER, ALWAYS = CERTAIN_PPM - 1, 0


def test_a_worker_is_new_until_enough_was_confirmed_and_again_after_a_fault() -> None:
    assert is_new(TERMS, Standing())
    assert is_new(TERMS, NEW)
    assert not is_new(TERMS, KNOWN)
    assert is_new(TERMS, Standing(confirmed=1_000, faults=1))


@pytest.mark.parametrize(
    ("at_risk", "stake", "ppm"),
    [
        (0, 0, 10_000),
        (0, 10**9, 10_000),
        (1, 10**9, 10_000),  # 1.5e-9 is below the floor
        (100, 900, 150_001),  # 1.5 x 100 / 1000
        (500, 500, 750_001),
        (1_000, 500, 1_000_000),  # 1.5 x 2/3 = 1
        (1, 0, 1_000_000),  # nothing to lose
        (10**30, 1, 1_000_000),
    ],
)
def test_audits_by_value_at_risk_over_free_stake(at_risk: int, stake: int, ppm: int) -> None:
    assert audit_ppm(TERMS, NRLC(at_risk), NRLC(stake)) == ppm


def test_new_workers_are_always_replicated_whatever_is_drawn() -> None:
    for draw in (ALWAYS, NEVER):
        assert fewest(TERMS, [NEW], NRLC(1), enough=1, draw=draw) == 2
        assert fewest(TERMS, [NEW, NEW], NRLC(1), enough=1, draw=draw) == 2, "the same once another has agreed"


def test_known_workers_are_believed_unless_they_are_audited() -> None:
    assert fewest(TERMS, [], NRLC(1), enough=1, draw=ALWAYS) == 1, "nothing is drawn before anybody has committed"
    assert fewest(TERMS, [KNOWN], NRLC(1), enough=1, draw=NEVER) == 1
    assert fewest(TERMS, [KNOWN], NRLC(1), enough=1, draw=9_999) == 2
    assert fewest(TERMS, [KNOWN], NRLC(1), enough=1, draw=10_000) == 1
    assert fewest(TERMS, [KNOWN, NEW], NRLC(1), enough=1, draw=9_999) == 2, "one audit is one"


def test_workers_that_agree_are_audited_as_one_that_has_all_they_have() -> None:
    half = Standing(confirmed=10, free_stake=NRLC(450), unsettled=NRLC(25))
    assert fewest(TERMS, [half, half], NRLC(50), enough=2, draw=150_000) == 3
    assert fewest(TERMS, [half, half], NRLC(50), enough=2, draw=150_001) == 2
    assert fewest(TERMS, [NEW, NEW], NRLC(1), enough=2, draw=NEVER) == 2, "new ones that watch each other are replicated"


def test_draws_are_the_same_again_and_others_for_others() -> None:
    first = [draw_of(b"secret", bytes([number])) for number in range(200)]
    assert first == [draw_of(b"secret", bytes([number])) for number in range(200)]
    assert first != [draw_of(b"another", bytes([number])) for number in range(200)]
    assert len(set(first)) > 190
    assert all(0 <= draw < CERTAIN_PPM for draw in first)


def test_draws_are_spread_evenly() -> None:
    draws = [draw_of(b"secret", number.to_bytes(4, "big")) for number in range(20_000)]
    tenths = [sum(1 for draw in draws if draw * 10 // CERTAIN_PPM == tenth) for tenth in range(10)]
    assert all(1_800 < count < 2_200 for count in tenths), "20,000 in ten: 2,000 each, with a deviation of 42"
