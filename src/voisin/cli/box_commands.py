"""A market on this machine: `up`, `status`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.chain_commands import ENGINES, engine_name
from voisin.cli.reading import amount, category
from voisin.cli.session import Session, command
from voisin.units import NRLC

if TYPE_CHECKING:
    from rich.console import Console

    from voisin.box.service import Box
    from voisin.box.settings import BoxSettings
    from voisin.box.status import BoxStatus


def up(
    session: Session,
    workers: Annotated[int | None, typer.Option(help="Worker processes; 3 unless set.", min=0, max=64)] = None,
    slots: Annotated[int, typer.Option(help="Tasks that each worker runs at a time.", min=1, max=64)] = 1,
    port: Annotated[int | None, typer.Option(help="First of four ports; 0 takes free ones.", min=0, max=65_532)] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; anything but loopback opens the box to the network.")] = "127.0.0.1",
    price: Annotated[NRLC | None, typer.Option(parser=amount, metavar="AMOUNT", help="What the box's pool charges for a task.")] = None,
    engine: Annotated[str, typer.Option(help=f"What runs the chain's contracts: {', '.join(ENGINES)}.")] = "jit",
    classes: Annotated[
        list[str] | None,
        typer.Option("--category", metavar="NAME=SECONDS", help="Class of duration of a new market; repeat for more."),
    ] = None,
) -> None:
    """Run a whole market on this machine until Ctrl-C: chain, order book, pool, storage and workers."""
    from voisin.box.settings import BoxSettings

    settings = BoxSettings(
        home=session.home,
        workers=session.settings.workers if workers is None else workers,
        slots=slots,
        host=host,
        port=session.settings.port if port is None else port,
        engine=engine_name(engine),
    )
    if classes:
        settings = replace(settings, categories=tuple(category(text) for text in classes))
    _run_box(session, settings if price is None else replace(settings, price=price))


def _run_box(session: Session, settings: BoxSettings) -> None:
    import anyio

    from voisin.box.service import open_box
    from voisin.cli.until import until_signal

    session.start_logs()

    def say(line: str) -> None:
        session.err.print(line)

    async def serve() -> None:
        async with open_box(settings, say) as box:
            session.answer(box.network, lambda out: _show_ready(out, box, session.home))
            sys.stdout.flush()
            await until_signal()
            say("stopping")

    anyio.run(serve)


def _show_ready(out: Console, box: Box, home: Path) -> None:
    where = "" if home == Path.home() / ".voisin" else f" --home {home}"
    out.print(f"ready: {box.network.market_url}; try `voisin run apps/pathtracer --frames 0..23{where}`; Ctrl-C stops")


def status(session: Session) -> None:
    """Show what runs: the market's services and the pool's workers."""
    import anyio

    from voisin.box.status import box_status

    found = anyio.run(box_status, session.network)
    session.answer(found, lambda out: _show_status(out, found))
    if not all(service.is_up for service in found.services):
        raise typer.Exit(1)


def _show_status(out: Console, found: BoxStatus) -> None:
    from voisin.cli.show import short, table

    services = [(service.name, "up" if service.is_up else "down", service.url, service.detail) for service in found.services]
    out.print(table("Services", ("service", "state", "address", "detail"), services))
    if found.pool is None:
        return
    workers = [
        (worker.name, short(worker.worker), "online" if worker.online else "away", f"{worker.busy}/{worker.slots}", str(worker.score))
        for worker in found.pool.workers
    ]
    out.print()
    out.print(table("Workers", ("worker", "address", "state", "busy", "score"), workers, right=("busy", "score")))


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "up", example="voisin up --workers 3")(up)
    command(app, "status", example="voisin status --json")(status)
