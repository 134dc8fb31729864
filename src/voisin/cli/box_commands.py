"""A market on this machine: `up`, `status`, `box config`."""

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

    from voisin.box.client_config import ClientConfig
    from voisin.box.service import Box
    from voisin.box.settings import BoxSettings
    from voisin.box.status import BoxStatus

app = typer.Typer(name="box", help="The market on this machine, as others see it.")
CLIENTS = ("iexec",)
CHAIN_FILE = Path("chain.json")


def up(
    session: Session,
    workers: Annotated[int | None, typer.Option(help="Worker processes; 3 unless set.", min=0, max=64)] = None,
    slots: Annotated[int, typer.Option(help="Tasks that each worker runs at a time.", min=1, max=64)] = 1,
    port: Annotated[int | None, typer.Option(help="First of seven ports; 0 takes free ones.", min=0, max=65_529)] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; anything but loopback opens the box to the network.")] = "127.0.0.1",
    price: Annotated[NRLC | None, typer.Option(parser=amount, metavar="AMOUNT", help="What the box's pool charges for a task.")] = None,
    engine: Annotated[str, typer.Option(help=f"What runs the chain's contracts: {', '.join(ENGINES)}.")] = "jit",
    broker: Annotated[bool, typer.Option("--broker", help="Fill published requests while their requesters are away.")] = False,
    vault_apart: Annotated[
        bool, typer.Option("--vault-apart", help="Run the vault as a process of its own, away from the others' memory.")
    ] = False,
    allow_private_web: Annotated[
        bool, typer.Option("--allow-private-web", help="Let tasks fetch inputs from web servers on this machine and in its network.")
    ] = False,
    nonce_settle_ms: Annotated[
        int, typer.Option(metavar="MS", help="Hold receipts for clients that remember nonces (ethers: 250); ours never waits.", min=0)
    ] = 300,
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
        broker=broker,
        vault_apart=vault_apart,
        allow_private_web=allow_private_web,
        nonce_settle_ms=nonce_settle_ms,
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

    anyio.run(serve, backend_options={"use_uvloop": True})


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


def config(
    session: Session,
    client: Annotated[str, typer.Option("--for", metavar="CLIENT", help=f"Which client: {', '.join(CLIENTS)}.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where its chain.json goes; ./chain.json, or nowhere with --json.")
    ] = None,
) -> None:
    """Write the configuration with which the ecosystem's own client works here; --json prints addresses, URLs and development keys."""
    import anyio

    from voisin.box.client_config import client_config, write_chain_file

    if client not in CLIENTS:
        raise typer.BadParameter(f"{client!r} is not known; use {', '.join(CLIENTS)}", param_hint="--for")
    found = anyio.run(client_config, session.network)
    target = output if output is not None or session.as_json else CHAIN_FILE
    if target is not None:
        write_chain_file(target, found)
    session.answer(found, lambda out: _show_config(out, found, target))


def _show_config(out: Console, found: ClientConfig, target: Path | None) -> None:
    from voisin.box.client_config import iexec_options

    out.print(f"written: {target}, for the iexec command line in that folder", soft_wrap=True)
    out.print("\nFor the library:\n")
    signer = f"const signer = utils.getSignerFromPrivateKey('{found.rpc_url}', process.env.PRIVATE_KEY);"
    options = [f"  {name}: '{value}'," for name, value in iexec_options(found).items()]
    out.print("\n".join([signer, "const iexec = new IExec({ ethProvider: signer }, {", *options, "});"]), soft_wrap=True, markup=False)
    out.print("\nA key with money on this chain, and the hub owner's: `voisin box config --for iexec --json`")


def add_to(root: typer.Typer) -> None:
    """Add the commands."""
    command(root, "up", example="voisin up --workers 3")(up)
    command(root, "status", example="voisin status --json")(status)
    root.add_typer(app)


command(app, "config", example="voisin box config --for iexec --output chain.json")(config)
