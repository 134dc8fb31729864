"""Selling machine time: `worker join`, `pool run`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from voisin.cli.reading import amount
from voisin.cli.session import Session, command
from voisin.units import NRLC

workers = typer.Typer(name="worker", help="Workers: machines that run apps for money.")
pools = typer.Typer(name="pool", help="Workerpools: organise workers and sell their time.")


def join(
    session: Session,
    pool: Annotated[str | None, typer.Argument(metavar="[POOL]", help="The pool's address; the home's own pool unless given.")] = None,
    name: Annotated[str, typer.Option(help="How the pool lists this worker; the wallet's name unless given.")] = "",
    slots: Annotated[int, typer.Option(help="Tasks to run at a time; one per processor unless given.", min=0, max=1024)] = 0,
    memory: Annotated[int, typer.Option(help="MiB of memory for all tasks together.", min=64)] = 2048,
    disk: Annotated[int, typer.Option(help="MiB of disk for tasks.", min=64)] = 10240,
    folder: Annotated[Path | None, typer.Option(help="Where tasks and cached apps are kept.")] = None,
) -> None:
    """Let this machine work for a pool until Ctrl-C; it signs with the wallet and is paid into its account."""
    from voisin.cli.serving import run_joined
    from voisin.client.wallets import find_wallet
    from voisin.errors import InputError
    from voisin.worker import WorkerSettings

    where = pool or session.network.pool_url
    if not where:
        raise InputError("no pool is known here", hint="give the pool's address")
    if not where.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{where!r} is not an http address", param_hint="POOL")
    wallet = find_wallet(session.home, session.network, session.settings.wallet)
    settings = WorkerSettings(
        name=name or wallet.stem,
        pool_url=where,
        rpc_url=session.network.rpc_url,
        folder=folder or session.home / "workers" / wallet.stem,
        hub=session.network.hub,
        slots=slots or os.cpu_count() or 1,
        memory_bytes=memory << 20,
        disk_bytes=disk << 20,
    )
    run_joined(session, settings)


def run(
    session: Session,
    price: Annotated[NRLC, typer.Option(parser=amount, metavar="AMOUNT", help="What the pool charges for a task.")],
    description: Annotated[str, typer.Option(help="The pool's description in the registry; names its entry.")] = "voisin-pool",
    category: Annotated[list[int] | None, typer.Option(help="Class of duration that is sold; may be repeated.", min=0)] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65_535)] = 13000,
) -> None:
    """Run a workerpool of the wallet until Ctrl-C: it registers itself, keeps its offers in the book and serves workers."""
    from voisin.cli.serving import run_own_pool

    run_own_pool(session, description, {"price": price, "categories": tuple(category or (0,)), "host": host, "port": port})


command(workers, "join", example="voisin worker join http://pool.example:13000 --wallet worker")(join)
command(pools, "run", example='voisin pool run --price "0.1 RLC" --wallet scheduler')(run)
