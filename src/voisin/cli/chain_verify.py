"""Checking a chain's file by doing everything again: `chain verify`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.session import Session, command

if TYPE_CHECKING:
    from rich.console import Console

    from voisin.chain.devnet.engines.engine import Engine
    from voisin.chain.devnet.records.audit_reads import AuditArchive
    from voisin.chain.devnet.verify import Difference, Replay

_ENGINES = ("pyevm", "jit", "eels")


def verify(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The chain's file; it may be in use.")],
    engine: Annotated[str, typer.Option(help=f"What runs the contracts: {', '.join(_ENGINES)}; not only what made the chain.")] = "pyevm",
) -> None:
    """Do every transaction of a chain's file again from the first block, and name the first block that comes out otherwise."""
    import msgspec

    from voisin.chain.devnet.records.audit_reads import open_audit
    from voisin.chain.devnet.verify import Replay

    replay = Replay(_engine(engine))
    with open_audit(file) as archive, _bar(session) as told:
        difference = _damage(archive) or replay.follow(archive, told=told)
    head = replay.head
    document = {
        "file": str(file),
        "is_right": difference is None,
        "blocks": 0 if head is None else head.number + 1,
        "transactions": replay.transactions,
        "changes_by_hand": replay.by_hand,
        "state_root": None if head is None else "0x" + head.state_root.hex(),
        "difference": None if difference is None else msgspec.to_builtins(difference),
    }
    session.answer(document, lambda out: _show(out, file, replay, difference))
    if difference is not None:
        raise typer.Exit(1)


def _engine(name: str) -> Engine:
    from voisin.chain.devnet import DevnetSettings
    from voisin.chain.devnet.node import make_engine
    from voisin.cli.chain_commands import engine_name

    if name not in _ENGINES:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(_ENGINES)}", param_hint="--engine")
    return make_engine(DevnetSettings(engine=engine_name(name)))


def _damage(archive: AuditArchive) -> Difference | None:
    from voisin.chain.devnet.verify import Difference

    found = archive.damage()
    return None if found is None else Difference(0, "database", found, "a whole database")


@contextmanager
def _bar(session: Session) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error; answers what moves it."""
    from rich.progress import Progress

    with Progress(console=session.err, transient=True) as bar:
        line = bar.add_task("blocks", total=None)
        yield lambda number, last: bar.update(line, completed=number + 1, total=last + 1)


def _show(out: Console, file: Path, replay: Replay, difference: Difference | None) -> None:
    blocks = 0 if replay.head is None else replay.head.number + 1
    done = f"{blocks} blocks, {replay.transactions} transactions, {replay.by_hand} changes by hand"
    if difference is None:
        root = "" if replay.head is None else f"; state root 0x{replay.head.state_root.hex()}"
        out.print(f"{file} is right: {done}{root}", soft_wrap=True)
        return
    out.print(f"{file} is wrong at block {difference.block}: another {difference.what}", soft_wrap=True)
    out.print(f"  the file says  {difference.stored}", soft_wrap=True)
    out.print(f"  it must be     {difference.recomputed}", soft_wrap=True)
    out.print(f"right until there: {done}", soft_wrap=True)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "verify", example="voisin chain verify demo/box/chain.db")(verify)
