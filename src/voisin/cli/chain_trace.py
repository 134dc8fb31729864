"""How a transaction ran, for developers: `chain trace`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.described import arguments_line
from voisin.cli.node import HubOption, NodeOption, ask_node
from voisin.cli.reading import hash32
from voisin.cli.session import Session, command
from voisin.cli.show import coins, short

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    from voisin.chain.call_tree import CallNode, EventNode

_DELEGATING = ("DELEGATECALL", "CALLCODE")


def trace(
    session: Session,
    transaction: Annotated[str, typer.Argument(parser=hash32, metavar="TX", help="The transaction's hash.")],
    rpc: NodeOption = None,
    hub: HubOption = None,
) -> None:
    """Show how a transaction ran: the tree of its calls with arguments, gas, events, and why it failed. Needs a node that traces."""
    from voisin.chain.call_tree import trace_transaction

    tree = ask_node(session, rpc, hub, lambda node, names: trace_transaction(node, transaction, names))
    session.answer({"transaction": transaction, "call": tree}, lambda out: _show(out, transaction, tree))


def _show(out: Console, transaction: str, tree: CallNode) -> None:
    from rich.text import Text
    from rich.tree import Tree

    failure = _failure(tree)
    ended = Text.assemble(("failed", "bold red"), f": {failure}") if failure else Text("succeeded", style="bold green")
    out.print(Text.assemble(f"{transaction} ", ended, f", {tree.gas_used:,} gas"))
    if tree.hint:
        out.print(Text(f"hint: {tree.hint}", style="yellow"))
    root = Tree(_line(tree))
    _grow(root, tree)
    out.print(root)


def _grow(branch: Tree, node: CallNode) -> None:
    """Add events and calls in the order in which they happened, then how the call ended."""
    events = list(node.events)
    for index, call in enumerate(node.calls):
        while events and events[0].position <= index:
            branch.add(_event_line(events.pop(0)))
        _grow(branch.add(_line(call, node)), call)
    for event in events:
        branch.add(_event_line(event))
    ending = _ending(node)
    if ending is not None:
        branch.add(ending)


def _line(node: CallNode, caller: CallNode | None = None) -> Text:
    from rich.text import Text

    from voisin.chain.describing import PRECOMPILES

    line = Text.assemble((f"[{node.gas_used:,}] ", "dim"), (node.contract or short(node.to), "bold cyan"))
    if node.call is not None:
        line.append(f".{node.call.name}", style="bold")
        above = caller.call if caller is not None and node.kind in _DELEGATING else None
        is_same = above is not None and above.arguments == node.call.arguments
        line.append("(…)" if is_same and node.call.arguments else f"({arguments_line(node.call.arguments)})")
    elif node.kind.startswith("CREATE"):
        line.append(" created")
    elif node.contract in PRECOMPILES:
        line.append(f"({len(node.data) // 2 - 1} bytes)")
    elif node.data != "0x":
        line.append(f".{node.data[:10]}", style="bold")
        line.append(f"({max(0, len(node.data) // 2 - 5)} bytes)")
    if node.value != "0" and node.kind not in _DELEGATING:
        line.append(f" value {coins(int(node.value))}", style="yellow")
    if node.kind != "CALL":
        line.append(f" {node.kind.lower()}", style="dim")
    return line


def _ending(node: CallNode) -> Text | None:
    from rich.text import Text

    if node.error:
        return Text(f"✗ {_failure(node)}", style="red")
    if node.returned:
        return Text(f"→ {arguments_line(node.returned)}", style="green")
    return None


def _failure(node: CallNode) -> str:
    return f"{node.error}: {node.reason}" if node.reason else node.error


def _event_line(node: EventNode) -> Text:
    from rich.text import Text

    if node.event is None:
        return Text.assemble(("event ", "magenta"), f"{short(node.address)} {node.topics[0] if node.topics else ''} {node.data}")
    return Text.assemble(("event ", "magenta"), (node.event.name, "bold magenta"), f"({arguments_line(node.event.arguments)})")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "trace", example="voisin chain trace 0x4f1d…")(trace)
