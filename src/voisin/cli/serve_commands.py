"""Selling the time of workers: `pool run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voisin.cli.reading import amount
from voisin.cli.session import Session, command
from voisin.units import NRLC

pools = typer.Typer(name="pool", help="Workerpools: organise workers and sell their time.")


def run(
    session: Session,
    price: Annotated[NRLC, typer.Option(parser=amount, metavar="AMOUNT", help="What the pool charges for a task.")],
    description: Annotated[str, typer.Option(help="The pool's description in the registry; names its entry.")] = "voisin-pool",
    category: Annotated[list[int] | None, typer.Option(help="Class of duration that is sold; may be repeated.", min=0)] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65_535)] = 13000,
    database: Annotated[str, typer.Option(metavar="URL", help="Where records are kept; SQLite in the home folder unless given.")] = "",
    scheduler: Annotated[str, typer.Option(metavar="NAME", help="Name of this process among those that share the database.")] = "main",
    vault: Annotated[str, typer.Option(metavar="URL", help="Vault for tasks in enclaves; the network's unless given.")] = "",
    enclave_policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Sell real enclaves: what is asked of them, as for `voisin vault run`.")
    ] = None,
    allow_simulated: Annotated[bool, typer.Option("--allow-simulated", help="Sell simulated enclaves, which hide nothing.")] = False,
) -> None:
    """Run a workerpool of the wallet until Ctrl-C: it registers itself, keeps its offers in the book and serves workers."""
    from voisin.cli.serving import run_own_pool

    run_own_pool(
        session,
        description,
        {
            "price": price,
            "categories": tuple(category or (0,)),
            "host": host,
            "port": port,
            "database": database,
            "scheduler": scheduler,
            "vault": vault,
            "enclave_policy": enclave_policy,
            "allow_simulated": allow_simulated,
        },
    )


command(pools, "run", example='voisin pool run --price "0.1 RLC" --wallet scheduler')(run)
