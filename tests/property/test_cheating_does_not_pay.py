"""Under the trust policy a worker that cheats loses on average, whatever it does; honest ones lose nothing."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voisin.policy.trust import CERTAIN_PPM, Standing, TrustTerms, audit_ppm, fewest
from voisin.protocol.ids import Address, as_address
from voisin.units import NRLC

AMOUNTS = st.integers(0, 10**15)
TERMS = st.builds(
    TrustTerms,
    probation=st.integers(0, 50),
    floor_ppm=st.integers(1, CERTAIN_PPM),
    margin_percent=st.integers(100, 500),
)


@given(TERMS, AMOUNTS, AMOUNTS)
def test_one_lie_costs_more_than_it_brings(terms: TrustTerms, at_risk: int, stake: int) -> None:
    audited = Fraction(audit_ppm(terms, NRLC(at_risk), NRLC(stake)), CERTAIN_PPM)
    gain = (1 - audited) * at_risk - audited * stake
    assert gain < 0 or ((at_risk == 0 or stake == 0) and gain <= 0)


@given(TERMS, AMOUNTS, AMOUNTS)
def test_an_audit_is_never_out_of_the_question(terms: TrustTerms, at_risk: int, stake: int) -> None:
    assert terms.floor_ppm <= audit_ppm(terms, NRLC(at_risk), NRLC(stake)) <= CERTAIN_PPM


@given(TERMS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_more_at_risk_is_audited_more_and_more_stake_less(terms: TrustTerms, at_risk: int, stake: int, more: int) -> None:
    now = audit_ppm(terms, NRLC(at_risk), NRLC(stake))
    assert audit_ppm(terms, NRLC(at_risk + more), NRLC(stake)) >= now
    assert audit_ppm(terms, NRLC(at_risk), NRLC(stake + more)) <= now


@given(TERMS, st.lists(st.tuples(st.integers(1, 10**9), st.booleans()), min_size=1, max_size=20), st.integers(1, 10**10))
def test_no_pattern_of_lies_pays(terms: TrustTerms, tasks: list[tuple[int, bool]], stake: int) -> None:
    """
    A known worker does some tasks, lies in some of them, and is settled at the end if no lie was audited.

    What it gains is the pay of its lies (the work that it spared), what it loses when it is caught its stake; counted exactly.
    """
    unsettled, unseen, gained = 0, Fraction(1), 0
    for value, is_lie in tasks:
        unsettled += value
        if is_lie:
            unseen *= 1 - Fraction(audit_ppm(terms, NRLC(unsettled), NRLC(stake)), CERTAIN_PPM)
            gained += value
    expected = unseen * gained - (1 - unseen) * stake
    assert expected < 0 if gained else expected == 0


# --- the same, played ------------------------------------------------------------------------------------------------

PAY, STAKE, SETTLED_EVERY, TASKS = 100, 5_000, 20, 4_000
CAREFUL = TrustTerms(probation=10, floor_ppm=10_000, margin_percent=150)


@dataclass
class Player:
    """A worker in the simulation; `lies` is how often it lies once it is known."""

    name: Address
    lies: float
    standing: Standing = field(default_factory=lambda: Standing(free_stake=NRLC(STAKE)))
    is_banned: bool = False
    money: int = 0
    spared: int = 0


@dataclass
class Market:
    """A pool that follows the policy over many tasks of trust 1; `chance` decides everything that is left to chance."""

    chance: random.Random
    players: list[Player]
    unsettled: dict[int, list[Player]] = field(default_factory=dict)
    wrong: set[int] = field(default_factory=set)
    settled_wrong: int = 0
    audits: int = 0

    def play(self, tasks: int) -> None:
        for number in range(tasks):
            self._do(number)
            if number % SETTLED_EVERY == SETTLED_EVERY - 1:
                self._settle()

    def _do(self, number: int) -> None:
        first, *others = self.chance.sample([each for each in self.players if not each.is_banned], k=3)
        is_lie = first.standing.confirmed >= CAREFUL.probation and self.chance.random() < first.lies
        agreed = [first]
        draw = self.chance.randrange(CERTAIN_PPM)
        while fewest(CAREFUL, [each.standing for each in agreed], NRLC(PAY), enough=1, draw=draw) > len(agreed):
            self.audits += 1
            other = others[0]
            if is_lie:  # the other is honest, and a third one agrees with it
                self._catch(first)
                agreed, is_lie = [other, others[1]], False
                break
            agreed.append(other)
        if is_lie:
            self.wrong.add(number)
            first.spared += PAY
        self.unsettled[number] = agreed
        for each in agreed:
            share = PAY // len(agreed)
            confirmed = each.standing.confirmed + (len(agreed) > 1)
            each.standing = replace(each.standing, confirmed=confirmed, unsettled=NRLC(each.standing.unsettled + share))

    def _catch(self, liar: Player) -> None:
        liar.is_banned = True
        liar.money -= STAKE
        liar.spared = 0  # what is done again is paid to others
        for number in [number for number, agreed in self.unsettled.items() if agreed == [liar]]:
            del self.unsettled[number]  # done again by others, and right
            self.wrong.discard(number)

    def _settle(self) -> None:
        self.settled_wrong += len(self.wrong)
        for agreed in self.unsettled.values():
            for each in agreed:
                each.standing = replace(each.standing, unsettled=NRLC(0))
        for each in self.players:
            each.money += each.spared
            each.spared = 0
        self.unsettled, self.wrong = {}, set()


def market(seed: int, lies: float) -> Market:
    chance = random.Random(seed)
    names = [as_address(f"0x{number:040x}") for number in range(1, 13)]
    return Market(chance, [Player(name, lies if number < 3 else 0.0) for number, name in enumerate(names)])


@pytest.mark.parametrize("lies", [0.01, 0.1, 1.0])
def test_liars_lose_in_the_long_run_and_honest_workers_nothing(lies: float) -> None:
    gains = []
    for seed in range(20):
        played = market(seed, lies)
        played.play(TASKS)
        liars, honest = played.players[:3], played.players[3:]
        gains += [each.money for each in liars]
        assert not any(each.is_banned for each in honest)
        lost = STAKE * sum(each.is_banned for each in liars)
        assert sum(each.money for each in liars) == played.settled_wrong * PAY - lost
    assert sum(gains) < 0, f"a liar gains {sum(gains) / len(gains):.0f} on average"


def test_a_market_without_liars_is_audited_a_little() -> None:
    played = market(7, 0.0)
    played.play(TASKS)
    assert 12 * CAREFUL.probation / 2 <= played.audits < TASKS * 0.3
    assert played.settled_wrong == 0
