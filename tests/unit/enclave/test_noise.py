"""Noise has the distribution that the formula gives, is the same for all replicas of a task, and is all that leaves."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from pathlib import Path

import pytest

from voisin.enclave.noise import MAX_ANSWERS, Answer, discrete_laplace, make_private, noise, seeded
from voisin.protocol.ids import Hash32

KEY = Hash32("0x" + "22" * 32)
HALF = 500_000


def answers(tmp_path: Path, **given: object) -> Path:
    outputs = tmp_path / "out"
    outputs.mkdir(exist_ok=True)
    (outputs / "answers.json").write_text(json.dumps(given))
    return outputs


@pytest.mark.parametrize("scale", [(1, 2), (1, 1), (7, 2)])
def test_the_distribution_is_the_one_of_the_formula(scale: tuple[int, int]) -> None:
    """P(x) = (1 - r) / (1 + r) * r^|x| with r = exp(-1 / scale); 20,000 draws lie within five standard deviations of it."""
    draws, ratio, below = 20_000, math.exp(-scale[1] / scale[0]), random.Random(4).randrange
    counts = Counter(discrete_laplace(*scale, below) for _ in range(draws))
    for value in range(-3, 4):
        chance = (1 - ratio) / (1 + ratio) * ratio ** abs(value)
        deviation = math.sqrt(draws * chance * (1 - chance))
        assert abs(counts[value] - draws * chance) < 5 * deviation, value


def test_several_answers_share_what_may_be_revealed() -> None:
    spread = [
        sum(abs(noise(Answer(0, 3), HALF, count, seeded(bytes([count, turn % 256, turn // 256])))) for turn in range(1_000)) / 1_000
        for count in (1, 10)
    ]
    assert 5 < spread[0] < 7.2, "3 / 0.5 on average"
    assert 50 < spread[1] < 72


def test_only_noisy_answers_leave(tmp_path: Path) -> None:
    outputs = answers(tmp_path, mean={"value": 4_217, "sensitivity": 3})
    (outputs / "smuggled.bin").write_bytes(b"everything")
    assert make_private(outputs, HALF, KEY)
    assert [path.name for path in outputs.iterdir()] == ["answers.json"]
    found = json.loads((outputs / "answers.json").read_text())
    assert found["epsilon_micro"] == HALF
    assert found["scales"] == {"mean": 6.0}
    assert abs(found["answers"]["mean"] - 4_217) < 200


def test_replicas_agree_and_other_tasks_differ(tmp_path: Path) -> None:
    found = []
    for key in (KEY, KEY, Hash32("0x" + "23" * 32)):
        outputs = answers(tmp_path, **{f"n{number}": {"value": 0, "sensitivity": 1_000} for number in range(5)})
        assert make_private(outputs, HALF, key)
        found.append((outputs / "answers.json").read_bytes())
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"mean": {"value": 1.5, "sensitivity": 1}},
        {"mean": {"value": 1, "sensitivity": 0}},
        {"mean": {"value": 2**53, "sensitivity": 1}},
        {"a name with secrets": {"value": 1, "sensitivity": 1}},
        {"mean": {"value": 1, "sensitivity": 1, "more": 1}},
        {f"n{number}": {"value": 1, "sensitivity": 1} for number in range(MAX_ANSWERS + 1)},
    ],
)
def test_what_are_no_answers_leaves_nothing(tmp_path: Path, given: dict[str, object]) -> None:
    outputs = answers(tmp_path, **given)
    assert not make_private(outputs, HALF, KEY)
    assert list(outputs.iterdir()) == []
