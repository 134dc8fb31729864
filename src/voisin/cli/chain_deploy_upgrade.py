"""The code of a hub that is there, brought up to this version: what `voisin chain deploy --upgrade` does."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import msgspec
from rich.console import Console

from voisin.chain import Deployment, Rpc
from voisin.chain.deployment.check import check_deployment
from voisin.chain.deployment.journal import Heading, Journal, open_journal
from voisin.chain.deployment.place import code_hashes, write_deployment
from voisin.chain.deployment.plan import Step
from voisin.chain.deployment.routes import read_table
from voisin.chain.deployment.run import Bringup, Planner, Quote
from voisin.chain.deployment.standing import Standing, survey
from voisin.chain.deployment.upgrade import Change, upgrade_plan
from voisin.cli.chain_deploy_show import Outcome, show_changes, show_quote
from voisin.cli.chain_deploy_work import Order, Progress, agreed_signer, answer, check, deployment_in, node_of, terms_of
from voisin.cli.session import Session
from voisin.client.wallets import find_wallet, wallet_address
from voisin.protocol.ids import Address
from voisin.protocol.signatures import KeySigner


def upgrade(session: Session, order: Order, *, is_dry: bool) -> None:
    """
    Deploy the facets whose code differs, and send the hub's functions to them.

    Args:
        session: The command.
        order: Which market.
        is_dry: Whether to show only what would be done.

    Raises:
        InputError: There is no deployment file, or the node serves another chain.
        StateError: The wallet does not own the hub, it was not agreed to, or what stands in the end is not as it should be.
        FundsError: The wallet cannot pay.
        RevertError: A step failed.
    """
    session.start_logs()
    deployment = deployment_in(order)
    wallet = find_wallet(session.home, session.known_network, session.settings.wallet)
    heading = Heading(order.chain_id, wallet_address(wallet), terms_of(order, deployment), deployment.hub)
    with open_journal(order.file.with_suffix(".upgrade"), heading) as journal:
        try:
            quote, changes = anyio.run(_price, order, journal, deployment.hub)
            if is_dry:
                return _show_price(session, heading, quote, changes)
            if not quote.steps and not journal.sent:
                return check(session, order)
            if not session.as_json:
                show_changes(session.err, changes)
            signer = agreed_signer(session, order, quote, heading=heading, wallet=wallet)
            outcome = anyio.run(_carry_out, order, journal, deployment, signer, Progress(session, len(quote.steps)))
        finally:
            if not journal.sent:
                journal.remove()
        journal.remove()
    return answer(session, outcome)


def _show_price(session: Session, heading: Heading, quote: Quote, changes: tuple[Change, ...]) -> None:
    steps = tuple(step.name for step in quote.steps)

    def show(out: Console) -> None:
        show_changes(out, changes)
        show_quote(out, quote, heading)

    session.answer(Outcome(status="priced", steps=steps, gas=quote.gas, cost_wei=quote.most, changes=changes), show)


def _planner(rpc: Rpc, hub: Address) -> Planner:
    async def plan(standing: Standing) -> Sequence[Step]:
        return upgrade_plan(standing, hub, await read_table(rpc, hub)).steps

    return plan


async def _price(order: Order, journal: Journal, hub: Address) -> tuple[Quote, tuple[Change, ...]]:
    async with node_of(order) as rpc:
        table = await read_table(rpc, hub)
        table.require_owner(journal.heading.owner)
        plan = upgrade_plan(await survey(rpc, journal), hub, table)
        return await Bringup(rpc, journal, _planner(rpc, hub)).quote(), plan.changes


async def _carry_out(order: Order, journal: Journal, deployment: Deployment, signer: KeySigner, progress: Progress) -> Outcome:
    async with node_of(order) as rpc:
        hub = deployment.hub
        standing = await Bringup(rpc, journal, _planner(rpc, hub)).carry_out(signer, progress)
        plan = upgrade_plan(standing, hub, await read_table(rpc, hub))
        upgraded = msgspec.structs.replace(deployment, facets=plan.facets)
        upgraded = msgspec.structs.replace(upgraded, code_hashes=await code_hashes(rpc, upgraded))
        write_deployment(order.file, upgraded)
        report = await check_deployment(rpc, upgraded, journal.heading.terms)
    return progress.outcome(order, upgraded, report, status="upgraded")
