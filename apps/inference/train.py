"""
Train a small model on a table, and write it in the form that the app `inference` reads; then it can be protected and rented out.

    python apps/inference/train.py apps/inference/iris.csv --target species --output iris.model
    voisin data protect iris.model ...

It is a network with one hidden layer (or none, which is logistic regression; linear regression for a target of numbers), trained by full
gradient descent with momentum. It needs nothing but Python, is the same at each run, and is meant for tables of some thousand rows.

Source: Bishop, Pattern Recognition and Machine Learning, sections 4.3 and 5.2 (the gradients); Glorot and Bengio, Understanding the
Difficulty of Training Deep Feedforward Neural Networks (AISTATS 2010), equation 16 (the first weights); Fisher, The Use of Multiple
Measurements in Taxonomic Problems (Annals of Eugenics 7, 1936), the table iris.csv.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import random
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"VMODEL1\n"
HELD_OUT = 5
"""One row of so many is kept for telling how good the model is."""

Row = list[float]
Layer = list[Row]
"""For each unit its weights, and its bias at the end."""


class TableError(Exception):
    """The table cannot be learnt from."""


@dataclass(frozen=True)
class Table:
    """
    What is learnt from.

    Attributes:
        rows: The inputs of each row.
        targets: The class of each row, as its number, or the number that is to be predicted.
        classes: Names of the classes; empty where numbers are predicted.
    """

    rows: list[Row]
    targets: Row
    classes: tuple[str, ...]


@dataclass
class Model:
    """
    A network.

    Attributes:
        means: Of the inputs.
        deviations: Of the inputs.
        layers: Its layers.
        classes: Names of the classes.
    """

    means: Row
    deviations: Row
    layers: list[Layer]
    classes: tuple[str, ...]

    def values(self, row: Row) -> list[Row]:
        """Give the values of each layer, the scaled inputs first."""
        found = [[(value - mean) / deviation for value, mean, deviation in zip(row, self.means, self.deviations, strict=True)]]
        for number, layer in enumerate(self.layers):
            sums = [sum(map(float.__mul__, found[-1], unit)) + unit[-1] for unit in layer]
            found.append(sums if number + 1 == len(self.layers) else [max(value, 0.0) for value in sums])
        return found

    def predict(self, row: Row) -> float:
        """Give the number of the likeliest class, or the predicted number."""
        last = self.values(row)[-1]
        return float(last.index(max(last))) if self.classes else last[0]

    def encode(self, *, rows: int, digits: int) -> bytes:
        """
        Write it as the app reads it.

        Args:
            rows: How many rows a call may have.
            digits: How many digits of a probability, or of a predicted number, a call gives.
        """
        parts = [MAGIC, struct.pack("<5I", len(self.means), len(self.layers), len(self.classes), rows, digits)]
        parts += [struct.pack("<2d", *pair) for pair in zip(self.means, self.deviations, strict=True)]
        for layer in self.layers:
            parts.append(struct.pack("<Q", len(layer)))
            parts += [struct.pack(f"<{len(unit)}d", *unit) for unit in layer]
        names = [name.encode() for name in self.classes]
        return b"".join(parts + [bytes([len(name)]) + name for name in names])


def read_table(path: Path, target: str) -> Table:
    """
    Read a table with a line of titles.

    Raises:
        TableError: It has no such column, or something that is no number.
    """
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    if not lines or target not in lines[0]:
        raise TableError(f"{path} has no column {target!r}")
    try:
        rows = [[float(value) for title, value in line.items() if title != target] for line in lines]
    except (TypeError, ValueError):
        raise TableError(f"{path} has something that is no number beside {target!r}") from None
    told = [line[target] for line in lines]
    try:
        return Table(rows, [float(value) for value in told], ())
    except ValueError:
        classes = tuple(sorted(set(told)))
        if len(classes) < 2 or any(not 0 < len(name.encode()) < 256 or "," in name for name in classes):
            raise TableError(f"the classes in {target!r} are fewer than two, or have unfit names") from None
        return Table(rows, [float(classes.index(value)) for value in told], classes)


def train(table: Table, *, hidden: int, epochs: int, rate: float, seed: int = 1) -> Model:
    """
    Train a model.

    Args:
        table: What it learns from.
        hidden: Units of its hidden layer; 0 for none.
        epochs: How often it sees all rows.
        rate: How far each step goes.
        seed: Where the first weights come from.
    """
    chance = random.Random(seed)  # noqa: S311  (first weights are no secret, and the same at each run)
    width, outputs = len(table.rows[0]), len(table.classes) or 1
    columns = list(zip(*table.rows, strict=True))
    means = [sum(column) / len(column) for column in columns]
    deviations = [_deviation(column, mean) for column, mean in zip(columns, means, strict=True)]
    sizes = [width, *([hidden] if hidden else []), outputs]
    layers = [_first_weights(before, after, chance) for before, after in itertools.pairwise(sizes)]
    model, pace = Model(means, deviations, layers, table.classes), [[[0.0] * len(unit) for unit in layer] for layer in layers]
    for _ in range(epochs):
        _step(model, pace, table, rate)
    return model


def _step(model: Model, pace: list[Layer], table: Table, rate: float) -> None:
    """Go one step down the slope that all rows give together."""
    slope = [[[0.0] * len(unit) for unit in layer] for layer in model.layers]
    for row, target in zip(table.rows, table.targets, strict=True):
        values = model.values(row)
        errors = _errors(values[-1], target, is_class=bool(model.classes))
        for number in reversed(range(len(model.layers))):
            inputs = values[number]
            for sums, error in zip(slope[number], errors, strict=True):
                for place, value in enumerate(inputs):
                    sums[place] += error * value
                sums[-1] += error
            if number:
                weights = model.layers[number]
                errors = [
                    sum(error * unit[place] for error, unit in zip(errors, weights, strict=True)) if value > 0 else 0.0
                    for place, value in enumerate(inputs)
                ]
    scale = rate / len(table.rows)
    for layer, paces, slopes in zip(model.layers, pace, slope, strict=True):
        for unit, speed, steep in zip(layer, paces, slopes, strict=True):
            for place, value in enumerate(steep):
                speed[place] = 0.9 * speed[place] - scale * value
                unit[place] += speed[place]


def _errors(last: Row, target: float, *, is_class: bool) -> Row:
    if not is_class:
        return [last[0] - target]
    most = max(last)
    powers = [math.exp(value - most) for value in last]
    return [power / sum(powers) - (place == int(target)) for place, power in enumerate(powers)]


def _first_weights(before: int, after: int, chance: random.Random) -> Layer:
    most = math.sqrt(6 / (before + after))
    return [[*(chance.uniform(-most, most) for _ in range(before)), 0.0] for _ in range(after)]


def _deviation(column: Sequence[float], mean: float) -> float:
    return math.sqrt(sum((value - mean) ** 2 for value in column) / len(column)) or 1.0


def part(table: Table, *, held_out: bool) -> Table:
    """Take the rows that are kept for telling how good a model is, or the others."""
    chosen = [place for place in range(len(table.rows)) if (place % HELD_OUT == 0) is held_out]
    return Table([table.rows[place] for place in chosen], [table.targets[place] for place in chosen], table.classes)


def quality(model: Model, table: Table) -> str:
    """Say how good a model is on rows that it never saw."""
    found = [model.predict(row) for row in table.rows]
    if table.classes:
        right = sum(told == target for told, target in zip(found, table.targets, strict=True))
        return f"{right} of {len(found)} held-out rows are right"
    error = math.sqrt(sum((told - target) ** 2 for told, target in zip(found, table.targets, strict=True)) / len(found))
    return f"off by {error:.4g} on held-out rows (root of the mean square)"


def main() -> int:
    """
    Do what the command line asks for.

    Returns:
        The exit code: 0, or 1 when the table cannot be learnt from.
    """
    parser = argparse.ArgumentParser(description="Train a small model for the app `inference`.")
    parser.add_argument("table", type=Path, help="a CSV file with a line of titles")
    parser.add_argument("--target", required=True, help="the column to predict: classes, or numbers")
    parser.add_argument("--output", type=Path, required=True, help="where the model goes")
    parser.add_argument("--hidden", type=int, default=8, help="units of the hidden layer; 0 for none (default 8)")
    parser.add_argument("--epochs", type=int, default=300, help="how often all rows are seen (default 300)")
    parser.add_argument("--rate", type=float, default=0.1, help="how far each step goes (default 0.1)")
    parser.add_argument("--rows", type=int, default=10, help="rows that a call may ask for (default 10)")
    parser.add_argument("--digits", type=int, default=2, help="digits of a probability in an answer; 0 for none (default 2)")
    given = parser.parse_args()
    try:
        table = read_table(given.table, given.target)
    except (OSError, TableError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    model = train(part(table, held_out=False), hidden=given.hidden, epochs=given.epochs, rate=given.rate)
    given.output.write_bytes(model.encode(rows=given.rows, digits=given.digits))
    sys.stdout.write(f"{given.output}: {quality(model, part(table, held_out=True))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
