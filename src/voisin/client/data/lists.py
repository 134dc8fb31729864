"""Lists of datasets that tasks open together."""

from __future__ import annotations

from collections.abc import Sequence

from voisin.errors import InputError
from voisin.protocol.ids import Address, as_address
from voisin.protocol.sessions import MAX_BULK


def cut_lists(datasets: Sequence[str], per_task: int) -> list[tuple[Address, ...]]:
    """
    Cut datasets into lists, one for each task; one that is named twice counts once.

    Raises:
        InputError: There are none, or a task may not open so many.
    """
    named = list(dict.fromkeys(as_address(each) for each in datasets))
    if not named:
        raise InputError("no dataset is named", hint="name one or several")
    if not 1 <= per_task <= MAX_BULK:
        raise InputError(f"a task opens 1 to {MAX_BULK} datasets together, not {per_task}")
    return [tuple(named[first : first + per_task]) for first in range(0, len(named), per_task)]


def read_lists(given: Sequence[Sequence[str]]) -> tuple[tuple[Address, ...], ...]:
    """
    Check lists of datasets, one for each task.

    Raises:
        InputError: One is empty, too long, or names a dataset twice.
    """
    lists = tuple(tuple(as_address(each) for each in together) for together in given)
    for each in lists:
        if not 1 <= len(each) <= MAX_BULK:
            raise InputError(f"a task opens 1 to {MAX_BULK} datasets together, not {len(each)}")
        if len(set(each)) != len(each):
            raise InputError("a list names a dataset twice")
    return lists
