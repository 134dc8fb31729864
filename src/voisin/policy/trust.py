"""
What a pool knows of its workers, and how many of them it wants to agree before it believes a result.

The chain's arithmetic (`voisin.protocol.trust`) says what is enough for the requester; the pool may want more, and never less:

- A worker that is new is never believed alone, and new ones together only where no known worker can be had: they may all be one person's.
  Where some of those that disagree are known, only these count; without a majority that also has the deal's trust there is no result.
- Of the results of known workers some are audited: another worker does them once more. Whether one is, is drawn after its workers have
  committed to it, so nobody can be honest in the audited tasks alone.
- Who is caught is banned, and whatever is not settled yet and rests on its word is done again.

How often. A coalition of workers that has v in results that are not settled yet, this one with them, and L in stake that it would lose, and
cheats in some of them, gains at most v if nothing of it is audited, and loses L if something is. With p the probability that this one is
audited, its gain is at most (1 - p) v - p L, which is below zero if p > v / (v + L) = x / (1 + x) with x = v / L, the value at risk over
the free stake. The policy takes some more than that, never less than a floor, and always 1 where there is nothing to lose.

Everything here is pure: draws are given, or made from a secret of the pool and the task's name. Probabilities are whole parts per
million, so all who follow the policy count alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from voisin.units import NRLC

CERTAIN_PPM: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustTerms:
    """
    How careful a pool is.

    Attributes:
        probation: Results that others have confirmed, before a worker is known.
        floor_ppm: The least probability of an audit [1e-6].
        margin_percent: How much more often is audited than would just take the gain out of cheating; 150 is half as much again.
    """

    probation: int = 10
    floor_ppm: int = 10_000
    margin_percent: int = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """
    What a pool knows of a worker.

    Attributes:
        confirmed: Its results that another owner's worker has confirmed.
        faults: Its results that were found wrong.
        unsettled: What it would be paid for results that are not settled yet [nRLC].
        free_stake: What it would lose if it was caught [nRLC].
    """

    confirmed: int = 0
    faults: int = 0
    unsettled: NRLC = NRLC(0)
    free_stake: NRLC = NRLC(0)


def is_new(terms: TrustTerms, standing: Standing) -> bool:
    """Tell whether a worker is not to be believed alone."""
    return standing.faults > 0 or standing.confirmed < terms.probation


def audit_ppm(terms: TrustTerms, at_risk: NRLC, free_stake: NRLC) -> int:
    """
    Say how probable an audit is.

    Args:
        terms: How careful the pool is.
        at_risk: What the workers would gain by all that is not settled yet, this result with it [nRLC].
        free_stake: What they would lose [nRLC].

    Returns:
        The probability [1e-6].
    """
    if at_risk <= 0:
        return terms.floor_ppm
    fair = terms.margin_percent * CERTAIN_PPM * at_risk // (100 * (at_risk + max(free_stake, 0)))
    return min(max(fair + 1, terms.floor_ppm), CERTAIN_PPM)


def fewest(terms: TrustTerms, committed: Sequence[Standing], value: NRLC, *, enough: int, draw: int) -> int:
    """
    Say how many workers have to agree on a result before the pool believes it.

    Args:
        terms: How careful the pool is.
        committed: The workers that have committed to it.
        value: What it brings them together [nRLC].
        enough: How many are enough for the requester.
        draw: A number from 0 to 999,999 that the workers could not know when they committed.

    Returns:
        At least `enough`; more than have committed if another has to do it, too. Asked again once that one has agreed, it says the same.
    """
    wanted = max(enough, 1)
    if not committed:
        return wanted
    if wanted == 1 and is_new(terms, committed[0]):
        return 2
    first = committed[:wanted]
    at_risk = NRLC(value + sum(each.unsettled for each in first))
    return wanted + (draw < audit_ppm(terms, at_risk, NRLC(sum(each.free_stake for each in first))))


def draw_of(secret: bytes, task: bytes) -> int:
    """
    Draw a number for a task, the same at any time, that nobody knows who has not the secret.

    Args:
        secret: The pool's.
        task: The task's name.

    Returns:
        0 to 999,999.
    """
    digest = hashlib.blake2b(task, key=secret[:64], digest_size=16).digest()
    return int.from_bytes(digest, "big") % CERTAIN_PPM
