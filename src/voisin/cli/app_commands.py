"""Apps: `app deploy | show | list`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.reading import address, amount
from voisin.cli.session import Session, command
from voisin.units import NRLC, format_amount

if TYPE_CHECKING:
    from rich.console import Console

    from voisin.client import AsyncCloud
    from voisin.protocol.ids import Address
    from voisin.protocol.records import AppInfo

app = typer.Typer(name="app", help="Apps: programs that others may run, for money if you like.")
OwnerOption = Annotated[str | None, typer.Option(parser=address, metavar="ADDRESS", help="Whose; the wallet's own unless given.")]


def deploy(
    session: Session,
    path: Annotated[Path, typer.Argument(help="A .wasm file, or a folder with an app.toml.")],
    price: Annotated[
        NRLC | None, typer.Option(parser=amount, metavar="AMOUNT", help="Also offer it to everybody at this price a run.")
    ] = None,
    volume: Annotated[int, typer.Option(help="How many runs the offer is for.", min=1)] = 1_000_000,
) -> None:
    """Upload an app and register it for the wallet; with a price, offer it in the market as well."""

    async def work(cloud: AsyncCloud) -> dict[str, str | int | None]:
        from voisin.cli.orders import sign_and_publish
        from voisin.client.requester import new_salt
        from voisin.protocol.orders import AppOrder

        entry = await cloud.deploy(path)
        offer = None
        if price is not None:
            offer = await sign_and_publish(cloud, AppOrder(app=entry, appprice=price, volume=volume, salt=new_salt()))
        info = await cloud.links.chain.registries.app(entry)
        return {"app": entry, "name": info.name, "owner": info.owner, "checksum": info.checksum, "price": price, "order": offer}

    found = session.with_wallet(work)
    session.answer(found, lambda out: _show_deployed(out, found))


def show(session: Session, app: Annotated[str, typer.Argument(parser=address, metavar="ADDRESS", help="The app.")]) -> None:
    """Show an app: its owner, where its code lies, and what it costs."""

    async def work(cloud: AsyncCloud) -> tuple[AppInfo, list[tuple[int, int]]]:
        from voisin.protocol.ids import Address

        info = await cloud.links.chain.registries.app(Address(app))
        offers = await cloud.links.book.app_offers({"app": app})
        return info, [(offer.order.appprice, offer.remaining) for offer in offers]

    info, offers = session.with_cloud(work)
    document = {**_described(app, info), "offers": [{"price": price, "remaining": left} for price, left in offers]}
    session.answer(document, lambda out: _show_app(out, app, info, offers))


def listing(session: Session, owner: OwnerOption = None) -> None:
    """List the apps that somebody owns."""

    async def work(cloud: AsyncCloud) -> list[tuple[Address, AppInfo]]:
        from voisin.client.wallets import find_wallet, wallet_address
        from voisin.protocol.ids import Address
        from voisin.protocol.orders import OrderKind

        whose = Address(owner) if owner else wallet_address(find_wallet(session.home, session.network, session.settings.wallet))
        registries = cloud.links.chain.registries
        return [(entry, await registries.app(entry)) for entry in await registries.owned(OrderKind.APP, whose)]

    found = session.with_cloud(work)
    session.answer([_described(entry, info) for entry, info in found], lambda out: _show_apps(out, found))


def _described(entry: str, info: AppInfo) -> dict[str, str]:
    return {
        "app": entry,
        "name": info.name,
        "owner": info.owner,
        "type": info.type,
        "multiaddr": info.multiaddr.decode(errors="replace"),
        "checksum": info.checksum,
    }


def _show_deployed(out: Console, found: dict[str, str | int | None]) -> None:
    from voisin.cli.show import pairs

    price = found["price"]
    rows = [("app", str(found["app"])), ("name", str(found["name"])), ("owner", str(found["owner"]))]
    rows.append(("offered at", format_amount(NRLC(int(price))) if price is not None else "not offered to others"))
    out.print(pairs(rows))


def _show_app(out: Console, entry: str, info: AppInfo, offers: list[tuple[int, int]]) -> None:
    from voisin.cli.show import pairs

    cheapest = min(offers, default=None)
    price = "not offered" if cheapest is None else f"{format_amount(NRLC(cheapest[0]))} a run, {cheapest[1]} runs left"
    out.print(pairs([*_described(entry, info).items(), ("price", price)]))


def _show_apps(out: Console, found: list[tuple[Address, AppInfo]]) -> None:
    from voisin.cli.show import table

    rows = [(info.name, entry, info.type) for entry, info in found]
    out.print(table("Apps", ("name", "address", "type"), rows) if rows else "no apps")


command(app, "deploy", example='voisin app deploy apps/wordcount --price "0.01 RLC"')(deploy)
command(app, "show", example="voisin app show 0x…")(show)
command(app, "list", example="voisin app list")(listing)
