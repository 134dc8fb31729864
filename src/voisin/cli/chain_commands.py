"""The chain: `chain` alone runs the embedded one; commands about chains and their contracts are added by the `chain_*` modules."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.session import Session, bare_command

if TYPE_CHECKING:
    from rich.console import Console

    from voisin.chain.devnet import DevnetSettings, EngineName

ENGINES: tuple[EngineName, ...] = ("jit", "pyevm", "eels", "anvil")

app = typer.Typer(name="chain")


def engine_name(name: str) -> EngineName:
    """
    Read the name of an engine from the command line.

    Raises:
        typer.BadParameter: There is no such engine.
    """
    for known in ENGINES:
        if known == name:
            return known
    raise typer.BadParameter(f"{name!r} is not one of {', '.join(ENGINES)}", param_hint="--engine")


def serve_chain(
    session: Session,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65_535)] = 8545,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    database: Annotated[
        Path | None, typer.Option("--db", help="File that keeps the chain; `chain.db` in the home folder unless given.")
    ] = None,
    chain_id: Annotated[int, typer.Option(help="The chain's id.", min=1)] = 31337,
    engine: Annotated[str, typer.Option(help=f"What runs the contracts: {', '.join(ENGINES)}.")] = "jit",
    base_fee: Annotated[int, typer.Option(metavar="WEI", help="Base fee of every block; 0 makes gas free.", min=0)] = 10**9,
    gas_limit: Annotated[int, typer.Option(metavar="GAS", help="Most gas of a block.", min=5_000_000)] = 30_000_000,
    accounts: Annotated[int, typer.Option(help="Pre-funded development accounts of a new chain.", min=0, max=100)] = 10,
    nonce_settle_ms: Annotated[
        int, typer.Option(metavar="MS", help="Hold receipts for clients that remember nonces; ethers needs 250.", min=0)
    ] = 0,
    durable: Annotated[bool, typer.Option("--durable", help="Survive a power cut, not just the end of the process.")] = False,
    dev_methods: Annotated[
        bool | None,
        typer.Option(
            "--dev-methods/--no-dev-methods",
            help="Let clients set the clock, change accounts and go back (evm_*, anvil_*, hardhat_*); on a loopback address unless said.",
        ),
    ] = None,
) -> None:
    """Run the embedded chain alone until Ctrl-C; web3.py, ethers and wallets can use its JSON-RPC port."""
    from voisin.chain.devnet import DevnetSettings

    file = database or session.home / "chain.db"
    file.parent.mkdir(parents=True, exist_ok=True)
    settings = DevnetSettings(
        db=file, host=host, port=port, chain_id=chain_id, engine=engine_name(engine), base_fee=base_fee, gas_limit=gas_limit,
        accounts=accounts, nonce_settle_ms=nonce_settle_ms, is_durable=durable, has_dev_methods=dev_methods,
    )  # fmt: skip
    _run_chain(session, settings)


def _run_chain(session: Session, settings: DevnetSettings) -> None:
    import anyio

    from voisin.chain.devnet import development_keys, serve_devnet
    from voisin.cli.until import until_signal

    session.start_logs()

    async def serve() -> None:
        async with serve_devnet(settings) as node:
            accounts = [key.address for key in development_keys(settings.accounts)]
            document = {"rpc_url": node.rpc_url, "ws_url": node.ws_url, "chain_id": settings.chain_id, "accounts": accounts}
            session.answer(document, lambda out: _show_chain(out, node.rpc_url, settings, accounts))
            sys.stdout.flush()
            await until_signal()

    anyio.run(serve, backend_options={"use_uvloop": True})


def _show_chain(out: Console, rpc_url: str, settings: DevnetSettings, accounts: Sequence[str]) -> None:
    out.print(f"ready: {rpc_url}, chain id {settings.chain_id}, kept in {settings.db}; Ctrl-C stops")
    if settings.offers_dev_methods:
        out.print("clients may set the clock, change accounts and go back; --no-dev-methods forbids it")
    out.print("pre-funded accounts (public development keys, never use them elsewhere):")
    for account in accounts:
        out.print(f"  {account}")


bare_command(app, example="voisin chain --port 8545")(serve_chain)
