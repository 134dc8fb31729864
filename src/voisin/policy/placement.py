"""
Which machine a task fits: what it needs against what a machine has, how long the machine will stay, how fast it is.

A machine that has just appeared is likely to be gone soon, one that has been there for long is likely to stay: lifetimes of
volunteers' machines follow a Weibull law with a shape below 1. So long tasks go to machines that have been online for a while, and new
ones begin with short tasks, unless there is nobody better.

Source: the shape and scale are those fitted to the availability of SETI@home's hosts, Javadi et al. 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from statistics import median
from typing import Final

from voisin.protocol.tags import NO_TAG, Tag, missing_bits

SHAPE: Final = 0.393
SCALE_S: Final = 2.964 * 3600
"""The law of lifetimes: the share exp(-(t / scale)^shape) of machines is online for longer than t."""
LIKELY: Final = 0.5
"""A machine that lasts as long as a task with this probability may always have it."""
NEARLY: Final = 0.8
"""One that does not may still have it when its chance is at least this share of the best that there is."""
STRAGGLES_AT: Final = 2.0
"""A replica straggles when it takes so many times as long as half of the deal's tasks took."""
FEWEST_DONE: Final = 3
"""Fewer finished tasks say nothing about how long one takes."""
MEGABYTE: Final = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """
    What a task needs of a machine.

    Attributes:
        memory_bytes: Memory that its run may use.
        disk_bytes: Output that it may write.
        time_s: How long it may take [s].
        tag: What the machine must have, as bits of the deal's tag; enclaves are another matter.
        region: Where the machine must be: it, or a part of it; empty for anywhere.
        content: Names of what is fetched for it.
    """

    memory_bytes: int = 0
    disk_bytes: int = 0
    time_s: float = 0
    tag: Tag = NO_TAG
    region: str = ""
    content: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """
    What a machine has.

    Attributes:
        memory_bytes: Memory for all its tasks together.
        disk_bytes: Disk for all of them together.
        tag: What it has, as bits of a deal's tag.
        region: Where it is, from the large to the small, such as `eu-fr`; empty if it does not say.
        online_s: For how long it has been there without a break [s].
        speed: How fast it is, as a share of what is usual in its pool.
        content: Names of what it holds already.
    """

    memory_bytes: int
    disk_bytes: int
    tag: Tag = NO_TAG
    region: str = ""
    online_s: float = 0
    speed: float = 1
    content: frozenset[str] = frozenset()


def misfit(needs: Needs, machine: Machine) -> str:
    """Say what a machine lacks for a task, were it idle; empty when it can do it."""
    if needs.memory_bytes > machine.memory_bytes:
        return f"the task may use {_size(needs.memory_bytes)} of memory, and the machine offers {_size(machine.memory_bytes)}"
    if needs.disk_bytes > machine.disk_bytes:
        return f"the task may write {_size(needs.disk_bytes)}, and the machine offers {_size(machine.disk_bytes)} of disk"
    if missing := missing_bits(needs.tag, machine.tag):
        return f"the task needs {', '.join(missing)}, which the machine does not have"
    if needs.region and not _is_within(machine.region, needs.region):
        return f"the task must be done in {needs.region}, and the machine is in {machine.region or 'a place that it does not name'}"
    return ""


def survival(online_s: float, for_s: float) -> float:
    """
    Give the probability that a machine that has been online for a while stays for some more time.

    Args:
        online_s: How long it has been there [s].
        for_s: How long it is to stay [s].

    Source: S(a + t) / S(a) of the Weibull law above.
    """
    before, after = (online_s / SCALE_S) ** SHAPE, ((online_s + for_s) / SCALE_S) ** SHAPE
    return exp(before - after)


def is_steady(machine: Machine, needs: Needs, best: float) -> bool:
    """
    Tell whether a machine is likely enough to stay for a task.

    Args:
        machine: The machine.
        needs: The task's needs.
        best: The highest probability among the machines that could do it, busy ones included.
    """
    chance = survival(machine.online_s, needs.time_s / machine.speed)
    return chance >= LIKELY or chance >= NEARLY * best


def eagerness(needs: Needs, machine: Machine) -> tuple[int, float]:
    """Say how gladly a task goes to a machine, as a key to sort by, lowest first: what it has not to fetch, then how fast it is."""
    return -len(needs.content & machine.content), -round(machine.speed * 4) / 4


def speed_after(speed: float, usual_s: float, took_s: float) -> float:
    """
    Correct what is believed of a machine's speed by one more task, a quarter of the way, within 1/8 and 8.

    Args:
        speed: What was believed.
        usual_s: What such a task usually takes in the pool [s].
        took_s: What it took here [s].
    """
    seen = usual_s / took_s if took_s > 0 and usual_s > 0 else 1.0
    return min(max(0.75 * speed + 0.25 * seen, 0.125), 8.0)


def usual_time(done_s: Sequence[float]) -> float | None:
    """
    Say how long a task of a deal usually takes [s]; None while too few are done to know.

    Args:
        done_s: How long some finished tasks of the deal took [s].
    """
    return median(done_s) if len(done_s) >= FEWEST_DONE else None


def straggles_after(done_s: Sequence[float]) -> float | None:
    """
    Say how long a task may take before another machine gets a copy [s]; None while that is not known.

    Args:
        done_s: How long some finished tasks of the deal took [s].
    """
    usual = usual_time(done_s)
    return None if usual is None else STRAGGLES_AT * usual


def _is_within(place: str, region: str) -> bool:
    return place == region or place.startswith(region + "-")


def _size(count: int) -> str:
    return f"{count / MEGABYTE:,.0f} MB"
