"""The hub's ABI, for tools that want to talk to it: `chain abi`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.session import Session, command

if TYPE_CHECKING:
    from rich.console import Console

    from voisin.chain.artifacts import AbiEntry


def abi(
    session: Session,
    contract: Annotated[
        str, typer.Argument(help="Hub, Rlc, AppRegistry, DatasetRegistry, WorkerpoolRegistry, App, Dataset or Workerpool.")
    ] = "Hub",
) -> None:
    """Show the ABI of a contract of the market; the hub's is that of all its facets together. Tools want it with --json."""
    from voisin.chain.artifacts import load_abi

    entries = load_abi(contract)
    session.answer(entries, lambda out: _show(out, contract, entries))


def _show(out: Console, contract: str, entries: Sequence[AbiEntry]) -> None:
    from voisin.cli.show import table

    rows = [(entry.type, _key(entry), entry.signature, _answer(entry)) for entry in entries]
    out.print(table(f"{contract}: {len(rows)} entries", ("kind", "selector or topic", "signature", "answers"), rows))


def _key(entry: AbiEntry) -> str:
    return f"0x{(entry.topic if entry.type == 'event' else entry.selector).hex()}"


def _answer(entry: AbiEntry) -> str:
    if entry.type != "function":
        return ""
    return f"{entry.state_mutability} ({', '.join(item.canonical_type for item in entry.outputs)})"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "abi", example="voisin chain abi --json")(abi)
