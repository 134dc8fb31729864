"""What a requester asks for when an app is run: how sure, how dear, how long, with which inputs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TypedDict

from voisin.client.data.lists import read_lists
from voisin.errors import InputError
from voisin.protocol.archive import check_path
from voisin.protocol.ids import ZERO_ADDRESS, Address, as_address
from voisin.protocol.params import RunLimits
from voisin.protocol.records import Category
from voisin.protocol.tags import NO_TAG, Tag, as_tag, both_tags, needs_enclave
from voisin.units import NRLC, parse_amount

DEFAULT_REPLICAS = 2
InputData = bytes | str | os.PathLike[str]
"""An input: its bytes, or the path of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """
    How far the tasks have come.

    Attributes:
        total: Number of tasks.
        answered: Tasks for which at least one worker contributed.
        agreed: Tasks whose result is agreed.
        completed: Tasks that are done and paid.
        failed: Tasks that were not done in time and refunded.
    """

    total: int
    answered: int
    agreed: int
    completed: int
    failed: int


class RunTerms(TypedDict, total=False):
    """
    Terms of a run, each by keyword; all may be left out.

    Keys:
        inputs: Files for every task, by the name under which the app sees them: bytes, or a path.
        replicas: How many workers must agree on each result; 2 unless given.
        trust: The protocol's own measure of the same, instead of `replicas`.
        max_price: The most one task may cost in all: nRLC as a number, or text such as `"0.1 RLC"`.
        category: Class of duration, by number or name; unless given, the shortest that holds the time limit, or the first.
        limits: What one task may use.
        tag: What the machines must have, for example `"gpu"`.
        secrets: What the app may know, in an enclave: the names of your secrets in the vault, by the numbers the app knows them by.
        sealed: Whether the result is sealed for the wallet's result key, in an enclave.
        dataset: Address of a dataset that the app gets to see, in an enclave; its owner is paid for each task.
        bulk: For each task the datasets that it opens together, in an enclave, by address: their owners offer that for nothing.
        purpose: What the dataset is used for, which is signed.
        workerpool: Address of the only workerpool that may run it.
        window_s: How long the bag of several tasks may be challenged before it is paid [s]; 0 has the tasks settled one by one. The
            network's unless given, where the hub and the workerpools settle bags.
        timeout_s: How long to wait for the results [s]; the deal goes on when it passes.
        progress: Called with a `Progress` whenever there is news.
    """

    inputs: Mapping[str, InputData]
    replicas: int
    trust: int
    max_price: int | str
    category: int | str
    limits: RunLimits
    tag: str
    secrets: Mapping[int, str]
    sealed: bool
    dataset: str
    bulk: Sequence[Sequence[str]]
    purpose: str
    workerpool: str
    window_s: int
    timeout_s: float
    progress: Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """`RunTerms`, checked and complete."""

    inputs: Mapping[str, bytes | Path] = field(default_factory=dict)
    replicas: int = DEFAULT_REPLICAS
    trust: int | None = None
    max_price: NRLC | None = None
    category: int | str | None = None
    limits: RunLimits = RunLimits()
    tag: Tag = NO_TAG
    secrets: Mapping[int, str] = field(default_factory=dict)
    sealed: bool = False
    dataset: Address = ZERO_ADDRESS
    bulk: tuple[tuple[Address, ...], ...] = ()
    purpose: str = ""
    workerpool: Address = ZERO_ADDRESS
    window_s: int | None = None
    timeout_s: float | None = None
    progress: Callable[[Progress], None] | None = None


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One task: its arguments, and inputs of its own beside those of all tasks."""

    args: tuple[str, ...] = ()
    inputs: Mapping[str, bytes | Path] = field(default_factory=dict)


TaskLike = str | Sequence[str | int | float] | TaskSpec
"""One task as callers may write it: its arguments, or a `TaskSpec`; a text alone is one argument."""


def read_terms(given: RunTerms) -> Terms:
    """
    Check the terms of a run.

    Raises:
        InputError: One of them is unknown, contradicts another, or cannot be used.
    """
    unknown = sorted(given.keys() - RunTerms.__annotations__.keys())
    if unknown:
        near = get_close_matches(unknown[0], RunTerms.__annotations__)
        meant = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(RunTerms.__annotations__)}"
        raise InputError(f"there is no term {unknown[0]!r}", hint=meant)
    if "replicas" in given and "trust" in given:
        raise InputError("replicas and trust say the same thing twice", hint="give one of them")
    tag = as_tag(given.get("tag", ""))
    dataset = as_address(given["dataset"]) if "dataset" in given else ZERO_ADDRESS
    bulk = read_lists(given.get("bulk", ()))
    if dataset != ZERO_ADDRESS and bulk:
        raise InputError("a task sees one dataset, or several together", hint="name the dataset in its list")
    if dataset != ZERO_ADDRESS or bulk:
        tag = both_tags(tag, as_tag("tee"))
    elif given.get("purpose"):
        raise InputError("a purpose is what a dataset is used for", hint="name the dataset as well")
    if (given.get("secrets") or given.get("sealed")) and not needs_enclave(tag):
        raise InputError("secrets and sealed results need an enclave", hint='ask for one with the tag "tee"')
    price = given.get("max_price")
    return Terms(
        inputs=read_inputs(given.get("inputs", {})),
        replicas=_positive("replicas", given.get("replicas", DEFAULT_REPLICAS)),
        trust=_positive("trust", given["trust"]) if "trust" in given else None,
        max_price=parse_amount(price) if isinstance(price, str) else None if price is None else NRLC(_positive("max_price", price, 0)),
        category=given.get("category"),
        limits=given.get("limits", RunLimits()),
        tag=tag,
        secrets=dict(given.get("secrets", {})),
        sealed=given.get("sealed", False),
        dataset=dataset,
        bulk=bulk,
        purpose=given.get("purpose", ""),
        workerpool=as_address(given["workerpool"]) if "workerpool" in given else ZERO_ADDRESS,
        window_s=_positive("window_s", given["window_s"], 0) if "window_s" in given else None,
        timeout_s=given.get("timeout_s"),
        progress=given.get("progress"),
    )


def read_inputs(given: Mapping[str, InputData]) -> dict[str, bytes | Path]:
    """
    Check input files.

    Raises:
        InputError: A name is not safe, or a file is not there.
    """
    inputs: dict[str, bytes | Path] = {}
    for name, data in given.items():
        source = data if isinstance(data, bytes) else Path(data)
        if isinstance(source, Path) and not source.is_file():
            raise InputError(f"the input {source} is not a file", hint="check the path")
        inputs[check_path(name)] = source
    return inputs


def read_tasks(given: Iterable[TaskLike]) -> tuple[TaskSpec, ...]:
    """
    Check a list of tasks.

    Raises:
        InputError: It is empty, or one of them is neither arguments nor a `TaskSpec`.
    """
    tasks = tuple(_task(task) for task in given)
    if not tasks:
        raise InputError("there is nothing to run", hint="give at least one task")
    return tasks


def choose_category(categories: Sequence[Category], wanted: int | str | None, time_s: float) -> int:
    """
    Choose a class of duration.

    Args:
        categories: What the hub knows, by number.
        wanted: A number or a name; None for the shortest that holds the time, or the first when nothing is said about time.
        time_s: What a task may take [s]; 0 when nothing is said.

    Raises:
        InputError: There is no such category, or it is too short for the time.
    """
    names = [category.name for category in categories]
    listed = "there are " + ", ".join(
        f"{category.name} (number {number}, {category.time_ref_s} s)" for number, category in enumerate(categories)
    )
    if wanted is None and not time_s:
        return 0
    if wanted is None:
        fitting = [number for number, category in enumerate(categories) if category.time_ref_s >= time_s]
        if not fitting:
            raise InputError(f"no category is as long as {time_s:g} s", hint=f"ask for less time; {listed}")
        return min(fitting, key=lambda number: categories[number].time_ref_s)
    number = int(wanted) if str(wanted).isdecimal() else names.index(str(wanted)) if str(wanted) in names else -1
    if not 0 <= number < len(categories):
        raise InputError(f"there is no category {wanted!r}", hint=listed)
    if time_s > categories[number].time_ref_s:
        raise InputError(f"category {names[number]} is too short for a task of {time_s:g} s", hint=listed)
    return number


def _task(given: TaskLike) -> TaskSpec:
    if isinstance(given, TaskSpec):
        return TaskSpec(given.args, read_inputs(given.inputs))
    if isinstance(given, str):
        return TaskSpec((given,))
    if not isinstance(given, Sequence) or isinstance(given, bytes):
        raise InputError(f"{given!r} is not a task", hint="a task is a list of arguments, or a TaskSpec")
    return TaskSpec(tuple(str(arg) for arg in given))


def _positive(name: str, value: int, least: int = 1) -> int:
    if not isinstance(value, int) or value < least:
        raise InputError(f"{name} {value!r} is not a whole number from {least} up")
    return value
