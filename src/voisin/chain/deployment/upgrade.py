"""
Brings the code of a hub up to that of this version: facets whose code differs are deployed anew, and a cut of the diamond sends
the hub's functions to them. What the hub holds stays.

Source: ERC-2535 for cuts; SPEC 4.2 for short answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from voisin.chain.artifacts import load_abi
from voisin.chain.calls import Call
from voisin.chain.deployment.plan import ADD, HUB, Draft, Step, facet_cuts
from voisin.chain.deployment.routes import Table
from voisin.chain.deployment.standing import Standing
from voisin.chain.functions import function
from voisin.protocol.ids import ZERO_ADDRESS, Address, to_hex

REPLACE, REMOVE = 1, 2
"""What a cut does with its selectors, beside ADD; the constants of `routing.vy`."""
_MOST_CUTS, _MOST_SELECTORS = 8, 64
_GAS, _SELECTOR_GAS = 150_000, 60_000


class Change(msgspec.Struct, frozen=True):
    """A function that another facet will answer: which, who answers now, who then; empty for nobody."""

    function: str
    before: str
    after: str


@dataclass(frozen=True)
class UpgradePlan:
    """
    What is to be done to a hub.

    Attributes:
        steps: The transactions.
        changes: The functions that another facet will answer.
        facets: Address of each facet by name, afterwards.
    """

    steps: tuple[Step, ...]
    changes: tuple[Change, ...]
    facets: dict[str, Address]


def upgrade_plan(standing: Standing, hub: Address, table: Table) -> UpgradePlan:
    """
    Plan how a hub gets this version's code.

    Args:
        standing: What stands of new facets, and who sends the transactions.
        hub: The hub.
        table: What it answers now.
    """
    names = standing.heading.terms.facets
    made = {name: address for name, address in standing.made.items() if name in names}
    draft = Draft(standing.heading.owner, standing.next_nonce, {**made, **table.current})
    facets = {name: draft.create(name) for name in names}
    cuts = facet_cuts(facets)
    wanted = {selector: cut.facet for cut in cuts for selector in cut.selectors}
    draft.wave = 1
    moved = list(_moves(table.routes, wanted))
    for start in range(0, len(moved), _MOST_CUTS):
        part = moved[start : start + _MOST_CUTS]
        gas = _GAS + _SELECTOR_GAS * sum(len(selectors) for _, _, selectors in part)
        draft.call(Call(hub, function(HUB, "diamondCut").encode(part, ZERO_ADDRESS, b""), "change who answers which function", gas=gas))
    draft.wave = 2
    for call in _marks(hub, table, wanted, {selector for cut in cuts for selector in cut.small}):
        draft.call(call)
    return UpgradePlan(tuple(draft.steps), tuple(_changes(table.routes, wanted)), facets)


def _moves(routes: Mapping[bytes, Address], wanted: Mapping[bytes, Address]) -> Iterator[tuple[Address, int, list[bytes]]]:
    """Sort what has to change into cuts: removals first, for the places that they free."""
    groups: dict[tuple[Address, int], list[bytes]] = {(ZERO_ADDRESS, REMOVE): [each for each in routes if each not in wanted]}
    for selector, facet in wanted.items():
        if selector not in routes:
            groups.setdefault((facet, ADD), []).append(selector)
        elif routes[selector] != facet:
            groups.setdefault((facet, REPLACE), []).append(selector)
    for (facet, action), selectors in groups.items():
        for start in range(0, len(selectors), _MOST_SELECTORS):
            yield facet, action, selectors[start : start + _MOST_SELECTORS]


def _marks(hub: Address, table: Table, wanted: Mapping[bytes, Address], small: set[bytes]) -> Iterator[Call]:
    """Bound the answers anew: what a cut touches may answer at length until it is marked."""
    kept = {selector for selector in table.small if table.routes[selector] == wanted.get(selector)}
    for selectors, is_small in ((small - kept, True), (kept - small, False)):
        if selectors:
            data = function(HUB, "setSmallAnswers").encode(sorted(selectors), is_small)
            yield Call(hub, data, f"mark {'short' if is_small else 'long'} answers", gas=_GAS + _SELECTOR_GAS * len(selectors))


def _changes(routes: Mapping[bytes, Address], wanted: Mapping[bytes, Address]) -> Iterator[Change]:
    names = {entry.selector: entry.signature for entry in load_abi(HUB) if entry.type == "function"}
    for selector in dict.fromkeys((*routes, *wanted)):
        before, after = routes.get(selector, ""), wanted.get(selector, "")
        if before != after:
            yield Change(names.get(selector, to_hex(selector)), before, after)
