"""Conditions of use as options: shared by the commands that offer data."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.reading import amount
from voisin.units import NRLC

if TYPE_CHECKING:
    from voisin.client.data.conditions import DataConditions

_PANEL = "Conditions of use"
_OPTIONS: dict[str, tuple[object, object]] = {
    "price": (
        Annotated[
            NRLC | None,
            typer.Option("--price", parser=amount, metavar="AMOUNT", help="Price of a use; free unless given.", rich_help_panel=_PANEL),
        ],
        None,
    ),
    "uses": (Annotated[int | None, typer.Option("--uses", help="Uses in all; 1 unless given.", min=1, rich_help_panel=_PANEL)], None),
    "bulk": (
        Annotated[
            bool,
            typer.Option("--bulk", help="Also with others in one deal, for nothing, uncounted.", rich_help_panel=_PANEL),
        ],
        False,
    ),
    "uses_per_renter": (Annotated[int | None, typer.Option(help="Uses of one renter.", min=1, rich_help_panel=_PANEL)], None),
    "not_before": (
        Annotated[
            str | None, typer.Option("--from", metavar="TIME", help="From when on: 2026-12-31, or 12h from now.", rich_help_panel=_PANEL)
        ],
        None,
    ),
    "until": (
        Annotated[
            str | None,
            typer.Option("--until", metavar="TIME", help="Until when: 2026-12-31 (UTC), or 30d from now.", rich_help_panel=_PANEL),
        ],
        None,
    ),
    "apps": (
        Annotated[
            list[str] | None,
            typer.Option(
                "--apps", metavar="APP,...", help="Apps that may use it: addresses, or paths of their code.", rich_help_panel=_PANEL
            ),
        ],
        None,
    ),
    "pools": (
        Annotated[
            list[str] | None, typer.Option("--pools", metavar="ADDRESS,...", help="Workerpools whose machines may.", rich_help_panel=_PANEL)
        ],
        None,
    ),
    "requesters": (
        Annotated[
            list[str] | None,
            typer.Option("--for", metavar="ADDRESS,...", help="Who may rent it; everybody unless given.", rich_help_panel=_PANEL),
        ],
        None,
    ),
    "purposes": (
        Annotated[
            list[str] | None,
            typer.Option("--purpose", metavar="TEXT", help="What renters must sign; may be repeated.", rich_help_panel=_PANEL),
        ],
        None,
    ),
    "max_output": (
        Annotated[
            str | None,
            typer.Option("--max-output", metavar="SIZE", help="Most that leaves the enclave, such as 1MB.", rich_help_panel=_PANEL),
        ],
        None,
    ),
    "allow_network": (
        Annotated[
            bool, typer.Option("--network-allowed/--no-network", help="Whether the app may reach a network.", rich_help_panel=_PANEL)
        ],
        False,
    ),
    "enclave": (
        Annotated[
            str | None,
            typer.Option("--enclave", metavar="LEVEL", help="hardware, or simulated, which hides nothing.", rich_help_panel=_PANEL),
        ],
        None,
    ),
    "epsilon": (Annotated[float | None, typer.Option(help="Differential privacy: epsilon of a query.", rich_help_panel=_PANEL)], None),
    "epsilon_per_renter": (Annotated[float | None, typer.Option(help="Epsilon of all queries of a renter.", rich_help_panel=_PANEL)], None),
    "subscription": (
        Annotated[
            NRLC | None,
            typer.Option(
                "--subscription", parser=amount, metavar="AMOUNT", help="Price of a period, beside each use.", rich_help_panel=_PANEL
            ),
        ],
        None,
    ),
    "period": (Annotated[str | None, typer.Option(metavar="SPAN", help="Length of a period, such as 30d.", rich_help_panel=_PANEL)], None),
    "renewals": (Annotated[int | None, typer.Option(help="How often a subscriber may renew.", min=1, rich_help_panel=_PANEL)], None),
    "review": (
        Annotated[
            str | None,
            typer.Option(metavar="WHO", help="owner: results wait for you; rule: those that a rule does not pass.", rich_help_panel=_PANEL),
        ],
        None,
    ),
    "release_rule": (
        Annotated[
            Path | None,
            typer.Option("--release-rule", metavar="FILE", help="The rule: what a result may be, TOML or JSON.", rich_help_panel=_PANEL),
        ],
        None,
    ),
    "vaults": (
        Annotated[
            list[str] | None,
            typer.Option("--vaults", metavar="URL,...", help="Other vaults: each keeps a share, none the key.", rich_help_panel=_PANEL),
        ],
        None,
    ),
    "needed": (
        Annotated[int | None, typer.Option("--needed", help="How many vaults give the key together.", min=2, rich_help_panel=_PANEL)],
        None,
    ),
    "revocable": (
        Annotated[bool, typer.Option("--revocable", help="Renters can be shut out one by one, by a gate.", rich_help_panel=_PANEL)],
        False,
    ),
}
_LISTS = ("apps", "pools", "requesters", "vaults")
_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def with_conditions(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of conditions; it gets them as its argument `conditions`, without those that were not given."""
    function.__annotations__.pop("conditions")  # its type is known to type checkers alone, and it is no option
    own = [each for each in inspect.signature(function, eval_str=True).parameters.values() if each.name != "conditions"]

    def shell(*args: object, **values: object) -> None:
        given = {name: values.pop(name) for name in _OPTIONS}
        function(*args, **values, conditions=_conditions(given))

    parameters = [inspect.Parameter(name, _KEYWORD, default=default, annotation=kind) for name, (kind, default) in _OPTIONS.items()]
    plain = [each.replace(kind=_KEYWORD) if each.default is not inspect.Parameter.empty else each for each in own]
    shell.__signature__ = inspect.Signature([*plain, *parameters])  # type: ignore[attr-defined]
    shell.__doc__ = function.__doc__
    return shell


def _conditions(given: dict[str, object]) -> DataConditions:
    named = {name: value for name, value in given.items() if value is not None and value is not False}
    for name in _LISTS:
        if name in named:
            words = named[name]
            assert isinstance(words, list)
            named[name] = [word.strip() for each in words for word in each.split(",") if word.strip()]
    return named  # type: ignore[return-value]  # the options' names and types are those of the keys
