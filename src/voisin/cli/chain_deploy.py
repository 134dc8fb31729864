"""Contracts onto a chain: `chain deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voisin.cli.session import Session, command

NO_NODE_CHAIN_ID = 31_337


def deploy(
    session: Session,
    rpc_url: Annotated[str | None, typer.Option(metavar="URL", help="The chain's node; VOISIN_RPC_URL unless given.")] = None,
    chain_id: Annotated[int | None, typer.Option(help="Id of the chain that you mean; another one is refused.", min=1)] = None,
    token: Annotated[str | None, typer.Option(metavar="ADDRESS", help="The chain's RLC; a new token is deployed unless given.")] = None,
    native: Annotated[bool, typer.Option("--native", help="A market whose money is the chain's own coin: no token.")] = False,
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where it is written what stands where; deployments/CHAIN.json in the home folder unless given."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Send nothing: compare what is there with what should be.")] = False,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Bring the code of the hub that is there up to this version, as its owner.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing: show what is left to do, and its price.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether to spend.")] = False,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the transactions down, for replays; without a node: of the first test account, on a chain in memory.",
        ),
    ] = None,
) -> None:
    """
    Put the market's contracts on a chain: token, hub with its facets, registries, configuration, categories.

    An interrupted deployment goes on where it was when the command is run again. What stands already is checked.
    """
    from voisin.cli import chain_deploy_upgrade, chain_deploy_work

    if native and token:
        raise typer.BadParameter("a market of native coin has no token", param_hint="--native")
    node = rpc_url or session.settings.rpc_url
    if node is None:
        if record is None or check or upgrade or dry_run or token:
            raise typer.BadParameter("say which node to use, or set VOISIN_RPC_URL", param_hint="--rpc-url")
        return chain_deploy_work.record_only(session, record, chain_id or NO_NODE_CHAIN_ID, is_native=native)
    if chain_id is None:
        raise typer.BadParameter("say which chain you mean: what is sent to the wrong one is lost", param_hint="--chain-id")
    if check and (dry_run or upgrade):
        raise typer.BadParameter("it sends nothing, and goes with neither --dry-run nor --upgrade", param_hint="--check")
    place = (file or session.home / "deployments" / f"{chain_id}.json").expanduser()
    order = chain_deploy_work.Order(
        rpc_url=node, chain_id=chain_id, token=token, is_native=native, file=place, record=record, is_agreed=yes
    )
    if check:
        return chain_deploy_work.check(session, order)
    if upgrade:
        return chain_deploy_upgrade.upgrade(session, order, is_dry=dry_run)
    return chain_deploy_work.deploy(session, order, is_dry=dry_run)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "deploy", example="voisin chain deploy --rpc-url http://127.0.0.1:8545 --chain-id 31337 --wallet owner")(deploy)
