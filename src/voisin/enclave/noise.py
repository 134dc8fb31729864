"""
Answers about data with a privacy budget: numbers with noise, and nothing else.

An app that answers such queries writes `answers.json` into its outputs: an object of names, each with a whole `value` and the `sensitivity`
that the app vouches for, which is by how much one person's presence can change the value. Each value gets noise of the discrete Laplace
distribution with the scale (answers * sensitivity / epsilon), so all of them together reveal no more than epsilon. The runner replaces the
file by one with the noisy values, and removes every other file; what the app printed goes, too.

The noise is exact: whole numbers drawn with whole-number arithmetic, so no rounding betrays the value (floating-point noise does). It is
drawn from the task's own key: replicas of a task agree on it, and asking for the same task again averages nothing out.

Source: Canonne, Kamath, Steinke: The Discrete Gaussian for Differential Privacy (NeurIPS 2020), algorithms 1 and 2; Ghosh, Roughgarden,
Sundararajan: Universally Utility-Maximizing Privacy Mechanisms (STOC 2009); Mironov: On Significance of the Least Significant Bits for
Differential Privacy (CCS 2012).
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from voisin.errors import InputError
from voisin.protocol.codec import decode, encode
from voisin.protocol.ids import Hash32, from_hex
from voisin.protocol.results import GuestFailure

ANSWERS_FILE: Final = "answers.json"
MAX_ANSWERS: Final = 100
MAX_FILE_BYTES: Final = 1 << 16
MICRO: Final = 10**6
BAD_ANSWERS: Final = GuestFailure(
    "bad-answers", f"data with a privacy budget gives whole numbers in {ANSWERS_FILE}, and nothing to a contract"
)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MOST: Final = 2**53 - 1

Below = Callable[[int], int]
"""Draws a whole number below its argument, each as likely as another."""


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an app answers: a whole number, and by how much one person can change it."""

    value: int
    sensitivity: int


class NoisyAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """
    What leaves the enclave.

    Attributes:
        answers: The values with noise.
        scales: The scale of each one's noise: about two thirds of all values are nearer to the true one than that.
        epsilon_micro: What all of them together may reveal [1e-6].
    """

    answers: dict[str, int]
    scales: dict[str, float]
    epsilon_micro: int


def make_private(outputs: Path, epsilon_micro: int, seed: Hash32) -> bool:
    """
    Replace an app's outputs by noisy answers.

    Args:
        outputs: The app's output folder.
        epsilon_micro: What they may reveal [1e-6].
        seed: What the noise is drawn from: only enclaves of the task know it, and all of them.

    Returns:
        Whether there are answers; if not, the folder is left empty.
    """
    answers = _read(outputs / ANSWERS_FILE)
    shutil.rmtree(outputs, ignore_errors=True)
    outputs.mkdir()
    if answers is None:
        return False
    below = seeded(b"voisin noise 1" + from_hex(seed))
    noisy = {name: answer.value + noise(answer, epsilon_micro, len(answers), below) for name, answer in sorted(answers.items())}
    scales = {name: answer.sensitivity * len(answers) * MICRO / epsilon_micro for name, answer in sorted(answers.items())}
    (outputs / ANSWERS_FILE).write_bytes(encode(NoisyAnswers(answers=noisy, scales=scales, epsilon_micro=epsilon_micro)))
    return True


def noise(answer: Answer, epsilon_micro: int, count: int, below: Below) -> int:
    """
    Draw the noise of one of several answers.

    Args:
        answer: The answer.
        epsilon_micro: What all answers may reveal together [1e-6].
        count: How many there are.
        below: Draws random numbers.
    """
    return discrete_laplace(answer.sensitivity * count * MICRO, epsilon_micro, below)


def discrete_laplace(numerator: int, denominator: int, below: Below) -> int:
    """
    Draw from the discrete Laplace distribution: a whole number x with a probability proportional to exp(-|x| / scale).

    Args:
        numerator: Of the scale; positive.
        denominator: Of the scale; positive.
        below: Draws random numbers.

    Source: Canonne, Kamath, Steinke, algorithm 2.
    """
    while True:
        part = below(numerator)
        if not _coin_of_exp(part, numerator, below):
            continue
        whole = 0
        while _coin_of_exp(1, 1, below):
            whole += 1
        size = (part + numerator * whole) // denominator
        is_negative = below(2) == 1
        if not (is_negative and size == 0):  # nought has one sign only
            return -size if is_negative else size


def seeded(seed: bytes) -> Below:
    """Draw random numbers from a seed: SHA-256 of the seed and a counter."""
    counter = 0

    def bits(count: int) -> int:
        nonlocal counter
        data = b""
        while len(data) * 8 < count:
            data += hashlib.sha256(seed + counter.to_bytes(8, "big")).digest()
            counter += 1
        return int.from_bytes(data, "big") >> (len(data) * 8 - count)

    def below(bound: int) -> int:
        size = (bound - 1).bit_length()
        while (drawn := bits(size)) >= bound:
            pass
        return drawn

    return below


def _coin_of_exp(numerator: int, denominator: int, below: Below) -> bool:
    """Throw a coin that is true with probability exp(-numerator / denominator), for a fraction of at most 1. Source: algorithm 1."""
    round_number = 1
    while below(denominator * round_number) < numerator:
        round_number += 1
    return round_number % 2 == 1


def _read(path: Path) -> dict[str, Answer] | None:
    try:
        if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
            return None
        answers = decode(path.read_bytes(), dict[str, Answer], "the answers")
    except (InputError, OSError):
        return None
    is_fit = all(_NAME.fullmatch(name) and abs(each.value) <= _MOST and 1 <= each.sensitivity <= _MOST for name, each in answers.items())
    return answers if is_fit and 1 <= len(answers) <= MAX_ANSWERS else None
