"""What is on the chain, for developers: `chain show`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from voisin.cli.described import arguments_line
from voisin.cli.node import NodeOption, ask_node
from voisin.cli.session import Session, command
from voisin.cli.show import coins, moment, pairs, short, table

if TYPE_CHECKING:
    from rich.console import Console

    from voisin.chain.explorer import AddressPage, BlockList, BlockPage, TransactionLine, TransactionPage
    from voisin.chain.rpc import Json, Rpc

    Page = BlockList | BlockPage | TransactionPage | AddressPage

T = TypeVar("T")
_NO_METHOD = -32601


def show(
    session: Session,
    what: Annotated[
        str | None, typer.Argument(metavar="[BLOCK|TX|ADDRESS]", help="A height, a hash or an address; the latest blocks unless given.")
    ] = None,
    before: Annotated[int | None, typer.Option(metavar="BLOCK", help="Begin the list below this height.", min=0)] = None,
    count: Annotated[int, typer.Option(help="Most lines of a list.", min=1, max=100)] = 25,
    rpc: NodeOption = None,
) -> None:
    """Show the latest blocks, a block, a transaction with its events, or an address with its transactions, on an embedded chain."""
    if what is not None and not re.fullmatch(r"[0-9]+|0x(?:[0-9a-fA-F]{40}|[0-9a-fA-F]{64})", what):
        raise typer.BadParameter(f"{what!r} is no height, hash or address", param_hint="BLOCK|TX|ADDRESS")
    page = ask_node(session, rpc, None, lambda node, _: _fetch(node, what, before, count), is_named=False)
    session.answer(page, lambda out: _print(out, page))


async def _fetch(node: Rpc, what: str | None, before: int | None, count: int) -> Page:
    from voisin.chain.explorer import AddressPage, BlockList, BlockPage, TransactionPage
    from voisin.errors import InputError

    found: Page | None
    if what is None:
        found = await _ask(node, BlockList, "explorer_blocks", before, count)
    elif what.isdigit():
        found = await _ask(node, BlockPage, "explorer_block", hex(int(what)))
    elif len(what) == 42:
        found = await _ask(node, AddressPage, "explorer_address", what, before, count)
    else:
        found = await _ask(node, TransactionPage, "explorer_transaction", what)
        found = found or await _ask(node, BlockPage, "explorer_block", {"blockHash": what})
    if found is None:
        raise InputError(f"the chain has no {what}", hint="check the chain and what you ask for")
    return found


async def _ask(node: Rpc, kind: type[T], method: str, *params: Json) -> T | None:
    from voisin.chain.rpc import NodeError
    from voisin.errors import InputError

    try:
        (answer,) = await node.ask([(method, params)])
        return answer.read_optional(kind)
    except NodeError as error:
        if error.rpc_code == _NO_METHOD:
            raise InputError("the node has nothing to show: it is no embedded chain", hint="name one with --rpc-url") from None
        raise


def _print(out: Console, page: Page) -> None:
    from voisin.chain.explorer import AddressPage, BlockList, BlockPage

    if isinstance(page, BlockList):
        rows = [(str(each.number), moment(each.timestamp), short(each.hash), _summary(each.transaction)) for each in page.blocks]
        out.print(table("Blocks", ("block", "time", "hash", "transaction"), rows, right=("block",)))
        _print_more(out, page.next)
    elif isinstance(page, BlockPage):
        _print_block(out, page)
    elif isinstance(page, AddressPage):
        _print_address(out, page)
    else:
        _print_transaction(out, page)


def _print_block(out: Console, page: BlockPage) -> None:
    line = page.line
    rows = [
        ("block", str(line.number)),
        ("hash", line.hash),
        ("parent", page.parent),
        ("time", moment(line.timestamp)),
        ("gas", f"{line.gas_used:,} of {page.gas_limit:,}"),
        ("base fee", f"{page.base_fee} wei"),
        ("state", page.state_root),
    ]
    out.print(pairs(rows))
    for transaction in page.transactions:
        out.print()
        _print_transaction(out, transaction)


def _print_transaction(out: Console, page: TransactionPage) -> None:
    line = page.line
    call = f"{page.call.name}({arguments_line(page.call.arguments)})" if page.call else line.title
    rows = [
        ("transaction", line.hash),
        ("block", f"{line.block}, {moment(line.timestamp)}"),
        ("result", "succeeded" if line.is_success else "failed; `voisin chain trace` says why"),
        ("from", f"{line.sender}, nonce {page.nonce}, type {page.kind}"),
        ("to", line.to or f"{line.created} (created)"),
        ("value", coins(int(line.value))),
        ("gas", f"{line.gas_used:,} of {page.gas:,} at {page.price} wei"),
        ("call", call),
    ]
    for each in page.events:
        said = f"{each.event.name}({arguments_line(each.event.arguments)})" if each.event else f"{' '.join(each.topics)} {each.data}"
        rows.append(("event", f"{short(each.address)} {said}"))
    out.print(pairs(rows))


def _print_address(out: Console, page: AddressPage) -> None:
    kind = f"contract, {page.code_bytes:,} bytes" if page.code_bytes else "account"
    if page.delegate:
        kind = f"account that runs the code of {page.delegate}"
    out.print(pairs([("address", page.address), ("kind", kind), ("balance", coins(int(page.balance))), ("nonce", str(page.nonce))]))
    rows = [(str(each.block), moment(each.timestamp), short(each.hash), _summary(each)) for each in page.transactions]
    out.print()
    out.print(table("Transactions", ("block", "time", "hash", "what"), rows, right=("block",)))
    _print_more(out, page.next)


def _print_more(out: Console, following: int | None) -> None:
    if following is not None:
        out.print(f"more with --before {following}")


def _summary(line: TransactionLine | None) -> str:
    if line is None:
        return ""
    failed = "" if line.is_success else ", failed"
    value = f", value {coins(int(line.value))}" if line.value != "0" else ""
    return f"{short(line.sender)} → {short(line.to or line.created or '')} {line.title}{value}{failed}"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "show", example="voisin chain show 0x70997970C51812dc3A010C7d01b50e0d17dc79C8")(show)
