"""What may be done about a deal that is settled as a bag: `deal check`, `deal challenge`, `deal settle`, `deal claim`, `deal guard`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.deal_commands import DealArgument
from voisin.cli.session import Session, command

if TYPE_CHECKING:
    from rich.console import Console

    from voisin.client import AsyncCloud
    from voisin.client.bags.desk import BagReport


def check(session: Session, deal: DealArgument) -> None:
    """Look at a deal's bag: how far it is, whether its leaves are in order, who asked for what, who is paid."""

    async def work(cloud: AsyncCloud) -> BagReport:
        return await cloud.bags.show(deal)

    _answer(session, session.with_cloud(work))


def challenge(
    session: Session,
    deal: DealArgument,
    demand: Annotated[
        list[int] | None,
        typer.Option(metavar="INDEX", help="Ask for this task's leaf in any case, under a bond of its price; may be repeated.", min=0),
    ] = None,
) -> None:
    """Prove what is wrong with a deal's bag, ask for leaves that are doubtful or withheld, and end a bag that kept them back."""

    async def work(cloud: AsyncCloud) -> BagReport:
        return await cloud.bags.challenge(deal, demand or [])

    _act(session, work)


def settle(session: Session, deal: DealArgument) -> None:
    """Have everybody of a deal's bag paid whose window has closed; anybody may."""

    async def work(cloud: AsyncCloud) -> BagReport:
        return await cloud.bags.settle(deal)

    _act(session, work)


def claim(session: Session, deal: DealArgument) -> None:
    """Take back the money of a deal that was not done in time, all of it or what is open; anybody may, for who paid."""

    async def work(cloud: AsyncCloud) -> str:
        return await cloud.bags.claim(deal)

    done = session.with_wallet(work)
    session.answer({"deal_id": deal, "done": done}, lambda out: out.print(f"{done}: the payer has the money back"))


def guard(session: Session, deal: DealArgument) -> None:
    """Stay with a deal's bag until its money has moved: look at its leaves, challenge, ask, settle or claim when it is time."""

    async def work(cloud: AsyncCloud) -> BagReport:
        if not session.as_json:
            session.err.print(f"[dim]guarding deal {deal}; leave with Ctrl-C[/dim]", soft_wrap=True)
        return await cloud.bags.guard(deal)

    _act(session, work)


def _act(session: Session, work: Callable[[AsyncCloud], Awaitable[BagReport]]) -> None:
    _answer(session, session.with_wallet(work))


def _answer(session: Session, report: BagReport) -> None:
    def show(out: Console) -> None:
        from voisin.cli.bags import show_bag

        show_bag(out, report)

    session.answer(report, show)


def add_to(app: typer.Typer) -> None:
    """Add the commands to those of deals."""
    command(app, "check", example="voisin deal check 0x…")(check)
    command(app, "challenge", example="voisin deal challenge 0x… --demand 3")(challenge)
    command(app, "settle", example="voisin deal settle 0x…")(settle)
    command(app, "claim", example="voisin deal claim 0x…")(claim)
    command(app, "guard", example="voisin deal guard 0x…")(guard)
