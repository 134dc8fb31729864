"""Brokers: `broker run | show`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.reading import hash32
from voisin.cli.session import Session, command

if TYPE_CHECKING:
    from rich.console import Console

    from voisin.broker import BrokerSettings
    from voisin.client import AsyncCloud
    from voisin.protocol.api import BrokerView

app = typer.Typer(name="broker", help="Brokers: fill published requests with published offers while their requesters are away.")


def run(
    session: Session,
    patience_s: Annotated[
        float, typer.Option("--patience", metavar="SECONDS", help="How long a request is left to its requester first.", min=0)
    ] = 0,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65_535)] = 13100,
) -> None:
    """Fill the market's open requests until Ctrl-C; the wallet pays the gas of the matches, and needs no RLC."""
    from voisin.broker import BrokerSettings

    settings = BrokerSettings(
        market_url=session.network.market_url,
        rpc_url=session.network.rpc_url,
        hub=session.network.hub,
        patience_s=patience_s,
        host=host,
        port=port,
    )
    _serve(session, settings)


def _serve(session: Session, settings: BrokerSettings) -> None:
    import anyio

    from voisin.broker import open_broker
    from voisin.cli.until import until_signal
    from voisin.service.serving import serve_app

    wallet = session.signer
    session.start_logs()

    async def work() -> None:
        async with open_broker(settings, wallet) as broker, serve_app(broker.app, host=settings.host, port=settings.port) as url:
            words = f"ready: broker {wallet.address} on {url}; Ctrl-C stops"
            session.answer({"url": url, "broker": wallet.address, "market": settings.market_url}, lambda out: out.print(words))
            sys.stdout.flush()
            await until_signal()

    anyio.run(work)


def show(
    session: Session,
    request: Annotated[str, typer.Argument(parser=hash32, metavar="HASH", help="The request order's hash.")],
    url: Annotated[str | None, typer.Option(help="The broker's address; the home's own broker unless given.")] = None,
) -> None:
    """Show what became of a published request: the deals made for it, and why there are no more."""

    async def work(cloud: AsyncCloud) -> BrokerView:
        from voisin.client.broker import BrokerDesk
        from voisin.client.services import Service
        from voisin.errors import StateError
        from voisin.protocol.ids import Hash32, OrderHash

        where = url or cloud.links.network.broker_url
        if not where:
            raise StateError("this network has no broker", hint="start one with `voisin broker run`, and give its address with --url")
        async with Service("broker", where) as service:
            return await BrokerDesk(service).request(OrderHash(Hash32(request)))

    found = session.with_cloud(work)
    session.answer(found, lambda out: _show(out, found))


def _show(out: Console, found: BrokerView) -> None:
    from voisin.cli.show import money, pairs, table

    state = [("request", found.request), ("status", found.status), ("left", f"{found.remaining} tasks")]
    state += [(name, words) for name, words in (("why", found.why), ("try", found.hint)) if words]
    out.print(pairs(state))
    if found.deals:
        rows = [(deal.deal_id, str(deal.volume), money(deal.price)) for deal in found.deals]
        out.print(table("Deals", ("deal", "tasks", "RLC a task"), rows, right=("tasks", "RLC a task")))


command(app, "run", example="voisin broker run --wallet broker")(run)
command(app, "show", example="voisin broker show 0x…")(show)
