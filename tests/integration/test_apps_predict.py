"""The app `inference` predicts what its model says, as Python computes it from the same file, and nothing beyond what the owner allows."""

from __future__ import annotations

import importlib.util
import math
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.guests import APPS, Bench
from voisin.sandbox import Cause

pytestmark = pytest.mark.anyio
FOLDER = APPS / "inference"


def _load() -> ModuleType:
    """The tool that trains models; it is a script beside the app."""
    spec = importlib.util.spec_from_file_location("voisin_apps_train", FOLDER / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


tool = _load()
IRIS = tool.read_table(FOLDER / "iris.csv", "species")


def inputs(tmp_path: Path, model: bytes) -> Path:
    folder = tmp_path / "inputs"
    folder.mkdir(exist_ok=True)
    (folder / "model").write_bytes(model)
    return folder


def spelled(rows: list[list[float]]) -> str:
    return ";".join(",".join(map(str, row)) for row in rows)


@pytest.fixture(scope="module")
def trained() -> object:
    return tool.train(tool.part(IRIS, held_out=False), hidden=5, epochs=60, rate=0.2)


async def test_classes_and_probabilities_are_those_of_the_model(bench: Bench, tmp_path: Path, trained: object) -> None:
    held = tool.part(IRIS, held_out=True)
    model = trained
    outcome = await bench.run("inference", spelled(held.rows), inputs=inputs(tmp_path, model.encode(rows=30, digits=6)))  # type: ignore[attr-defined]
    assert (outcome.cause, outcome.stderr) == (None, b"")
    lines = (bench.output / "predictions.csv").read_text().splitlines()
    assert (lines[0], len(lines)) == ("class,probability", 31)
    right = 0
    for line, row, target in zip(lines[1:], held.rows, held.targets, strict=True):
        name, probability = line.split(",")
        last = model.values(row)[-1]  # type: ignore[attr-defined]
        powers = [math.exp(value - max(last)) for value in last]
        assert name == IRIS.classes[powers.index(max(powers))]
        assert abs(float(probability) - max(powers) / sum(powers)) < 2e-6
        right += name == IRIS.classes[int(target)]
    assert right >= 27, "a model that learnt nothing"


async def test_the_committed_model_is_of_this_table(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "model").write_bytes((FOLDER / "iris.model").read_bytes())
    outcome = await bench.run("inference", "5.1,3.5,1.4,0.2; 6.3,3.3,6.0,2.5", inputs=tmp_path / "inputs")
    assert outcome.cause is None
    assert [line.split(",")[0] for line in (bench.output / "predictions.csv").read_text().splitlines()] == ["class", "setosa", "virginica"]


async def test_a_model_may_give_classes_alone(bench: Bench, tmp_path: Path, trained: object) -> None:
    await bench.run("inference", "5.1,3.5,1.4,0.2", inputs=inputs(tmp_path, trained.encode(rows=1, digits=0)))  # type: ignore[attr-defined]
    assert (bench.output / "predictions.csv").read_text() == "class\nsetosa\n"


async def test_a_model_of_numbers(bench: Bench, tmp_path: Path) -> None:
    chance = random.Random(2)
    rows = [[chance.uniform(-3, 3), chance.uniform(0, 10)] for _ in range(60)]
    table = tool.Table(rows, [2 * row[0] - row[1] / 2 + 7 for row in rows], ())
    model = tool.train(table, hidden=0, epochs=120, rate=0.1)
    await bench.run("inference", "1,4;-2,10", inputs=inputs(tmp_path, model.encode(rows=5, digits=3)))
    title, *found = (bench.output / "predictions.csv").read_text().splitlines()
    assert title == "prediction"
    assert [float(line) for line in found] == pytest.approx([7, -2], abs=0.01)
    assert [float(line) for line in found] == pytest.approx([model.predict([1, 4]), model.predict([-2, 10])], abs=0.001)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("5.1,3.5,1.4", "too few numbers"),
        ("5.1,3.5,1.4,0.2,1", "too many numbers"),
        ("5.1,3.5,1.4,x", "no number"),
        ("5.1,3.5,1.4,inf", "no number"),
        ("1,2,3,4;1,2,3,4;1,2,3,4", "more rows than the model's owner allows"),
        (";", "no number"),
        ("", "give rows"),
    ],
)
async def test_what_cannot_be_predicted_is_said(bench: Bench, tmp_path: Path, trained: object, rows: str, words: str) -> None:
    model = trained.encode(rows=2, digits=2)  # type: ignore[attr-defined]
    outcome = await bench.run("inference", rows, inputs=inputs(tmp_path, model))
    assert (outcome.cause, outcome.exit_code) == (Cause.EXIT_CODE, 2)
    assert words in outcome.stderr.decode()


async def test_a_broken_model_is_refused_and_never_read_beyond_its_end(bench: Bench, tmp_path: Path, trained: object) -> None:
    whole = trained.encode(rows=2, digits=2)  # type: ignore[attr-defined]
    chance = random.Random(3)
    broken = [whole[:length] for length in (0, 8, 20, 28, 90, len(whole) - 1)] + [whole + b"\0"]
    for at in (8, 12, 16, 20, 24, 92, 96):  # every size that the model says
        broken.append(whole[:at] + b"\xff\xff\xff\x7f" + whole[at + 4 :])
    broken += [chance.randbytes(200), b"VMODEL1\n" + chance.randbytes(200)]
    for model in broken:
        outcome = await bench.run("inference", "1,2,3,4", inputs=inputs(tmp_path, model))
        if model[20:24] != b"\xff\xff\xff\x7f" or len(model) != len(whole):  # that one only allows more rows
            assert (outcome.cause, outcome.exit_code) == (Cause.EXIT_CODE, 2), (model[:32], outcome.stderr)


def test_the_tool_says_what_a_table_lacks(tmp_path: Path) -> None:
    for text, words in (("a,b\n1,2\n", "no column"), ("a,species\nx,1\n", "no number"), ("a,species\n1,one\n", "fewer than two")):
        (tmp_path / "table.csv").write_text(text)
        with pytest.raises(tool.TableError, match=words):
            tool.read_table(tmp_path / "table.csv", "species")
