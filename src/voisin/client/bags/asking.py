"""Whether tasks are to be settled as a bag: where the hub and the workerpools can, several tasks are, unless somebody wants otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from voisin.chain import bags
from voisin.client.bags.pools import find_pool
from voisin.client.links import Links
from voisin.errors import InputError, StateError, VoisinError
from voisin.protocol.bag_settlement import MAX_WINDOW_S
from voisin.protocol.ids import Address
from voisin.protocol.tags import Tag, needs_enclave

TASK_BY_TASK: Final = 0
"""The window of a deal whose tasks are settled one by one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be settled: number of tasks, tag, the workerpools that would do them, and the window that is wanted [s], if any is."""

    volume: int
    tag: Tag
    workerpools: frozenset[Address]
    wanted_s: int | None = None


async def choose_window(links: Links, plan: Plan) -> int:
    """
    Choose how long the bag of a run may be challenged.

    Args:
        links: The network.
        plan: What is to be settled. A window that is wanted is had, or refused; without one the network's is taken where possible.

    Returns:
        The window [s]; `TASK_BY_TASK` where tasks are settled one by one.

    Raises:
        InputError: A window is wanted that is none, or for a deal that is never settled as a bag.
        StateError: A window is wanted, and the hub or a workerpool does not settle bags.
    """
    if plan.wanted_s == TASK_BY_TASK:
        return TASK_BY_TASK
    if plan.wanted_s is not None:
        _require_possible(plan, plan.wanted_s)
    elif plan.volume < 2 or needs_enclave(plan.tag) or links.network.bag_window_s == TASK_BY_TASK:
        return TASK_BY_TASK
    why_not = await _obstacle(links, plan.workerpools)
    if not why_not:
        return links.network.bag_window_s if plan.wanted_s is None else plan.wanted_s
    if plan.wanted_s is None:
        return TASK_BY_TASK
    raise StateError(f"the tasks cannot be settled as a bag: {why_not}", hint="have them settled task by task")


def _require_possible(plan: Plan, window_s: int) -> None:
    if not 0 < window_s <= MAX_WINDOW_S:
        raise InputError(f"a window of {window_s} s is not possible", hint=f"choose 1 to {MAX_WINDOW_S} s, or 0 for task by task")
    if needs_enclave(plan.tag):
        raise InputError("tasks in enclaves are settled one by one", hint="ask for no window")


async def _obstacle(links: Links, workerpools: Iterable[Address]) -> str:
    """Say what keeps tasks from being settled as a bag; empty if nothing does."""
    if not await bags.settles_bags(links.chain.rpc, links.chain.hub_address):
        return "the hub of this market does not settle bags"
    for workerpool in sorted(workerpools):
        try:
            async with find_pool(links, workerpool) as pool:
                can = (await pool.pool()).settles_bags
        except VoisinError as error:
            return f"nothing is known of workerpool {workerpool}: {error.message}"
        if not can:
            return f"workerpool {workerpool} settles no bags"
    return ""
